//! Which bytes a request asks for (RFC 9110 §14).

use std::ops::Range;

use axum::http::header::RANGE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_range_header::{SyntacticallyCorrectRange, parse_range_header};

use super::condition::Validators;

/// Who asks for more ranges than a player or a resumed download needs gets the whole file.
const RANGES_MAX: usize = 16;

/// The bytes that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// All of them.
    Whole,
    /// These, and they exist.
    Part(Range<u64>),
    /// These and at least one more range, apart from each other and in the order that was asked for.
    Parts(Range<u64>, Vec<Range<u64>>),
    /// None that exist.
    Unsatisfiable,
}

impl Selection {
    /// What a request for an object of `size` bytes with these validators selects.
    ///
    /// Ranges that overlap or touch become one. A header that cannot be read is ignored, and so are
    /// more than 16 ranges or ranges of more bytes than there are (§14.2, §17.15; CVE-2011-3192), and
    /// every range that is not asked for by GET or whose `If-Range` does not hold.
    pub(super) fn of(method: &Method, headers: &HeaderMap, size: u64, validators: &Validators<'_>) -> Self {
        let Some(range) = only(headers, &RANGE).filter(|_| method == Method::GET) else { return Self::Whole };
        if !validators.allow_range(headers) {
            return Self::Whole;
        }
        let parsed = range.to_str().ok().and_then(|range| parse_range_header(range).ok());
        let Some(parsed) = parsed.filter(|parsed| parsed.len() <= RANGES_MAX) else { return Self::Whole };
        let asked = parsed.into_ranges();
        if size == 0 {
            // Only the last so many bytes of nothing exist (§14.1.2): that is all of it.
            let exists = asked.iter().any(|range| matches!(range, SyntacticallyCorrectRange::FromLast(1..)));
            return if exists { Self::Whole } else { Self::Unsatisfiable };
        }
        let exist: Vec<_> = asked.into_iter().map(|range| cut(range, size)).filter(|range| !range.is_empty()).collect();
        let total =
            exist.iter().fold(0_u64, |total, range| total.saturating_add(range.end.saturating_sub(range.start)));
        if total > size {
            return Self::Whole;
        }
        let mut ranges = coalesce(exist).into_iter();
        match (ranges.next(), ranges.len()) {
            (None, _) => Self::Unsatisfiable,
            (Some(only), 0) => Self::Part(only),
            (Some(first), _) => Self::Parts(first, ranges.collect()),
        }
    }
}

/// What exists of a range: empty if nothing does.
fn cut(range: SyntacticallyCorrectRange, size: u64) -> Range<u64> {
    match range {
        SyntacticallyCorrectRange::FromStart(first) => first..size,
        SyntacticallyCorrectRange::FromLast(count) => size.saturating_sub(count)..size,
        SyntacticallyCorrectRange::Indexed(first, last) => first..last.saturating_add(1).min(size),
    }
}

/// Ranges that overlap or touch become one, in the place of the first of them (§15.3.7.2).
fn coalesce(ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let mut apart: Vec<Range<u64>> = Vec::new();
    for mut range in ranges {
        let mut place = apart.len();
        while let Some(index) = apart.iter().position(|other| range.start <= other.end && other.start <= range.end) {
            let other = apart.remove(index);
            range = range.start.min(other.start)..range.end.max(other.end);
            place = place.min(index);
        }
        apart.insert(place.min(apart.len()), range);
    }
    apart
}

/// The field's value, if there is exactly one.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use axum::http::header::IF_RANGE;
    use distribution_core::Timestamp;

    use super::*;

    fn nothing() -> Validators<'static> {
        Validators::new(None, None, Timestamp::MIN_UTC)
    }

    fn select(size: u64, range: &str) -> Selection {
        let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_str(range).unwrap())]);
        Selection::of(&Method::GET, &headers, size, &nothing())
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
    fn other_words_are_ignored() {
        for range in [
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
        assert_eq!(Selection::of(&Method::GET, &binary, 100, &nothing()), Selection::Whole);
        let mut twice = HeaderMap::from_iter([(RANGE, HeaderValue::from_static("bytes=0-1"))]);
        twice.append(RANGE, HeaderValue::from_static("bytes=0-1"));
        assert_eq!(Selection::of(&Method::GET, &twice, 100, &nothing()), Selection::Whole);
    }

    #[test]
    fn several_ranges_are_put_together_where_they_meet() {
        let parts = |first, others: &[(u64, u64)]| {
            Selection::Parts(first, others.iter().map(|(start, end)| *start..*end).collect())
        };
        for (range, selected) in [
            ("bytes=0-1,3-4", parts(0..2, &[(3, 5)])),
            ("bytes=50-59,0-9,-10", parts(50..60, &[(0, 10), (90, 100)])),
            ("bytes=0-1,200-300", Selection::Part(0..2)),
            ("bytes=200-300,400-500", Selection::Unsatisfiable),
            ("bytes=0-9,10-19", Selection::Part(0..20)),
            ("bytes=10-19,0-9", Selection::Part(0..20)),
            ("bytes=0-9,5-14", Selection::Part(0..15)),
            ("bytes=0-1,20-21,4-5,2-3", parts(0..6, &[(20, 22)])),
            ("bytes=0-49,50-", Selection::Part(0..100)),
            ("bytes=0-,-1", Selection::Whole),
            ("bytes=0-,0-,0-", Selection::Whole),
            ("bytes=0-60,40-99", Selection::Whole),
        ] {
            assert_eq!(select(100, range), selected, "{range}");
        }
        let many = |count: u64| (0..count).map(|i| format!("{}-{}", i * 3, i * 3)).collect::<Vec<_>>().join(",");
        assert!(
            matches!(select(1000, &format!("bytes={}", many(16))), Selection::Parts(_, others) if others.len() == 15)
        );
        assert_eq!(select(1000, &format!("bytes={}", many(17))), Selection::Whole);
        assert_eq!(select(1000, &format!("bytes={}", many(1300))), Selection::Whole);
    }

    #[test]
    fn only_get_has_ranges() {
        let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_static("bytes=0-1"))]);
        assert_eq!(Selection::of(&Method::HEAD, &headers, 100, &nothing()), Selection::Whole);
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
            let validators = Validators::new(etag, None, Timestamp::MIN_UTC);
            let selected = Selection::of(&Method::GET, &headers, 100, &validators);
            assert_eq!(selected == Selection::Part(0..2), honoured, "{if_range}");
        }
    }
}
