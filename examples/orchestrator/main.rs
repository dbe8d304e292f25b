//! A small host of the library: publishes batches of finished edits and answers a user interface's questions,
//! wired by `distribution.toml` alone.
//!
//! `cargo run --release --example orchestrator -- init DIR --run` shows it at work.

#[path = "../shared/bar.rs"]
mod bar;
mod batch;
mod desk;
mod publishing;
mod questions;
#[path = "../shared/recovering.rs"]
mod recovering;
mod sample;
#[path = "../shared/shell.rs"]
mod shell;

use std::future::pending;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use distribution_backends::{Config, Opened};
use distribution_core::{Error, ErrorKind};
use tokio::net::TcpListener;

use crate::questions::{Find, Link, Named, Work};
use crate::recovering::{recover, recover_now_and_then};
use crate::sample::Init;
use crate::shell::{Stderr, exit_code, say, unavailable};

/// Publish batches of finished edits, and answer questions about them
///
/// Answers are printed on stdout as JSON, everything else on stderr. Whatever ends a run, the same run again
/// finishes the batch and publishes nothing twice.
///
/// Exit codes: 0 done (of a batch: everything is published), 1 stored data is damaged and an operator must look,
/// 2 the configuration or the question is wrong, 3 some edits were refused, rejected or wrong, and the rest is
/// published, 4 nothing is on record under that name, 5 something is out of reach or not known: run it again,
/// 130 interrupted: run it again.
#[derive(Parser)]
#[command(name = "orchestrator", verbatim_doc_comment)]
struct Options {
    /// The publisher's configuration
    #[arg(long, global = true, value_name = "FILE", default_value = "distribution.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write a sample into a folder: a configuration, staged edits, and a batch
    Init(Init),
    /// Publish a batch
    Run(Run),
    /// Take back all links to a published asset, where what signs them can
    Revoke(Named),
    /// What a run of the batch would do now; writes nothing
    Plan {
        #[arg(value_name = "FILE|-")]
        batch: PathBuf,
    },
    /// Try the whole path with objects of its own: store, read back, fetch through a link (`serve` must be up for
    /// links of kind `hmac`), remove
    Doctor,
    /// Serve the links of all targets whose links are of kind `hmac`, and recover now and then
    Serve(Serve),
    /// The newest published version of a work
    Latest(Work),
    /// A page of records, newest first
    Find(Find),
    /// The record of one publication
    Record(Named),
    /// A fresh link to a published asset, which leaves an entry in the audit trail
    Link(Link),
}

#[derive(Args)]
pub(crate) struct Run {
    /// Publish requests: a JSON array of them, or one after the other, such as one a line; `-` for stdin
    #[arg(value_name = "FILE|-")]
    batch: PathBuf,
    #[command(flatten)]
    limits: Limits,
}

#[derive(Args, Clone)]
pub(crate) struct Limits {
    /// How many edits are published at a time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    in_flight: u16,
    /// How long an edit is tried again while something is out of reach or another process is at work on it
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = questions::duration)]
    patience: Duration,
    /// How long edits that are under way may still take after Ctrl-C; then they are let go of
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = questions::duration)]
    grace: Duration,
    /// How often what crashed publishers left is looked for, give or take a quarter
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = questions::duration)]
    recover_every: Duration,
    /// Print download links too: they are secrets
    #[arg(long)]
    links: bool,
}

#[derive(Args)]
struct Serve {
    #[arg(default_value = "127.0.0.1:8787")]
    addr: SocketAddr,
    /// How often what crashed publishers left is looked for, give or take a quarter
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = questions::duration)]
    recover_every: Duration,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Options { config, command } = Options::parse();
    match run(&config, command).await {
        Ok(code) => code,
        // What is wrong with an edit is counted by the batch; here it is the question or the configuration.
        Err(error) => ExitCode::from(exit_code(&error)),
    }
}

async fn run(config: &Path, command: Command) -> Result<ExitCode, Error> {
    match command {
        Command::Init(init) => {
            let site = sample::write(&init)?;
            match init.limits() {
                Some(limits) => publish(&site.config, &site.batch, limits).await,
                None => Ok(ExitCode::SUCCESS),
            }
        }
        Command::Run(Run { batch, limits }) => publish(config, &batch, &limits).await,
        Command::Revoke(named) => questions::revoke(&open(config).await?.publisher, &named).await,
        Command::Plan { batch } => questions::plan(&open(config).await?.publisher, batch::read(&batch)?).await,
        Command::Doctor => questions::doctor(&open(config).await?.publisher).await,
        Command::Serve(options) => serve(config, options).await,
        Command::Latest(work) => questions::latest(&open(config).await?.publisher, &work).await,
        Command::Find(find) => questions::find(&open(config).await?.publisher, &find).await,
        Command::Record(named) => questions::record(&open(config).await?.publisher, &named).await,
        Command::Link(link) => questions::link(&open(config).await?.publisher, &link).await,
    }
}

async fn open(config: &Path) -> Result<Opened, Error> {
    // Who runs a command line reads its alerts there, wherever the configuration sends them.
    Config::load(config)?.open_with(|builder| builder.alerts(Arc::new(Stderr))).await
}

async fn publish(config: &Path, batch: &Path, limits: &Limits) -> Result<ExitCode, Error> {
    let edits = batch::read(batch)?;
    let publisher = open(config).await?.publisher;
    recover(&publisher).await;
    let stop = publishing::stop_when_interrupted();
    tokio::select! {
        tally = publishing::publish(&publisher, edits, limits, stop) => Ok(tally?.exit_code()),
        () = recover_now_and_then(&publisher, limits.recover_every) => pending().await,
    }
}

async fn serve(config: &Path, options: Serve) -> Result<ExitCode, Error> {
    let listener = TcpListener::bind(options.addr).await;
    let listener = listener.map_err(|error| unavailable("listen on", options.addr, error))?;
    let opened = open(config).await?;
    let routes = opened.router()?.ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, "no target has links of kind `hmac`: the services serve their own")
    })?;
    for download in &opened.downloads {
        say(&format!("serving the links of `{}`, {}/…, at {}", download.target, download.signer.base(), options.addr));
    }
    // Links need no records: they are served while what crashed is finished, and if that fails.
    let recovering = async {
        recover(&opened.publisher).await;
        recover_now_and_then(&opened.publisher, options.recover_every).await;
    };
    tokio::select! {
        served = shell::serve(listener, routes) => served?,
        () = recovering => {}
    }
    Ok(ExitCode::SUCCESS)
}
