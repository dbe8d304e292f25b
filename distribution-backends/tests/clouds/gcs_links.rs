//! V4 signed URLs, checked as Google says it checks them ("Signatures" and "Canonical requests", Google Cloud
//! Storage), with the public key. There is no Google here, nor an emulator that looks at signatures.

use std::error::Error as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{NaiveDateTime, SubsecRound as _, TimeDelta};
use data_encoding::HEXLOWER;
use distribution_backends::{Disposition, GcsConfig, PresignSigner};
use distribution_core::{Checksum, ErrorKind, Link, LinkRequest, ObjectKey, SignedUrl, Timestamp, UrlSigner};
use distribution_testkit::conformance::{Harness, SignerHarness};
use futures::future::BoxFuture;
use rustls::SignatureScheme;
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::fetch::parsed;
use crate::support::key;

const EMAIL: &str = "test-iam-credentials@dummy-project-id.iam.gserviceaccount.com";

/// A service account's key, made for this test.
struct Account {
    dir: TempDir,
    public: Vec<u8>,
}

impl Account {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pem = dir.path().join("private.pem");
        openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out"], &pem);
        let public = openssl(&["rsa", "-RSAPublicKey_out", "-outform", "DER", "-in"], &pem);
        let private_key = fs::read_to_string(&pem).unwrap();
        let account = Self { dir, public };
        account.write(&json!({ "type": "service_account", "client_email": EMAIL, "private_key": private_key }));
        account
    }

    fn write(&self, json: &serde_json::Value) {
        fs::write(self.key_file(), json.to_string()).unwrap();
    }

    fn key_file(&self) -> PathBuf {
        self.dir.path().join("key.json")
    }

    fn signer(&self, uri: &str) -> PresignSigner {
        PresignSigner::gcs(&GcsConfig::from_uri(uri).unwrap().with_key_file(self.key_file())).unwrap()
    }

    /// What Google says to this request at this time.
    fn is_served(&self, method: &str, url: &str, key: &ObjectKey, now: Timestamp) -> Option<bool> {
        let is_signed = self.has_signed(method, url)?;
        let (place, fields) = parsed(url)?;
        let date = NaiveDateTime::parse_from_str(&fields["X-Goog-Date"], "%Y%m%dT%H%M%SZ").ok()?.and_utc();
        let valid_secs: u32 = fields["X-Goog-Expires"].parse().ok()?;
        let is_in_time = valid_secs <= 604_800 && now < date + TimeDelta::seconds(valid_secs.into());
        let is_its = place == format!("https://storage.googleapis.com/media/mvp/{key}");
        Some(is_signed && is_in_time && is_its)
    }

    fn has_signed(&self, method: &str, url: &str) -> Option<bool> {
        let (text, (_, signature)) = (text_to_sign(method, url)?, url.split_once("&X-Goog-Signature=")?);
        let signature = HEXLOWER.decode(signature.as_bytes()).ok()?;
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        let rsa = algorithms.mapping.iter().find(|(scheme, _)| *scheme == SignatureScheme::RSA_PKCS1_SHA256).unwrap();
        Some(rsa.1[0].verify_signature(&self.public, text.as_bytes(), &signature).is_ok())
    }
}

/// What the signature of this request has to be of. `None` if it is not signed at all.
fn text_to_sign(method: &str, url: &str) -> Option<String> {
    let (query, _) = url.split_once("&X-Goog-Signature=")?;
    let (place, query) = query.split_once('?')?;
    let (host, path) = place.split_once("://")?.1.split_once('/')?;
    let (_, fields) = parsed(url)?;
    let date = fields.get("X-Goog-Date")?;
    let (_, scope) = fields.get("X-Goog-Credential")?.split_once('/')?;
    let of_names = fields.contains_key("X-Goog-Expires") && fields.get("X-Goog-SignedHeaders")? == "host";
    if !of_names || fields.get("X-Goog-Algorithm")? != "GOOG4-RSA-SHA256" || !query.is_ascii() {
        return None;
    }
    let mut sorted: Vec<_> = query.split('&').collect();
    sorted.sort_unstable();
    let query = sorted.join("&");
    let request = format!("{method}\n/{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
    Some(format!("GOOG4-RSA-SHA256\n{date}\n{scope}\n{}", Checksum::of(request.as_bytes()).hex()))
}

fn openssl(args: &[&str], file: &Path) -> Vec<u8> {
    let done = Command::new("openssl").args(args).arg(file).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

struct Checked {
    account: Account,
    stranger: Account,
    runtime: Runtime,
}

impl Checked {
    fn new() -> Self {
        Self { account: Account::new(), stranger: Account::new(), runtime: crate::runtime() }
    }
}

impl Harness for Checked {
    fn run(&self, future: BoxFuture<'_, ()>) {
        self.runtime.block_on(future);
    }
}

#[async_trait]
impl SignerHarness for Checked {
    async fn open(&self) -> Arc<dyn UrlSigner> {
        Arc::new(self.account.signer("gs://media/mvp"))
    }

    async fn stranger(&self) -> Option<Arc<dyn UrlSigner>> {
        Some(Arc::new(self.stranger.signer("gs://media/mvp")))
    }

    async fn fetches(&self, method: &str, link: &Link, key: &ObjectKey, now: Timestamp) -> Option<bool> {
        Some(self.account.is_served(method, link.expose(), key, now).unwrap_or(false))
    }

    fn answers_head(&self) -> bool {
        false
    }
}

mod proof_of_v4_signed_urls {
    distribution_testkit::signer_conformance!(super::Checked::new());
}

async fn signed(signer: &PresignSigner, name: &str, valid_secs: i64) -> SignedUrl {
    let now: Timestamp = "2019-02-01T09:00:00.25Z".parse().unwrap();
    let expires_at = now.trunc_subsecs(0) + TimeDelta::seconds(valid_secs);
    signer.sign(&LinkRequest { key: key(name), expires_at }, now).await.unwrap()
}

/// The time, bucket, object and account are those of Google's conformance tests, "Simple GET".
#[tokio::test]
async fn a_link_is_as_google_documents_it_and_openssl_accepts_its_signature() {
    let account = Account::new();
    let signer = account.signer("gs://test-bucket").disposition(Disposition::Attachment);
    let link = signed(&signer, "test-object", 10).await.link;
    let (unsigned, signature) = link.expose().split_once("&X-Goog-Signature=").unwrap();
    let expected = "https://storage.googleapis.com/test-bucket/test-object?X-Goog-Algorithm=GOOG4-RSA-SHA256\
        &X-Goog-Credential=test-iam-credentials%40dummy-project-id.iam.gserviceaccount.com%2F20190201%2Fauto%2F\
        storage%2Fgoog4_request&X-Goog-Date=20190201T090000Z&X-Goog-Expires=10&X-Goog-SignedHeaders=host\
        &response-content-disposition=attachment%3B%20filename%3D%22test-object%22\
        &response-content-type=video%2Fmp4";
    assert_eq!(unsigned, expected);

    // The suite's own request has no fields of the response, and this hash.
    let (bare, _) = expected.split_once("&response-").unwrap();
    let text = text_to_sign("GET", &format!("{bare}&X-Goog-Signature=00")).unwrap();
    let hash = "00e2fb794ea93d7adb703edaebdd509821fcc7d4f1a79ac5c8d2b394df109320";
    assert_eq!(text, format!("GOOG4-RSA-SHA256\n20190201T090000Z\n20190201/auto/storage/goog4_request\n{hash}"));

    let file = |name: &str| account.dir.path().join(name);
    fs::write(file("public.pem"), openssl(&["rsa", "-pubout", "-in"], &file("private.pem"))).unwrap();
    fs::write(file("signature"), HEXLOWER.decode(signature.as_bytes()).unwrap()).unwrap();
    fs::write(file("text"), text_to_sign("GET", link.expose()).unwrap()).unwrap();
    let path = |name: &str| file(name).to_str().unwrap().to_owned();
    let verify = ["dgst", "-sha256", "-verify", &path("public.pem"), "-signature", &path("signature")];
    assert_eq!(openssl(&verify, &file("text")), b"Verified OK\n");
    println!("proof: a V4 signed URL: openssl verifies its signature; Google itself was not asked");
}

#[tokio::test]
async fn an_endpoint_of_ones_own_is_signed_for() {
    let account = Account::new();
    for (endpoint, start) in [
        // Clients leave out the scheme's own port.
        ("https%3A%2F%2Fmedia.example%3A443", "https://media.example/b/clip.mp4?"),
        ("http%3A%2F%2F127.0.0.1%3A9023%2Fgcs%2F", "http://127.0.0.1:9023/gcs/b/clip.mp4?"),
    ] {
        let link = signed(&account.signer(&format!("gs://b?endpoint={endpoint}")), "clip.mp4", 60).await.link;
        assert!(link.expose().starts_with(start), "{}", link.expose());
        assert_eq!(account.has_signed("GET", link.expose()), Some(true));
    }
}

#[tokio::test]
async fn without_a_service_accounts_key_there_is_no_link_and_no_secret_is_shown() {
    let account = Account::new();
    let signer = account.signer("gs://media/mvp");
    let link = signed(&signer, "clip.mp4", 60).await;
    let key_file = fs::read_to_string(account.key_file()).unwrap();
    let pem = serde_json::from_str::<serde_json::Value>(&key_file).unwrap()["private_key"].clone();
    let lines: Vec<_> = pem.as_str().unwrap().lines().filter(|line| !line.starts_with('-')).collect();
    let text = format!("{signer:?} {signer:#?} {link:?}");
    assert!(text.contains("media") && lines.iter().all(|line| !text.contains(line)), "{text}");

    let anonymous = GcsConfig::from_uri("gs://media?anonymous=true").unwrap().with_key_file(account.key_file());
    assert_eq!(PresignSigner::gcs(&anonymous).unwrap_err().kind(), ErrorKind::Invalid);

    let broken = "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----\n";
    for (content, kind) in [
        (json!({ "type": "authorized_user", "refresh_token": "canary" }), ErrorKind::Unsupported),
        (json!({ "type": "external_account", "private_key": "canary" }), ErrorKind::Unsupported),
        (json!({ "type": "service_account", "client_email": EMAIL, "private_key": "canary" }), ErrorKind::Invalid),
        (json!({ "type": "service_account", "client_email": EMAIL, "private_key": broken }), ErrorKind::Invalid),
        (json!({ "type": "service_account", "client_email": "", "private_key": pem }), ErrorKind::Invalid),
        (json!({ "type": "service_account", "private_key": pem }), ErrorKind::Invalid),
        (json!("canary"), ErrorKind::Invalid),
    ] {
        account.write(&content);
        refused(&signer, kind).await;
    }
    let dir = account.dir;
    let gone = dir.path().join("gone.json");
    let config = GcsConfig::from_uri("gs://media").unwrap().with_key_file(gone);
    refused(&PresignSigner::gcs(&config).unwrap(), ErrorKind::Unavailable).await;
}

async fn refused(signer: &PresignSigner, kind: ErrorKind) {
    let now = "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap();
    let request = LinkRequest { key: key("clip.mp4"), expires_at: now + TimeDelta::hours(1) };
    let error = signer.sign(&request, now).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    let text = format!("{error} {error:?} {:?}", error.source());
    assert!(!text.contains("canary") && !text.contains("Y2Fu") && !text.contains('\n'), "{text}");
}

/// A key that was replaced in its file signs from then on.
#[tokio::test]
async fn a_replaced_key_signs_at_once() {
    let (account, other) = (Account::new(), Account::new());
    let signer = account.signer("gs://media/mvp");
    let _ = signed(&signer, "clip.mp4", 60).await;
    fs::rename(other.key_file(), account.key_file()).unwrap();
    let link = signed(&signer, "clip.mp4", 60).await.link;
    let now = "2019-02-01T09:00:30Z".parse().unwrap();
    let served = [&account, &other].map(|by| by.is_served("GET", link.expose(), &key("clip.mp4"), now));
    assert_eq!(served, [Some(false), Some(true)]);
}
