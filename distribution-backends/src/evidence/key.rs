//! Ed25519 keys (RFC 8032): the private one that signs, and the public one that others check with.

use std::fmt;
use std::path::Path;

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use distribution_core::{Error, ErrorKind};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::signing::{make_secret_file, random, read_secret_file};

const SEED_BYTES: usize = 32;
/// What stands before the 32 bytes of an Ed25519 key in its usual file (RFC 8410 §7 and §4).
const PKCS8: &[u8] = &[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
const SPKI: &[u8] = &[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
const PRIVATE: &str = "PRIVATE KEY";
const PUBLIC: &str = "PUBLIC KEY";

/// What a signature is for: one of an entry is none of a checkpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Entry,
    Checkpoint,
    Receipt,
}

impl Purpose {
    /// What is signed: the purpose, a colon, and the SHA-256 of what is vouched for, in hex.
    fn message(self, hash: &str) -> String {
        let purpose = match self {
            Self::Entry => "distribution.audit.entry",
            Self::Checkpoint => "distribution.audit.checkpoint",
            Self::Receipt => "distribution.receipt",
        };
        format!("{purpose}:{hash}")
    }
}

/// A private Ed25519 key, for audit entries, checkpoints and receipts. `Debug` shows its id alone.
///
/// ```
/// use distribution_backends::EvidenceKey;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("audit.key");
/// let key = EvidenceKey::load_or_create(&path)?;
/// assert_eq!(EvidenceKey::load_or_create(&path)?.id(), key.id());
/// println!("{}", key.public_key().to_pem()); // for those who check
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct EvidenceKey {
    pair: std::sync::Arc<Ed25519KeyPair>,
    public: PublicKey,
}

impl EvidenceKey {
    /// The key in the file at `path`, which is made, with a new random key and mode 0600, if it is not there.
    /// Of many processes that make it at the same time, all get the same key.
    ///
    /// The file is PKCS#8 in PEM, as `openssl genpkey -algorithm ed25519` writes it. Blocks on the disk: call it
    /// while starting up.
    ///
    /// # Errors
    /// [`Invalid`](distribution_core::ErrorKind::Invalid) for a file with other content, or one that others may
    /// read or its group may write. [`Unavailable`](distribution_core::ErrorKind::Unavailable) if it can be
    /// neither read nor made.
    pub fn load_or_create(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        if let Some(text) = read_secret_file(path)? {
            return Self::in_file(path, &text);
        }
        let seed = random::<SEED_BYTES>()?;
        make_secret_file(path, Zeroizing::new(pem(PRIVATE, PKCS8, &seed)).as_bytes())?;
        let gone = || Error::unavailable(format!("the key file {} was removed while it was made", path.display()));
        let text = read_secret_file(path)?.ok_or_else(gone)?;
        Self::in_file(path, &text)
    }

    fn in_file(path: &Path, text: &[u8]) -> Result<Self, Error> {
        let invalid = || {
            let what = format!("the key file {} holds no Ed25519 key in PEM (PKCS#8)", path.display());
            Error::invalid("signing_key", what)
        };
        let seed = Zeroizing::new(from_pem(PRIVATE, PKCS8, text).ok_or_else(invalid)?);
        Self::from_seed(&seed)
    }

    /// The key that follows from this seed: 32 bytes of a cryptographic random generator.
    ///
    /// # Errors
    /// [`Invalid`](distribution_core::ErrorKind::Invalid) for what is no seed.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, Error> {
        let refused = |_| Error::invalid("signing_key", "is no Ed25519 key");
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(refused)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| Error::invalid("signing_key", "is no key"))?;
        Ok(Self { pair: pair.into(), public: PublicKey::new(public) })
    }

    /// The id of its public key.
    pub fn id(&self) -> &str {
        self.public.id()
    }

    /// The public key that belongs to it.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The signature, in base64url without padding.
    pub(crate) fn sign(&self, purpose: Purpose, hash: &str) -> String {
        BASE64URL_NOPAD.encode(self.pair.sign(purpose.message(hash).as_bytes()).as_ref())
    }
}

impl fmt::Debug for EvidenceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvidenceKey").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// A public Ed25519 key, which checks what its private one has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    id: String,
    bytes: [u8; 32],
}

impl PublicKey {
    /// The key with these bytes (RFC 8032 §5.1.5).
    pub fn new(bytes: [u8; 32]) -> Self {
        let hash = Sha256::digest(bytes);
        Self { id: HEXLOWER.encode(hash.first_chunk::<8>().unwrap_or(&[0; 8])), bytes }
    }

    /// The key in a PEM text (`SubjectPublicKeyInfo`), as `openssl pkey -pubout` writes it.
    ///
    /// # Errors
    /// [`Invalid`](distribution_core::ErrorKind::Invalid) for anything else.
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        let bytes = from_pem(PUBLIC, SPKI, text.as_bytes());
        bytes.map(Self::new).ok_or_else(|| Error::new(ErrorKind::Invalid, "this is no Ed25519 public key in PEM"))
    }

    /// The key as a PEM text.
    pub fn to_pem(&self) -> String {
        pem(PUBLIC, SPKI, &self.bytes)
    }

    /// Its name: the first 8 bytes of the SHA-256 of the key, in hex.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn has_signed(&self, purpose: Purpose, hash: &str, signature: &str) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, &self.bytes);
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes());
        signature.is_ok_and(|signature| key.verify(purpose.message(hash).as_bytes(), &signature).is_ok())
    }
}

fn pem(label: &str, before: &[u8], key: &[u8; SEED_BYTES]) -> String {
    let base64 = Zeroizing::new(BASE64.encode(&Zeroizing::new([before, key].concat())));
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", *base64)
}

fn from_pem(label: &str, before: &[u8], text: &[u8]) -> Option<[u8; SEED_BYTES]> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let inner =
        text.strip_prefix(&format!("-----BEGIN {label}-----"))?.strip_suffix(&format!("-----END {label}-----"))?;
    let der = Zeroizing::new(BASE64.decode(inner.trim().as_bytes()).ok()?);
    der.strip_prefix(before)?.try_into().ok()
}
