//! x

mod alert;
#[cfg(feature = "serve")]
pub mod serve;
mod signing;

pub use alert::LogAlerts;
pub use signing::{Denied, Grant, HmacKey, HmacSigner};
