//! JSON in which no object has the same key twice, with errors that name the field.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::error::{Error, ErrorKind};

/// Parses `json`, which may be a request, a stored record or anything else with a schema.
///
/// # Errors
/// [`ErrorKind::Invalid`], naming the field where that is known.
pub(crate) fn from_slice<T: DeserializeOwned>(json: &[u8], bytes_max: usize) -> Result<T, Error> {
    if json.len() > bytes_max {
        let message = format!("the JSON is {} bytes long, the limit is {bytes_max}", json.len());
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    // serde_json keeps the last of equal keys in a map and ignores them in unknown fields: which of
    // two QC verdicts counts must not depend on that.
    parse::<UniqueKeys>(json)?;
    parse(json)
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, Error> {
    // Without the path, which is only wanted where something is wrong, it is twice as fast.
    serde_json::from_slice(json).or_else(|_| parse_naming_fields(json))
}

fn parse_naming_fields<T: DeserializeOwned>(json: &[u8]) -> Result<T, Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value: T = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let invalid = Error::new(ErrorKind::Invalid, said(error.inner()));
        if matches!(path.as_str(), "." | "?") { invalid } else { invalid.at(&path) }
    })?;
    deserializer.end().map_err(|error| Error::new(ErrorKind::Invalid, said(&error)))?;
    Ok(value)
}

/// What is wrong and where. serde's own messages repeat what was given, which may be a secret in a wrong
/// place, in front of what is expected: only that is kept.
fn said(error: &serde_json::Error) -> String {
    let (text, place) = (error.to_string(), format!(" at line {} column {}", error.line(), error.column()));
    let (message, place) = text.strip_suffix(&place).map_or((text.as_str(), ""), |message| (message, place.as_str()));
    let gives_a_value =
        ["invalid type: ", "invalid value: ", "unknown variant "].iter().any(|s| message.starts_with(s));
    match message.rsplit_once(", expected ") {
        Some((_, expected)) if gives_a_value => format!("must be {expected}{place}"),
        Some(_) | None => lower_first(message) + place,
    }
}

/// Messages begin in lower case, but for an acronym such as EOF.
fn lower_first(text: &str) -> String {
    match text.as_bytes() {
        [first, second, ..] if first.is_ascii_uppercase() && !second.is_ascii_uppercase() => {
            let (first, rest) = text.split_at(1);
            first.to_ascii_lowercase() + rest
        }
        _ => text.to_owned(),
    }
}

/// Deserialises from anything, keeps nothing, and fails on a key that an object has twice.
struct UniqueKeys;

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> DeserializeSeed<'de> for UniqueKeys {
    type Value = Self;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueKeys {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without doubled keys")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value::<Self>()?;
            if let Some(key) = seen.replace(key) {
                let key = crate::error::quote(&key);
                return Err(A::Error::custom(format_args!("the key {key} is there twice")));
            }
        }
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn read(json: &str) -> Result<Value, Error> {
        from_slice(json.as_bytes(), 100)
    }

    #[test]
    fn a_key_twice_is_refused_at_any_depth() {
        assert!(read(r#"{"a": 1, "b": [{"a": 1}, {"a": 2}]}"#).is_ok());
        for wrong in [r#"{"a":1,"a":1}"#, r#"{"x":[{"a":1,"\u0061":2}]}"#, r#"[{"a":{"b":1,"b":2}}]"#] {
            let error = read(wrong).unwrap_err();
            assert!(error.message().contains("twice"), "{error}");
        }
    }

    #[test]
    fn a_value_in_the_wrong_place_is_not_repeated() {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Access {
            Signed,
        }
        #[derive(Deserialize)]
        struct Asked {
            #[serde(default)]
            hours: Option<u32>,
            #[serde(default)]
            access: Option<Access>,
        }
        for (json, field, message) in [
            (r#"{"hours":"?s=secret, expected x"}"#, "hours", "must be u32 at line 1 column 32"),
            (r#"{"hours":-77777}"#, "hours", "must be u32 at line 1 column 15"),
            (r#"{"access":"?s=secret"}"#, "access", "must be `signed` at line 1 column 21"),
        ] {
            let Err(error) = from_slice::<Asked>(json.as_bytes(), 100) else { panic!("{json}") };
            assert_eq!((error.field(), error.message()), (Some(field), message));
        }
        let asked: Asked = from_slice(br#"{"hours":1,"access":"signed"}"#, 100).unwrap();
        assert!(asked.hours == Some(1) && matches!(asked.access, Some(Access::Signed)));
    }

    #[test]
    fn what_is_not_one_json_value_is_refused() {
        for wrong in ["", "{", "{} {}", "\u{feff}{}", "nul", r#"{"a":1,}"#] {
            assert_eq!(read(wrong).unwrap_err().kind(), ErrorKind::Invalid, "{wrong}");
        }
        assert!(from_slice::<Value>(&[b'['; 200], 1000).is_err(), "too deep");
        assert!(from_slice::<Value>(b"[1,2]", 4).is_err(), "too long");
    }
}
