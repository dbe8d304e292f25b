//! What [`UrlSigner`] guarantees, a check for each sentence.

use std::collections::HashSet;
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

    /// Opens a signer for the same objects with other keys. `None` only where no key is needed to sign.
    async fn stranger(&self) -> Option<Arc<dyn UrlSigner>>;

    /// Whether whoever serves the objects lets a request with this method and link have `key` at
    /// `now`. The objects `clip.mp4` and `other.mp4` may be asked for; a server that needs them there
    /// stores them first. `None` if the harness cannot tell; then waive the checks of what a link
    /// fetches.
    async fn fetches(&self, method: &str, link: &Link, key: &ObjectKey, now: Timestamp) -> Option<bool> {
        let _ = (method, link, key, now);
        None
    }

    /// Whether links answer HEAD as they do GET. They do not where the service signs the method.
    fn answers_head(&self) -> bool {
        true
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
            a_link_fetches_and_does_nothing_else
            a_changed_link_fetches_nothing
            a_link_of_other_keys_fetches_nothing
            each_object_has_a_link_of_its_own
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
        refused(harness, &*signer, Timestamp::MIN_UTC).await;
    });
}

fn refuses_what_is_beyond_its_limits(harness: &dyn SignerHarness) {
    run(harness, async {
        let signer = harness.open().await;
        let longest = TimeDelta::hours(i64::from(signer.limits().valid_hours_max));
        for beyond in [TimeDelta::seconds(1), TimeDelta::hours(1), TimeDelta::days(36_500)] {
            refused(harness, &*signer, start(harness) + longest + beyond).await;
        }
        refused(harness, &*signer, Timestamp::MAX_UTC.trunc_subsecs(0)).await;
    });
}

fn the_same_request_has_the_same_expiry(harness: &dyn SignerHarness) {
    run(harness, async {
        let expires_at = start(harness) + TimeDelta::hours(1);
        let (signer, reopened) = (harness.open().await, harness.open().await);
        let first = sign(harness, &*signer, "clip.mp4", expires_at).await;
        let again = sign(harness, &*reopened, "clip.mp4", expires_at).await;
        assert_eq!(first.expires_at, again.expires_at);
        // A repeat comes later and asks for the same end.
        for later in [TimeDelta::milliseconds(1), TimeDelta::seconds(1), TimeDelta::minutes(59)] {
            let request = LinkRequest { key: key("clip.mp4"), expires_at };
            let later = reopened.sign(&request, harness.now() + later).await.expect("a link");
            assert_eq!(later.expires_at, first.expires_at);
        }
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
        let longest = i64::from(signer.limits().valid_hours_max) * 3_600;
        for valid in [1, 2, 59, 3_600.min(longest), longest] {
            let signed = sign(harness, &*signer, "clip.mp4", start(harness) + TimeDelta::seconds(valid)).await;
            // To the second before it expires, and from then on no more.
            let last = harness.now().max(signed.expires_at - TimeDelta::seconds(1));
            let over = [0, 1, 3_600, 86_400 * 366].map(|late| (signed.expires_at + TimeDelta::seconds(late), false));
            for (now, works) in [(harness.now(), true), (last, true)].into_iter().chain(over) {
                for method in ["GET", "HEAD"] {
                    let works = works && (method == "GET" || harness.answers_head());
                    let fetched = fetches(harness, method, &signed.link, &clip, now).await;
                    assert_eq!(fetched, works, "{method} of a link until {} at {now}", signed.expires_at);
                    let fetched = fetches(harness, method, &signed.link, &other, now).await;
                    assert!(!fetched, "the link fetches another object");
                }
            }
        }
    });
}

fn a_link_fetches_and_does_nothing_else(harness: &dyn SignerHarness) {
    let clip = key("clip.mp4");
    run(harness, async {
        let signer = harness.open().await;
        let signed = sign(harness, &*signer, "clip.mp4", start(harness) + TimeDelta::hours(1)).await;
        for method in ["PUT", "POST", "DELETE", "PATCH", "get", "GETS"] {
            assert!(!fetches(harness, method, &signed.link, &clip, harness.now()).await, "the link is for {method}");
        }
    });
}

fn a_changed_link_fetches_nothing(harness: &dyn SignerHarness) {
    let (clip, other) = (key("clip.mp4"), key("other.mp4"));
    run(harness, async {
        let signer = harness.open().await;
        let signed = sign(harness, &*signer, "clip.mp4", start(harness) + TimeDelta::hours(1)).await;
        for changed in changes(signed.link.expose()) {
            let changed = Link::new(changed);
            for key in [&clip, &other] {
                let fetched = fetches(harness, "GET", &changed, key, harness.now()).await;
                assert!(!fetched, "{} instead of {} fetches {key}", changed.expose(), signed.link.expose());
            }
        }
    });
}

/// The link moved to another object, bare of what is signed, and with each byte behind the host
/// changed, left out or doubled.
fn changes(link: &str) -> Vec<String> {
    const OTHERS: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
    let moved = link.replacen("clip.mp4", "other.mp4", 1);
    let bare = link.split('?').next().unwrap_or(link).to_owned();
    let mut changes = vec![moved, bare];
    let host = link.find("://").map_or(0, |scheme| scheme + 3);
    let path = link[host..].find('/').map_or(link.len(), |path| host + path);
    for (at, byte) in link.char_indices().skip_while(|(at, _)| *at < path) {
        let (before, behind) = (&link[..at], &link[at + byte.len_utf8()..]);
        let mut with = |other: &str| changes.push(format!("{before}{other}{behind}"));
        // `%2f` and `%2F` are the same (RFC 3986 §2.1).
        let is_escape = before.ends_with('%') || before.len() > 1 && before[..before.len() - 1].ends_with('%');
        if byte.is_ascii_alphabetic() && !is_escape {
            let swapped = if byte.is_ascii_lowercase() { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() };
            with(&swapped.to_string());
        }
        if byte.is_ascii_alphanumeric() {
            with("");
            with(&format!("{byte}{byte}"));
        }
        // All others for the last ones, whose bits may not all count.
        let others = if at + 3 > link.len() { OTHERS } else { "0z" };
        others.chars().filter(|other| !other.eq_ignore_ascii_case(&byte)).for_each(|other| with(&other.to_string()));
    }
    changes
}

fn a_link_of_other_keys_fetches_nothing(harness: &dyn SignerHarness) {
    let clip = key("clip.mp4");
    run(harness, async {
        let Some(stranger) = harness.stranger().await else { return };
        let expires_at = start(harness) + TimeDelta::hours(1);
        let forged = sign(harness, &*stranger, "clip.mp4", expires_at).await;
        assert!(!fetches(harness, "GET", &forged.link, &clip, harness.now()).await, "a link of a stranger's key");
        let signed = sign(harness, &*harness.open().await, "clip.mp4", expires_at).await;
        assert!(fetches(harness, "GET", &signed.link, &clip, harness.now()).await, "a link of its own key");
    });
}

fn each_object_has_a_link_of_its_own(harness: &dyn SignerHarness) {
    let (segment, deep) = ("s".repeat(255), "d/".repeat(449) + "e");
    let keys = ["a", "A", "a.b", "a/b", "a-b", "a_b", "-", "_", "--help", "a..b", "a/b.", "a/b/c", &segment, &deep];
    run(harness, async {
        let (signer, expires_at) = (harness.open().await, start(harness) + TimeDelta::hours(1));
        let mut links = HashSet::new();
        for name in keys {
            let signed = sign(harness, &*signer, name, expires_at).await;
            assert!(signed.link.expose().is_ascii() && !signed.link.expose().contains(' '), "no URL for {name}");
            assert!(links.insert(signed.link.expose().to_owned()), "{name} has the link of another object");
        }
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

async fn fetches(harness: &dyn SignerHarness, method: &str, link: &Link, key: &ObjectKey, now: Timestamp) -> bool {
    harness.fetches(method, link, key, now).await.expect("this harness cannot fetch: waive this check")
}
