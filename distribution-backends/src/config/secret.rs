//! References to secrets. The secrets themselves are read when the publisher is opened, and never shown.

use std::env;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use distribution_core::{Error, ErrorKind};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use zeroize::Zeroizing;

/// The most bytes that a secret has.
const BYTES_MAX: usize = 64 << 10;
const FORM: &str = "{ env = \"NAME\" } or { file = \"path\" }";

/// Where a secret is: `{ env = "NAME" }`, an environment variable of `A-Z 0-9 _`, or `{ file = "path" }`, a file
/// whose last newline is no part of it. At most 64 KiB.
#[derive(Clone, Debug)]
pub(super) enum Secret {
    Env(String),
    File(String),
}

impl Secret {
    /// The secret. Blocks on the disk.
    ///
    /// # Errors
    /// `Invalid` for one that is empty, too long, or no UTF-8; `Unavailable` where it is not. None says more
    /// than that: what it names may be the secret itself, in the wrong place.
    pub(super) fn read(&self, base: &Path) -> Result<Zeroizing<String>, Error> {
        let invalid = |message: &str| Error::new(ErrorKind::Invalid, message);
        let text = match self {
            Self::Env(name) => match env::var(name) {
                Ok(text) => Zeroizing::new(text),
                Err(env::VarError::NotPresent) => {
                    return Err(Error::unavailable(format!("the environment variable {name} is not set")));
                }
                Err(env::VarError::NotUnicode(_)) => return Err(invalid("the secret is no UTF-8")),
            },
            Self::File(path) => read_file(&base.join(path))?,
        };
        let trimmed = text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text));
        let trimmed = trimmed.unwrap_or(&text);
        if trimmed.is_empty() {
            return Err(invalid("the secret is empty"));
        }
        if trimmed.len() > BYTES_MAX {
            return Err(invalid(&format!("the secret has more than {BYTES_MAX} bytes")));
        }
        if trimmed.contains('\0') {
            return Err(invalid("the secret holds a zero byte"));
        }
        Ok(Zeroizing::new(trimmed.to_owned()))
    }
}

fn read_file(path: &PathBuf) -> Result<Zeroizing<String>, Error> {
    let unreadable =
        |error: std::io::Error| Error::unavailable(format!("the secret's file cannot be read: {}", error.kind()));
    let file = File::open(path).map_err(unreadable)?;
    // Room for all of it, so that nothing moves while it is read.
    let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES_MAX + 3));
    file.take(BYTES_MAX as u64 + 3).read_to_end(&mut bytes).map_err(unreadable)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Error::new(ErrorKind::Invalid, "the secret is no UTF-8"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reference;
        impl<'de> Visitor<'de> for Reference {
            type Value = Secret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a reference, {FORM}")
            }

            fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Secret, E> {
                Err(E::custom(format_args!("must be a reference, {FORM}: a secret never stands in this file")))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Secret, A::Error> {
                let wrong = || A::Error::custom(format_args!("must be one reference, {FORM}"));
                let secret = match map.next_key::<String>()?.as_deref() {
                    Some("env") => Secret::Env(map.next_value()?),
                    Some("file") => Secret::File(map.next_value()?),
                    _ => return Err(wrong()),
                };
                match (map.next_key::<String>()?, &secret) {
                    (None, Secret::Env(name)) if !is_variable(name) => {
                        let message = "an environment variable's name is of A-Z, 0-9 and `_`";
                        Err(A::Error::custom(message))
                    }
                    (None, _) => Ok(secret),
                    (Some(_), _) => Err(wrong()),
                }
            }
        }
        deserializer.deserialize_any(Reference)
    }
}

/// A name that is surely no secret.
fn is_variable(name: &str) -> bool {
    const BYTES_MAX: usize = 128;
    name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && name.len() <= BYTES_MAX
        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}
