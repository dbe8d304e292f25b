//! Who is told when something is wrong.

use std::path::{Path, PathBuf};
#[cfg(feature = "alert-webhook")]
use std::sync::Arc;
use std::time::Duration;

use distribution_core::{Alert, AlertSink, Error};
use serde::Deserialize;

use super::document::Places;
use super::place::path;
use super::secret::Secret;
use super::values::Whole;
use crate::LogAlerts;

/// `[alerts]`: but for `kind`, the keys are those of `webhook`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub(super) struct Alerts {
    /// `log`: events of the `tracing` crate. `webhook`: an HTTP receiver, through a queue on disk. Default: `log`.
    kind: AlertKind,
    /// The receiver's URL.
    url: Option<Secret>,
    /// What it understands: `slack`, or `alertmanager`.
    format: Option<Format>,
    /// The directory of the queues: processes may share it, each has one of its own there.
    spool: Option<String>,
    /// For how long an alert is not sent again, in seconds, 1 to 86,400. Default: 600.
    window_secs: Option<Whole>,
    /// The most alerts that wait, 1 to 1,000,000. Default: 10,000.
    waiting_max: Option<Whole>,
    /// About the most MiB of alerts that wait, 1 to 1,024. Default: 8.
    waiting_max_mib: Option<Whole>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AlertKind {
    #[default]
    Log,
    Webhook,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    Slack,
    Alertmanager,
}

/// Where alerts will go.
#[derive(Clone, Debug)]
pub(super) enum AlertPlan {
    Log,
    #[cfg_attr(not(feature = "alert-webhook"), expect(dead_code, reason = "checked all the same"))]
    Webhook(Webhook),
}

#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "alert-webhook"), expect(dead_code, reason = "checked all the same"))]
pub(super) struct Webhook {
    url: Secret,
    format: Format,
    spool: PathBuf,
    window_secs: u32,
    entries_max: u32,
    mib_max: u32,
}

impl Alerts {
    /// # Errors
    /// `Invalid` or `Unsupported`, naming the key.
    pub(super) fn check(&self, base: &Path, places: &Places) -> Result<AlertPlan, Error> {
        let Self { kind, url, format, spool, window_secs, waiting_max, waiting_max_mib } = self.clone();
        if kind == AlertKind::Log {
            let given = [
                ("url", url.is_some()),
                ("format", format.is_some()),
                ("spool", spool.is_some()),
                ("window_secs", window_secs.is_some()),
                ("waiting_max", waiting_max.is_some()),
                ("waiting_max_mib", waiting_max_mib.is_some()),
            ];
            return match given.iter().find(|(_, is_given)| *is_given) {
                Some((key, _)) => {
                    Err(places.invalid(&format!("alerts.{key}"), "is of use with `kind = \"webhook\"` only"))
                }
                None => Ok(AlertPlan::Log),
            };
        }
        if cfg!(not(feature = "alert-webhook")) {
            return Err(places.locate("alerts.kind", super::bucket::lacks("alert-webhook")));
        }
        let needs =
            |key: &str, what: &str| places.invalid("alerts.kind", format!("`webhook` needs `alerts.{key}`, {what}"));
        let number = |value: Option<Whole>, key: &str, max: u32, usual: u32| match value {
            Some(value) => value.within(1..=max, &format!("alerts.{key}"), places),
            None => Ok(usual),
        };
        let spool = spool.ok_or_else(|| needs("spool", "a directory for the alerts that wait"))?;
        Ok(AlertPlan::Webhook(Webhook {
            url: url.ok_or_else(|| needs("url", "a reference to the receiver's URL"))?,
            format: format.ok_or_else(|| needs("format", "\"slack\" or \"alertmanager\""))?,
            spool: path(&spool, base).map_err(|error| places.locate("alerts.spool", error))?,
            window_secs: number(window_secs, "window_secs", 86_400, 600)?,
            entries_max: number(waiting_max, "waiting_max", 1_000_000, 10_000)?,
            mib_max: number(waiting_max_mib, "waiting_max_mib", 1_024, 8)?,
        }))
    }
}

/// The sink that a configuration names, open; from [`Config::alerts`](super::Config::alerts). Clones are the same one.
#[derive(Clone, Debug)]
pub struct OpenAlerts(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Log(LogAlerts),
    #[cfg(feature = "alert-webhook")]
    Webhook(Arc<crate::RunningAlerts>),
}

impl OpenAlerts {
    /// Waits until nothing waits to be sent, and at most so long: what a program does at its end. What is not sent by
    /// then stays in the queue, for whichever process comes next.
    pub async fn settle(&self, at_most: Duration) {
        match &self.0 {
            Kind::Log(_) => {
                let _ = at_most;
            }
            #[cfg(feature = "alert-webhook")]
            Kind::Webhook(alerts) => alerts.settle(at_most).await,
        }
    }
}

impl AlertSink for OpenAlerts {
    fn raise(&self, alert: Alert) {
        match &self.0 {
            Kind::Log(log) => log.raise(alert),
            #[cfg(feature = "alert-webhook")]
            Kind::Webhook(alerts) => alerts.raise(alert),
        }
    }
}

impl AlertPlan {
    pub(super) async fn open(&self, base: &Path, places: &Places) -> Result<OpenAlerts, Error> {
        match self {
            Self::Log => Ok(OpenAlerts(Kind::Log(LogAlerts))),
            #[cfg(feature = "alert-webhook")]
            Self::Webhook(webhook) => webhook.open(base, places).await,
            #[cfg(not(feature = "alert-webhook"))]
            Self::Webhook(_) => {
                let _ = base;
                Err(places.locate("alerts.kind", super::bucket::lacks("alert-webhook")))
            }
        }
    }
}

#[cfg(feature = "alert-webhook")]
mod with {
    use super::*;
    use crate::blocking::blocking;
    use crate::{SystemClock, WebhookAlerts, WebhookConfig, WebhookFormat};

    impl Webhook {
        pub(super) async fn open(&self, base: &Path, places: &Places) -> Result<OpenAlerts, Error> {
            let (url, base) = (self.url.clone(), base.to_owned());
            let url = blocking(move |_| url.read(&base)).await.map_err(|error| places.locate("alerts.url", error))?;
            let format = match self.format {
                Format::Slack => WebhookFormat::Slack,
                Format::Alertmanager => WebhookFormat::Alertmanager,
            };
            let mut config = WebhookConfig::new(url.as_str(), format, &self.spool);
            config.window = Duration::from_secs(self.window_secs.into());
            config.entries_max = self.entries_max as usize;
            config.bytes_max = u64::from(self.mib_max) << 20;
            let opened = WebhookAlerts::start(config, Arc::new(SystemClock)).await.map_err(|error| {
                let at = if error.field() == Some("alerts.url") { "alerts.url" } else { "alerts.spool" };
                places.locate(at, error)
            })?;
            Ok(OpenAlerts(Kind::Webhook(Arc::new(opened))))
        }
    }
}
