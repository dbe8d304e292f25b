//! What the benches share: files to publish, a publisher, and what was used by what ran.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use distribution_backends::{
    HmacKey, HmacSigner, JsonlAudit, LocalFiles, LogAlerts, SqliteMetadata, SystemClock, holder_name,
};
use distribution_core::{
    Checksum, DistributionSettings, DurationSeconds, Error, FinalEdit, PublishRequest, Publisher, QcReport, Storage,
    TargetName, VideoUrl,
};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A publisher of what is staged in `dir`, with the embedded defaults in `store`.
pub(crate) async fn publisher(
    dir: &Path,
    store: &Path,
    storage: Arc<dyn Storage>,
) -> std::result::Result<Publisher, Error> {
    let key = HmacKey::load_or_create(store.join("link.key"))?;
    Publisher::builder()
        .target(TargetName::default(), storage, Arc::new(HmacSigner::new("https://media.example", key)?))
        .source(Arc::new(LocalFiles::open(dir)?))
        .metadata(Arc::new(SqliteMetadata::open(store.join("records.sqlite")).await?))
        .audit(Arc::new(JsonlAudit::open(store.join("audit.jsonl")).await?))
        .alerts(Arc::new(LogAlerts))
        .clock(Arc::new(SystemClock))
        .holder(holder_name())
        .build()
}

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

/// The file's checksum, by openssl.
pub(crate) fn openssl(file: &Path) -> Result<String> {
    let text = run(Command::new("openssl").args(["dgst", "-sha256", "-r"]).arg(file))?;
    let hex = text.split_whitespace().next().ok_or("openssl printed nothing")?;
    Ok(format!("sha256:{hex}"))
}

pub(crate) fn run(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

pub(crate) fn timed(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The median of the rounds' ratios.
pub(crate) fn ratio(of: &[f64], to: &[f64]) -> f64 {
    median(&of.iter().zip(to).map(|(of, to)| of / to).collect::<Vec<_>>())
}

pub(crate) fn make_file(path: &Path, size: u64) -> Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    io::copy(&mut File::open("/dev/urandom")?.take(size), &mut file)?;
    file.flush()?;
    file.get_ref().sync_all()?;
    Ok(())
}

/// The most memory that this process ever had resident (Linux, `proc(5)`).
pub(crate) fn peak_kib() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// A directory that is removed with what is in it.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
