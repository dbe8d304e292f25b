//! What a user interface asks: which assets there are, and how far each is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::Tier;
use crate::error::Error;
use crate::identity::AuditLogId;
use crate::key::TargetName;
use crate::metadata::{Cursor, Query, State};
use crate::object::{Location, Verification};
use crate::preflight::Preflight;
use crate::publisher::Publisher;
use crate::receipt::RecordMetadata;
use crate::record::{Hold, Phase, Record, Version};
use crate::replicas::{Replica, Role};
use crate::request::Access;
use crate::time::Timestamp;

/// One publication as a user interface shows it, however far it is, with the names of
/// [`DistributionRecord`](crate::DistributionRecord). It holds no link: those are secrets, minted one by
/// one by [`Publisher::link`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AssetRecord {
    /// The publication's name.
    pub audit_log_id: AuditLogId,
    /// How far it is.
    pub state: State,
    /// The target that it is, or was to be, published to.
    pub storage_target: TargetName,
    /// What to show, and what was approved.
    pub metadata: RecordMetadata,
    /// When the publication began.
    pub claimed_at: Timestamp,
    /// What is known once it is published; absent before. Of one that was taken back, as it was.
    #[serde(flatten)]
    pub published: Option<PublishedAsset>,
    /// Why it must not be removed, if so. Its work may be held besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// Why it was rejected and what to do, or why it was taken back, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// The published part of an [`AssetRecord`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PublishedAsset {
    /// Where the object is; of what is in the archive only, where it was.
    pub storage_location: Location,
    /// The object's size in bytes.
    pub size_bytes: u64,
    /// When the bytes were proven.
    pub published_at: Timestamp,
    /// How the bytes were proven.
    pub verification: Verification,
    /// Which version of its work it is, counted from 1; absent where it has no `concept_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Where the copies are: there are links only to what is hot, or still hot.
    pub tier: Tier,
    /// How many proven copies there are, the one at `storage_location` included, unless that is in the archive only.
    pub replica_count: u32,
    /// Those on other targets, and what is missing there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replicas: Vec<ReplicaAsset>,
    /// Who may download.
    pub access: Access,
    /// Until when the link that `publish` answers works, where it is signed; else `null`.
    pub expires_at: Option<Timestamp>,
    /// What preflight has found in the staged file, where that was asked and is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preflight: Option<Preflight>,
}

/// A copy on another target, as a user interface shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplicaAsset {
    /// The target.
    pub storage_target: TargetName,
    /// What it is for; absent for a replica.
    #[serde(default, skip_serializing_if = "Role::is_replica")]
    pub role: Role,
    /// Where the proven copy is; `null` as long as there is none.
    pub storage_location: Option<Location>,
}

/// Some of the records that match a query.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The records, newest claim first.
    pub records: Vec<AssetRecord>,
    /// Those in between that cannot be read, and why: one damaged record does not hide the others.
    pub unreadable: Vec<(AuditLogId, Error)>,
    /// Where the next page begins; `None` if there is none.
    pub next: Option<Cursor>,
}

impl Publisher {
    /// The most records on one page.
    pub const PAGE_MAX: usize = 1_000;

    /// The publication with this name; `None` if there is none.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if the records cannot be read,
    /// [`Corrupt`](crate::ErrorKind::Corrupt) if this one is damaged.
    pub async fn record(&self, audit_log_id: &AuditLogId) -> Result<Option<AssetRecord>, Error> {
        let row = self.parts().metadata.load(audit_log_id).await?;
        row.map(|row| Record::decode(&row).map(|record| AssetRecord::from(&record))).transpose()
    }

    /// A page of at most `limit` records that match `query`, newest claim first, behind `after`.
    ///
    /// ```
    /// use distribution_core::{Query, State};
    /// use distribution_testkit::{World, request};
    /// # futures::executor::block_on(async {
    /// # let world = World::new();
    /// # world.stage("clip.mp4", "approved bytes");
    /// # let publisher = world.publisher("host-1");
    /// # publisher.publish(request("clip.mp4", b"approved bytes")).await?;
    /// let published = Query { state: Some(State::Published), ..Query::default() };
    /// let mut after = None;
    /// loop {
    ///     let page = publisher.records(&published, after.as_ref(), 50).await?;
    ///     for asset in &page.records {
    ///         println!("{} {:?}", asset.audit_log_id, asset.metadata.title);
    ///     }
    ///     after = page.next; // as text: `Cursor` has Display and FromStr
    ///     if after.is_none() {
    ///         break;
    ///     }
    /// }
    /// # Ok::<(), distribution_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) if `limit` is not 1 to [`Publisher::PAGE_MAX`],
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if the records cannot be read.
    pub async fn records(&self, query: &Query, after: Option<&Cursor>, limit: usize) -> Result<Page, Error> {
        if !(1..=Self::PAGE_MAX).contains(&limit) {
            return Err(Error::invalid("limit", format!("must be 1 to {}, not {limit}", Self::PAGE_MAX)));
        }
        let found = self.parts().metadata.find(query, after, limit).await?;
        let mut page = Page { next: found.end().filter(|_| found.len() >= limit), ..Page::default() };
        for row in &found.rows {
            match Record::decode(row) {
                Ok(record) => page.records.push(AssetRecord::from(&record)),
                Err(error) => page.unreadable.push((row.id.clone(), error)),
            }
        }
        page.unreadable.extend(found.damaged.into_iter().map(|(place, error)| (place.id, error)));
        Ok(page)
    }
}

impl From<&Replica> for ReplicaAsset {
    fn from(replica: &Replica) -> Self {
        let storage_location = replica.proven.as_ref().map(|copy| copy.location.clone());
        Self { storage_target: replica.target.clone(), role: replica.role, storage_location }
    }
}

impl From<&Record> for AssetRecord {
    fn from(record: &Record) -> Self {
        let published = record.published().map(|known| PublishedAsset {
            storage_location: known.location.clone(),
            size_bytes: known.proof.digest.size,
            published_at: known.at,
            verification: known.proof.how,
            version: known.version.and_then(Version::number),
            tier: record.tier(),
            replica_count: record.replica_count(),
            replicas: record.replicas.wanted.iter().map(ReplicaAsset::from).collect(),
            access: record.details.access,
            expires_at: known.link_expires_at.filter(|_| record.details.access == Access::Signed),
            preflight: known.preflight.as_deref().cloned(),
        });
        let problem = match &record.phase {
            Phase::Rejected { reason } => {
                let (approved, key) = (&record.publication.checksum, record.object_key());
                Some(reason.error(approved, &key, &record.source.url).to_string())
            }
            Phase::Retracted(retracted) => Some(retracted.error(record.id()).to_string()),
            _ => None,
        };
        Self {
            audit_log_id: record.id().clone(),
            state: record.state(),
            storage_target: record.publication.target.clone(),
            metadata: RecordMetadata::from(record),
            claimed_at: record.claimed_at,
            published,
            hold: record.hold.clone(),
            problem,
        }
    }
}
