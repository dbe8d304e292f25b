//! Time as an argument: the clock port and the roundings that the contract needs.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// An instant in UTC, kept to the microsecond (what every database here can hold).
pub type Timestamp = DateTime<Utc>;

/// Where the publisher gets the time from. Core never reads a clock itself.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock's time now. It may jump; nothing but expiry and retention follows it.
    fn now(&self) -> Timestamp;
}

/// `at` cut to the microsecond.
pub(crate) fn to_micros(at: Timestamp) -> Timestamp {
    at.trunc_subsecs(6)
}

/// The whole second in which a link granted at `at` for `hours` stops working: never later than
/// asked for. `None` past the end of the calendar.
pub(crate) fn link_expiry(at: Timestamp, hours: u32) -> Option<Timestamp> {
    at.trunc_subsecs(0).checked_add_signed(TimeDelta::hours(i64::from(hours)))
}

/// The whole second that many seconds after `at`, cut to the second. `None` past the end of the calendar.
pub(crate) fn seconds_after(at: Timestamp, secs: u64) -> Option<Timestamp> {
    at.trunc_subsecs(0).checked_add_signed(TimeDelta::try_seconds(i64::try_from(secs).ok()?)?)
}

/// `at` plus `secs`, or the end of the calendar.
pub(crate) fn plus_secs(at: Timestamp, secs: u32) -> Timestamp {
    at.checked_add_signed(TimeDelta::seconds(i64::from(secs))).unwrap_or(Timestamp::MAX_UTC)
}
