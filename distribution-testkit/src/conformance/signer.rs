//! What [`UrlSigner`] guarantees, a check for each sentence.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{SubsecRound as _, TimeDelta};
use distribution_core::{ErrorKind, Link, LinkRequest, ObjectKey, SignedUrl, Timestamp, UrlSigner};

use super::{Check, Harness, Waivers, run};

/// A signer under test, with credentials that live longer than the longest link.
#[async_trait]
pub trait SignerHarness: Harness {
    /// Opens the signer, or opens it again with the same keys.
    async fn open(&self) -> Arc<dyn UrlSigner>;

    /// When the checks take place. A harness whose server has a clock of its own gives that clock's
    /// time, and waives what needs another.
    fn now(&self) -> Timestamp {
        Timestamp::from_timestamp_micros(1_767_225_600_123_456).unwrap_or_default()
    }

    /// Whether whoever serves the objects lets this link fetch `key` at `now`. The objects `clip.mp4`
    /// and `other.mp4` may be asked for; a server that needs them there stores them first. `None` if
    /// the harness cannot tell; then waive `a_link_fetches_its_object_until_it_expires` and
    /// `a_changed_link_fetches_nothing`.
    async fn fetches(&self, link: &Link, key: &ObjectKey, now: Timestamp) -> Option<bool> {
        let _ = (link, key, now);
        None
    }

    /// The checks that this backend cannot pass, and why.
    fn waived(&self) -> Waivers {
        &[]
    }
}

/// One test per guarantee of [`UrlSigner`](distribution_core::UrlSigner). Takes an expression that
/// makes a new [`SignerHarness`]; invoke it in a module of its own.
#[macro_export]
macro_rules! signer_conformance {
    ($harness:expr) => {
        $crate::__signer_checks! { __conformance_tests (signer, SignerHarness, $harness) }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __signer_checks {
    ($then:ident $arguments:tt) => {
        $crate::$then! { $arguments
            limits_are_a_range
            signs_within_its_limits
            refuses_what_has_expired
            refuses_what_is_beyond_its_limits
            the_same_request_has_the_same_expiry
            never_shows_a_link
            a_link_fetches_its_object_until_it_expires
            a_changed_link_fetches_nothing
        }
    };
}

/// The suite.
pub const CHECKS: &[Check<dyn SignerHarness>] = __signer_checks! { __conformance_checks (dyn SignerHarness) };

fn limits_are_a_range(harness: &dyn SignerHarness) {
    let limits = run(harness, harness.open()).limits();
    assert!(limits.valid_hours_min <= limits.valid_hours_max && limits.valid_hours_max > 0, "{limits:?}");
}

fn signs_within_its_limits(harness: &dyn SignerHarness) {
    run(harness, async {
        let signer = harness.open().await;
        let longest = TimeDelta::hours(i64::from(signer.limits().valid_hours_max));
        // Down to a second: a link is minted again for what is left of its life.
        for valid in [TimeDelta::seconds(1), TimeDelta::seconds(59), TimeDelta::hours(1).min(longest), longest] {
            let expires_at = start(harness) + valid;
            let signed = sign(harness, &*signer, "clip.mp4", expires_at).await;
            assert!(signed.expires_at <= expires_at, "a link until {} of {expires_at}", signed.expires_at);
            let says_why = signed.limited_by.as_ref().is_some_and(|why| !why.trim().is_empty());
            assert_eq!(says_why, signed.expires_at < expires_at, "says why it is earlier, and only then: {signed:?}");
        }
    });
}

fn refuses_what_has_expired(harness: &dyn SignerHarness) {
    run(harness, async {
        let signer = harness.open().await;
        for ago in [0, 1, 3_600] {
            let expires_at = start(harness) - TimeDelta::seconds(ago);
            refused(harness, &*signer, expires_at).await;
        }
    });
}

fn refuses_what_is_beyond_its_limits(harness: &dyn SignerHarness) {
    run(harness, async {
        let signer = harness.open().await;
        let longest = TimeDelta::hours(i64::from(signer.limits().valid_hours_max));
        for beyond in [TimeDelta::seconds(1), TimeDelta::hours(1), TimeDelta::days(36_500)] {
            refused(harness, &*signer, start(harness) + longest + beyond).await;
        }
    });
}

fn the_same_request_has_the_same_expiry(harness: &dyn SignerHarness) {
    run(harness, async {
        let expires_at = start(harness) + TimeDelta::hours(1);
        let (signer, reopened) = (harness.open().await, harness.open().await);
        let first = sign(harness, &*signer, "clip.mp4", expires_at).await;
        let again = sign(harness, &*reopened, "clip.mp4", expires_at).await;
        assert_eq!(first.expires_at, again.expires_at);
        let other = sign(harness, &*signer, "other.mp4", expires_at).await;
        assert!(first.link != other.link, "two objects have one link");
    });
}

fn never_shows_a_link(harness: &dyn SignerHarness) {
    run(harness, async {
        let signer = harness.open().await;
        let signed = sign(harness, &*signer, "clip.mp4", start(harness) + TimeDelta::hours(1)).await;
        assert!(!format!("{signed:?}").contains(signed.link.expose()), "a link's text is a secret");
        assert!(!signed.limited_by.unwrap_or_default().contains(signed.link.expose()), "a link's text is a secret");
    });
}

fn a_link_fetches_its_object_until_it_expires(harness: &dyn SignerHarness) {
    let (clip, other) = (key("clip.mp4"), key("other.mp4"));
    run(harness, async {
        let signer = harness.open().await;
        let signed = sign(harness, &*signer, "clip.mp4", start(harness) + TimeDelta::hours(1)).await;
        let last = signed.expires_at - TimeDelta::seconds(1);
        for (now, works) in [(harness.now(), true), (last, true), (signed.expires_at, false)] {
            assert_eq!(fetches(harness, &signed.link, &clip, now).await, works, "the link at {now}");
            assert!(!fetches(harness, &signed.link, &other, now).await, "the link fetches another object");
        }
    });
}

fn a_changed_link_fetches_nothing(harness: &dyn SignerHarness) {
    let (clip, other) = (key("clip.mp4"), key("other.mp4"));
    run(harness, async {
        let signer = harness.open().await;
        let signed = sign(harness, &*signer, "clip.mp4", start(harness) + TimeDelta::hours(1)).await;
        let link = signed.link.expose();
        let moved = Link::new(link.replacen("clip.mp4", "other.mp4", 1));
        assert!(!fetches(harness, &moved, &other, harness.now()).await, "the link of one object fetches another");
        let bare = Link::new(link.split('?').next().unwrap_or(link));
        assert!(
            bare == signed.link || !fetches(harness, &bare, &clip, harness.now()).await,
            "nothing signed is needed"
        );
    });
}

/// The whole second in which the checks take place.
fn start(harness: &dyn SignerHarness) -> Timestamp {
    harness.now().trunc_subsecs(0)
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).expect("a key")
}

async fn sign(harness: &dyn SignerHarness, signer: &dyn UrlSigner, name: &str, expires_at: Timestamp) -> SignedUrl {
    signer.sign(&LinkRequest { key: key(name), expires_at }, harness.now()).await.expect("a link")
}

async fn refused(harness: &dyn SignerHarness, signer: &dyn UrlSigner, expires_at: Timestamp) {
    let signed = signer.sign(&LinkRequest { key: key("clip.mp4"), expires_at }, harness.now()).await;
    let error = signed.expect_err("an expiry outside of the limits");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

async fn fetches(harness: &dyn SignerHarness, link: &Link, key: &ObjectKey, now: Timestamp) -> bool {
    harness.fetches(link, key, now).await.expect("this harness cannot fetch: waive this check")
}
