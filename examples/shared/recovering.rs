//! Finishes what crashed publishers left.

use std::time::Duration;

use distribution_core::{Publisher, Recovery};

use crate::shell::say;

/// Looks now and then for what crashed publishers left, at moments that differ between hosts. Never ends.
pub(crate) async fn recover_now_and_then(publisher: &Publisher, every: Duration) {
    loop {
        tokio::time::sleep(every.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
        recover(publisher).await;
    }
}

/// What hinders it hinders nobody who publishes something else.
pub(crate) async fn recover(publisher: &Publisher) {
    match publisher.recover().await {
        Ok(recovery) => tell(&recovery),
        Err(error) => say(&format!("recovery comes again later: {error}")),
    }
}

fn tell(recovery: &Recovery) {
    let Recovery { settled, busy, failed, failures } = recovery;
    if settled + busy + failed > 0 {
        say(&format!("recovery: {settled} finished, {busy} left to others at work on them, {failed} failed"));
    }
    for (id, error) in failures {
        say(&format!("recovery of {id}: {error}"));
    }
}
