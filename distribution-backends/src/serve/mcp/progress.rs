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

/// What watches a publish, and what is heard of it.
pub(super) fn watch() -> (Arc<dyn Progress>, News) {
    let (sender, receiver) = watch::channel(Seen::default());
    (Arc::new(Watch(sender)), News { seen: receiver, told: 0 })
}

/// The newest state of a publish.
pub(super) struct News {
    seen: watch::Receiver<Seen>,
    /// How many bytes the client was told of.
    told: u64,
}

impl News {
    /// Tells the client, if it wants to know, as long as this is polled.
    pub(super) async fn tell_client(&mut self, context: &RequestContext<RoleServer>) -> Infallible {
        if let Some(token) = context.meta.get_progress_token() {
            self.notify(token, &context.peer).await;
        }
        pending().await
    }

    /// Hands each text over, as long as this is polled.
    pub(super) async fn tell(&mut self, tell: impl Fn(String)) -> Infallible {
        loop {
            tell(self.seen.borrow_and_update().text());
            if self.seen.changed().await.is_err() {
                return pending().await;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Ends when nobody listens.
    async fn notify(&mut self, token: ProgressToken, peer: &Peer<RoleServer>) {
        while self.seen.changed().await.is_ok() {
            let now = *self.seen.borrow_and_update();
            // The protocol wants each to be more than the one before.
            if now.bytes_in_all > self.told {
                self.told = now.bytes_in_all;
                #[expect(clippy::cast_precision_loss, reason = "what the protocol has")]
                let progress = ProgressNotificationParam::new(token.clone(), self.told as f64).with_message(now.text());
                if peer.notify_progress(progress).await.is_err() {
                    return;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

impl Seen {
    fn text(&self) -> String {
        let bytes = self.bytes;
        match self.stage {
            Some(Stage::Transfer { total }) => format!("transfer: {bytes} of {total} bytes"),
            Some(Stage::Prove) => format!("prove: {bytes} bytes"),
            Some(Stage::Replicate) => format!("replicate: {bytes} bytes"),
            Some(Stage::Audit) => "audit".to_owned(),
            Some(_) => "sign".to_owned(),
            None => "begun".to_owned(),
        }
    }
}
