//! What the benches share: a request, the memory that is used, a directory that goes away.

use std::fs;
use std::path::PathBuf;

use distribution_core::{
    Checksum, DistributionSettings, DurationSeconds, FinalEdit, PublishRequest, QcReport, VideoUrl,
};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// To publish `clip.mp4`, which QC has passed.
pub(crate) fn request(checksum: Checksum) -> Result<PublishRequest> {
    Ok(PublishRequest {
        final_edit: FinalEdit {
            video_url: VideoUrl::parse("clip.mp4")?,
            duration_seconds: DurationSeconds::new(60.0)?,
            checksum,
        },
        qc_report: QcReport::pass(),
        distribution_settings: DistributionSettings::default(),
        idempotency_key: None,
    })
}

/// A line of `proc(5)`: `VmHWM:` for the most memory that this process ever had resident, `VmRSS:` for what it
/// has now.
pub(crate) fn memory_kib(name: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line in /proc/self/status")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// A directory that is removed with what is in it.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
