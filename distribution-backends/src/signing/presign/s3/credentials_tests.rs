//! Which credentials sign a link, and how long it lives.

use std::sync::Mutex as Lock;

use chrono::TimeDelta;
use distribution_core::{LinkRequest, ObjectKey, SignedUrl, UrlSigner as _};
use reqsign_core::time::Timestamp as Instant;
use reqsign_core::{Context, ProvideCredential};

use super::super::PresignSigner;
use super::*;

const SECRET: &str = "canary-secret";
const TOKEN: &str = "canary-token";

/// Gives these, one a call; from the last on, always that.
#[derive(Debug)]
struct Given(Lock<Vec<Credential>>);

impl ProvideCredential for Given {
    type Credential = Credential;

    async fn provide_credential(&self, _context: &Context) -> reqsign_core::Result<Option<Credential>> {
        let mut given = self.0.lock().unwrap();
        Ok(if given.len() > 1 { Some(given.remove(0)) } else { given.first().cloned() })
    }
}

fn signer(given: impl Into<Vec<Credential>>) -> PresignSigner {
    let mut links = S3Links::new(S3Config::from_uri("s3://media?endpoint=http://s3.test").unwrap()).unwrap();
    links.provider = ProvideCredentialChain::new().push(Given(Lock::new(given.into())));
    PresignSigner::of(links)
}

fn lasting(id: &str) -> Credential {
    Credential { access_key_id: id.into(), secret_access_key: SECRET.into(), ..Credential::default() }
}

fn passing(id: &str, hours: i64) -> Credential {
    let end = Instant::from_second((now() + TimeDelta::hours(hours)).timestamp()).unwrap();
    Credential { session_token: Some(TOKEN.into()), expires_in: Some(end), ..lasting(id) }
}

fn now() -> Timestamp {
    "2026-01-01T00:00:00.5Z".parse().unwrap()
}

fn in_hours(hours: i64) -> Timestamp {
    "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap() + TimeDelta::hours(hours)
}

async fn sign(signer: &PresignSigner, hours: i64) -> Result<SignedUrl, Error> {
    let wanted = LinkRequest { key: ObjectKey::parse("clip.mp4").unwrap(), expires_at: in_hours(hours) };
    signer.sign(&wanted, now()).await
}

fn id(signed: &SignedUrl) -> &str {
    let (_, rest) = signed.link.expose().split_once("X-Amz-Credential=").unwrap();
    rest.split_once("%2F").unwrap().0
}

/// The old key is deleted soon, and the links that it signed die with it.
#[tokio::test]
async fn a_key_that_was_replaced_signs_no_more() {
    let signer = signer([lasting("old"), lasting("new")]);
    assert_eq!(id(&sign(&signer, 1).await.unwrap()), "old");
    assert_eq!(id(&sign(&signer, 1).await.unwrap()), "new");
}

#[tokio::test]
async fn credentials_are_asked_for_again_only_where_a_link_outlives_them() {
    let signer = signer([passing("first", 2), passing("second", 12)]);
    for (hours, signs) in [(1, "first"), (1, "first"), (3, "second"), (1, "second")] {
        assert_eq!(id(&sign(&signer, hours).await.unwrap()), signs, "{hours} hours");
    }
}

#[tokio::test]
async fn a_link_that_would_outlive_its_credentials_is_refused_or_bounded() {
    let error = sign(&signer([passing("id", 1)]), 2).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("let them bound it"), "{error}");

    let bounded = signer([passing("id", 1)]).bounded_by_credentials();
    let signed = sign(&bounded, 2).await.unwrap();
    assert_eq!(signed.expires_at, in_hours(1));
    assert!(signed.limited_by.is_some());
    let link = signed.link.expose();
    assert!(link.contains("X-Amz-Expires=3600&X-Amz-Security-Token=canary-token&"), "{link}");

    for signer in [signer([passing("id", 2)]), bounded] {
        let signed = sign(&signer, 1).await.unwrap();
        assert_eq!((signed.expires_at, signed.limited_by), (in_hours(1), None));
    }
}

#[tokio::test]
async fn nothing_is_signed_where_the_end_is_not_known_and_no_link_goes_unsigned() {
    let endless = Credential { session_token: Some(TOKEN.into()), ..lasting("id") };
    let secretless = Credential { secret_access_key: String::new(), ..lasting("id") };
    for (given, kind) in [
        (vec![endless], ErrorKind::Unsupported),
        (vec![], ErrorKind::Unavailable),
        (vec![lasting("")], ErrorKind::Unavailable),
        (vec![secretless], ErrorKind::Unavailable),
        (vec![passing("id", 0)], ErrorKind::Unavailable),
        (vec![passing("id", -1)], ErrorKind::Unavailable),
    ] {
        for signer in [signer(given.clone()), signer(given).bounded_by_credentials()] {
            let error = sign(&signer, 1).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            let text = format!("{error} {error:?} {:?} {signer:?}", std::error::Error::source(&error));
            assert!(!text.contains("canary"), "{text}");
        }
    }
}
