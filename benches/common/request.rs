//! What is published.

use distribution_core::{
    Checksum, DistributionSettings, DurationSeconds, FinalEdit, PublishRequest, QcReport, VideoUrl,
};

use crate::common::Result;

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
