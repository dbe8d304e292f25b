//! Presigned links: over the double, whose clock can be set, and fetched with plain curl from a server.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{SubsecRound as _, TimeDelta, Utc};
use distribution_backends::{Ability, Disposition, PresignSigner, Probe, S3Config, S3Storage};
use distribution_core::{ErrorKind, Link, LinkRequest, ObjectKey, SignedUrl, Storage as _, Timestamp, UrlSigner};
use distribution_testkit::conformance::{Harness, SignerHarness};
use distribution_testkit::s3::{Answer, Credentials, Fault, S3Double};
use futures::future::BoxFuture;
use tokio::runtime::Runtime;

use crate::curl::curl;
use crate::double::{content, key, pattern};
use crate::server::Server;

/// A signer, and the double that serves its links.
struct Signed {
    double: S3Double,
    runtime: Runtime,
}

impl Signed {
    fn new() -> Self {
        let double = S3Double::new([Credentials::new("id", "canary-s3-secret")]);
        double.create_bucket("media");
        // Stored by somebody else.
        double.always_all(Fault::IgnoredSignature);
        for name in ["clip.mp4", "other.mp4"] {
            let put = http::Request::put(format!("http://s3.test/media/mvp/{name}")).body(name.into()).unwrap();
            assert_eq!(double.answer(put).whole().unwrap().status(), 200);
        }
        double.heal();
        Self { double, runtime: Runtime::new().unwrap() }
    }

    fn signer(secret: &str) -> Arc<dyn UrlSigner> {
        let config = S3Config::from_uri("s3://media/mvp?endpoint=http://s3.test").unwrap();
        Arc::new(PresignSigner::s3(config.keys("id", secret)).unwrap())
    }
}

impl Harness for Signed {
    fn run(&self, future: BoxFuture<'_, ()>) {
        self.runtime.block_on(future);
    }
}

#[async_trait]
impl SignerHarness for Signed {
    async fn open(&self) -> Arc<dyn UrlSigner> {
        Self::signer("canary-s3-secret")
    }

    async fn stranger(&self) -> Option<Arc<dyn UrlSigner>> {
        Some(Self::signer("other"))
    }

    async fn fetches(&self, method: &str, link: &Link, key: &ObjectKey, now: Timestamp) -> Option<bool> {
        self.double.set_time(now);
        let Ok(request) = http::Request::builder().method(method).uri(link.expose()).body(Vec::new().into()) else {
            return Some(false);
        };
        let Answer::Whole(answer) = self.double.answer(request) else { return Some(false) };
        let is_its = method == "HEAD" || *answer.body() == key.as_str();
        Some(answer.status() == 200 && is_its)
    }

    fn answers_head(&self) -> bool {
        false
    }
}

mod proof_of_presigned_s3 {
    distribution_testkit::signer_conformance!(super::Signed::new());
}

#[tokio::test]
async fn seven_days_are_the_most_and_words_say_so() {
    let (signer, now) = (Signed::signer("canary-s3-secret"), "2026-01-01T00:00:00.5Z".parse::<Timestamp>().unwrap());
    let week = now.trunc_subsecs(0) + TimeDelta::days(7);
    let sign = async |expires_at| signer.sign(&LinkRequest { key: key("clip.mp4"), expires_at }, now).await;
    let signed = sign(week).await.unwrap();
    assert!(signed.link.expose().contains("X-Amz-Expires=604800&"));
    let error = sign(week + TimeDelta::seconds(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("168 hours at most"), "{error}");
}

async fn link(signer: &PresignSigner, name: &str, valid_secs: i64) -> SignedUrl {
    let now = Utc::now();
    let expires_at = now.trunc_subsecs(0) + TimeDelta::seconds(valid_secs);
    signer.sign(&LinkRequest { key: key(name), expires_at }, now).await.unwrap()
}

#[tokio::test]
async fn proof_plain_curl_fetches_a_link_until_it_expires() {
    let Some(server) = Server::named("DISTRIBUTION_TEST_S3") else { return };
    let config = server.config(server.bucket(), "links", &server.host);
    let storage = S3Storage::open(config.clone()).await.unwrap();
    let bytes = pattern(100_000, 1);
    storage.create(&key("clip.mp4"), content(&bytes)).await.unwrap();
    let signer = PresignSigner::s3(config).unwrap().disposition(Disposition::Attachment);

    let signed = link(&signer, "clip.mp4", 60).await;
    let url = signed.link.expose();
    let (status, head, body) = curl(&[], url);
    assert_eq!((status, body.as_slice()), (200, &bytes[..]));
    assert!(head.contains("content-type: video/mp4\r\n"), "{head}");
    assert!(head.contains("content-disposition: attachment; filename=\"clip.mp4\"\r\n"), "{head}");
    let (status, head, body) = curl(&["-H", "range: bytes=7-18"], url);
    assert_eq!((status, body.as_slice()), (206, &bytes[7..19]), "{head}");
    assert!(matches!(curl(&["-X", "PUT", "-d", "x"], url).0, 400..500), "not for PUT");
    assert!(matches!(curl(&["-X", "DELETE"], url).0, 400..500), "not for DELETE");

    // Any character of the path or query, changed.
    let path = url.match_indices('/').nth(2).unwrap().0 + 1;
    let mut changed = 0;
    for (at, byte) in url.bytes().enumerate().skip(path) {
        let other = if byte == b'0' { '1' } else { '0' };
        // `%2F` and the like stay what they are, or become no escape at all.
        let url = format!("{}{other}{}", &url[..at], &url[at + 1..]);
        let (status, ..) = curl(&[], &url);
        assert!((400..500).contains(&status), "{status} for {url}");
        changed += 1;
    }

    let brief = link(&signer, "clip.mp4", 2).await;
    let mut statuses = vec![curl(&[], brief.link.expose()).0];
    while Utc::now() <= brief.expires_at + TimeDelta::seconds(1) {
        thread::sleep(Duration::from_millis(100));
    }
    statuses.push(curl(&[], brief.link.expose()).0);
    assert_eq!(statuses[0], 200);
    assert!(matches!(statuses[1], 400 | 403), "{statuses:?}");

    let probe = Probe::of(&storage, Some(&signer), Utc::now()).await.unwrap();
    assert!(probe.has(Ability::Link), "{probe}");
    println!("proof: presigned link by curl: {changed} changed links refused, expired after 2 s");
}
