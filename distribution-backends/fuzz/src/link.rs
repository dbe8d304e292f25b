//! Links: only what was signed is let through, byte for byte, and only while it lives.

use std::sync::LazyLock;

use distribution_backends::{HmacKey, HmacSigner};
use distribution_core::{LinkRequest, Timestamp, UrlSigner as _};
use futures::executor::block_on;

use super::take::Take;

const BASE: &str = "https://media.example/files";
/// 2026-01-01T00:00:00Z.
const NOW: i64 = 1_767_225_600;

static SIGNER: LazyLock<HmacSigner> = LazyLock::new(signer);

fn signer() -> HmacSigner {
    let key = HmacKey::new("2026-01", [7; 32]).expect("a key");
    HmacSigner::new(BASE, key).expect("a base")
}

/// Reads the bytes as method, path, query and how far the clock is from the seeds' time.
pub fn run(bytes: &[u8]) {
    let mut take = Take(bytes);
    let (method, path, query) = (take.text(), take.text(), take.text());
    let secs = NOW.saturating_add(i64::from_be_bytes(take.u64().to_be_bytes()));
    let now = Timestamp::from_timestamp(secs, 0).unwrap_or_default();
    let Ok(grant) = block_on(SIGNER.verify(&method, &path, &query, now)) else { return };
    assert!(matches!(&*method, "GET" | "HEAD"));
    assert!(now < grant.expires_at);
    assert_eq!(grant.key.as_str(), path);
    let signed_at = grant.expires_at - chrono::TimeDelta::hours(1);
    let request = LinkRequest { key: grant.key, expires_at: grant.expires_at };
    let signer = signer().disposition(move |_| grant.disposition.clone());
    let signed = block_on(signer.sign(&request, signed_at)).expect("it was signed before");
    assert_eq!(signed.link.expose(), format!("{BASE}/{path}?{query}"), "there is one way to write a link");
}

/// Whether the link of a seed is let through.
pub fn lets_through(seed: &[u8]) -> bool {
    let mut take = Take(seed);
    let (method, path, query) = (take.text(), take.text(), take.text());
    let now = Timestamp::from_timestamp(NOW, 0).unwrap_or_default();
    block_on(SIGNER.verify(&method, &path, &query, now)).is_ok()
}

/// A link that is let through: a seed.
pub fn seed(method: &str, key: &str, hours: u32) -> Vec<u8> {
    let now = Timestamp::from_timestamp(NOW, 0).unwrap_or_default();
    let key = key.parse().expect("a key");
    let request = LinkRequest { key, expires_at: now + chrono::TimeDelta::hours(hours.into()) };
    let signed = block_on(SIGNER.sign(&request, now)).expect("within the limits");
    let (path, query) = signed.link.expose().split_once('?').expect("a query");
    let path = path.strip_prefix(BASE).and_then(|path| path.strip_prefix('/')).unwrap_or_default();
    [method, path, query, ""].join("\0").into_bytes()
}
