//! Rows by lists of markers, newest first.

use std::collections::{HashSet, VecDeque};

use distribution_core::{AuditLogId, Cursor, Error, Found, ObjectKey, Query, Row};
use futures::stream::FuturesOrdered;
use futures::{FutureExt as _, StreamExt as _};
use tracing::debug;

use super::keys::{List, Marker};
use super::{IN_FLIGHT, LIST_KEYS, ObjectMetadata};
use crate::metadata::instant::micros_from;

/// How many markers are asked for first, at least: some are skipped. Each further page is twice as long.
const PAGE_MARKERS_MIN: usize = 32;

/// At most `limit` rows that match, behind `after`, and what is damaged between them.
pub(super) async fn find(
    records: &ObjectMetadata,
    query: &Query,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Found, Error> {
    let of_work = of_work(records, query).await?;
    let mut markers = Markers::new(records, query, after, limit)?;
    let (mut found, mut loading, mut skipped) = (Found::default(), FuturesOrdered::new(), 0);
    while found.len() < limit {
        // No more than are wanted, and as many again as have turned out not to be.
        let ahead = (limit - found.len()).saturating_add(skipped).min(IN_FLIGHT);
        while loading.len() < ahead
            && let Some(marker) = markers.next().await?
        {
            if of_work.as_ref().is_some_and(|ids| !ids.contains(&marker.0.id)) {
                continue;
            }
            let place = Cursor { claimed_at: marker.0.claimed_at, id: marker.0.id.clone() };
            loading.push_back(row(records, marker).map(|row| (place, row)));
        }
        let Some((place, row)) = loading.next().await else { break };
        // The markers of one publication that are open follow each other.
        let is_known = found.rows.last().is_some_and(|last| last.id == place.id)
            || found.damaged.iter().any(|(damaged, _)| damaged.id == place.id);
        match row.transpose().filter(|row| !is_known && row.as_ref().map_or(true, |row| query.matches(&row.index))) {
            Some(row) => found.push(|| Some(place), row)?,
            None => skipped += 1,
        }
    }
    Ok(found)
}

/// The publications of the work, where those with something left to do are asked for: so that only theirs are read of
/// all that have, which may be many while the audit sink is out of reach.
async fn of_work(records: &ObjectMetadata, query: &Query) -> Result<Option<HashSet<AuditLogId>>, Error> {
    let Query { concept_id: Some(_), settled: Some(false), .. } = query else { return Ok(None) };
    let mut markers = Markers::new(records, &Query { settled: None, ..query.clone() }, None, LIST_KEYS)?;
    let mut ids = HashSet::new();
    while let Some((marker, _)) = markers.next().await? {
        ids.insert(marker.id);
    }
    Ok(Some(ids))
}

/// The markers of a list, one after the other.
struct Markers<'a> {
    records: &'a ObjectMetadata,
    list: List,
    from: Option<ObjectKey>,
    /// The microsecond before which nothing was claimed that is wanted.
    oldest: Option<i64>,
    page: usize,
    read: VecDeque<(Marker, ObjectKey)>,
    is_last: bool,
}

impl<'a> Markers<'a> {
    fn new(records: &'a ObjectMetadata, query: &Query, after: Option<&Cursor>, limit: usize) -> Result<Self, Error> {
        let list = list(query);
        let from = start(records, &list, query, after)?;
        let page = limit.clamp(PAGE_MARKERS_MIN, LIST_KEYS);
        let oldest = query.claimed_from.map(micros_from);
        Ok(Self { records, list, from, oldest, page, read: VecDeque::new(), is_last: false })
    }

    async fn next(&mut self) -> Result<Option<(Marker, ObjectKey)>, Error> {
        let keys = &self.records.keys;
        while self.read.is_empty() && !self.is_last {
            let page = self.records.storage.list(&keys.list(&self.list), self.from.as_ref(), self.page).await?;
            self.is_last = page.len() < self.page || page.last() == self.from.as_ref();
            self.page = self.page.saturating_mul(2).min(LIST_KEYS);
            self.from = page.last().cloned();
            self.read.extend(page.into_iter().filter_map(|key| Some((keys.marker(&self.list, &key)?, key))));
        }
        let is_older = |(marker, _): &(Marker, ObjectKey)| {
            self.oldest.is_some_and(|oldest| marker.claimed_at.timestamp_micros() < oldest)
        };
        if self.read.front().is_some_and(is_older) {
            (self.is_last, self.read) = (true, VecDeque::new());
        }
        Ok(self.read.pop_front())
    }
}

/// The list that tells the most apart.
fn list(query: &Query) -> List {
    match query {
        Query { settled: Some(false), .. } => List::Open,
        Query { concept_id: Some(concept_id), .. } => List::ByConcept(concept_id.clone()),
        Query { checksum: Some(checksum), .. } => List::ByChecksum(*checksum),
        _ => List::ByTime,
    }
}

/// The key that the first page is behind, in the list.
fn start(
    records: &ObjectMetadata,
    list: &List,
    query: &Query,
    after: Option<&Cursor>,
) -> Result<Option<ObjectKey>, Error> {
    let behind = after.map(|cursor| records.keys.behind(list, cursor)).transpose()?;
    let before = query.claimed_before.map(|before| records.keys.before(list, micros_from(before))).transpose()?;
    Ok(behind.into_iter().chain(before).max_by(|a, b| a.as_str().cmp(b.as_str())))
}

/// The newest revision of the marker's row. A marker whose row was claimed at another time, or that says of
/// a revision what a newer one says, is of no use to anybody any more.
async fn row(records: &ObjectMetadata, (marker, key): (Marker, ObjectKey)) -> Result<Option<Row>, Error> {
    // None: a claim that is on its way, or was never finished.
    let Some(row) = records.latest(&marker.id).await? else { return Ok(None) };
    let is_of_row = row.index.claimed_at == marker.claimed_at;
    let is_done = marker
        .revision
        .is_some_and(|revision| row.revision > revision || row.revision == revision && row.index.settled);
    if (!is_of_row || is_done)
        && let Err(error) = records.storage.remove(&key).await
    {
        debug!(%error, "a marker of no use was left");
    }
    Ok(is_of_row.then_some(row))
}
