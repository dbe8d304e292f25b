//! Progress notifications: the newest state, a few times a second, and nobody waits for the client.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use distribution_core::{Progress, Stage};
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext, RoleServer};
use tokio::sync::watch;

const PAUSE: Duration = Duration::from_millis(100);

/// How far a publish is.
#[derive(Clone, Copy, Default)]
struct Seen {
    stage: Option<Stage>,
    /// Of this stage.
    bytes: u64,
    /// Of all stages so far, so that it never goes down.
    bytes_in_all: u64,
}

struct Watch(watch::Sender<Seen>);

impl Progress for Watch {
    fn stage(&self, stage: Stage) {
        self.0.send_modify(|seen| (seen.stage, seen.bytes) = (Some(stage), 0));
    }

    fn advance(&self, bytes: u64) {
        self.0.send_modify(|seen| {
            seen.bytes = seen.bytes.saturating_add(bytes);
            seen.bytes_in_all = seen.bytes_in_all.saturating_add(bytes);
        });
    }
}

/// What watches the publish, and what tells the client as long as it is polled.
pub(super) fn watch(context: &RequestContext<RoleServer>) -> (Arc<dyn Progress>, impl Future<Output = Infallible>) {
    let (sender, receiver) = watch::channel(Seen::default());
    let told = context.meta.get_progress_token().map(|token| (token, context.peer.clone()));
    (Arc::new(Watch(sender)), async move {
        if let Some((token, peer)) = told {
            tell(receiver, token, peer).await;
        }
        pending().await
    })
}

/// Ends when nobody listens.
async fn tell(mut seen: watch::Receiver<Seen>, token: ProgressToken, peer: Peer<RoleServer>) {
    let mut told = 0;
    while seen.changed().await.is_ok() {
        let now = *seen.borrow_and_update();
        // The protocol wants each to be more than the one before.
        if now.bytes_in_all > told {
            told = now.bytes_in_all;
            #[expect(clippy::cast_precision_loss, reason = "what the protocol has")]
            let progress = ProgressNotificationParam::new(token.clone(), told as f64).with_message(now.text());
            if peer.notify_progress(progress).await.is_err() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Seen {
    fn text(&self) -> String {
        let bytes = self.bytes;
        match self.stage {
            Some(Stage::Transfer { total }) => format!("transfer: {bytes} of {total} bytes"),
            Some(Stage::Prove) => format!("prove: {bytes} bytes"),
            Some(Stage::Audit) => "audit".to_owned(),
            Some(_) => "sign".to_owned(),
            None => "begun".to_owned(),
        }
    }
}
