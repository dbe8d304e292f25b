//! Whether the representation is the one that a request is about (RFC 9110 §13).

use axum::http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};
use axum::http::{HeaderMap, HeaderValue};
use chrono::NaiveDateTime;
use distribution_core::Timestamp;

use super::range::only;

/// From this age on, a modification time tells one representation from every other: nothing was
/// written twice in that second (RFC 9110 §8.8.2.2, with the margin of RFC 7232 §2.2.2).
const STRONG_AGE_SECS: i64 = 60;

/// What tells the representation from others.
pub(super) struct Validators<'a> {
    etag: Option<&'a str>,
    /// Cut to the second, as `Last-Modified` has it.
    modified_secs: Option<i64>,
    now: Timestamp,
}

/// What the preconditions of a GET or HEAD come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Proceed,
    NotModified,
    Failed,
}

impl<'a> Validators<'a> {
    pub(super) fn new(etag: Option<&'a HeaderValue>, modified: Option<Timestamp>, now: Timestamp) -> Self {
        let etag = etag.and_then(|etag| etag.to_str().ok());
        Self { etag, modified_secs: modified.map(|modified| modified.min(now).timestamp()), now }
    }

    /// The preconditions in their order (§13.2.2). A date that cannot be read counts as absent.
    pub(super) fn outcome(&self, headers: &HeaderMap) -> Outcome {
        let date_secs = |name| only(headers, &name).and_then(|date| date_secs(date.to_str().ok()?));
        let since = |name| self.modified_secs.zip(date_secs(name));
        if headers.contains_key(IF_MATCH) {
            if !self.is_listed(headers.get_all(IF_MATCH), false) {
                return Outcome::Failed;
            }
        } else if since(IF_UNMODIFIED_SINCE).is_some_and(|(modified, date)| modified > date) {
            return Outcome::Failed;
        }
        let unchanged = if headers.contains_key(IF_NONE_MATCH) {
            self.is_listed(headers.get_all(IF_NONE_MATCH), true)
        } else {
            since(IF_MODIFIED_SINCE).is_some_and(|(modified, date)| modified <= date)
        };
        if unchanged { Outcome::NotModified } else { Outcome::Proceed }
    }

    /// Whether a `Range` counts: there is no `If-Range`, or it is exactly the strong `ETag` or a
    /// `Last-Modified` that is old enough to be strong (§13.1.5).
    pub(super) fn allow_range(&self, headers: &HeaderMap) -> bool {
        if !headers.contains_key(IF_RANGE) {
            return true;
        }
        let Some(wanted) = only(headers, &IF_RANGE).and_then(|value| value.to_str().ok()) else { return false };
        if wanted.starts_with('"') || wanted.starts_with("W/") {
            return self.etag == Some(wanted);
        }
        let settled = |modified: i64| self.now.timestamp().saturating_sub(modified) >= STRONG_AGE_SECS;
        self.modified_secs.is_some_and(|modified| settled(modified) && date_secs(wanted) == Some(modified))
    }

    /// Whether the lists name this representation, or any (`*`). What cannot be read names nothing.
    fn is_listed<'h>(&self, values: impl IntoIterator<Item = &'h HeaderValue>, weakly: bool) -> bool {
        let mut listed = false;
        for value in values {
            let Ok(mut rest) = value.to_str().map(str::trim) else { return false };
            listed |= rest == "*";
            while !rest.is_empty() && rest != "*" {
                if let Some(after) = rest.strip_prefix([',', ' ', '\t']) {
                    rest = after;
                    continue;
                }
                let Some((weak, tag, after)) = entity_tag(rest) else { return false };
                listed |= self.etag == Some(tag) && (weakly || !weak);
                rest = after;
            }
        }
        listed
    }
}

/// Whether it is weak, the tag with its quotes, and what follows.
fn entity_tag(text: &str) -> Option<(bool, &str, &str)> {
    let (weak, tag) = text.strip_prefix("W/").map_or((false, text), |tag| (true, tag));
    let end = tag.strip_prefix('"')?.find('"')?.checked_add(2)?;
    let (tag, after) = tag.split_at_checked(end)?;
    (after.is_empty() || after.starts_with([',', ' ', '\t'])).then_some((weak, tag, after))
}

/// The three forms of an HTTP date, in seconds since 1970 (§5.6.7).
fn date_secs(text: &str) -> Option<i64> {
    let forms = ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok()).map(|date| date.and_utc().timestamp())
}
