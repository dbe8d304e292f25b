//! From a request to an order: every default filled in, every value checked, nothing done yet.

use crate::error::Error;
use crate::identity::{AuditLogId, Identity};
use crate::key::{KeyParts, TargetName};
use crate::parts::{Policy, Reach, Target};
use crate::publication::{Details, Publication};
use crate::qc::QcReport;
use crate::request::{Access, DistributionSettings, IdempotencyKey, PublishRequest, VideoUrl};

/// A request that can be carried out, if QC has passed it.
pub(crate) struct Order {
    pub(crate) publication: Publication,
    pub(crate) details: Details,
    pub(crate) source: VideoUrl,
    pub(crate) qc: QcReport,
    pub(crate) idempotency_key: Option<IdempotencyKey>,
}

impl Order {
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) or [`Unsupported`](crate::ErrorKind::Unsupported), naming the field.
    pub(crate) fn new<'t>(
        request: PublishRequest,
        policy: &Policy,
        target: impl FnOnce(&TargetName) -> Option<&'t Target>,
    ) -> Result<Self, Error> {
        let PublishRequest { final_edit, qc_report, distribution_settings, idempotency_key } = request;
        let DistributionSettings { storage_target, storage_prefix, url_expiry_hours, access, metadata } =
            distribution_settings;
        metadata.validate()?;
        qc_report.validate()?;
        idempotency_key.as_ref().map_or(Ok(()), IdempotencyKey::check_unreserved)?;

        let name = storage_target.unwrap_or_else(|| policy.target.clone());
        let target = target(&name).ok_or_else(|| {
            Error::invalid("distribution_settings.storage_target", format!("no target is configured as `{name}`"))
        })?;
        let key = policy.key_template.render(KeyParts {
            prefix: storage_prefix.as_ref().unwrap_or(&policy.storage_prefix),
            stem: &final_edit.video_url.stem(),
            checksum: &final_edit.checksum,
            concept_id: metadata.concept_id.as_ref(),
            title: metadata.title.as_deref(),
        })?;
        let identity = Identity {
            target: &name,
            key: &key,
            checksum: &final_edit.checksum,
            concept_id: metadata.concept_id.as_ref(),
        };
        let publication = Publication {
            audit_log_id: AuditLogId::of(identity),
            key_tells_bytes: policy.key_template.tells_bytes_apart(),
            checksum: final_edit.checksum,
            concept_id: metadata.concept_id.clone(),
            duration_seconds: final_edit.duration_seconds,
            target: name,
            key,
        };
        let access = access.unwrap_or(match target.reach {
            Reach::Private { .. } => policy.access,
            Reach::Public(_) => Access::Public,
        });
        target.base(access).map_err(|error| error.at("distribution_settings.access"))?;
        let url_expiry_hours = check_expiry(url_expiry_hours.unwrap_or(policy.url_expiry_hours), target)?;
        let details = Details { url_expiry_hours, access, metadata };
        Ok(Self { publication, details, source: final_edit.video_url, qc: qc_report, idempotency_key })
    }
}

fn check_expiry(hours: u32, target: &Target) -> Result<u32, Error> {
    // Where links never end, it is of no use and no harm.
    let Reach::Private { signer, .. } = &target.reach else { return Ok(hours) };
    let limits = signer.limits();
    if (limits.valid_hours_min..=limits.valid_hours_max).contains(&hours) {
        return Ok(hours);
    }
    let message =
        format!("must be {} to {} hours for this target, not {hours}", limits.valid_hours_min, limits.valid_hours_max);
    Err(Error::invalid("distribution_settings.url_expiry_hours", message))
}
