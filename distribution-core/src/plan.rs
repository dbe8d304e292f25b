//! The dry run: what a publish would do now.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::identity::AuditLogId;
use crate::key::{ObjectKey, TargetName};
use crate::lease::busy;
use crate::object::Location;
use crate::order::Order;
use crate::preflight::Preflight;
use crate::publisher::Publisher;
use crate::record::{Phase, Published, Record};
use crate::rejection::Rejection;
use crate::request::{Access, PublishRequest};
use crate::time::{Timestamp, link_expiry};

/// What a publish would do now. It promises nothing: another call, or another file, may come first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The publication's name.
    pub audit_log_id: AuditLogId,
    /// What would be done with the file.
    pub action: PlannedAction,
    /// The target.
    pub storage_target: TargetName,
    /// Where the object is, or would be.
    pub storage_location: Location,
    /// The size in bytes of the staged file, or of the object that is there already.
    pub size_bytes: u64,
    /// Who could download.
    pub access: Access,
    /// When the link would stop working, unless the signer's credentials end earlier; `null` if never.
    pub expires_at: Option<Timestamp>,
    /// Whether the record of an earlier call would be changed: other metadata, expiry or access.
    pub amends: bool,
    /// What preflight finds in the staged file, or has found in the published one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preflight: Option<Preflight>,
}

/// What would be done with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PlannedAction {
    /// The staged file would be copied, and the copy read back.
    Copy,
    /// Something is at the place already: it would be read. Only if it has other bytes, the file would be
    /// copied to another place, or, where keys do not tell files apart, be a conflict.
    Prove,
    /// It is published: the answer would be given again.
    Answer,
}

impl Publisher {
    /// What [`publish`](Self::publish) would do with this request now: the gate, the staged file, the place,
    /// what is on record. Nothing is written, no audit entry and no alert either. The staged file is looked
    /// into where there is an inspector, and not read, so that it may still turn out to have other bytes.
    ///
    /// ```
    /// use distribution_core::PlannedAction;
    /// use distribution_testkit::{World, request};
    /// # futures::executor::block_on(async {
    /// let world = World::new();
    /// world.stage("clip.mp4", "approved bytes");
    /// let (publisher, request) = (world.publisher("host-1"), request("clip.mp4", b"approved bytes"));
    ///
    /// let plan = publisher.plan(request.clone()).await?;
    /// assert_eq!((plan.action, plan.size_bytes), (PlannedAction::Copy, 14));
    ///
    /// let published = publisher.publish(request.clone()).await?;
    /// assert_eq!(published.storage_location, plan.storage_location);
    /// assert_eq!(publisher.plan(request).await?.action, PlannedAction::Answer);
    /// # Ok::<(), distribution_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// Those of [`publish`](Self::publish), as far as looking tells.
    pub async fn plan(&self, request: PublishRequest) -> Result<Plan, Error> {
        let (order, now) = (self.order(request)?, self.now());
        self.approval(&order, now).await?;
        if let Some(key) = &order.idempotency_key
            && let Some(named) = self.parts().metadata.bound(key).await?
        {
            Self::check_named(&named, &order)?;
        }
        let row = self.parts().metadata.load(&order.publication.audit_log_id).await?;
        let record = row.as_ref().map(Record::decode).transpose()?;
        if let Some(record) = &record {
            Self::check_duration(record, &order)?;
            if let Phase::Retracted(retracted) = &record.phase {
                return Err(retracted.error(record.id()));
            }
            self.check_takeable(record, now)?;
        }
        let published = record.as_ref().and_then(|record| match &record.phase {
            Phase::Published(published) => Some((record, published)),
            _ => None,
        });
        let (action, storage_location, size_bytes, preflight) = match published {
            Some((record, published)) => {
                record.check_hot()?;
                self.check_stored(record, published).await?;
                let Published { location, proof, preflight, .. } = published;
                (PlannedAction::Answer, location.clone(), proof.digest.size, preflight.clone())
            }
            None => self.plan_object(&order, record.as_ref()).await?,
        };
        let living = published.and_then(|(_, Published { link_expires_at, .. })| *link_expires_at);
        let fresh = || link_expiry(now, order.details.url_expiry_hours);
        Ok(Plan {
            action,
            storage_location,
            size_bytes,
            access: order.details.access,
            expires_at: match order.details.access {
                Access::Signed => living.filter(|end| now < *end).or_else(fresh),
                Access::Public | Access::Authenticated => None,
            },
            preflight: preflight.map(|found| *found),
            amends: record.is_some_and(|record| record.details != order.details),
            audit_log_id: order.publication.audit_log_id,
            storage_target: order.publication.target,
        })
    }

    /// # Errors
    /// [`Busy`](crate::ErrorKind::Busy) while another publisher is at work.
    fn check_takeable(&self, record: &Record, now: Timestamp) -> Result<(), Error> {
        match record.work().map(|work| &work.lease) {
            Some(lease) if lease.is_live(now) && lease.holder != self.parts().holder => {
                Err(busy(record, lease.until, now))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// What would become of the object of the attempt that is next.
    async fn plan_object(
        &self,
        order: &Order,
        record: Option<&Record>,
    ) -> Result<(PlannedAction, Location, u64, Option<Box<Preflight>>), Error> {
        let key = record.map_or_else(|| order.publication.key.clone(), Record::object_key);
        let storage = &self.target(&order.publication)?.storage;
        if let Some(present) = storage.stat(&key).await? {
            return Ok((PlannedAction::Prove, storage.location(&key), present.size, None));
        }
        let (size, preflight) = self.plan_copy(order, &key).await?;
        Ok((PlannedAction::Copy, storage.location(&key), size, preflight))
    }

    /// The size of the staged file, and what preflight finds in it.
    async fn plan_copy(&self, order: &Order, key: &ObjectKey) -> Result<(u64, Option<Box<Preflight>>), Error> {
        let rejected = |fault| Rejection::Source { fault }.error(&order.publication.checksum, key, &order.source);
        let mut staged = self.open_staged(&order.source).await?.map_err(rejected)?;
        let preflight = self.preflight(order.publication.duration_seconds, &mut staged).await?.map_err(rejected)?;
        Ok((staged.pin.size, preflight))
    }
}
