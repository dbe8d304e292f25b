//! Sinks whose entries are a chain.

use async_trait::async_trait;
use distribution_core::{AuditSink, Error};

use super::ChainHead;

/// A sink whose entries are a chain, so that its end can be noted elsewhere.
#[async_trait]
pub trait ChainedSink: AuditSink {
    /// The chain's name.
    fn source(&self) -> &str;

    /// The chain's end now, as it is kept.
    async fn head(&self) -> Result<ChainHead, Error>;
}
