//! Publishing as MCP tools.

use std::future::pending;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use clap::{Args, Subcommand};
use distribution_backends::Opened;
use distribution_backends::serve::mcp::PublishTool;
use distribution_core::Error;
use tokio::net::TcpListener;

use crate::duration::duration;
use crate::opening::unattended;
use crate::serve::while_recovering;
use crate::serving;
use crate::shell::{say, unavailable};

/// The tools publish_final_asset, get_distribution_record, list_distribution_records, get_latest_version,
/// roll_back_to_version, restore_publication, retract_publication and issue_download_link over one configuration
///
/// A client starts it with `stdio`, or reaches it below /mcp over HTTP. It asks nobody who they are, so it listens
/// on this machine only.
#[derive(Args)]
pub(crate) struct Mcp {
    #[command(subcommand)]
    transport: Transport,
    /// How often what crashed publishers left is looked for, give or take a quarter
    #[arg(long, global = true, value_name = "TIME", default_value = "5m", value_parser = duration)]
    recover_every: Duration,
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

impl Mcp {
    pub(crate) async fn run(self, config: &Path) -> Result<u8, Error> {
        // On stdio, stdout is the client's: all else goes to stderr.
        let serving = async |opened: &Opened| {
            while_recovering(&opened.publisher, self.recover_every, serve(opened, self.transport)).await?;
            Ok(0)
        };
        unattended(config, serving).await
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
    serving::serve(listener, routes).await
}
