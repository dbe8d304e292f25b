//! Links that a test can open.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta};
use distribution_core::{Checksum, Error, Link, LinkLimits, LinkRequest, ObjectKey, SignedUrl, Timestamp, UrlSigner};

use crate::faults::Op;
use crate::world::World;

/// Signs links of the form `https://test.invalid/{key}?e={unix seconds}&s={signature}`, for 1 to 168
/// hours. The signature is a checksum without a key: it is for tests only.
#[derive(Clone, Debug)]
pub struct TestSigner {
    world: World,
    credentials_until: Option<Timestamp>,
}

impl TestSigner {
    const BASE: &str = "https://test.invalid/";
    const VALID_HOURS_MAX: u32 = 168;

    /// A signer whose effects count in this world.
    pub fn new(world: &World) -> Self {
        Self { world: world.clone(), credentials_until: None }
    }

    /// The same signer with credentials that die then, and all its links with them.
    pub fn with_credentials_until(self, until: Timestamp) -> Self {
        Self { credentials_until: Some(until), ..self }
    }

    /// The object that this link fetches at `now`; `None` if it is forged or has expired.
    pub fn open(link: &Link, now: Timestamp) -> Option<ObjectKey> {
        let (key, query) = link.expose().strip_prefix(Self::BASE)?.split_once("?e=")?;
        let (expires_at, signature) = query.split_once("&s=")?;
        let key = ObjectKey::parse(key).ok()?;
        let expires_at = DateTime::from_timestamp(expires_at.parse().ok()?, 0)?;
        (now < expires_at && signature == signature_of(&key, expires_at)).then_some(key)
    }

    fn answer(&self, link: &LinkRequest, now: Timestamp) -> Result<SignedUrl, Error> {
        let latest = now.checked_add_signed(TimeDelta::hours(i64::from(Self::VALID_HOURS_MAX)));
        if link.expires_at <= now || latest.is_some_and(|latest| link.expires_at > latest) {
            let message = format!("must be at most {} hours ahead", Self::VALID_HOURS_MAX);
            return Err(Error::invalid("expires_at", message));
        }
        let until = self.credentials_until.filter(|until| *until < link.expires_at);
        if until.is_some_and(|until| until <= now) {
            return Err(Error::unavailable("the signer's credentials have expired: renew them, then repeat"));
        }
        let expires_at = until.unwrap_or(link.expires_at);
        let (key, signature) = (&link.key, signature_of(&link.key, expires_at));
        Ok(SignedUrl {
            link: Link::new(format!("{}{key}?e={}&s={signature}", Self::BASE, expires_at.timestamp())),
            expires_at,
            limited_by: until.map(|_| "the signer's credentials expire earlier".to_owned()),
        })
    }
}

#[async_trait]
impl UrlSigner for TestSigner {
    async fn sign(&self, link: &LinkRequest, now: Timestamp) -> Result<SignedUrl, Error> {
        let call = self.world.begin(Op::SignerSign, link.key.as_str()).await?;
        call.end(self.answer(link, now)).await
    }

    fn limits(&self) -> LinkLimits {
        LinkLimits { valid_hours_min: 1, valid_hours_max: Self::VALID_HOURS_MAX }
    }
}

fn signature_of(key: &ObjectKey, expires_at: Timestamp) -> String {
    let mut hex = Checksum::of(format!("{key} {}", expires_at.timestamp()).as_bytes()).hex();
    hex.truncate(16);
    hex
}
