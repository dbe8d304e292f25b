//! Publishes one approved MP4 from a staging folder to local disk or a storage service, and prints its
//! record.
//!
//! `cargo run --release --example publish -- --help` tells the options.

#[path = "../shared/bar.rs"]
mod bar;
#[path = "../shared/exit.rs"]
mod exit;
#[path = "../shared/serving.rs"]
mod serving;
#[path = "../shared/shell.rs"]
mod shell;
mod site;
mod staged;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use distribution_core::{DistributionRecord, Error, ErrorKind, PublishRequest, PublishResponse, Publisher};
use indicatif::ProgressBar;
use tokio::net::TcpListener;

use crate::bar::Bar;
use crate::serving::serve;
use crate::shell::{complain, interrupted, say, unavailable};
use crate::site::Site;
use crate::staged::Staged;

const ADDR: &str = "127.0.0.1:8787";

/// Publish an approved MP4: copy it into storage, prove it, record it, link it
///
/// The record is printed on stdout as JSON, everything else on stderr. Repeating the same call prints
/// the same record and copies nothing.
///
/// Exit codes: 0 published, 2 invalid input, 3 refused by QC, 4 rejected (what is staged is not what was
/// approved), 5 unavailable (repeat the call), 1 corrupt (stored data is damaged: an operator must look),
/// 130 interrupted (repeat the call).
#[derive(Parser)]
#[command(name = "publish", verbatim_doc_comment)]
struct Options {
    /// The MP4 to publish [default: a sample that ships with the repository]
    file: Option<PathBuf>,
    /// A publish request as JSON, from a file or from stdin, instead of FILE and the options about it
    #[arg(long, value_name = "FILE|-", conflicts_with_all = ["file", "title", "concept_id", "prefix", "expiry_hours", "tag", "qc_status", "duration"])]
    request: Option<PathBuf>,
    /// Where objects, records, audit trail and link key are kept; created if absent
    #[arg(long, value_name = "DIR", default_value = "distribution-data")]
    data: PathBuf,
    /// Where objects go, such as s3://bucket/prefix?endpoint=http%3A%2F%2F127.0.0.1%3A9000&region=us-east-1, with
    /// credentials from the environment or files of AWS [default: the data folder]
    #[arg(long, value_name = "URI", conflicts_with_all = ["serve", "base_url"])]
    target: Option<String>,
    /// The bucket that the s3:// URLs of requests may name, in the form of --target
    #[arg(long, value_name = "URI", requires = "request")]
    s3_staging: Option<String>,
    /// The folder that staged files are read from [default: that of FILE; with --request, this one]
    #[arg(long, value_name = "DIR")]
    staging: Option<PathBuf>,
    /// The asset's title
    #[arg(long)]
    title: Option<String>,
    /// The work of which the file is a version
    #[arg(long, value_name = "ID")]
    concept_id: Option<String>,
    /// The beginning of the object's key, such as `mvp/`
    #[arg(long)]
    prefix: Option<String>,
    /// How many hours the link works [default: 72]
    #[arg(long, value_name = "HOURS", value_parser = clap::value_parser!(u32).range(1..=168))]
    expiry_hours: Option<u32>,
    /// A tag; may be repeated
    #[arg(long)]
    tag: Vec<String>,
    /// What final QC said; only `pass` publishes
    #[arg(long, value_name = "STATUS", default_value = "pass")]
    qc_status: String,
    /// The playing time [default: read from the file]
    #[arg(long, value_name = "SECONDS")]
    duration: Option<f64>,
    /// Keep serving the links until interrupted
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = ADDR)]
    serve: Option<SocketAddr>,
    /// What viewers see of the server, such as https://media.example [default: http://ADDR]
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            ExitCode::from(exit::code_of(&error))
        }
    }
}

async fn run(options: Options) -> Result<ExitCode, Error> {
    // What can be wrong is found before minutes of hashing.
    let listener = match options.serve {
        None => None,
        Some(addr) => Some(TcpListener::bind(addr).await.map_err(|error| unavailable("listen on", addr, error))?),
    };
    let addr = match &listener {
        None => ADDR.to_owned(),
        Some(listener) => listener.local_addr().map_err(|error| unavailable("listen on", "a port", error))?.to_string(),
    };
    let base_url = options.base_url.clone().unwrap_or_else(|| format!("http://{addr}"));
    let staged = Staged::find(&options)?;
    let site = Site::open(&options, &staged.folder, &base_url).await?;

    let published = async {
        let request = tokio::task::block_in_place(|| staged.request(&options))?;
        publish(&site.publisher, request).await
    };
    let record = tokio::select! {
        record = published => record?,
        () = interrupted() => {
            say("interrupted: repeat the same call to finish");
            return Ok(ExitCode::from(exit::INTERRUPTED));
        }
    };
    let (location, bytes, at) = (&record.storage_location, record.size_bytes, record.published_at);
    say(&format!("published {location} ({bytes} bytes, read back and proven at {at:.0?})"));
    print(&PublishResponse::from(record))?;

    let Some(routes) = site.routes else { return Ok(ExitCode::SUCCESS) };
    let Some(listener) = listener else {
        say(&format!("repeat with --serve to serve the link at {base_url}"));
        return Ok(ExitCode::SUCCESS);
    };
    say(&format!("serving links at {base_url}, Ctrl-C ends it"));
    serve(listener, routes).await?;
    Ok(ExitCode::SUCCESS)
}

/// Publishes, waiting while another process is at work on the same publication.
async fn publish(publisher: &Publisher, request: PublishRequest) -> Result<DistributionRecord, Error> {
    let mut told = false;
    loop {
        let bar = Arc::new(Bar(ProgressBar::no_length()));
        let outcome = publisher.publish_watched(request.clone(), bar.clone()).await;
        bar.0.finish_and_clear();
        match outcome {
            Err(error) if error.kind() == ErrorKind::Busy => {
                let wait = error.retry_after().unwrap_or_default();
                if !told {
                    let secs = wait.as_secs_f32().ceil();
                    say(&format!("another run is at work on it, or died at it: waiting for {secs} s at most"));
                }
                told = true;
                tokio::time::sleep(wait.clamp(Duration::from_millis(100), Duration::from_secs(1))).await;
            }
            outcome => return outcome,
        }
    }
}

fn print(response: &PublishResponse) -> Result<(), Error> {
    let json = serde_json::to_string_pretty(response).map_err(io::Error::from);
    json.and_then(|json| writeln!(io::stdout(), "{json}")).map_err(|error| {
        unavailable("write to", "stdout; the file is published, and a repeat prints its record", error)
    })
}
