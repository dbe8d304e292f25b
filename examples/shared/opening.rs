//! Opening the publisher of a configuration, and ending as a program must.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use distribution_backends::{Config, OpenAlerts, Opened};
use distribution_core::{Alert, AlertSink, Error};

use crate::shell::{Stderr, complain};

/// How long alerts may still take at the end. What is not sent by then, another process sends.
const ALERTS_MAX: Duration = Duration::from_secs(10);

/// For what runs unattended: alerts go to stderr, and to where the configuration sends them.
pub(crate) async fn unattended<T>(
    config: &Path,
    work: impl AsyncFnOnce(&Opened) -> Result<T, Error>,
) -> Result<T, Error> {
    let config = Config::load(config)?;
    let alerts = config.alerts().await?;
    let outcome = opened(&config, Arc::new(Both(alerts.clone())), work).await;
    alerts.settle(ALERTS_MAX).await;
    outcome
}

/// For who sits in front of the terminal and reads alerts there; the configuration's queue stays closed.
#[allow(dead_code, reason = "not every program has somebody there")]
pub(crate) async fn attended<T>(
    config: &Path,
    work: impl AsyncFnOnce(&Opened) -> Result<T, Error>,
) -> Result<T, Error> {
    opened(&Config::load(config)?, Arc::new(Stderr), work).await
}

async fn opened<T>(
    config: &Config,
    alerts: Arc<dyn AlertSink>,
    work: impl AsyncFnOnce(&Opened) -> Result<T, Error>,
) -> Result<T, Error> {
    let opened = config.open_with(|builder| builder.alerts(alerts)).await?;
    let outcome = work(&opened).await;
    // What was done is done, and told; the next process that adds to the trail notes its end.
    if let Err(error) = opened.close().await {
        complain(&error);
    }
    outcome
}

struct Both(OpenAlerts);

impl AlertSink for Both {
    fn raise(&self, alert: Alert) {
        Stderr.raise(alert.clone());
        self.0.raise(alert);
    }
}
