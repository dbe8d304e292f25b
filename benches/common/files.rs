//! What the benches share that publish files: a publisher, the files, and what they are compared with.

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use distribution_backends::{
    HmacKey, HmacSigner, JsonlAudit, LocalFiles, LogAlerts, SqliteMetadata, SystemClock, holder_name,
};
use distribution_core::{Error, Publisher, Storage, TargetName};

use crate::common::Result;

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
