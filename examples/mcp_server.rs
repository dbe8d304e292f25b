//! Publishing as MCP tools, wired by `distribution.toml`: `cargo run --example mcp_server -- --help`.

#[path = "shared/recovering.rs"]
mod recovering;
#[path = "shared/shell.rs"]
mod shell;

use std::future::pending;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use clap::{Parser, Subcommand};
use distribution_backends::serve::mcp::PublishTool;
use distribution_backends::{Config, Opened};
use distribution_core::Error;
use tokio::net::TcpListener;

use crate::recovering::{recover, recover_now_and_then};
use crate::shell::{Stderr, exit_code, say, unavailable};

/// How often what crashed publishers left is looked for, give or take a quarter.
const RECOVER_EVERY: Duration = Duration::from_secs(300);

/// The MCP tools publish_final_asset, get_distribution_record, list_distribution_records and
/// issue_download_link over one configuration
///
/// A client starts it with `stdio`, or reaches it below /mcp over HTTP. It asks nobody who they are,
/// so it listens on this machine only.
///
/// Exit codes: 0 done, 1 stored data is damaged and an operator must look, 2 the configuration is wrong, 5
/// something is out of reach.
#[derive(Parser)]
#[command(name = "mcp_server", verbatim_doc_comment)]
struct Options {
    /// The publisher's configuration
    #[arg(long, global = true, value_name = "FILE", default_value = "distribution.toml")]
    config: PathBuf,
    #[command(subcommand)]
    transport: Transport,
}

#[derive(Subcommand)]
enum Transport {
    /// Serve the client that started this, on standard input and output
    Stdio {
        /// Serve the links of targets whose links are of kind `hmac` too, at this address
        #[arg(long, value_name = "ADDR")]
        links: Option<SocketAddr>,
    },
    /// Serve clients over HTTP below /mcp, and the links of targets whose links are of kind `hmac`
    Http {
        #[arg(default_value = "127.0.0.1:8787")]
        addr: SocketAddr,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ExitCode::from(exit_code(&error)),
    }
}

async fn run(Options { config, transport }: Options) -> Result<(), Error> {
    // On stdio, stdout is the client's: all else goes to stderr.
    let opened = Config::load(config)?.open_with(|builder| builder.alerts(Arc::new(Stderr))).await?;
    let recovering = async {
        recover(&opened.publisher).await;
        recover_now_and_then(&opened.publisher, RECOVER_EVERY).await;
    };
    tokio::select! {
        served = serve(&opened, transport) => served,
        () = recovering => Ok(()),
    }
}

async fn serve(opened: &Opened, transport: Transport) -> Result<(), Error> {
    let tools = PublishTool::new(Arc::new(opened.publisher.clone()));
    let links = opened.router()?;
    match transport {
        Transport::Stdio { links: addr } => {
            let serving_links = async {
                match (addr, links) {
                    (Some(addr), Some(links)) => listen(addr, links).await,
                    _ => pending().await,
                }
            };
            tokio::select! {
                served = tools.serve_client(tokio::io::stdin(), tokio::io::stdout()) => served,
                served = serving_links => served,
            }
        }
        Transport::Http { addr } => {
            let tools = Router::new().nest_service("/mcp", tools.http([]));
            listen(addr, links.map_or(tools.clone(), |links| tools.merge(links))).await
        }
    }
}

async fn listen(addr: SocketAddr, routes: Router) -> Result<(), Error> {
    if !addr.ip().is_loopback() {
        return Err(Error::invalid("ADDR", "must be an address of this machine, such as 127.0.0.1:8787"));
    }
    let listener = TcpListener::bind(addr).await.map_err(|error| unavailable("listen on", addr, error))?;
    let at = listener.local_addr().map_err(|error| unavailable("listen on", addr, error))?;
    say(&format!("listening at http://{at}"));
    shell::serve(listener, routes).await
}
