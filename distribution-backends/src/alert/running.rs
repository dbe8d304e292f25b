//! Alerts with the task that sends them.

use std::sync::Arc;
use std::time::Duration;

use distribution_core::{Alert, AlertSink};
use tokio::task::JoinHandle;

use super::WebhookAlerts;

/// [`WebhookAlerts`] with their task, which ends when this is dropped: what is not sent by then waits on disk.
#[derive(Debug)]
pub struct RunningAlerts {
    alerts: Arc<WebhookAlerts>,
    task: JoinHandle<()>,
}

impl RunningAlerts {
    pub(super) fn new(alerts: Arc<WebhookAlerts>) -> Self {
        let task = tokio::spawn(alerts.clone().run());
        Self { alerts, task }
    }

    /// Waits until nothing waits to be sent, and at most so long: what a program does at its end. What is not sent by
    /// then stays in the queue.
    pub async fn settle(&self, at_most: Duration) {
        let settling = async {
            loop {
                match self.alerts.deliver().await {
                    Ok(None) => return,
                    Ok(Some(due)) => {
                        let pause = (due - self.alerts.now()).to_std().unwrap_or_default();
                        tokio::time::sleep(pause.max(Duration::from_millis(10))).await;
                    }
                    Err(error) => return tracing::error!(%error, "alerts wait in memory"),
                }
            }
        };
        if tokio::time::timeout(at_most, settling).await.is_err() {
            tracing::warn!("alerts wait for the next process: the receiver did not take them in time");
        }
    }
}

impl AlertSink for RunningAlerts {
    fn raise(&self, alert: Alert) {
        self.alerts.raise(alert);
    }
}

impl Drop for RunningAlerts {
    fn drop(&mut self) {
        self.task.abort();
        self.alerts.keep();
    }
}
