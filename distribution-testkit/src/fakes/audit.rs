//! The audit trail in memory.

use async_trait::async_trait;
use distribution_core::{AuditEntry, AuditSink, Error};

use crate::faults::{Fault, Op};
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
}

#[async_trait]
impl AuditSink for MemoryAudit {
    async fn append(&self, entries: &[AuditEntry]) -> Result<(), Error> {
        let subject = entries.first().map(|entry| entry.id.to_string()).unwrap_or_default();
        let call = self.world.begin(Op::AuditAppend, subject).await?;
        let arrive = if call.has(Fault::Torn) { entries.len() / 2 } else { entries.len() };
        let entries: Vec<AuditEntry> = entries.iter().take(arrive).cloned().collect();
        call.write(move |state| {
            for entry in &entries {
                if state.audit_ids.insert(entry.id.clone()) {
                    state.audit.push(entry.clone());
                }
            }
            Ok(())
        })
        .await
    }
}
