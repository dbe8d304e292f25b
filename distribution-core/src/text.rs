//! How a validated string value meets serde, schemars and `Display`, written once; and lines of text.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, quote};

/// Gives a newtype over `String` with a `fn check(&str) -> Result<(), Error>` its public face:
/// `parse`, `as_str`, `Display`, `FromStr` and the conversions that serde and schemars go through.
macro_rules! text_value {
    ($name:ident) => {
        impl $name {
            /// The value, if `text` is one.
            ///
            /// # Errors
            /// [`Invalid`](crate::ErrorKind::Invalid), saying what is allowed.
            pub fn parse(text: impl Into<String>) -> Result<Self, $crate::Error> {
                let text = text.into();
                Self::check(&text)?;
                Ok(Self(text))
            }

            /// The value as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::Error;
            fn try_from(text: String) -> Result<Self, $crate::Error> {
                Self::parse(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::Error;
            fn from_str(text: &str) -> Result<Self, $crate::Error> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

pub(crate) use text_value;

/// Why a person has something held, or taken back: one line of 1 to 500 bytes. It is on record and in the audit trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("minLength" = 1, "maxLength" = 500))]
pub struct Reason(String);

text_value!(Reason);

impl Reason {
    const BYTES_MAX: usize = 500;

    fn check(text: &str) -> Result<(), Error> {
        if text.trim().is_empty() {
            return Err(Error::invalid("reason", "is empty: say why, for whoever reads the audit trail"));
        }
        check_line(text, Self::BYTES_MAX).map_err(|message| Error::invalid("reason", message))
    }
}

/// Whether `text` is one line of at most so many bytes; if not, why not.
pub(crate) fn check_line(text: &str, bytes_max: usize) -> Result<(), String> {
    if text.len() > bytes_max {
        return Err(format!("is {} bytes long, the limit is {bytes_max}", text.len()));
    }
    if text.contains(char::is_control) {
        return Err(format!("holds a control character: {}", quote(text)));
    }
    Ok(())
}
