//! A reference Story MCP server over one SQLite file, to try and to test with:
//! `cargo run --example story_server -- --help`.
//!
//! It speaks the contract that `StoryMcpMetadata` documents, on standard input and output or over
//! streamable HTTP. It asks nobody who they are, so it listens on this machine only.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::serve::ListenerExt as _;
use clap::Parser;
use distribution_backends::SqliteMetadata;
use distribution_testkit::story::StoryServer;
use tokio::net::TcpListener;

/// A reference Story MCP server: the tools put, get and query over one SQLite file. Without --listen it
/// speaks on standard input and output.
#[derive(Parser)]
#[command(name = "story_server")]
struct Arguments {
    /// The SQLite file, which is made if it is not there
    #[arg(long, default_value = "story.db")]
    database: PathBuf,
    /// Serve streamable HTTP at this address of this machine, below /mcp; with port 0 at any free one, which
    /// is printed
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Leave out compare-and-swap, as a server to mirror records to; use another file then
    #[arg(long)]
    without_revision: bool,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let mut server = StoryServer::new(Arc::new(SqliteMetadata::open(&arguments.database).await?));
    if arguments.without_revision {
        server = server.without_revision();
    }
    let Some(address) = arguments.listen else {
        return Ok(server.serve(tokio::io::stdin(), tokio::io::stdout()).await?);
    };
    if !address.ip().is_loopback() {
        return Err("--listen must be an address of this machine, such as 127.0.0.1:0".into());
    }
    let listener = TcpListener::bind(address).await?;
    #[allow(clippy::print_stdout, reason = "what the caller needs to know")]
    {
        println!("http://{}/mcp", listener.local_addr()?);
    }
    // An answer is more than one segment: each would wait for the one before to be acknowledged.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    let routes = Router::new().nest_service("/mcp", server.http());
    Ok(axum::serve(listener, routes).with_graceful_shutdown(stop).await?)
}
