//! Where alerts go.

mod log;
#[cfg(feature = "alert-webhook")]
mod message;
#[cfg(feature = "alert-webhook")]
mod running;
#[cfg(feature = "alert-webhook")]
mod spool;
#[cfg(feature = "alert-webhook")]
mod webhook;

pub use log::LogAlerts;
#[cfg(feature = "alert-webhook")]
pub use running::RunningAlerts;
#[cfg(feature = "alert-webhook")]
pub use webhook::{WebhookAlerts, WebhookConfig, WebhookFormat};
