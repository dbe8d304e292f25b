//! What the benches share that publish files: a publisher, the files, and what they are compared with.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use distribution_backends::{
    HmacKey, HmacSigner, JsonlAudit, LocalFiles, LogAlerts, SqliteMetadata, SystemClock, holder_name,
};
use distribution_core::{Error, Publisher, Storage, TargetName};

use crate::common::Result;
use crate::measured::run;

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

pub(crate) fn timed(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}
