//! A small host of the library: publishes batches of finished edits, wired by `distribution.toml` alone. The
//! operator's program beside it, `ops`, answers questions about them.
//!
//! `cargo run --release --example orchestrator -- init DIR --run` shows it at work.

#[path = "../shared/bar.rs"]
mod bar;
#[path = "../shared/batch.rs"]
mod batch;
mod desk;
#[path = "../shared/duration.rs"]
mod duration;
#[path = "../shared/exit.rs"]
mod exit;
#[path = "../shared/json.rs"]
mod json;
#[path = "../shared/opening.rs"]
mod opening;
#[path = "../shared/patience.rs"]
mod patience;
mod publishing;
#[path = "../shared/recovering.rs"]
mod recovering;
mod sample;
#[path = "../shared/shell.rs"]
mod shell;

use std::future::pending;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use distribution_core::Error;

use crate::duration::duration;
use crate::opening::unattended;
use crate::recovering::{recover, recover_now_and_then};
use crate::sample::Init;
use crate::shell::complain;

/// Publish batches of finished edits
///
/// What became of each edit is printed on stdout, a line of JSON each, everything else on stderr. Whatever ends a
/// run, the same run again finishes the batch and publishes nothing twice. Questions are for `ops`.
///
/// Exit codes: 0 everything is published, 1 stored data is damaged and an operator must look, 2 the configuration
/// or the batch is wrong, 3 some edits were refused, rejected or wrong, and the rest is published, 5 something is
/// out of reach or not known: run it again, 130 interrupted: run it again.
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
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    patience: Duration,
    /// How long edits that are under way may still take after Ctrl-C; then they are let go of
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    grace: Duration,
    /// How often what crashed publishers left is looked for, give or take a quarter
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    recover_every: Duration,
    /// Print download links too: they are secrets
    #[arg(long)]
    links: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Options { config, command } = Options::parse();
    match run(&config, command).await {
        Ok(code) => code,
        // What is wrong with an edit is counted by the batch; here it is the batch or the configuration.
        Err(error) => {
            complain(&error);
            ExitCode::from(exit::code_of(&error))
        }
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
    }
}

async fn publish(config: &Path, batch: &Path, limits: &Limits) -> Result<ExitCode, Error> {
    let edits = batch::read(batch)?;
    unattended(config, async |opened| {
        let publisher = &opened.publisher;
        recover(publisher).await;
        let stop = publishing::stop_when_interrupted();
        tokio::select! {
            tally = publishing::publish(publisher, edits, limits, stop) => Ok(tally?.exit_code()),
            () = recover_now_and_then(publisher, limits.recover_every) => pending().await,
        }
    })
    .await
}
