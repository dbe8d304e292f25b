//! Objects that publications have left: of attempts that failed, and of what was taken back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Aged, Found, Spared, Stage, Tidy, What};
use crate::error::Error;
use crate::identity::AuditLogId;
use crate::key::{ObjectKey, TargetName};
use crate::locks::Place;
use crate::metadata::{Cursor, Query};
use crate::record::{Phase, Record};
use crate::tombstone::Mortal;

/// About how many objects are looked at together: what is known of them is in memory, and for each so many the records
/// are read again.
const OBJECTS_MAX: usize = 1_000;

impl Tidy {
    /// Objects of attempts that were given up and of publications that were taken back, of the publications behind
    /// `after`. They are buried first, and then looked for in every record: nobody can begin to use what has a
    /// tombstone.
    pub(super) async fn attempts(&mut self, mut after: Option<Cursor>) -> Result<VecDeque<Found>, Error> {
        let (mut found, mut seen, mut away) = (VecDeque::new(), BTreeSet::new(), BTreeSet::new());
        while found.len() < OBJECTS_MAX {
            let page = self.page(&mut after).await?;
            for record in &page {
                for (place, is_released) in self.left_by(record) {
                    if seen.contains(&place) || away.contains(&place.0) {
                        continue;
                    }
                    let (Aged { since, is_locked }, kept) = match self.aged(&place.0, &place.1).await {
                        Ok(None) => continue,
                        Ok(Some(aged)) => (aged, None),
                        // One target that is out of reach holds up no other, and is told of once.
                        Err(error) => {
                            away.insert(place.0.clone());
                            (Aged::default(), Some(Spared::Failed { message: error.to_string() }))
                        }
                    };
                    let (target, key, audit_log_id) = (place.0.clone(), place.1.clone(), record.id().clone());
                    let what = What::Attempt { key, audit_log_id, is_released, owners: BTreeSet::new() };
                    found.push_back(Found { target, since, is_locked, what, kept });
                    seen.insert(place);
                }
            }
            if after.is_none() {
                break;
            }
        }
        if after.is_some() {
            self.stages.push_front(Stage::Attempts(after));
        }
        if !found.is_empty() {
            self.keep_what_is_owned(&mut found).await?;
        }
        if self.removes && found.iter().any(|found| found.kept.is_none()) {
            for Found { target, what, .. } in found.iter().filter(|found| found.kept.is_none()) {
                let What::Attempt { key, audit_log_id, .. } = what else { continue };
                let location = self.target(target)?.storage.location(key);
                self.publisher.bury(Mortal::Object(&location), audit_log_id).await?;
            }
            self.keep_what_is_owned(&mut found).await?;
        }
        Ok(found)
    }

    /// The keys at which the publication may have left an object that it needs no more; and whether because it was
    /// taken back. Those of failed attempts, in any case; its own, if it was taken back long enough ago.
    fn left_by(&self, record: &Record) -> Vec<(Place, bool)> {
        match &record.phase {
            _ if !record.is_settled() && !record.is_told() => Vec::new(),
            Phase::Retracted(retracted) => {
                let is_over = self.publisher.now().signed_duration_since(retracted.at) >= self.grace;
                if is_over { record.all_places().map(|place| (place, true)).collect() } else { Vec::new() }
            }
            // Links to what was freed work until they end.
            _ if record.spared_until.is_some_and(|end| self.publisher.now() < end) => Vec::new(),
            _ => record.given_up().into_iter().map(|place| (place, record.was_elsewhere())).collect(),
        }
    }

    /// The keys of this target's objects that somebody is at work on, or was.
    pub(super) async fn under_way(&self, target: &TargetName) -> Result<BTreeMap<String, AuditLogId>, Error> {
        let mut under_way = BTreeMap::new();
        self.each_record(|record| {
            let lacks_copies = matches!(record.phase, Phase::Published(_)) && !record.is_settled();
            if record.work().is_some() || lacks_copies || record.restoring.is_some() {
                for (_, key) in record.places().into_iter().filter(|(name, _)| name == target) {
                    under_way.insert(key.to_string(), record.id().clone());
                }
            }
        })
        .await?;
        Ok(under_way)
    }

    async fn keep_what_is_owned(&self, found: &mut VecDeque<Found>) -> Result<(), Error> {
        // Two targets may be one place, and one that is not configured here may be any.
        let places = &self.publisher.parts().targets;
        let at = |(target, key): &Place| places.get(target).map(|target| target.storage.location(key));
        let mut owned = BTreeMap::new();
        let wanted: BTreeSet<String> =
            found.iter().filter_map(Found::place).filter_map(|place| at(&place)).map(|at| at.to_string()).collect();
        let keys: BTreeSet<ObjectKey> = found.iter().filter_map(Found::place).map(|(_, key)| key).collect();
        let mut taken_back: BTreeMap<String, BTreeSet<AuditLogId>> = BTreeMap::new();
        self.each_record(|record| {
            let is_retracted = matches!(record.phase, Phase::Retracted(_));
            for place in record.let_go() {
                if let Some(had) = at(&place).filter(|had| wanted.contains(had.as_str())) {
                    taken_back.entry(had.to_string()).or_default().insert(record.id().clone());
                }
            }
            if is_retracted {
                return;
            }
            for place in record.places() {
                match at(&place) {
                    Some(at) if wanted.contains(at.as_str()) => drop(owned.insert(at.to_string(), record.id().clone())),
                    None if keys.contains(&place.1) => drop(owned.insert(place.1.to_string(), record.id().clone())),
                    Some(_) | None => {}
                }
            }
        })
        .await?;
        for found in found {
            let Some(place) = found.place().filter(|_| !matches!(found.kept, Some(Spared::Failed { .. }))) else {
                continue;
            };
            let owner = at(&place).and_then(|at| owned.get(at.as_str())).or_else(|| owned.get(place.1.as_str()));
            let had_it = at(&place).and_then(|at| taken_back.get(at.as_str()).cloned()).unwrap_or_default();
            found.kept = match owner {
                Some(owner) => Some(Spared::Owned { by: owner.clone() }),
                None => self.kept_by(&had_it).await?,
            };
            if found.is_locked {
                found.kept.get_or_insert(Spared::Locked);
            }
            if found.since.is_none() {
                found.kept.get_or_insert(Spared::Timeless);
            }
            if let What::Attempt { owners, .. } = &mut found.what {
                *owners = had_it;
            }
        }
        Ok(())
    }

    /// Why one of these publications, which were taken back, keeps what it had, if one does.
    async fn kept_by(&self, taken_back: &BTreeSet<AuditLogId>) -> Result<Option<Spared>, Error> {
        for id in taken_back {
            let record = self.publisher.load(id).await?;
            if self.publisher.is_held(&record).await? {
                return Ok(Some(Spared::Held { by: id.clone() }));
            }
            if self.left_by(&record).is_empty() {
                return Ok(Some(Spared::Recent { by: id.clone() }));
            }
        }
        Ok(None)
    }

    async fn each_record(&self, mut visit: impl FnMut(&Record) + Send) -> Result<(), Error> {
        let mut after = None;
        loop {
            self.page(&mut after).await?.iter().for_each(&mut visit);
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn page(&self, after: &mut Option<Cursor>) -> Result<Vec<Record>, Error> {
        self.publisher.page(&Query::default(), after).await
    }
}
