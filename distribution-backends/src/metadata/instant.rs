//! Instants as stores hold them: whole microseconds since 1970.

use distribution_core::{Error, Timestamp};

/// The instant as a column holds it.
///
/// # Errors
/// [`ErrorKind::Invalid`](distribution_core::ErrorKind::Invalid) for one that would not come back as it is: not
/// of whole microseconds.
pub(super) fn micros(at: Timestamp) -> Result<i64, Error> {
    let micros = at.timestamp_micros();
    if Timestamp::from_timestamp_micros(micros) == Some(at) {
        return Ok(micros);
    }
    Err(Error::invalid("claimed_at", "must be cut to the microsecond"))
}

/// The first whole microsecond that is not before `at`: a bound of a query may lie between two.
pub(super) fn micros_from(at: Timestamp) -> i64 {
    // chrono writes a leap second as more than a second's nanoseconds: it ends with the second.
    let sub_micros = at.timestamp_subsec_nanos().min(1_000_000_000).div_ceil(1_000);
    at.timestamp().saturating_mul(1_000_000).saturating_add(i64::from(sub_micros))
}
