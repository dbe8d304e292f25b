//! What there is to see in the stores.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use distribution_backends::{AuditTrail, AuditVerdict, Stores};
use distribution_core::{
    AuditEntry, AuditLogId, Checksum, Digest, Error, ErrorKind, Meter, ObjectKey, Phase, Query, Record, Row, Storage,
};
use distribution_testkit::checker::{Evidence, ObjectSeen};
use futures::future::ready;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::ProgressBar;

use crate::bar::Bar;

use super::trail;

/// How many rows or keys are read at a time.
const PAGE: usize = 500;
/// How many objects are read at a time.
const READ_MAX: usize = 4;
/// What doctors and probes store for a moment, and leave if they are killed.
const NOT_PUBLISHED: [&str; 2] = ["distribution-doctor/", "distribution-probe/"];

/// The evidence, and what could not be seen.
#[derive(Default)]
pub(crate) struct Look {
    pub(crate) evidence: Evidence,
    /// Whether these are only some of the publications, so that a work may have versions that were not looked at.
    pub(crate) is_part: bool,
    /// What became of the chain of all entries.
    pub(crate) chain: AuditVerdict,
    /// Which of the publications that were asked for are not on record.
    pub(crate) absent: Vec<AuditLogId>,
    /// Rows that the store cannot read.
    pub(crate) damaged: Vec<(AuditLogId, Error)>,
    /// Publications whose object could not be read, and why.
    pub(crate) unread: BTreeMap<AuditLogId, Error>,
    /// All objects that are listed, by location: where to look again.
    pub(crate) places: BTreeMap<String, (Arc<dyn Storage>, ObjectKey)>,
}

/// A published object that is to be read.
struct Wanted {
    id: AuditLogId,
    storage: Arc<dyn Storage>,
    key: ObjectKey,
    size: u64,
}

impl Look {
    /// Looks at these publications; at all, if none are named. First at the objects' names, then at the rows, then
    /// at the trail: a publication claims its row before it stores anything, so that none of it seems a stray.
    pub(crate) async fn at(stores: &Stores, ids: &[AuditLogId]) -> Result<Self, Error> {
        let mut look = Self { is_part: !ids.is_empty(), ..Self::default() };
        match ids {
            [] => {
                look.list(stores).await?;
                look.read_rows(stores).await?;
            }
            ids => {
                for id in ids.iter().collect::<BTreeSet<_>>() {
                    match stores.metadata.load(id).await {
                        Ok(Some(row)) => look.evidence.rows.push(row),
                        Ok(None) => look.absent.push(id.clone()),
                        Err(error) if !error.is_retryable() => look.damaged.push((id.clone(), error)),
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        look.chain = trail::chain(&stores.trail).await?;
        look.evidence.audit = entries(&stores.trail, ids.iter().cloned().collect()).await?;
        look.read_objects(stores).await;
        Ok(look)
    }

    async fn list(&mut self, stores: &Stores) -> Result<(), Error> {
        for storage in stores.targets.values() {
            let mut after = None;
            loop {
                let keys = storage.list("", after.as_ref(), PAGE).await?;
                let next = keys.get(PAGE - 1).cloned();
                for key in keys {
                    self.places.insert(storage.location(&key).to_string(), (storage.clone(), key));
                }
                match next {
                    Some(last) => after = Some(last),
                    None => break,
                }
            }
        }
        Ok(())
    }

    async fn read_rows(&mut self, stores: &Stores) -> Result<(), Error> {
        let (all, mut after) = (Query::default(), None);
        loop {
            let found = stores.metadata.find(&all, after.as_ref(), PAGE).await?;
            after = found.end().filter(|_| found.len() >= PAGE);
            self.damaged.extend(found.damaged.into_iter().map(|(place, error)| (place.id, error)));
            self.evidence.rows.extend(found.rows);
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Reads every byte of each published object. Of the others the name is enough: nobody has promised what is in
    /// them.
    async fn read_objects(&mut self, stores: &Stores) {
        let unread = || Digest { checksum: Checksum::of(b""), size: 0 };
        for (location, (_, key)) in &self.places {
            if NOT_PUBLISHED.iter().any(|folder| key.as_str().starts_with(folder)) {
                self.evidence.foreign.insert(key.to_string());
            }
            let seen = ObjectSeen { key: key.to_string(), digest: unread(), created_at: None };
            self.evidence.objects.insert(location.clone(), seen);
        }
        let wanted = self.published(stores);
        let bar = ProgressBar::new(wanted.iter().map(|object| object.size).sum());
        bar.set_style(Bar::style());
        bar.set_message("reading");
        let reading = wanted.into_iter().map(|object| {
            let bar = bar.clone();
            async move {
                let digest = object.storage.digest(&object.key, &Meter::new(move |bytes| bar.inc(bytes))).await;
                (object, digest)
            }
        });
        let mut read = stream::iter(reading).buffer_unordered(READ_MAX);
        while let Some((object, digest)) = read.next().await {
            let location = object.storage.location(&object.key).to_string();
            match digest {
                Ok(Some(digest)) => {
                    let seen = ObjectSeen { key: object.key.to_string(), digest, created_at: None };
                    self.evidence.objects.insert(location, seen);
                }
                Ok(None) => drop(self.evidence.objects.remove(&location)),
                Err(error) => drop(self.unread.insert(object.id, error)),
            }
        }
        bar.finish_and_clear();
    }

    fn published(&mut self, stores: &Stores) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        // What does not decode is for the checker to tell.
        for record in self.evidence.rows.iter().filter_map(|row: &Row| Record::decode(row).ok()) {
            let Phase::Published(published) = &record.phase else { continue };
            for (target, key) in record.proven_places() {
                let id = record.id().clone();
                match stores.targets.get(&target) {
                    Some(storage) => {
                        wanted.push(Wanted { id, storage: storage.clone(), key, size: published.proof.digest.size });
                    }
                    None => {
                        let message = format!("its target `{target}` is not in this configuration: add it");
                        self.unread.insert(id, Error::unavailable(message));
                    }
                }
            }
        }
        wanted
    }
}

/// The entries of these publications; of all, if none are named. Lines that are none are the chain's to tell of.
async fn entries(trail: &AuditTrail, ids: BTreeSet<AuditLogId>) -> Result<Vec<AuditEntry>, Error> {
    let is_wanted = |entry: &Result<AuditEntry, Error>| match entry {
        Ok(entry) => ids.is_empty() || ids.contains(&entry.id.audit_log_id),
        Err(error) => error.kind() != ErrorKind::Corrupt,
    };
    trail.entries()?.filter(|entry| ready(is_wanted(entry))).try_collect().await
}
