//! The audit trail in memory.

use async_trait::async_trait;
use distribution_core::{AuditEntry, AuditSink, Error};

use crate::faults::Op;
use crate::world::World;

/// The audit trail of a [`World`].
#[derive(Clone, Debug)]
pub struct MemoryAudit {
    world: World,
}

impl MemoryAudit {
    /// The audit trail of this world.
    pub fn new(world: &World) -> Self {
        Self { world: world.clone() }
    }

    fn keep(&self, entries: &[AuditEntry]) {
        let kept = &mut self.world.lock().audit;
        for entry in entries {
            if !kept.iter().any(|known| known.id == entry.id) {
                kept.push(entry.clone());
            }
        }
    }
}

#[async_trait]
impl AuditSink for MemoryAudit {
    async fn append(&self, entries: &[AuditEntry]) -> Result<(), Error> {
        let subject = entries.first().map(|entry| entry.id.to_string()).unwrap_or_default();
        let call = self.world.begin(Op::AuditAppend, subject).await?;
        self.keep(entries);
        call.end(Ok(())).await
    }
}
