//! Whether staged files are looked into, and what they must be.

use distribution_core::{Builder, Error, PreflightPolicy};

use super::document::Places;
use super::file::Preflight;

/// The longest tolerance, in milliseconds: an hour.
const TOLERANCE_MS_MAX: u32 = 3_600_000;

/// # Errors
/// `Invalid`, naming the key.
pub(super) fn policy(wanted: Option<&Preflight>, places: &Places) -> Result<PreflightPolicy, Error> {
    let usual = PreflightPolicy::default();
    let Some(wanted) = wanted else { return Ok(usual) };
    let duration_tolerance_ms = match wanted.duration_tolerance_ms {
        Some(value) => value.within(0..=TOLERANCE_MS_MAX, "preflight.duration_tolerance_ms", places)?,
        None => usual.duration_tolerance_ms,
    };
    Ok(PreflightPolicy {
        mp4: wanted.mp4.unwrap_or(usual.mp4),
        complete: wanted.complete.unwrap_or(usual.complete),
        duration: wanted.duration.unwrap_or(usual.duration),
        duration_tolerance_ms,
        faststart: wanted.faststart.unwrap_or(usual.faststart),
    })
}

/// Whether this build can do what is wanted.
///
/// # Errors
/// `Unsupported`, naming the feature.
pub(super) fn check(wanted: bool, places: &Places) -> Result<bool, Error> {
    if wanted && cfg!(not(feature = "preflight")) {
        return Err(places.locate("preflight", super::bucket::lacks("preflight")));
    }
    Ok(wanted)
}

/// The same publisher, which looks into staged files.
pub(super) fn inspected(builder: Builder) -> Builder {
    #[cfg(feature = "preflight")]
    return builder.inspector(std::sync::Arc::new(crate::Mp4Inspector::new()));
    #[cfg(not(feature = "preflight"))]
    return builder;
}
