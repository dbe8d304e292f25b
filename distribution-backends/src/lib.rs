//! x

mod alert;

pub use alert::LogAlerts;
