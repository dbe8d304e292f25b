//! Publishers over a world, and requests to them.

use distribution_core::{
    Builder, Checksum, DistributionSettings, DurationSeconds, FinalEdit, PublishRequest, Publisher, QcReport,
    TargetName, VideoUrl,
};

use crate::world::{Parts, World};

impl World {
    /// A publisher over this world with one target, `default`. A second one with another holder is
    /// another process; a second one with the same holder is the same process.
    ///
    /// # Panics
    /// If `holder` is no holder's name: empty, or longer than 256 bytes.
    #[expect(clippy::expect_used, reason = "a test that names no holder is wrong")]
    pub fn publisher(&self, holder: &str) -> Publisher {
        self.builder(holder).build().expect("a holder's name has 1 to 256 bytes")
    }

    /// The same, to be changed before it is built.
    pub fn builder(&self, holder: &str) -> Builder {
        let target = TargetName::default();
        let Parts { storage, metadata, audit, alerts, source, signer, clock } = self.parts(&target);
        Publisher::builder()
            .target(target, storage, signer)
            .source(source)
            .metadata(metadata)
            .audit(audit)
            .alerts(alerts)
            .clock(clock)
            .holder(holder)
    }
}

/// A request to publish these bytes, staged at `url` and passed by QC, with defaults for the rest.
///
/// # Panics
/// If `url` is no [`VideoUrl`]: blank, or with control characters.
#[expect(clippy::expect_used, reason = "a test with such a URL is wrong")]
pub fn request(url: &str, bytes: &[u8]) -> PublishRequest {
    PublishRequest {
        final_edit: FinalEdit {
            video_url: VideoUrl::parse(url).expect("a line of text"),
            duration_seconds: DurationSeconds::new(9.7).expect("a duration"),
            checksum: Checksum::of(bytes),
        },
        qc_report: QcReport::pass(),
        distribution_settings: DistributionSettings::default(),
        idempotency_key: None,
    }
}
