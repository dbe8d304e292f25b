//! What is logged on the way to a bucket, by whomever and at any level, shows no secret: reqsign logs too.

#![cfg(all(feature = "s3", feature = "azblob"))]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::error::Error as _;
use std::sync::Mutex;

use chrono::{SubsecRound as _, TimeDelta};
use distribution_backends::{AzblobConfig, PresignSigner, S3Config, S3Storage, SystemClock};
use distribution_core::{Clock as _, LinkRequest, ObjectKey, Storage as _, UrlSigner as _};

const SECRET: &str = "canary-secret";
/// The same for Azure, whose keys are in base64.
const KEY: &str = "Y2FuYXJ5LXNlY3JldC1jYW5hcnktc2VjcmV0LWNhbmFyeS1zZWNyZXQ=";

/// All that is logged.
struct Heard(Mutex<String>);

static HEARD: Heard = Heard(Mutex::new(String::new()));

impl log::Log for Heard {
    fn enabled(&self, _metadata: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{} {}: {}\n", record.level(), record.target(), record.args());
        self.0.lock().unwrap().push_str(&line);
    }

    fn flush(&self) {}
}

#[tokio::test]
async fn no_log_shows_a_secret_or_a_signature() {
    log::set_logger(&HEARD).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    // Nobody is there, but what is asked is signed before.
    let s3 = S3Config::from_uri("s3://media?endpoint=http://127.0.0.1:1").unwrap().keys("id", SECRET);
    let blobs = AzblobConfig::from_uri("az://media?account=a&endpoint=http%3A%2F%2F127.0.0.1:1").unwrap().with_key(KEY);
    let key = ObjectKey::parse("clip.mp4").unwrap();
    let error = match S3Storage::open(s3.clone()).await {
        Ok(storage) => storage.stat(&key).await.map(|_| ()).unwrap_err(),
        Err(error) => error,
    };
    let other_error = blobs.open().unwrap().stat(&key).await.unwrap_err();

    let mut told = format!("{error} {error:?} {:?} {other_error:?} {:?}", error.source(), other_error.source());
    let now = SystemClock.now();
    let wanted = LinkRequest { key, expires_at: now.trunc_subsecs(0) + TimeDelta::hours(1) };
    let mut secrets = vec![SECRET.to_owned(), KEY.to_owned()];
    for signer in [PresignSigner::s3(s3.clone()).unwrap(), PresignSigner::azblob(&blobs).unwrap()] {
        let signed = signer.sign(&wanted, now).await.unwrap();
        let (_, signature) = signed.link.expose().rsplit_once('=').unwrap();
        secrets.push(signature.to_owned());
        told += &format!("{signer:?} {signed:?}");
    }
    told += &format!("{s3:?} {blobs:?}");
    told += &HEARD.0.lock().unwrap();
    assert!(told.contains("Trying credential provider"), "reqsign logs no more, so this shows nothing:\n{told}");
    assert!(!secrets.iter().any(|secret| told.contains(secret)), "{told}");
}
