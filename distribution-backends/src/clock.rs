//! The real clock, and a name for this process.

use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::HEXLOWER;
use distribution_core::{Clock, Timestamp};

/// The system's clock, cut to the microsecond.
///
/// ```
/// use distribution_backends::SystemClock;
/// use distribution_core::Clock;
///
/// assert!(SystemClock.now() > distribution_core::Timestamp::UNIX_EPOCH);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        timestamp(SystemTime::now())
    }
}

/// A name for who holds a lease, `{hostname}/{process id}/{random}`: no two calls give the same, on
/// whatever machine.
pub fn holder_name() -> String {
    let mut random = [0; 8];
    if getrandom::fill(&mut random).is_err() {
        // A lease is advisory: the time is random enough for it.
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        random = (u64::from(at.subsec_nanos()) << 32 ^ at.as_secs()).to_be_bytes();
    }
    format!("{}/{}/{}", host_name(), std::process::id(), HEXLOWER.encode(&random))
}

/// The end of the calendar, at either side, for what is beyond it.
fn timestamp(at: SystemTime) -> Timestamp {
    let micros = match at.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        Err(error) => i64::try_from(error.duration().as_nanos().div_ceil(1_000)).map_or(i64::MIN, |before| -before),
    };
    let end = if micros < 0 { Timestamp::MIN_UTC } else { Timestamp::MAX_UTC };
    Timestamp::from_timestamp_micros(micros).unwrap_or(end)
}

/// The machine's name, with no character that means something elsewhere.
fn host_name() -> String {
    const CHARS_MAX: usize = 64;
    let system = rustix::system::uname();
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    system.nodename().to_string_lossy().chars().take(CHARS_MAX).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_time_is_a_timestamp() {
        let nanos = |nanos| timestamp(UNIX_EPOCH + Duration::from_nanos(nanos));
        assert_eq!(nanos(1_999).timestamp_nanos_opt(), Some(1_000));
        let before = timestamp(UNIX_EPOCH - Duration::from_nanos(1));
        assert_eq!(before.timestamp_nanos_opt(), Some(-1_000));
        for secs in [i64::MAX as u64, 1 << 43, 1 << 62] {
            let beyond = UNIX_EPOCH.checked_add(Duration::from_secs(secs)).map(timestamp);
            assert!(beyond.is_none_or(|at| at == Timestamp::MAX_UTC));
            let beyond = UNIX_EPOCH.checked_sub(Duration::from_secs(secs)).map(timestamp);
            assert!(beyond.is_none_or(|at| at == Timestamp::MIN_UTC));
        }
    }

    #[test]
    fn holder_names_are_three_plain_parts_and_never_the_same() {
        let (one, two) = (holder_name(), holder_name());
        assert_ne!(one, two);
        let parts: Vec<&str> = one.split('/').collect();
        assert_eq!(parts.len(), 3);
        assert_eq!(parts[1], std::process::id().to_string());
        assert!(one.len() < 128 && one.is_ascii() && !one.contains(char::is_whitespace));
    }
}
