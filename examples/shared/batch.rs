//! The batch: publish requests in a file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use distribution_core::{Error, PublishRequest};
use serde::de::IgnoredAny;

/// The most bytes that a batch has.
const BATCH_BYTES_MAX: usize = 256 << 20;

/// A finished edit with its QC report; or what is wrong with it, which hinders no other.
pub(crate) type Edit = Result<PublishRequest, Error>;

/// The requests in the file: a JSON array, or one value after the other (JSONL).
pub(crate) fn read(path: &Path) -> Result<Vec<Edit>, Error> {
    let (mut bytes, limit) = (Vec::new(), BATCH_BYTES_MAX as u64 + 1);
    let read = match path.to_str() {
        Some("-") => io::stdin().take(limit).read_to_end(&mut bytes),
        _ => File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)),
    };
    let wrong = |what: String| Error::invalid("BATCH", format!("{}: {what}", path.display()));
    read.map_err(|error| wrong(format!("cannot be read: {error}")))?;
    if bytes.len() > BATCH_BYTES_MAX {
        return Err(wrong(format!("has more than {BATCH_BYTES_MAX} bytes: split it")));
    }
    let values = values(&bytes).map_err(wrong)?;
    // Each by itself, so that the library sees its very text, and looks for doubled keys.
    Ok(values.into_iter().map(|value| PublishRequest::from_json(value?)).collect())
}

/// The text of each value. What is no JSON ends with its line, where no array is around it.
fn values(json: &[u8]) -> Result<Vec<Result<&[u8], Error>>, String> {
    let json = json.trim_ascii();
    let (mut rest, is_array) = match json.strip_prefix(b"[") {
        Some(rest) => (rest.trim_ascii_start(), true),
        None => (json, false),
    };
    let mut values = Vec::new();
    while !(rest.is_empty() || is_array && rest.starts_with(b"]")) {
        let mut stream = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
        let (value, end) = match stream.next().transpose() {
            Ok(_) => (Ok(()), stream.byte_offset()),
            Err(error) if is_array => return Err(format!("edit {} is no JSON: {error}", values.len())),
            Err(error) => {
                let error = Error::invalid("BATCH", format!("the line is no JSON: {error}"));
                (Err(error), rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()))
            }
        };
        let (text, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        values.push(value.map(|()| text));
        rest = after.trim_ascii_start();
        if is_array && !rest.starts_with(b"]") {
            let after =
                rest.strip_prefix(b",").ok_or_else(|| format!("there is no `,` behind edit {}", values.len() - 1))?;
            rest = after.trim_ascii_start();
        }
    }
    match (is_array, rest) {
        (false, _) | (true, b"]") => Ok(values),
        (true, _) => Err("does not end with the array's `]`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Result<Vec<String>, String> {
        let texts = values(text.as_bytes())?.into_iter().map(|value| match value {
            Ok(text) => String::from_utf8_lossy(text).into_owned(),
            Err(error) => error.to_string(),
        });
        Ok(texts.collect())
    }

    #[test]
    fn an_array_or_one_after_the_other() {
        assert_eq!(split(r#" [ {"a": 1} , {"b": [2, "],"]} ] "#).unwrap(), [r#"{"a": 1}"#, r#"{"b": [2, "],"]}"#]);
        assert_eq!(split("{\"a\": 1}\n\n{\"b\": 2}\n").unwrap(), ["{\"a\": 1}", "{\"b\": 2}"]);
        assert_eq!(split("[]").unwrap(), Vec::<String>::new());
        assert_eq!(split(" ").unwrap(), Vec::<String>::new());
        for wrong in ["[{}", "[{} {}]", "[{}]]", "[{},", "["] {
            assert!(split(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_line_that_is_no_json_hinders_no_other() {
        let edits = split("{\"a\": 1}\n{\"a\": \n{\"b\": 2}\nnonsense\n{\"c\": 3}").unwrap();
        assert_eq!((edits.len(), edits[0].as_str(), edits[4].as_str()), (5, "{\"a\": 1}", "{\"c\": 3}"), "{edits:?}");
        assert!([1, 3].iter().all(|n| edits[*n].contains("the line is no JSON")), "{edits:?}");
    }
}
