//! Durations on a command line.

use std::time::Duration;

/// A whole number of seconds, minutes, hours or days.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let secs_of = [('s', 1), ('m', 60), ('h', 3_600), ('d', 24 * 3_600)];
    let secs = secs_of.into_iter().find_map(|(unit, secs)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(secs).filter(|secs| *secs <= u64::from(u32::MAX))
    });
    secs.map(Duration::from_secs).ok_or_else(|| "write it like 90s, 30m, 2h or 7d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(7 * 24 * 3_600)));
        for wrong in ["", "90", "s", "-1s", "1.5h", "1w", "99999999999d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
