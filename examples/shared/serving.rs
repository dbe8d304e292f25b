//! Serving over HTTP until told to end.

use std::time::Duration;

use axum::serve::ListenerExt as _;
use distribution_core::Error;
use tokio::net::TcpListener;

use crate::shell::{interrupted, say, unavailable};

/// Serves the routes until interrupted, and then lets downloads end.
pub(crate) async fn serve(listener: TcpListener, routes: axum::Router) -> Result<(), Error> {
    // An answer is more than one segment: each would wait for the one before to be acknowledged.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let serving = axum::serve(listener, routes).with_graceful_shutdown(interrupted()).into_future();
    tokio::select! {
        served = serving => served.map_err(|error| unavailable("serve", "links", error)),
        () = grace() => {
            say("cut off downloads that were still running");
            Ok(())
        }
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
