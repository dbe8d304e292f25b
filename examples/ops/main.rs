//! The operator's program over `distribution.toml`: publishes one file, tells what is on record, proves it again,
//! and serves. Batches are published by the orchestrator beside it.
//!
//! `cargo run --release --example ops -- --config FILE list`, and `--help` for the rest.

mod after;
mod ask;
mod audit;
#[path = "../shared/bar.rs"]
mod bar;
#[path = "../shared/batch.rs"]
mod batch;
mod doctor;
#[path = "../shared/duration.rs"]
mod duration;
#[path = "../shared/exit.rs"]
mod exit;
mod failures;
#[path = "../shared/json.rs"]
mod json;
mod links;
mod list;
mod mcp;
mod metrics;
#[path = "../shared/opening.rs"]
mod opening;
mod output;
#[path = "../shared/patience.rs"]
mod patience;
#[path = "../shared/metrics.rs"]
mod prometheus;
mod publish;
mod recover;
#[path = "../shared/recovering.rs"]
mod recovering;
mod scrub;
mod serve;
#[path = "../shared/serving.rs"]
mod serving;
#[path = "../shared/shell.rs"]
mod shell;
mod show;
mod sweep;
mod verify;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use distribution_core::Error;
use serde_json::json;
use tokio::runtime;

use crate::opening::{attended, unattended};
use crate::output::Output;
use crate::shell::{complain, interrupted, say};

/// How long what blocks on a disk, or on stdin, may still take at the end.
const ENDING_MAX: Duration = Duration::from_secs(2);

/// Run distribution: publish, look, prove, mend, serve
///
/// Answers are printed on stdout as tables, or with --json as one line of JSON; everything else on stderr.
/// Ctrl-C does no harm at any moment: the same command again goes on.
///
/// Exit codes: 0 done, 1 stored data is damaged and an operator must look, 2 the configuration, the request or
/// the question is wrong, 3 refused by QC (of a plan: some requests would not be published), 4 what was asked for
/// is not there: the staged file is not what was approved, nothing is on record under that name, it was taken back,
/// or is in the archive, 5 something is out of reach or not known: run it again, 130 interrupted: run it again.
#[derive(Parser)]
#[command(name = "ops")]
struct Options {
    /// The publisher's configuration
    #[arg(long, global = true, value_name = "FILE", default_value = "distribution.toml")]
    config: PathBuf,
    /// Print JSON instead of tables; errors too
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Publish one file, or tell what an equal request has published
    Publish(publish::Publish),
    /// What publishing would do now; writes nothing
    Plan(ask::Plan),
    /// Try the whole path with objects of its own: store, read back, fetch through a link (`serve` must be up for
    /// links of kind `hmac`), remove
    Doctor,
    /// All that is known of one publication
    Show(show::Show),
    /// A page of records, newest first
    List(list::List),
    /// The latest version of a work: the newest, or the one that was rolled back to
    Latest(ask::Latest),
    /// A fresh link to a published asset, which leaves an entry in the audit trail
    Link(links::Link),
    /// Take back all links to a published asset, where what signs them can
    Revoke(links::Revoke),
    /// Make an earlier version of a work the latest again, having read its copy back
    Rollback(after::Rollback),
    /// Take a publication back: no link from now on, and `sweep --run` removes its object a day later
    Retract(after::Retract),
    /// Have a publication, or all versions of a work, kept, whatever else is asked for
    Hold(after::Hold),
    /// End a hold
    Release(after::Hold),
    /// Copy what is published to the archive of its target, and free the other copies: no links until it is restored
    Archive(after::Archive),
    /// Copy what is in the archive back to its target, so that there are links again
    Restore(after::Restore),
    /// Finish what crashed publishers left, and make the copies that are missing on other targets
    Recover,
    /// Read published copies again; what is lost is told to the operators, and copied anew from another copy or the
    /// staged file
    Scrub(scrub::Scrubbing),
    /// Clear away staged files that were published long ago, and what crashes and failed attempts have left in
    /// storage; without --run, only tell what would be removed
    Sweep(sweep::Sweep),
    /// Judge what is stored without the publisher: read every published object, its record and its audit trail, and
    /// whether that is as it was written
    Verify(verify::Verify),
    /// Prove the audit trail, and what it says, to others
    Audit(audit::Audit),
    /// What the records of a time tell: how many, how far, how fast, and what is unfinished
    Metrics(metrics::Metrics),
    /// Serve the links of all targets whose links are of kind `hmac`, and recover now and then
    Serve(serve::Serve),
    /// Serve publishing as MCP tools, to one client on stdin and stdout or over HTTP
    Mcp(mcp::Mcp),
}

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = match runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("cannot start: {error}"));
            return ExitCode::from(exit::AGAIN);
        }
    };
    let code = runtime.block_on(run_or_stop(options));
    runtime.shutdown_timeout(ENDING_MAX);
    ExitCode::from(code)
}

async fn run_or_stop(Options { config, json, command }: Options) -> u8 {
    // There, stdout is the client's.
    let output = Output { json: json && !matches!(command, Command::Mcp(_)) };
    let ends_itself = matches!(command, Command::Doctor | Command::Sweep(_) | Command::Serve(_) | Command::Mcp(_));
    let running = run(&config, command, output);
    let outcome = tokio::select! {
        outcome = running => outcome,
        () = interrupted(), if !ends_itself => {
            say("interrupted: the same command again goes on");
            return exit::INTERRUPTED;
        }
    };
    outcome.unwrap_or_else(|error| {
        complain(&error);
        let told = json!({ "error": { "kind": error.kind(), "message": error.to_string() } });
        // What is wrong has been said on stderr, whatever becomes of stdout.
        let _ = output.json.then(|| json::print(&told));
        exit::code_of(&error)
    })
}

async fn run(config: &Path, command: Command, output: Output) -> Result<u8, Error> {
    match command {
        Command::Publish(publish) => publish.run(config, output).await,
        Command::Plan(plan) => plan.run(config, output).await,
        Command::Doctor => attended(config, async |opened| doctor::run(&opened.publisher, output).await).await,
        Command::Show(show) => attended(config, async |opened| show.run(opened, output).await).await,
        Command::List(list) => attended(config, async |opened| list.run(&opened.publisher, output).await).await,
        Command::Latest(latest) => attended(config, async |opened| latest.run(&opened.publisher, output).await).await,
        Command::Link(link) => attended(config, async |opened| link.run(&opened.publisher, output).await).await,
        Command::Revoke(revoke) => attended(config, async |opened| revoke.run(&opened.publisher, output).await).await,
        Command::Rollback(rollback) => {
            attended(config, async |opened| rollback.run(&opened.publisher, output).await).await
        }
        Command::Retract(retract) => {
            attended(config, async |opened| retract.run(&opened.publisher, output).await).await
        }
        Command::Hold(hold) => attended(config, async |opened| hold.run(&opened.publisher, true, output).await).await,
        Command::Release(hold) => {
            attended(config, async |opened| hold.run(&opened.publisher, false, output).await).await
        }
        Command::Archive(archive) => {
            attended(config, async |opened| archive.run(&opened.publisher, output).await).await
        }
        Command::Restore(restore) => {
            attended(config, async |opened| restore.run(&opened.publisher, output).await).await
        }
        Command::Recover => unattended(config, async |opened| recover::run(&opened.publisher, output).await).await,
        Command::Scrub(scrub) => unattended(config, async |opened| scrub.run(&opened.publisher, output).await).await,
        Command::Sweep(sweep) if sweep.run => unattended(config, async |opened| sweep.run(opened, output).await).await,
        Command::Sweep(sweep) => attended(config, async |opened| sweep.run(opened, output).await).await,
        Command::Verify(verify) => verify.run(config, output).await,
        Command::Audit(audit) => audit.run(config, output).await,
        Command::Metrics(metrics) => {
            attended(config, async |opened| metrics.run(&opened.publisher, output).await).await
        }
        Command::Serve(serve) => serve.run(config, output).await,
        Command::Mcp(mcp) => mcp.run(config).await,
    }
}
