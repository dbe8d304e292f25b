//! What a chain was at a moment, signed, to be kept in another place.

use data_encoding::HEXLOWER;
use distribution_core::{Error, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::event::{Hash, canonical};
use super::key::Purpose;
use super::{EvidenceKey, PublicKey};

/// What a chain was at a moment: its newest entry, signed. Kept in another place than the chain, it tells when
/// the chain was cut or written anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    at: Timestamp,
    hash: String,
    position: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    signedby: String,
    source: String,
}

impl Checkpoint {
    pub(crate) fn new(
        source: &str,
        position: u64,
        hash: Hash,
        at: Timestamp,
        key: &EvidenceKey,
    ) -> Result<Self, Error> {
        let (source, signedby, hash) = (source.to_owned(), key.id().to_owned(), HEXLOWER.encode(&hash));
        let mut checkpoint = Self { at, hash, position, signature: None, signedby, source };
        checkpoint.signature = Some(key.sign(Purpose::Checkpoint, &checkpoint.digest()?));
        Ok(checkpoint)
    }

    /// The checkpoint in these bytes, if one of the keys has signed it.
    ///
    /// # Errors
    /// [`Corrupt`](distribution_core::ErrorKind::Corrupt) for anything else.
    pub fn from_json(bytes: &[u8], keys: &[PublicKey]) -> Result<Self, Error> {
        let corrupt = |what: &str| Error::corrupt(format!("the checkpoint {what}: look who has changed it"));
        let read: Self = serde_json::from_slice(bytes).map_err(|error| corrupt("does not read").because(error))?;
        if read.hash_bytes().is_none() || canonical(&read)? != bytes {
            return Err(corrupt("is not as it was written"));
        }
        let key = keys.iter().find(|key| key.id() == read.signedby);
        let key = key.ok_or_else(|| corrupt("is signed by a key that is not trusted"))?;
        let unsigned = Self { signature: None, ..read.clone() };
        let signature = read.signature.as_deref().unwrap_or_default();
        match key.has_signed(Purpose::Checkpoint, &unsigned.digest()?, signature) {
            true => Ok(read),
            false => Err(corrupt("has a signature that is not that of its key")),
        }
    }

    /// The checkpoint in canonical JSON (RFC 8785).
    ///
    /// # Errors
    /// None that is known.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        canonical(self)
    }

    /// The chain's name.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The position of the newest entry, counted from 0.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// When it was made.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    pub(crate) fn hash(&self) -> Hash {
        self.hash_bytes().unwrap_or_default()
    }

    fn hash_bytes(&self) -> Option<Hash> {
        HEXLOWER.decode(self.hash.as_bytes()).ok()?.try_into().ok()
    }

    /// The SHA-256 of it without its signature, in hex.
    fn digest(&self) -> Result<String, Error> {
        Ok(HEXLOWER.encode(&Sha256::digest(canonical(self)?)))
    }
}
