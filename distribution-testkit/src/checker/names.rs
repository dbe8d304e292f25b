//! What events are called.

use distribution_core::AuditEvent;

pub(super) fn name_of(event: &AuditEvent) -> &'static str {
    match event {
        AuditEvent::Claimed { .. } => "claimed",
        AuditEvent::Reopened { .. } => "reopened",
        AuditEvent::AttemptFailed { .. } => "attempt_failed",
        AuditEvent::Published { .. } => "published",
        AuditEvent::Rejected { .. } => "rejected",
        AuditEvent::Amended { .. } => "amended",
        AuditEvent::LinkGranted { .. } => "link_granted",
        AuditEvent::AccessGranted { .. } => "access_granted",
        AuditEvent::LinkIssued { .. } => "link_issued",
        AuditEvent::LinksRevoked => "links_revoked",
        AuditEvent::Replicated { .. } => "replicated",
        AuditEvent::ReplicaLost { .. } => "replica_lost",
        AuditEvent::Restored { .. } => "restored",
        AuditEvent::ArchiveWanted { .. } => "archive_wanted",
        AuditEvent::HotFreed { .. } => "hot_freed",
        AuditEvent::HotKept => "hot_kept",
        AuditEvent::Numbered { .. } => "numbered",
        AuditEvent::RolledBack { .. } => "rolled_back",
        AuditEvent::HoldPlaced { .. } => "hold_placed",
        AuditEvent::HoldReleased { .. } => "hold_released",
        AuditEvent::Retracted { .. } => "retracted",
        AuditEvent::CopyReleased { .. } => "copy_released",
        AuditEvent::StagedFileReleased { .. } => "staged_file_released",
        AuditEvent::Refused { .. } => "refused",
        _ => "an unknown event",
    }
}
