//! Serving links, and what a monitoring system asks.

use std::future::pending;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use clap::Args;
use distribution_backends::Opened;
use distribution_core::{Error, ErrorKind, Publisher};
use serde_json::json;
use tokio::net::TcpListener;

use crate::duration::duration;
use crate::json::print;
use crate::opening::unattended;
use crate::output::Output;
use crate::prometheus;
use crate::recovering::{recover, recover_now_and_then};
use crate::serving;
use crate::shell::{say, unavailable};

#[derive(Args)]
pub(crate) struct Serve {
    /// Where to listen; with port 0 at any free one, which is printed
    #[arg(default_value = "127.0.0.1:8787")]
    addr: SocketAddr,
    /// How often what crashed publishers left is looked for, give or take a quarter
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    recover_every: Duration,
    /// Where to serve `/metrics` too, for Prometheus: what this process counts. Not where links are, since whoever has
    /// a link need not see it
    #[arg(long, value_name = "ADDR")]
    metrics: Option<SocketAddr>,
}

impl Serve {
    pub(crate) async fn run(self, config: &Path, output: Output) -> Result<u8, Error> {
        let (listener, at) = listen(self.addr).await?;
        let metrics = match self.metrics {
            // Before anything is opened: what is counted earlier is lost.
            Some(addr) => Some((listen(addr).await?, prometheus::route(prometheus::record()?))),
            None => None,
        };
        unattended(config, async |opened| self.serve(opened, (listener, at), metrics, output).await).await
    }

    async fn serve(
        &self,
        opened: &Opened,
        (listener, at): Listening,
        metrics: Option<(Listening, Router)>,
        output: Output,
    ) -> Result<u8, Error> {
        let routes = routes(opened)?;
        for download in &opened.downloads {
            say(&format!("serving the links of `{}`, {}/…, at {at}", download.target, download.signer.base()));
        }
        if output.json {
            let bases = opened.downloads.iter();
            let bases: Vec<_> =
                bases.map(|one| json!({ "target": one.target, "base_url": one.signer.base() })).collect();
            let metrics = metrics.as_ref().map(|((_, at), _)| at);
            print(&json!({ "listening": at, "links": bases, "metrics": metrics }))?;
        }
        let measured = async {
            match metrics {
                Some(((listener, at), route)) => {
                    say(&format!("serving http://{at}/metrics"));
                    serving::serve(listener, route).await
                }
                None => Ok(()),
            }
        };
        let served = async { tokio::try_join!(serving::serve(listener, routes), measured).map(drop) };
        while_recovering(&opened.publisher, self.recover_every, served).await?;
        Ok(0)
    }
}

type Listening = (TcpListener, SocketAddr);

async fn listen(addr: SocketAddr) -> Result<Listening, Error> {
    let listener = TcpListener::bind(addr).await.map_err(|error| unavailable("listen on", addr, error))?;
    let at = listener.local_addr().map_err(|error| unavailable("listen on", addr, error))?;
    Ok((listener, at))
}

fn routes(opened: &Opened) -> Result<Router, Error> {
    opened.router()?.ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, "no target has links of kind `hmac`: the services serve their own")
    })
}

/// Serves, and finishes now and then what crashed publishers left. Links are served while that goes on, and if it
/// fails.
pub(crate) async fn while_recovering(
    publisher: &Publisher,
    every: Duration,
    serving: impl Future<Output = Result<(), Error>>,
) -> Result<(), Error> {
    let recovering = async {
        recover(publisher).await;
        recover_now_and_then(publisher, every).await;
        pending().await
    };
    tokio::select! {
        served = serving => served,
        never = recovering => never,
    }
}
