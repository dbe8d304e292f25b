//! x

mod alert;
mod signing;

pub use alert::LogAlerts;
pub use signing::{Denied, Grant, HmacKey, HmacSigner};
