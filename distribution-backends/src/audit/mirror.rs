//! Records that are copied whenever their audit trail is delivered.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use distribution_core::machine::{Event, step};
use distribution_core::{AuditEntry, AuditLogId, AuditSink, Error, MetadataStore, Record, Row, Trail};

use crate::StoryMirror;

/// An audit sink that also gives each record to the Story MCP datastore, for a Story server that cannot
/// compare and swap: the authority, an ops database, decides, and Story gets a copy.
///
/// The outbox that delivers the audit trail delivers the copies: whenever entries of a publication are
/// appended, they go to the inner sink first; then its record is read from the authority and put into the
/// mirror, as it is once these entries are delivered. If the mirror cannot be told, that is
/// [`Unavailable`](distribution_core::ErrorKind::Unavailable), the outbox stays as it is, and the next
/// call or recovery delivers again. So each record that has come to an end is in the mirror before its
/// link is given, at least once; a repeat changes nothing.
///
/// # What that costs
/// * While the mirror is down, no call ends: files are stored and proven, but no link is given, and
///   `recover` finishes later. If Story's absence must not hold back publishing, do not mirror by this.
/// * Two hosts that deliver the same record at the same moment may leave the older revision in the mirror,
///   until its next delivery. Whoever must know the truth asks the authority.
/// * The mirror holds a record as of its last delivery, not each step in between, and what QC refused (which
///   has no record) not at all.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use distribution_backends::{JsonlAudit, MirrorTo, SqliteMetadata, StoryConfig, StoryContract, StoryMirror};
/// use distribution_core::Publisher;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let records = Arc::new(SqliteMetadata::open("/var/lib/distribution/records.db").await?);
/// let audit = Arc::new(JsonlAudit::open("/var/lib/distribution/audit.jsonl").await?);
/// let story = StoryConfig::http("https://story.example/mcp")?;
/// let mirror = StoryMirror::open(story, StoryContract::default()).await?;
/// let publisher = Publisher::builder()
///     .metadata(records.clone())
///     .audit(Arc::new(MirrorTo::new(audit, records, mirror)));
/// # let _ = publisher;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MirrorTo {
    sink: Arc<dyn AuditSink>,
    authority: Arc<dyn MetadataStore>,
    mirror: StoryMirror,
}

impl MirrorTo {
    /// Appends to `sink`, and copies the records of `authority` (the publisher's own metadata store) to
    /// `mirror`.
    pub fn new(sink: Arc<dyn AuditSink>, authority: Arc<dyn MetadataStore>, mirror: StoryMirror) -> Self {
        Self { sink, authority, mirror }
    }

    async fn copy(&self, id: &AuditLogId, delivered: u64) -> Result<(), Error> {
        let row = self.authority.load(id).await?.ok_or_else(|| {
            Error::corrupt(format!("publication {id} has no record to mirror: is this its metadata store?"))
        })?;
        let row = once_delivered(&row, delivered)?;
        self.mirror.put(&row).await.map_err(|error| {
            let message = format!("the record of {id} did not reach {}: repeat", self.mirror.place());
            Error::unavailable(message).because(error)
        })
    }
}

#[async_trait]
impl AuditSink for MirrorTo {
    async fn append(&self, entries: &[AuditEntry]) -> Result<(), Error> {
        self.sink.append(entries).await?;
        let mut newest = BTreeMap::new();
        for entry in entries.iter().filter(|entry| entry.id.trail == Trail::Publication) {
            let last = newest.entry(&entry.id.audit_log_id).or_insert(entry.id.sequence);
            *last = entry.id.sequence.max(*last);
        }
        for (id, last) in newest {
            self.copy(id, last).await?;
        }
        Ok(())
    }
}

/// The row as it is when the entries up to `last` wait no more, at the same revision: what the authority
/// says next, unless it hears something new, which is delivered in its turn.
fn once_delivered(row: &Row, last: u64) -> Result<Row, Error> {
    let record = Record::decode(row)?;
    let Ok(mut next) = step(&record, Event::Delivered { before: last.saturating_add(1) }, record.claimed_at) else {
        return Ok(row.clone());
    };
    next.revision = record.revision;
    next.encode()
}

impl fmt::Debug for MirrorTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MirrorTo").field("mirror", &self.mirror).finish_non_exhaustive()
    }
}
