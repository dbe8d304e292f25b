//! The identity of a publication, from which its `audit_log_id` follows on every machine, for ever.

use std::sync::LazyLock;

use data_encoding::{Encoding, Specification};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, ErrorKind, quote};
use crate::key::{ConceptId, ObjectKey, TargetName};
use crate::object::Checksum;
use crate::text::text_value;

/// Crockford's base32 (<https://www.crockford.com/base32.html>) in lower case, packed like RFC 4648.
static CROCKFORD: LazyLock<Encoding> = LazyLock::new(|| {
    let mut spec = Specification::new();
    spec.symbols.push_str("0123456789abcdefghjkmnpqrstvwxyz");
    #[expect(clippy::expect_used, reason = "a constant specification, tried by every test")]
    spec.encoding().expect("32 distinct symbols")
});

/// What makes two requests the same publication: these bytes, at this place, for this work.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// The name of the storage target.
    pub target: &'a TargetName,
    /// The object's key.
    pub key: &'a ObjectKey,
    /// The approved bytes.
    pub checksum: &'a Checksum,
    /// The work of which the file is a version.
    pub concept_id: Option<&'a ConceptId>,
}

/// The idempotency key of a publication and the name of its audit trail: `dist_` and 26 characters
/// of lower-case Crockford base32.
///
/// They spell the first 128 bits of a SHA-256, most significant first, the last character padded
/// with two zero bits. What is hashed are the fields `distribution/1`, target, key, the 32 bytes of
/// the checksum and the concept id (empty if absent), each behind its length as a big-endian `u64`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^dist_[0-9a-hjkmnp-tv-z]{26}$"))]
pub struct AuditLogId(String);

text_value!(AuditLogId);

impl AuditLogId {
    const PREFIX: &str = "dist_";

    /// The id of the publication with this identity.
    pub fn of(identity: Identity<'_>) -> Self {
        let fields: [&[u8]; 5] = [
            b"distribution/1",
            identity.target.as_str().as_bytes(),
            identity.key.as_str().as_bytes(),
            identity.checksum.as_bytes(),
            identity.concept_id.map_or(b"", |id| id.as_str().as_bytes()),
        ];
        let mut hasher = Sha256::new();
        for field in fields {
            hasher.update((field.len() as u64).to_be_bytes());
            hasher.update(field);
        }
        let digest: [u8; 32] = hasher.finalize().into();
        let (bits, _) = digest.split_at(16);
        Self(format!("{}{}", Self::PREFIX, CROCKFORD.encode(bits)))
    }

    fn check(text: &str) -> Result<(), Error> {
        let sound = text
            .strip_prefix(Self::PREFIX)
            .and_then(|bits| CROCKFORD.decode(bits.as_bytes()).ok())
            .is_some_and(|bits| bits.len() == 16);
        if sound {
            return Ok(());
        }
        let message = format!("must be `dist_` and 26 characters of base32, not {}", quote(text));
        Err(Error::new(ErrorKind::Invalid, message))
    }
}
