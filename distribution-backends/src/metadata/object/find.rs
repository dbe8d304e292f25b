//! Rows by lists of markers, newest first.

use distribution_core::{Cursor, Error, ObjectKey, Query, Row, Timestamp};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tracing::debug;

use super::keys::{List, Marker};
use super::{IN_FLIGHT, LIST_KEYS, ObjectMetadata};

/// How many markers are asked for at least: some are skipped.
const PAGE_MARKERS_MIN: usize = 32;

/// At most `limit` rows that match, behind `after`.
pub(super) async fn find(
    records: &ObjectMetadata,
    query: &Query,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Vec<Row>, Error> {
    let (list, mut found) = (list(query), Vec::new());
    let mut from = start(records, &list, query, after)?;
    let oldest = query.claimed_from.map(micros_from);
    while found.len() < limit {
        let page = (limit - found.len()).clamp(PAGE_MARKERS_MIN, LIST_KEYS);
        let keys = records.storage.list(&records.keys.list(&list), from.as_ref(), page).await?;
        let is_last = keys.len() < page;
        from = keys.last().cloned();
        let markers = keys.into_iter().filter_map(|key| Some((records.keys.marker(&list, &key)?, key)));
        let mut markers: Vec<_> = markers.collect();
        let known = markers.len();
        markers.retain(|(marker, _)| oldest.is_none_or(|oldest| marker.claimed_at.timestamp_micros() >= oldest));
        let is_last = is_last || markers.len() < known;
        let mut rows = stream::iter(markers).map(|marked| row(records, marked)).buffered(IN_FLIGHT);
        while let Some(row) = rows.try_next().await? {
            let is_new = |row: &Row| found.last().is_none_or(|last: &Row| last.id != row.id);
            found.extend(row.filter(|row| query.matches(&row.index) && is_new(row)));
            if found.len() >= limit {
                return Ok(found);
            }
        }
        drop(rows);
        // The last publication may have more markers on the next page.
        if is_last {
            break;
        }
    }
    Ok(found)
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

/// The first whole microsecond that is not before `at`.
fn micros_from(at: Timestamp) -> i64 {
    // chrono writes a leap second as more than a second's nanoseconds: it ends with the second.
    let sub_micros = at.timestamp_subsec_nanos().min(1_000_000_000).div_ceil(1_000);
    at.timestamp().saturating_mul(1_000_000).saturating_add(i64::from(sub_micros))
}
