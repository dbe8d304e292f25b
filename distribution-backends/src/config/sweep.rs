//! How long staged files and left-overs are kept.

use chrono::TimeDelta;
use distribution_core::{Error, SweepPolicy};

use super::document::Places;
use super::file::Sweep;
use super::values::Whole;

const DAYS_MAX: u32 = 3_650;
const HOURS_MAX: u32 = 8_760;

/// The policy of the sweep, and the grace time of left-overs.
///
/// # Errors
/// `Invalid`, naming the key.
pub(super) fn policy(wanted: &Sweep, places: &Places) -> Result<(SweepPolicy, TimeDelta), Error> {
    let within = |value: Option<Whole>, usual: u32, range, key: &str| match value {
        Some(value) => value.within(range, &format!("sweep.{key}"), places),
        None => Ok(usual),
    };
    let retention = within(wanted.retention_days, 7, 0..=DAYS_MAX, "retention_days")?;
    let stuck_after = within(wanted.stuck_after_days, 7, 1..=DAYS_MAX, "stuck_after_days")?;
    let grace = within(wanted.grace_hours, 24, 1..=HOURS_MAX, "grace_hours")?;
    let days = |days: u32| TimeDelta::days(i64::from(days));
    let policy = SweepPolicy { retention: days(retention), stuck_after: days(stuck_after) };
    Ok((policy, TimeDelta::hours(i64::from(grace))))
}
