//! The secret keys of download links, and the file that keeps one.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use distribution_core::Error;
use hmac::{Hmac, KeyInit as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::durable::sync_dir_at;

const ID_BYTES_MAX: usize = 32;
const SECRET_BYTES_MIN: usize = 32;
const FILE_BYTES_MAX: usize = 4096;
/// What a key file must not allow: anything to others, writing to the group.
const MODE_FORBIDDEN: u32 = 0o027;

/// A secret key with a public name, for [`HmacSigner`](crate::HmacSigner) and for nothing else: a
/// secret that also serves another purpose is no secret of this one.
///
/// Only the hash states that follow from the secret are kept; they and the secret are overwritten in
/// memory when dropped. `Debug` shows the id alone.
///
/// ```
/// use distribution_backends::HmacKey;
///
/// let key = HmacKey::new("2026-01", [7; 32])?;
/// assert_eq!(format!("{key:?}"), r#"HmacKey { id: "2026-01", .. }"#);
/// assert!(HmacKey::new("short", [7; 31]).is_err());
/// # Ok::<(), distribution_core::Error>(())
/// ```
#[derive(Clone)]
pub struct HmacKey {
    id: String,
    /// Keyed, and fed nothing yet.
    mac: Hmac<Sha256>,
}

impl HmacKey {
    /// The key with this id, which links show (1 to 32 of `A-Z a-z 0-9 _ -`), and this secret: at
    /// least 32 bytes of a cryptographic random generator.
    ///
    /// # Errors
    /// [`Invalid`](distribution_core::ErrorKind::Invalid) for another id or a shorter secret.
    pub fn new(id: impl Into<String>, secret: impl Into<Vec<u8>>) -> Result<Self, Error> {
        let (id, secret) = (id.into(), Zeroizing::new(secret.into()));
        if !is_key_id(&id) {
            let message = format!("a key id has 1 to {ID_BYTES_MAX} characters of A-Z, a-z, 0-9, `_`, `-`");
            return Err(Error::invalid("signing_key.id", message));
        }
        let too_short = || {
            let message = format!("a signing key has at least {SECRET_BYTES_MIN} random bytes, not {}", secret.len());
            Error::invalid("signing_key.secret", message)
        };
        if secret.len() < SECRET_BYTES_MIN {
            return Err(too_short());
        }
        let mac = Hmac::new_from_slice(&secret).map_err(|_| too_short())?;
        Ok(Self { id, mac })
    }

    /// A new key that nobody knows.
    pub(crate) fn random(id: &str) -> Result<Self, Error> {
        Self::new(id, random::<SECRET_BYTES_MIN>()?.to_vec())
    }

    /// The key that a line spells as a key file does, `id:secret`, the secret in base64url without padding
    /// (RFC 4648 §5): for one that comes from a store of secrets.
    ///
    /// ```
    /// use distribution_backends::HmacKey;
    ///
    /// let key = HmacKey::from_line("2026-01:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc")?;
    /// assert_eq!(key.id(), "2026-01");
    /// # Ok::<(), distribution_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Invalid`](distribution_core::ErrorKind::Invalid) for anything else. The line is not repeated.
    pub fn from_line(line: &str) -> Result<Self, Error> {
        parse(line.as_bytes()).unwrap_or_else(|| {
            Err(Error::invalid("signing_key", "must be one line, `id:secret`, the secret in base64url"))
        })
    }

    /// The key in the file at `path`, which is made, with a new random key and mode 0600, if it is not
    /// there. Of many processes that make it at the same time, all get the same key.
    ///
    /// The file is one line, `id:secret`, the secret in base64url without padding (RFC 4648 §5).
    /// Blocks on the disk: call it while starting up.
    ///
    /// # Errors
    /// [`Invalid`](distribution_core::ErrorKind::Invalid) for a file with other content, or one that
    /// others may read or its group may write: a key that was open to others is replaced, not trusted.
    /// [`Unavailable`](distribution_core::ErrorKind::Unavailable) if it can be neither read nor made.
    pub fn load_or_create(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        if let Some(key) = Self::load(path)? {
            return Ok(key);
        }
        let (secret, id) = (random::<SECRET_BYTES_MIN>()?, HEXLOWER.encode(&*random::<4>()?));
        let line = Zeroizing::new(format!("k{id}:{}\n", BASE64URL_NOPAD.encode(&*secret)));
        make_secret_file(path, line.as_bytes())?;
        Self::load(path)?
            .ok_or_else(|| Error::unavailable(format!("the key file {} was removed while it was made", path.display())))
    }

    fn load(path: &Path) -> Result<Option<Self>, Error> {
        let Some(text) = read_secret_file(path)? else { return Ok(None) };
        let invalid = |wrong: String| Error::invalid("signing_key", format!("the key file {} {wrong}", path.display()));
        let key =
            parse(&text).ok_or_else(|| invalid("must be one line, `id:secret`, the secret in base64url".into()))?;
        key.map(Some).map_err(|error| invalid(format!("does not hold a key: {}", error.message())))
    }

    /// The key's public name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// HMAC-SHA256 (RFC 2104) under this key, fed nothing yet.
    pub(crate) fn mac(&self) -> Hmac<Sha256> {
        self.mac.clone()
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HmacKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Whether `text` can be the id of a key.
pub(super) fn is_key_id(text: &str) -> bool {
    (1..=ID_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

fn parse(file: &[u8]) -> Option<Result<HmacKey, Error>> {
    let text = std::str::from_utf8(file).ok().filter(|text| text.len() <= FILE_BYTES_MAX)?;
    let (id, secret) = text.strip_suffix('\n').unwrap_or(text).split_once(':')?;
    let secret = BASE64URL_NOPAD.decode(secret.as_bytes()).ok()?;
    Some(HmacKey::new(id, secret))
}

/// What is in a key file that only its owner may write and nobody else read; `None` if it is not there.
pub(crate) fn read_secret_file(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|error| unreadable(path, error))?,
    };
    let state = file.metadata().map_err(|error| unreadable(path, error))?;
    let invalid = |wrong: String| Error::invalid("signing_key", format!("the key file {} {wrong}", path.display()));
    if !state.is_file() {
        return Err(invalid("is not a regular file".into()));
    }
    let mode = state.mode() & 0o777;
    if mode & MODE_FORBIDDEN != 0 {
        return Err(invalid(format!(
            "has mode {mode:04o}, which is open to others: remove it to get a new key, or run chmod 600 on it"
        )));
    }
    // One byte more tells a file that is too long, and nothing moves while it is read.
    let mut text = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX + 1));
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut text).map_err(|error| unreadable(path, error))?;
    Ok(Some(text))
}

/// Makes the key file, with mode 0600, unless it is there. It appears whole or not at all, because a link to a
/// finished file is what makes it appear.
pub(crate) fn make_secret_file(path: &Path, content: &[u8]) -> Result<(), Error> {
    let stage = stage_beside(path, &HEXLOWER.encode(&*random::<8>()?))?;

    let made = write_new(&stage, content).and_then(|()| match fs::hard_link(&stage, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    // What a crash leaves of it is a key that nobody uses.
    let _ = fs::remove_file(&stage);
    made.and_then(|()| sync_dir_at(directory_of(path))).map_err(|error| {
        let way_out = match error.kind() {
            io::ErrorKind::NotFound => "its directory is missing: create it",
            io::ErrorKind::StorageFull => "the disk is full: free space and repeat",
            _ => "let this user write to its directory",
        };
        let message = format!("cannot make the key file {}: {way_out}", path.display());
        Error::unavailable(message).because(error)
    })
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn stage_beside(path: &Path, unique: &str) -> Result<PathBuf, Error> {
    let name = path.file_name().ok_or_else(|| {
        Error::invalid("signing_key", format!("{} does not name a file to keep the key in", path.display()))
    })?;
    Ok(directory_of(path).join(format!(".{}.{unique}.tmp", name.display())))
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    let message = format!("cannot read the key file {}: let this user read it", path.display());
    Error::unavailable(message).because(error)
}

pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, Error> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut *bytes)
        .map_err(|error| Error::unavailable(format!("the system gives no random bytes: {error}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_states_are_overwritten_when_dropped() {
        // An HMAC is two states of the hash and a buffer; it has no marker of its own.
        fn assert<T: zeroize::ZeroizeOnDrop>() {}
        assert::<Sha256>();
    }
}
