//! A sample to try: a configuration, edits in its staging folder, and a batch of them.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use distribution_core::{
    AssetMetadata, Checksum, ConceptId, DistributionSettings, DurationSeconds, Error, FinalEdit, PublishRequest,
    QcReport, VideoUrl,
};

use crate::Limits;
use crate::shell::{say, unavailable};

const CONFIG: &str = include_str!("../distribution.toml");
const CLIP: &[u8] = include_bytes!("../staging/clip.mp4");
const CLIP_SECONDS: f64 = 4.0;

#[derive(Args)]
pub(crate) struct Init {
    /// The folder, which is made if it is not there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// How many edits are staged
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    edits: u16,
    /// How long each edit's file is at least, in KiB
    #[arg(long, value_name = "KIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(..=4 << 20))]
    kib: u32,
    /// Publish the batch too
    #[arg(long)]
    run: bool,
    #[command(flatten)]
    limits: Limits,
}

impl Init {
    /// How to run the batch, if it is to be run.
    pub(crate) fn limits(&self) -> Option<&Limits> {
        self.run.then_some(&self.limits)
    }
}

/// What was written.
pub(crate) struct Site {
    pub(crate) config: PathBuf,
    pub(crate) batch: PathBuf,
}

pub(crate) fn write(init: &Init) -> Result<Site, Error> {
    let at = |name: &str| init.folder.join(name);
    for folder in [at("objects"), at("staging")] {
        fs::create_dir_all(&folder).map_err(|error| unavailable("create", folder.display(), error))?;
    }
    let site = Site { config: at("distribution.toml"), batch: at("batch.json") };
    create(&site.config, CONFIG.as_bytes())?;
    let mut requests = Vec::new();
    for n in 1..=init.edits {
        let (name, bytes) = (format!("edit-{n}.mp4"), edit(n, init.kib));
        create(&at("staging").join(&name), &bytes)?;
        requests.push(request(n, name, Checksum::of(&bytes))?);
    }
    let batch =
        serde_json::to_vec_pretty(&requests).map_err(|error| unavailable("write", "the batch", error.into()))?;
    create(&site.batch, &batch)?;
    let (config, batch) = (site.config.display(), site.batch.display());
    say(&format!("wrote {config} and a batch of {} edits. To publish and then serve them:", init.edits));
    for command in [format!("orchestrator -- --config {config} run {batch}"), format!("ops -- --config {config} serve")]
    {
        say(&format!("  cargo run --release --example {command}"));
    }
    Ok(site)
}

/// The clip with a box of free space (ISO/IEC 14496-12 §8.1.2) that tells edits apart and makes them longer.
fn edit(n: u16, kib: u32) -> Vec<u8> {
    const HEADER_BYTES: u32 = 8;
    let wanted = u64::from(kib) << 10;
    let padding = wanted.saturating_sub(CLIP.len() as u64 + u64::from(HEADER_BYTES)).max(2);
    let padding = u32::try_from(padding).unwrap_or(u32::MAX - HEADER_BYTES);
    let mut bytes = CLIP.to_vec();
    bytes.extend((HEADER_BYTES + padding).to_be_bytes());
    bytes.extend(b"free");
    bytes.extend(n.to_be_bytes());
    bytes.resize(CLIP.len() + (HEADER_BYTES + padding) as usize, 0);
    bytes
}

/// What an upstream editor and its QC would send: two versions of each work.
fn request(n: u16, name: String, checksum: Checksum) -> Result<PublishRequest, Error> {
    Ok(PublishRequest {
        final_edit: FinalEdit {
            video_url: VideoUrl::parse(name)?,
            duration_seconds: DurationSeconds::new(CLIP_SECONDS)?,
            checksum,
        },
        qc_report: QcReport { checksum: Some(checksum), ..QcReport::pass() },
        distribution_settings: DistributionSettings {
            metadata: AssetMetadata {
                title: Some(format!("The clip, edit {n}")),
                concept_id: Some(ConceptId::parse(format!("concept-{}", n.div_ceil(2)))?),
                tags: vec!["sample".to_owned()],
                ..AssetMetadata::default()
            },
            ..DistributionSettings::default()
        },
        idempotency_key: None,
    })
}

/// Writes a file that is not there yet: a sample must not overwrite somebody's work.
fn create(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let created = OpenOptions::new().write(true).create_new(true).open(path);
    created.and_then(|mut file| file.write_all(bytes)).map_err(|error| unavailable("create", path.display(), error))
}
