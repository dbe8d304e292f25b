//! Which bytes a request asks for (RFC 9110 §14).

use std::ops::Range;

use axum::http::header::{IF_RANGE, RANGE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_range_header::{RangeUnsatisfiableError, parse_range_header};

/// The bytes that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// All of them.
    Whole,
    /// These, and they exist.
    Part(Range<u64>),
    /// None that exist.
    Unsatisfiable,
}

impl Selection {
    /// What a request for an object of `size` bytes, whose `ETag` is `etag`, selects.
    ///
    /// One range is honoured. Several, or a header that cannot be read, are ignored, as a server may
    /// (§14.2), and so is every range that is not asked for by GET or whose `If-Range` is not exactly
    /// this strong `ETag` (§13.1.5).
    pub(super) fn of(method: &Method, headers: &HeaderMap, size: u64, etag: Option<&HeaderValue>) -> Self {
        let Some(range) = only(headers, &RANGE).filter(|_| method == Method::GET) else { return Self::Whole };
        if headers.contains_key(IF_RANGE) && (etag.is_none() || only(headers, &IF_RANGE) != etag) {
            return Self::Whole;
        }
        let parsed = range.to_str().ok().and_then(|range| parse_range_header(range).ok());
        let Some(parsed) = parsed.filter(|parsed| parsed.len() == 1) else { return Self::Whole };
        match parsed.validate(size).as_deref() {
            Ok([range]) => Self::Part(*range.start()..range.end().saturating_add(1)),
            Err(RangeUnsatisfiableError::Unsatisfiable) => Self::Unsatisfiable,
            _ => Self::Whole,
        }
    }
}

/// The field's value, if there is exactly one.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(size: u64, range: &str) -> Selection {
        let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_str(range).unwrap())]);
        Selection::of(&Method::GET, &headers, size, None)
    }

    #[test]
    fn one_range_selects_what_exists_of_it() {
        for (range, selected) in [
            ("bytes=0-0", 0..1),
            ("bytes=0-99", 0..100),
            ("bytes=10-19", 10..20),
            ("bytes=99-99", 99..100),
            ("bytes=90-", 90..100),
            ("bytes=90-1000", 90..100),
            ("bytes=0-18446744073709551615", 0..100),
            ("bytes=0-99999999999999999999", 0..100),
            ("bytes=-1", 99..100),
            ("bytes=-100", 0..100),
            ("bytes=-101", 0..100),
            ("bytes=-18446744073709551616", 0..100),
            ("Bytes=1-2", 1..3),
            ("bytes= 1-2,", 1..3),
        ] {
            assert_eq!(select(100, range), Selection::Part(selected), "{range}");
        }
        let largest = select(u64::MAX, "bytes=18446744073709551614-18446744073709551615");
        assert_eq!(largest, Selection::Part(u64::MAX - 1..u64::MAX));
    }

    #[test]
    fn a_range_of_nothing_is_unsatisfiable() {
        for range in
            ["bytes=100-", "bytes=100-200", "bytes=18446744073709551615-", "bytes=99999999999999999999-", "bytes=-0"]
        {
            assert_eq!(select(100, range), Selection::Unsatisfiable, "{range}");
        }
        assert_eq!(select(0, "bytes=0-"), Selection::Unsatisfiable);
        assert_eq!(select(0, "bytes=-1"), Selection::Whole);
    }

    #[test]
    fn several_ranges_and_other_words_are_ignored() {
        for range in [
            "bytes=0-1,3-4",
            "bytes=0-1,200-300",
            "bytes=200-300,400-500",
            "bytes=5-4",
            "bytes=",
            "bytes=-",
            "bytes",
            "bytes=a-b",
            "bytes=+1-2",
            "bytes=1--2",
            "bytes=-1-2",
            "bytes=1 -2",
            "bytes=0x1-2",
            "bytes 0-1",
            "items=0-1",
            "",
            "bytes=1-2 ",
        ] {
            assert_eq!(select(100, range), Selection::Whole, "{range}");
        }
        let binary = HeaderMap::from_iter([(RANGE, HeaderValue::from_bytes(b"bytes=0-1\xff").unwrap())]);
        assert_eq!(Selection::of(&Method::GET, &binary, 100, None), Selection::Whole);
        let mut twice = HeaderMap::from_iter([(RANGE, HeaderValue::from_static("bytes=0-1"))]);
        twice.append(RANGE, HeaderValue::from_static("bytes=0-1"));
        assert_eq!(Selection::of(&Method::GET, &twice, 100, None), Selection::Whole);
    }

    #[test]
    fn only_get_has_ranges() {
        let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_static("bytes=0-1"))]);
        assert_eq!(Selection::of(&Method::HEAD, &headers, 100, None), Selection::Whole);
    }

    #[test]
    fn if_range_asks_for_exactly_this_etag() {
        let etag = HeaderValue::from_static("\"v1\"");
        for (if_range, etag, honoured) in [
            ("\"v1\"", Some(&etag), true),
            ("\"v2\"", Some(&etag), false),
            ("W/\"v1\"", Some(&etag), false),
            ("v1", Some(&etag), false),
            ("Fri, 02 Jan 2026 00:00:00 GMT", Some(&etag), false),
            ("\"v1\"", None, false),
        ] {
            let headers = HeaderMap::from_iter([
                (RANGE, HeaderValue::from_static("bytes=0-1")),
                (IF_RANGE, HeaderValue::from_static(if_range)),
            ]);
            let selected = Selection::of(&Method::GET, &headers, 100, etag);
            assert_eq!(selected == Selection::Part(0..2), honoured, "{if_range}");
        }
    }
}
