//! Service SAS: checked as Azure says it checks them ("Create a service SAS", Azure Storage REST API), at any
//! time, and fetched with plain curl from Azurite.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound as _, TimeDelta};
use data_encoding::BASE64;
use distribution_backends::{Ability, AzblobConfig, Disposition, PresignSigner, Probe, SystemClock};
use distribution_core::{
    Clock as _, ErrorKind, Link, LinkRequest, ObjectKey, SignedUrl, Storage as _, Timestamp, UrlSigner,
};
use distribution_testkit::conformance::{Harness, SignerHarness};
use futures::future::BoxFuture;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::runtime::Runtime;

use crate::azurite::Server;
use crate::curl::curl;
use crate::fetch::parsed;
use crate::support::{content, key, pattern};

const URI: &str = "az://media/mvp?account=studio";
const BLOBS: &str = "https://studio.blob.core.windows.net/";

fn secret(seed: u8) -> String {
    BASE64.encode(&[seed; 64])
}

fn signer(seed: u8) -> PresignSigner {
    PresignSigner::azblob(&AzblobConfig::from_uri(URI).unwrap().with_key(secret(seed))).unwrap()
}

/// What Azure says to this request at this time.
fn is_served(method: &str, url: &str, key: &ObjectKey, now: Timestamp) -> Option<bool> {
    let (place, fields) = parsed(url)?;
    let blob = place.strip_prefix(BLOBS)?;
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let resource = format!("/blob/studio/{blob}");
    let text = [
        field("sp"),
        field("st"),
        field("se"),
        &resource,
        field("si"),
        field("sip"),
        field("spr"),
        field("sv"),
        field("sr"),
        field("snapshot"),
        field("ses"),
        field("rscc"),
        field("rscd"),
        field("rsce"),
        field("rscl"),
        field("rsct"),
    ];
    let mut mac = Hmac::<Sha256>::new_from_slice(&[7; 64]).unwrap();
    mac.update(text.join("\n").as_bytes());
    let is_signed = BASE64.encode(&mac.finalize().into_bytes()) == field("sig");
    let until = DateTime::parse_from_rfc3339(field("se")).ok()?;
    let may = field("sp").contains('r') && field("sr") == "b" && matches!(method, "GET" | "HEAD");
    Some(is_signed && may && now < until && blob == format!("media/mvp/{key}"))
}

struct Checked(Runtime);

impl Harness for Checked {
    fn run(&self, future: BoxFuture<'_, ()>) {
        self.0.block_on(future);
    }
}

#[async_trait]
impl SignerHarness for Checked {
    async fn open(&self) -> Arc<dyn UrlSigner> {
        Arc::new(signer(7))
    }

    async fn stranger(&self) -> Option<Arc<dyn UrlSigner>> {
        Some(Arc::new(signer(8)))
    }

    async fn fetches(&self, method: &str, link: &Link, key: &ObjectKey, now: Timestamp) -> Option<bool> {
        Some(is_served(method, link.expose(), key, now).unwrap_or(false))
    }
}

mod proof_of_a_service_sas {
    distribution_testkit::signer_conformance!(super::Checked(crate::runtime()));
}

async fn signed(signer: &PresignSigner, expires_at: Timestamp, now: Timestamp) -> SignedUrl {
    signer.sign(&LinkRequest { key: key("clip.mp4"), expires_at }, now).await.unwrap()
}

#[tokio::test]
async fn what_is_signed_is_what_is_meant() {
    let now: Timestamp = "2026-01-01T00:00:00.5Z".parse().unwrap();
    let week = now.trunc_subsecs(0) + TimeDelta::days(7);
    let link = signed(&signer(7), week, now).await.link;
    let (place, mut fields) = parsed(link.expose()).unwrap();
    assert_eq!(place, format!("{BLOBS}media/mvp/clip.mp4"));
    assert_eq!(BASE64.decode(fields.remove("sig").unwrap().as_bytes()).unwrap().len(), 32);
    let expected = [
        ("sp", "r"),
        ("se", "2026-01-08T00:00:00Z"),
        ("spr", "https"),
        ("sv", "2020-12-06"),
        ("sr", "b"),
        ("rscd", "inline; filename=\"clip.mp4\""),
        ("rsct", "video/mp4"),
    ];
    assert_eq!(fields, BTreeMap::from(expected.map(|(name, value)| (name.to_owned(), value.to_owned()))));
    // The end alone counts, and not when it was signed.
    assert_eq!(signed(&signer(7), week, now + TimeDelta::hours(1)).await.link, link);
}

#[test]
fn without_a_key_there_is_no_link_and_no_secret_is_shown() {
    let uri = |text: &str| AzblobConfig::from_uri(text).unwrap();
    let error = PresignSigner::azblob(&uri(URI)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("AZURE_STORAGE_KEY"), "{error}");
    for wrong in ["", "canary", "canary!", "Y2FuYXJ5"] {
        let error = PresignSigner::azblob(&uri(URI).with_key(wrong)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{wrong}");
        let text = format!("{error} {error:?} {:?}", std::error::Error::source(&error));
        assert!(!text.contains("canary") && !text.contains("Y2Fu"), "{text}");
    }
    let elsewhere = uri("az://media?endpoint=https%3A%2F%2Fmedia.example").with_key(secret(7));
    assert_eq!(PresignSigner::azblob(&elsewhere).unwrap_err().kind(), ErrorKind::Invalid);
    let text = format!("{:?} {:#?}", signer(7), signer(7));
    assert!(text.contains("studio") && !text.contains(&secret(7)) && !text.contains("7, 7"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof_plain_curl_fetches_a_sas_until_it_expires() {
    let Some(server) = Server::find("proof_plain_curl_fetches_a_sas_until_it_expires") else { return };
    let config = server.config(&server.container().await);
    let (storage, bytes) = (config.open().unwrap(), pattern(100_000, 1));
    storage.create(&key("clip.mp4"), content(&bytes, &bytes)).await.unwrap();
    let signer = PresignSigner::azblob(&config).unwrap().disposition(Disposition::Attachment);
    let link = async |valid_secs| {
        let now = SystemClock.now();
        signed(&signer, now.trunc_subsecs(0) + TimeDelta::seconds(valid_secs), now).await
    };

    let lasting = link(600).await;
    let url = lasting.link.expose();
    let (status, head, body) = curl(&[], url);
    assert_eq!((status, body.as_slice()), (200, &bytes[..]), "{head}");
    assert!(head.contains("content-type: video/mp4\r\n"), "{head}");
    assert!(head.contains("content-disposition: attachment; filename=\"clip.mp4\"\r\n"), "{head}");
    let (status, head, body) = curl(&["-H", "range: bytes=7-18"], url);
    assert_eq!((status, body.as_slice()), (206, &bytes[7..19]), "{head}");
    let (status, head, _) = curl(&["--head"], url);
    assert!(status == 200 && head.contains("content-length: 100000\r\n"), "{head}");
    let put = ["-X", "PUT", "-H", "x-ms-blob-type: BlockBlob", "-H", "x-ms-version: 2021-12-02", "-d", "x"];
    assert!(matches!(curl(&put, url).0, 400..500), "not for PUT");
    assert!(matches!(curl(&["-X", "DELETE"], url).0, 400..500), "not for DELETE");

    // Any character of the path or query, changed.
    let path = url.match_indices('/').nth(2).unwrap().0 + 1;
    let mut changed = 0;
    for (at, byte) in url.bytes().enumerate().skip(path) {
        let other = if byte == b'0' { '1' } else { '0' };
        let url = format!("{}{other}{}", &url[..at], &url[at + 1..]);
        let (status, ..) = curl(&[], &url);
        assert!((400..500).contains(&status), "{status} for {url}");
        changed += 1;
    }

    let brief = link(2).await;
    let before = curl(&[], brief.link.expose()).0;
    while SystemClock.now() <= brief.expires_at + TimeDelta::seconds(1) {
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!((before, curl(&[], brief.link.expose()).0), (200, 403));

    let probe = Probe::of(&storage, Some(&signer), SystemClock.now()).await.unwrap();
    assert!(probe.has(Ability::Link), "{probe}");
    println!("proof: service SAS by curl: {changed} changed links refused, expired after 2 s");
}
