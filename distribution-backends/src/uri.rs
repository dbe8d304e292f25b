//! URIs that name a place in a store and say how to reach it, such as
//! `s3://bucket/prefix?endpoint=http%3A%2F%2F127.0.0.1%3A9000&region=us-east-1`.

use std::collections::BTreeMap;

use distribution_core::{Error, ErrorKind, ObjectKey};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What is escaped in a query: all but the unreserved characters of RFC 3986 §2.3.
pub(crate) const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A place in a store: every setting is asked for once by its name, and what is left is a mistake.
pub(crate) struct StoreUri {
    scheme: &'static str,
    /// The bucket or container.
    pub(crate) container: String,
    /// What every key is below: empty, or ends with `/`.
    pub(crate) prefix: String,
    settings: BTreeMap<String, String>,
    known: Vec<&'static str>,
}

impl StoreUri {
    /// # Errors
    /// `Invalid` for another scheme, a user or port, a prefix that is not the beginning of a key, a
    /// fragment, or a setting without a value or given twice.
    pub(crate) fn parse(text: &str, scheme: &'static str) -> Result<Self, Error> {
        let wrong = |what: &str| {
            let message = format!("{what}: write it like {scheme}://bucket/prefix?setting=value");
            Error::new(ErrorKind::Invalid, message)
        };
        let rest = text
            .strip_prefix(scheme)
            .and_then(|rest| rest.strip_prefix("://"))
            .ok_or_else(|| wrong("the target has another scheme"))?;
        if rest.contains('#') {
            return Err(wrong("the target holds `#`"));
        }
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (container, prefix) = place.split_once('/').unwrap_or((place, ""));
        // A user or password here would be a secret in a text that is shown.
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if container.is_empty() || !container.chars().all(is_name) {
            return Err(wrong("the target names no bucket of letters, digits, `-`, `.` and `_`"));
        }
        let prefix = prefix.trim_end_matches('/');
        if !prefix.is_empty() {
            ObjectKey::parse(prefix)
                .map_err(|error| wrong("the target's prefix is no beginning of a key").because(error))?;
        }
        let mut settings = BTreeMap::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| wrong("a setting of the target has no value"))?;
            let value = percent_decode_str(value).decode_utf8().map_err(|_| wrong("a setting is not UTF-8"))?;
            if settings.insert(name.to_owned(), value.into_owned()).is_some() {
                return Err(wrong("a setting of the target stands there twice"));
            }
        }
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Self { scheme, container: container.to_owned(), prefix, settings, known: Vec::new() })
    }

    /// The value of the setting, if it is given.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        self.settings.remove(name)
    }

    /// # Errors
    /// `Invalid` if a setting was given that nobody has asked for; it names those that exist, and no value.
    pub(crate) fn finish(self) -> Result<(), Error> {
        let Some(name) = self.settings.keys().next() else { return Ok(()) };
        let name: String = name.chars().take(48).collect();
        let message = format!("{}: has no setting {name:?}, only {}", self.scheme, self.known.join(", "));
        Err(Error::new(ErrorKind::Invalid, message))
    }
}

/// A query of these names, which need no escape, and values.
pub(crate) fn query<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let fields = fields.into_iter().map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, ESCAPED)));
    fields.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_and_its_settings() {
        let mut uri =
            StoreUri::parse("s3://media/mvp?region=eu-west-1&endpoint=http%3A%2F%2F[::1]:9000", "s3").unwrap();
        assert_eq!((uri.container.as_str(), uri.prefix.as_str()), ("media", "mvp/"));
        assert_eq!(uri.take("endpoint").as_deref(), Some("http://[::1]:9000"));
        assert_eq!(uri.take("region").as_deref(), Some("eu-west-1"));
        uri.finish().unwrap();
    }

    #[test]
    fn mistakes_are_told_without_their_values() {
        for wrong in [
            "gs://media",
            "s3:media",
            "s3://",
            "s3:///x",
            "s3://user:pw@media",
            "s3://media:80/x",
            "s3://media/../x",
            "s3://media/a b",
            "s3://media?region",
            "s3://media?a=1&a=2",
            "s3://media#x",
            "s3://media?a=%ff",
        ] {
            let error = StoreUri::parse(wrong, "s3").map(|_| ()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{wrong}");
        }
        let mut uri = StoreUri::parse("s3://media?regionn=secret", "s3").unwrap();
        uri.take("region");
        let error = uri.finish().unwrap_err();
        assert_eq!(error.to_string(), "s3: has no setting \"regionn\", only region");
    }
}
