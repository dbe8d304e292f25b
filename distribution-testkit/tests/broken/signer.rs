//! Flaws of signers, and of those who let through what they signed.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use distribution_core::{Checksum, Error, Link, LinkLimits, LinkRequest, ObjectKey, SignedUrl, Timestamp, UrlSigner};
use distribution_testkit::conformance::{Harness, SignerHarness, signer::CHECKS};

use crate::{Caught, pass, prove};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    Nothing,
    ClampsInSilence,
    CountsFromNow,
    ExpiresASecondEarly,
    ExpiresASecondLate,
    FoldsKeys,
    IgnoresSignatures,
    IgnoresTheCase,
    IgnoresTheEndOfSignatures,
    IgnoresTheMethod,
    IgnoresTheSecret,
    LimitsAreTurnedRound,
    SignsThePast,
    SignsWholeHoursOnly,
    TellsTheLink,
}

use Flaw::*;

const CAUGHT: Caught<'_, Flaw> = &[
    (LimitsAreTurnedRound, &["limits_are_a_range"]),
    (SignsWholeHoursOnly, &["signs_within_its_limits"]),
    (SignsThePast, &["refuses_what_has_expired"]),
    (ClampsInSilence, &["refuses_what_is_beyond_its_limits"]),
    (CountsFromNow, &["the_same_request_has_the_same_expiry"]),
    (TellsTheLink, &["never_shows_a_link"]),
    (ExpiresASecondEarly, &["a_link_fetches_its_object_until_it_expires"]),
    (ExpiresASecondLate, &["a_link_fetches_its_object_until_it_expires"]),
    (IgnoresTheMethod, &["a_link_fetches_and_does_nothing_else"]),
    (IgnoresSignatures, &["a_changed_link_fetches_nothing", "a_link_of_other_keys_fetches_nothing"]),
    (IgnoresTheCase, &["a_changed_link_fetches_nothing"]),
    (IgnoresTheEndOfSignatures, &["a_changed_link_fetches_nothing"]),
    (IgnoresTheSecret, &["a_link_of_other_keys_fetches_nothing"]),
    (FoldsKeys, &["each_object_has_a_link_of_its_own"]),
];

#[test]
fn proof_that_the_signer_suite_can_fail() {
    prove("signer", CHECKS, CAUGHT, |flaw, check| check(&Broken(flaw)));
}

#[test]
fn a_signer_without_a_flaw_passes() {
    pass(CHECKS, Flaw::Nothing, |flaw, check| check(&Broken(flaw)));
}

const BASE: &str = "https://media.example/";
const HOURS_MAX: u32 = 100;

struct Broken(Flaw);

impl Harness for Broken {}

#[async_trait::async_trait]
impl SignerHarness for Broken {
    async fn open(&self) -> Arc<dyn UrlSigner> {
        Arc::new(BrokenSigner { flaw: self.0, secret: "ours" })
    }

    async fn stranger(&self) -> Option<Arc<dyn UrlSigner>> {
        Some(Arc::new(BrokenSigner { flaw: self.0, secret: "theirs" }))
    }

    async fn fetches(&self, method: &str, link: &Link, key: &ObjectKey, now: Timestamp) -> Option<bool> {
        let signer = BrokenSigner { flaw: self.0, secret: "ours" };
        let is_read = matches!(method, "GET" | "HEAD") || self.0 == IgnoresTheMethod;
        Some(is_read && signer.opens(link.expose(), now).as_ref() == Some(key))
    }
}

struct BrokenSigner {
    flaw: Flaw,
    secret: &'static str,
}

impl BrokenSigner {
    fn signature(&self, key: &str, expires_at: Timestamp) -> String {
        let secret = if self.flaw == IgnoresTheSecret { "" } else { self.secret };
        Checksum::of(format!("{secret} {key} {}", expires_at.timestamp()).as_bytes()).hex()
    }

    /// What whoever serves the objects does.
    fn opens(&self, link: &str, now: Timestamp) -> Option<ObjectKey> {
        let (key, query) = link.strip_prefix(BASE)?.split_once("?e=")?;
        let (expires_at, signature) = query.split_once("&s=")?;
        let expires_at = DateTime::from_timestamp(expires_at.parse().ok()?, 0)?;
        let genuine = self.signature(key, expires_at);
        let is_genuine = match self.flaw {
            IgnoresSignatures => true,
            IgnoresTheCase => signature.eq_ignore_ascii_case(&genuine),
            IgnoresTheEndOfSignatures => signature.len() == 64 && signature.starts_with(&genuine[..63]),
            _ => signature == genuine,
        };
        let late = TimeDelta::seconds(match self.flaw {
            ExpiresASecondEarly => -1,
            ExpiresASecondLate => 1,
            _ => 0,
        });
        (is_genuine && now < expires_at + late).then(|| ObjectKey::parse(key).ok())?
    }
}

#[async_trait::async_trait]
impl UrlSigner for BrokenSigner {
    async fn sign(&self, link: &LinkRequest, now: Timestamp) -> Result<SignedUrl, Error> {
        let mut expires_at = link.expires_at;
        let latest = now + TimeDelta::hours(i64::from(HOURS_MAX));
        match self.flaw {
            ClampsInSilence => expires_at = expires_at.min(latest),
            CountsFromNow => expires_at = now + (expires_at - now) / 2,
            _ => {}
        }
        let is_past = expires_at <= now && self.flaw != SignsThePast;
        let is_too_short = self.flaw == SignsWholeHoursOnly && expires_at < now + TimeDelta::minutes(59);
        if is_past || is_too_short || expires_at > latest {
            return Err(Error::invalid("expires_at", "is out of range"));
        }
        let key = link.key.as_str();
        let key = if self.flaw == FoldsKeys { key.to_lowercase() } else { key.to_owned() };
        let signature = self.signature(&key, expires_at);
        let text = format!("{BASE}{key}?e={}&s={signature}", expires_at.timestamp());
        let limited_by = (self.flaw == TellsTheLink).then(|| format!("the link {text} ends earlier"));
        Ok(SignedUrl { link: Link::new(text), expires_at, limited_by })
    }

    fn limits(&self) -> LinkLimits {
        let (valid_hours_min, valid_hours_max) =
            if self.flaw == LimitsAreTurnedRound { (HOURS_MAX, 1) } else { (1, HOURS_MAX) };
        LinkLimits { valid_hours_min, valid_hours_max }
    }
}
