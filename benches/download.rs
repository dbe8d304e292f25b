//! The download route against nginx, which serves the same file on the same machine, in interleaved rounds of
//! `wrk`. The noise of the machine is about the same for both, so read the ratios. nginx sends the file from the
//! page cache without reading it (`sendfile`); the route reads it, as it would from a bucket.
//!
//! Needs `nginx` and `wrk`, which apt-get has (nginx-light, wrk).

#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt as _;
use clap::Parser;
use distribution_backends::{HmacKey, HmacSigner, LocalDisk, SystemClock, serve};
use distribution_core::{Clock as _, LinkRequest, ObjectKey, UrlSigner as _};
use tokio::net::TcpListener;

use self::common::{Result, Scratch, memory_kib};
use self::measured::{make_file, median, ratio, run};

mod common;
#[path = "common/measured.rs"]
mod measured;

/// Times downloads from the route and from nginx.
#[derive(Parser)]
struct Options {
    /// Size of the file in MiB.
    #[arg(long, default_value_t = 256)]
    mib: u64,
    /// How many interleaved rounds.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// How many downloads at a time.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// How many seconds each takes its turn.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Where the files go; they are removed at the end.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target"))]
    dir: PathBuf,
    /// What `cargo bench` passes.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Ends nginx with the value.
struct Running {
    child: Child,
    config: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Killed, it would leave its workers, who hold its files and this program's pipes for ever.
        let stopped = Command::new("nginx").arg("-c").arg(&self.config).args(["-s", "stop"]).output();
        if !stopped.is_ok_and(|stopped| stopped.status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let work = Scratch(options.dir.join(format!("download-{}", std::process::id())));
    fs::create_dir_all(work.0.join("objects"))?;
    make_file(&work.0.join("objects/clip.mp4"), options.mib << 20)?;
    let link = route(&work.0.join("objects")).await?;
    let (_nginx, beside) = nginx(&work.0).await?;
    println!("{} MiB, {} downloads at a time, {} rounds; MB/s", options.mib, options.connections, options.rounds);
    println!("{:>9} {:>9}", "route", "nginx");
    let (mut ours, mut theirs) = (vec![], vec![]);
    for _ in 0..options.rounds {
        ours.push(wrk(&link, &options).await?);
        theirs.push(wrk(&beside, &options).await?);
        if let (Some(ours), Some(theirs)) = (ours.last(), theirs.last()) {
            println!("{ours:9.0} {theirs:9.0}");
        }
    }
    println!("{:9.0} {:9.0}  medians", median(&ours), median(&theirs));
    println!("the route gives {:.2} of what nginx gives (median of the rounds' ratios)", ratio(&ours, &theirs));
    println!("{:.1} MiB peak memory of the process that serves", memory_kib("VmHWM:")? as f64 / 1024.0);
    Ok(())
}

/// Serves the objects, and gives a link to one.
async fn route(objects: &Path) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}/files", listener.local_addr()?);
    let signer = HmacSigner::new(&base, HmacKey::new("bench", [7; 32])?)?;
    let expires_at = SystemClock.now() + Duration::from_secs(3_600);
    let link = LinkRequest { key: ObjectKey::parse("clip.mp4")?, expires_at };
    let link = signer.sign(&link, SystemClock.now()).await?.link.expose().to_owned();
    let storage = Arc::new(LocalDisk::open(objects)?);
    let routes =
        axum::Router::new().nest_service("/files", serve::router(storage, Arc::new(signer), Arc::new(SystemClock)));
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(link)
}

/// nginx as Debian sets it up, as far as files are concerned.
async fn nginx(work: &Path) -> Result<(Running, String)> {
    let free = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let root = fs::canonicalize(work)?;
    let root = root.display();
    let config = format!(
        "daemon off; worker_processes auto; pid {root}/nginx.pid; error_log {root}/nginx.log;\n\
         events {{ worker_connections 768; }}\n\
         http {{ sendfile on; tcp_nopush on; access_log off; types {{ video/mp4 mp4; }}\n\
         client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;\n\
         uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;\n\
         server {{ listen {free}; root {root}/objects; }} }}\n"
    );
    let file = work.join("nginx.conf");
    fs::write(&file, config)?;
    let config = fs::canonicalize(&file)?;
    let nginx = Command::new("nginx").arg("-c").arg(&config).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let child = nginx.map_err(|error| format!("nginx does not start ({error}): apt-get install nginx-light"))?;
    let nginx = Running { child, config };
    for _ in 0..100 {
        if std::net::TcpStream::connect(free).is_ok() {
            return Ok((nginx, format!("http://{free}/clip.mp4")));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err("nginx does not listen".into())
}

/// How many MB come in a second.
async fn wrk(url: &str, options: &Options) -> Result<f64> {
    let mut wrk = Command::new("wrk");
    wrk.arg("-t2").arg(format!("-c{}", options.connections)).arg(format!("-d{}s", options.seconds));
    wrk.args(["--timeout", "60s"]).arg(url);
    let told = tokio::task::spawn_blocking(move || run(&mut wrk).map_err(|error| error.to_string())).await??;
    let rate = told.lines().find_map(|line| line.trim().strip_prefix("Transfer/sec:"));
    let rate = rate.map(str::trim).ok_or("wrk tells no transfer")?;
    let (number, unit) = rate.split_at(rate.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(rate.len()));
    let scale = match unit {
        "GB" => 1_024.0,
        "MB" => 1.0,
        "KB" => 1.0 / 1_024.0,
        _ => return Err(format!("wrk tells {rate}").into()),
    };
    Ok(number.parse::<f64>()? * scale)
}
