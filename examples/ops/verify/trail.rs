//! The trail, which is judged where it lies.

use distribution_backends::{AuditTrail, AuditVerdict, FindingKind, Verifier};
use distribution_core::Error;

/// Whether the trail is as it was written. It may grow meanwhile, so its last line may have no end yet, and what seems
/// wrong is looked at again. One that is not there is empty: what is missing, the records tell.
pub(super) async fn chain(trail: &AuditTrail) -> Result<AuditVerdict, Error> {
    let first = verdict(trail).await?;
    if first.is_clean() { Ok(first) } else { verdict(trail).await }
}

async fn verdict(trail: &AuditTrail) -> Result<AuditVerdict, Error> {
    let mut verdict = trail.verify(Verifier::new()).await?.finish();
    verdict.findings.retain(|finding| finding.kind != FindingKind::Unfinished);
    Ok(verdict)
}
