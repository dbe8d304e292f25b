//! Publishes one approved MP4 from a staging folder to local disk, and prints its record.
//!
//! `cargo run --release --example publish -- --help` tells the options.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use distribution_backends::serve;
use distribution_backends::{
    HmacKey, HmacSigner, JsonlAudit, LocalDisk, LocalFiles, SqliteMetadata, SystemClock, holder_name,
};
use distribution_core::{
    Alert, AlertSink, AssetMetadata, Checksum, ConceptId, Digester, DistributionRecord, DistributionSettings,
    DurationSeconds, Error, ErrorKind, FinalEdit, Policy, Progress, PublishRequest, PublishResponse, Publisher,
    QcReport, REQUEST_BYTES_MAX, Stage, StoragePrefix, TargetName, VideoUrl,
};
use indicatif::{ProgressBar, ProgressStyle};
use mp4_atom::{FourCC, Header, Mvhd, ReadAtom, ReadFrom};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use tokio::net::TcpListener;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/staging/clip.mp4");
const ADDR: &str = "127.0.0.1:8787";
/// What a path in a `file:` URL holds unescaped (RFC 3986 §2.3), and `/`.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

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
            say(&format!("{}: {error}", error.kind()));
            ExitCode::from(match error.kind() {
                ErrorKind::Invalid | ErrorKind::Conflict | ErrorKind::Unsupported => 2,
                ErrorKind::Refused => 3,
                ErrorKind::Rejected => 4,
                ErrorKind::Busy | ErrorKind::Unavailable => 5,
                ErrorKind::Corrupt => 1,
            })
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
    let local = Local::open(&options.data, &staged.folder, &base_url).await?;

    let published = async {
        let request = tokio::task::block_in_place(|| staged.request(&options))?;
        publish(&local.publisher, request).await
    };
    let record = tokio::select! {
        record = published => record?,
        () = interrupted() => {
            say("interrupted: repeat the same call to finish");
            return Ok(ExitCode::from(130));
        }
    };
    let (location, bytes, at) = (&record.storage_location, record.size_bytes, record.published_at);
    say(&format!("published {location} ({bytes} bytes, read back and proven at {at:.0?})"));
    print(&PublishResponse::from(record))?;

    let Some(listener) = listener else {
        say(&format!("repeat with --serve to serve the link at {base_url}"));
        return Ok(ExitCode::SUCCESS);
    };
    say(&format!("serving links at {base_url}, Ctrl-C ends it"));
    let serving = axum::serve(listener, local.routes).with_graceful_shutdown(interrupted()).into_future();
    tokio::select! {
        served = serving => served.map_err(|error| unavailable("serve", addr, error))?,
        () = grace() => say("cut off downloads that were still running"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Ctrl-C, or the service manager's word for it.
async fn interrupted() {
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminated) => tokio::select! {
            _ = terminated.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

/// How long downloads may still run once the server is told to end; a second Ctrl-C cuts it short.
async fn grace() {
    interrupted().await;
    tokio::select! {
        () = interrupted() => {}
        () = tokio::time::sleep(Duration::from_secs(5)) => {}
    }
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

/// A publisher on this machine's disk, and the route that serves its links.
struct Local {
    publisher: Publisher,
    routes: axum::Router,
}

impl Local {
    async fn open(data: &Path, staging: &Path, base_url: &str) -> Result<Self, Error> {
        let objects = data.join("objects");
        fs::create_dir_all(&objects).map_err(|error| unavailable("create", objects.display(), error))?;
        let storage = Arc::new(LocalDisk::open(&objects)?);
        let signer = Arc::new(HmacSigner::new(base_url, HmacKey::load_or_create(data.join("link.key"))?)?);
        let clock = Arc::new(SystemClock);
        let publisher = Publisher::builder()
            .target(TargetName::default(), storage.clone(), signer.clone())
            .source(Arc::new(LocalFiles::open(staging)?))
            .metadata(Arc::new(SqliteMetadata::open(data.join("records.sqlite")).await?))
            .audit(Arc::new(JsonlAudit::open(data.join("audit.jsonl")).await?))
            .alerts(Arc::new(Stderr))
            .clock(clock.clone())
            .holder(holder_name())
            .policy(Policy { lease_secs: 15, ..Policy::default() })
            .build()?;
        Ok(Self { publisher, routes: serve::router(storage, signer, clock) })
    }
}

/// What is to be published, and the folder it is staged in.
struct Staged {
    folder: PathBuf,
    file: Option<PathBuf>,
}

impl Staged {
    fn find(options: &Options) -> Result<Self, Error> {
        let folder = match &options.staging {
            Some(folder) => Some(fs::canonicalize(folder).map_err(|error| unreadable("--staging", folder, &error))?),
            None => None,
        };
        if options.request.is_some() {
            return Ok(Self { folder: folder.unwrap_or_else(|| PathBuf::from(".")), file: None });
        }
        let file = match (&options.file, &folder) {
            (Some(file), Some(folder)) if folder.join(file).exists() => folder.join(file),
            (Some(file), _) => file.clone(),
            (None, _) => PathBuf::from(SAMPLE),
        };
        let file = fs::canonicalize(&file).map_err(|error| unreadable("FILE", &file, &error))?;
        if !file.is_file() {
            return Err(Error::invalid("FILE", format!("{} is no regular file", file.display())));
        }
        let folder = folder.or_else(|| file.parent().map(Path::to_owned)).unwrap_or_default();
        if !file.starts_with(&folder) {
            let message = format!("{} is not inside of the staging folder {}", file.display(), folder.display());
            return Err(Error::invalid("FILE", message));
        }
        Ok(Self { folder, file: Some(file) })
    }

    /// The request, from --request or as an upstream editor would make it.
    fn request(&self, options: &Options) -> Result<PublishRequest, Error> {
        let Some(file) = &self.file else {
            return PublishRequest::from_json(&read(options.request.as_deref().unwrap_or(Path::new("-")))?);
        };
        let concept_id = options.concept_id.clone().map(ConceptId::parse).transpose();
        let storage_prefix = options.prefix.clone().map(StoragePrefix::parse).transpose();
        let settings = DistributionSettings {
            storage_prefix: storage_prefix.map_err(|error| error.at("--prefix"))?,
            url_expiry_hours: options.expiry_hours,
            metadata: AssetMetadata {
                title: options.title.clone(),
                concept_id: concept_id.map_err(|error| error.at("--concept-id"))?,
                tags: options.tag.clone(),
                ..AssetMetadata::default()
            },
            ..DistributionSettings::default()
        };
        let duration = options.duration.map_or_else(|| playing_time(file), Ok)?;
        let url = format!("file://{}", percent_encode(file.as_os_str().as_bytes(), ESCAPED));
        Ok(PublishRequest {
            final_edit: FinalEdit {
                video_url: VideoUrl::parse(url).map_err(|error| error.at("FILE"))?,
                duration_seconds: DurationSeconds::new(duration).map_err(|error| error.at("--duration"))?,
                checksum: checksum(file)?,
            },
            qc_report: QcReport { status: options.qc_status.clone().into(), ..QcReport::default() },
            distribution_settings: settings,
            idempotency_key: None,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let (mut json, limit) = (Vec::new(), REQUEST_BYTES_MAX as u64 + 1);
    let read = match path.to_str() {
        Some("-") => io::stdin().take(limit).read_to_end(&mut json),
        _ => File::open(path).and_then(|file| file.take(limit).read_to_end(&mut json)),
    };
    read.map_err(|error| unreadable("--request", path, &error))?;
    Ok(json)
}

fn checksum(path: &Path) -> Result<Checksum, Error> {
    let mut file = File::open(path).map_err(|error| unreadable("FILE", path, &error))?;
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    let bar = Bar(ProgressBar::new(size));
    bar.0.set_style(Bar::style());
    bar.0.set_message("hashing");
    let (mut digester, mut buffer) = (Digester::default(), vec![0; 1 << 18]);
    loop {
        match file.read(&mut buffer).map_err(|error| unreadable("FILE", path, &error))? {
            0 => break,
            n => {
                digester.update(buffer.get(..n).unwrap_or_default());
                bar.advance(n as u64);
            }
        }
    }
    bar.0.finish_and_clear();
    Ok(digester.finish().checksum)
}

/// The playing time that the file's movie header tells (ISO/IEC 14496-12 §8.2.2).
fn playing_time(path: &Path) -> Result<f64, Error> {
    let mut file = File::open(path).map_err(|error| unreadable("FILE", path, &error))?;
    let mut movie_header = || -> Option<Mvhd> {
        loop {
            let header = Header::read_from(&mut file).ok()?;
            if header.kind == FourCC::new(b"mvhd") {
                return Mvhd::read_atom(&header, &mut file).ok();
            }
            if header.kind != FourCC::new(b"moov") {
                file.seek(SeekFrom::Current(i64::try_from(header.size?).ok()?)).ok()?;
            }
        }
    };
    movie_header().filter(|header| header.timescale > 0).map_or_else(
        || {
            Err(Error::invalid(
                "FILE",
                format!("{} does not tell its playing time: is it an MP4? If so, give --duration", path.display()),
            ))
        },
        |header| Ok(header.duration as f64 / f64::from(header.timescale)),
    )
}

fn unreadable(field: &str, path: &Path, error: &io::Error) -> Error {
    Error::invalid(field, format!("cannot read {}: {error}", path.display()))
}

fn unavailable(verb: &str, what: impl std::fmt::Display, error: io::Error) -> Error {
    Error::unavailable(format!("cannot {verb} {what}: {error}"))
}

/// Shows how far a publish is, where stderr is a terminal.
struct Bar(ProgressBar);

impl Bar {
    fn style() -> ProgressStyle {
        let template = "{msg:>10} [{bar:40}] {bytes}/{total_bytes} {bytes_per_sec}";
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
    }
}

impl Progress for Bar {
    fn stage(&self, stage: Stage) {
        if let Stage::Transfer { total } = stage {
            self.0.set_style(Self::style());
            self.0.set_length(total);
        }
        self.0.set_position(0);
        self.0.set_message(match stage {
            Stage::Transfer { .. } => "copying",
            Stage::Prove => "proving",
            Stage::Audit => "auditing",
            _ => "signing",
        });
    }

    fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }
}

/// Tells the operator, who sits in front of the terminal.
struct Stderr;

impl AlertSink for Stderr {
    fn raise(&self, alert: Alert) {
        say(&format!("alert {}: {} ({})", alert.kind.as_str(), alert.message, alert.audit_log_id));
    }
}

#[expect(clippy::print_stderr, reason = "a command line speaks to people on stderr")]
fn say(line: &str) {
    eprintln!("{line}");
}

fn print(response: &PublishResponse) -> Result<(), Error> {
    let json = serde_json::to_string_pretty(response).map_err(io::Error::from);
    json.and_then(|json| writeln!(io::stdout(), "{json}")).map_err(|error| {
        unavailable("write to", "stdout; the file is published, and a repeat prints its record", error)
    })
}
