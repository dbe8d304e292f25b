//! Hosts that staged files are read from.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use distribution_core::{Error, Source};

use super::document::Places;
use super::file::Staging;
use super::values::Whole;
use crate::HttpSource;

const HOUR_SECS: u32 = 3_600;
const WEEK_SECS: u32 = 7 * 24 * HOUR_SECS;

/// The source, which asks nobody anything yet.
///
/// # Errors
/// `Invalid`, naming the key, for a host that is none or a limit out of its range.
pub(super) fn source(staging: &Staging, at: &str, places: &Places) -> Result<Arc<dyn Source>, Error> {
    let within = |value: Option<Whole>, key: &str, range: RangeInclusive<u32>| {
        value.map(|value| value.within(range, &format!("{at}.{key}"), places)).transpose()
    };
    let mut builder = HttpSource::builder();
    for host in &staging.hosts {
        builder = builder.host(host);
    }
    for (host, ranges) in &staging.private_hosts {
        builder = builder.private_host(host, &ranges.iter().map(String::as_str).collect::<Vec<_>>());
    }
    if let Some(mib) = within(staging.size_max_mib, "size_max_mib", 1..=u32::MAX)? {
        builder = builder.size_max(u64::from(mib) << 20);
    }
    if let Some(secs) = within(staging.silence_max_secs, "silence_max_secs", 1..=HOUR_SECS)? {
        builder = builder.silence_max(Duration::from_secs(u64::from(secs)));
    }
    if let Some(secs) = within(staging.time_max_secs, "time_max_secs", 1..=WEEK_SECS)? {
        builder = builder.time_max(Duration::from_secs(u64::from(secs)));
    }
    if let Some(kib) = within(staging.kib_per_sec_min, "kib_per_sec_min", 1..=u32::MAX)? {
        builder = builder.bytes_per_sec_min(u64::from(kib) << 10);
    }
    if let Some(redirects) = within(staging.redirects_max, "redirects_max", 0..=3)? {
        builder = builder.redirects_max(u8::try_from(redirects).unwrap_or(u8::MAX));
    }
    let source = builder.build().map_err(|error| places.locate(at, error))?;
    Ok(Arc::new(source))
}
