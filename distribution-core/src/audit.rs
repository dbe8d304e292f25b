//! The audit port.

use async_trait::async_trait;

use crate::error::Error;
use crate::trail::AuditEntry;

/// Where audit entries are kept for good.
#[async_trait]
pub trait AuditSink: Send + Sync + 'static {
    /// Keeps these entries.
    ///
    /// * They are durable when it returns.
    /// * An entry whose [`EntryId`](crate::EntryId) is kept already is ignored.
    /// * On an error, any of them may have been kept: the caller repeats all.
    async fn append(&self, entries: &[AuditEntry]) -> Result<(), Error>;
}
