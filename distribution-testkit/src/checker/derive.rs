//! What follows from an identity, computed a second time: ids and keys.

use sha2::{Digest as _, Sha256};

use super::body::Publication;

/// The id of a publication: `dist_` and the first 128 bits of SHA-256 over `distribution/1`, target,
/// key, checksum and concept id, each behind its length as a big-endian `u64`, spelt in 26 characters
/// of Crockford's base32, the last one padded with two zero bits.
pub(super) fn audit_log_id(publication: &Publication) -> String {
    let mut hasher = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_be_bytes());
        hasher.update(bytes);
    };
    field(b"distribution/1");
    field(publication.target.as_bytes());
    field(publication.key.as_bytes());
    field(publication.checksum.as_bytes());
    field(publication.concept_id.as_deref().unwrap_or_default().as_bytes());
    let bits = hasher.finalize().iter().take(16).fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    let mut id = String::from("dist_");
    id.extend((0..25).map(|place| base32(bits >> (123 - 5 * place))));
    id.push(base32(bits << 2));
    id
}

fn base32(bits: u128) -> char {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let digit = usize::try_from(bits & 31).unwrap_or_default();
    DIGITS.get(digit).copied().map_or('?', char::from)
}

/// The key of an attempt: the publication's own for the first, then with `-r1`, `-r2` … before the
/// extension.
pub(super) fn attempt_key(key: &str, attempt: u32) -> String {
    if attempt == 0 {
        return key.to_owned();
    }
    let (stem, extension) = split_extension(key);
    format!("{stem}-r{attempt}{extension}")
}

/// The keys and attempts that an object's key may be of: `a-r2.mp4` may be the first attempt of
/// `a-r2.mp4`, and the third of `a.mp4`.
pub(super) fn possible_attempts(key: &str) -> impl Iterator<Item = (String, u32)> {
    let (stem, extension) = split_extension(key);
    let later = stem.rsplit_once("-r").and_then(|(stem, number)| {
        let attempt = number.parse().ok()?;
        let first = format!("{stem}{extension}");
        (attempt > 0 && attempt_key(&first, attempt) == key).then_some((first, attempt))
    });
    std::iter::once((key.to_owned(), 0)).chain(later)
}

fn split_extension(key: &str) -> (&str, &str) {
    let name_at = key.rfind('/').map_or(0, |slash| slash + 1);
    let dot = key.rfind('.').filter(|dot| *dot > name_at).unwrap_or(key.len());
    key.split_at(dot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempts_key_is_found_from_both_ends() {
        for (key, attempt, expected) in [
            ("mvp/clip.mp4", 0, "mvp/clip.mp4"),
            ("mvp/clip.mp4", 1, "mvp/clip-r1.mp4"),
            ("v1.0/clip", 12, "v1.0/clip-r12"),
            ("clip-r1.mp4", 2, "clip-r1-r2.mp4"),
        ] {
            assert_eq!(attempt_key(key, attempt), expected);
            assert!(possible_attempts(expected).any(|found| found == (key.to_owned(), attempt)), "{expected}");
        }
        assert_eq!(possible_attempts("clip-r01.mp4").count(), 1, "never written so");
    }
}
