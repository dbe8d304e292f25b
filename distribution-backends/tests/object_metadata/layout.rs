//! What must hold of the bare keys at every moment, whoever is in the middle of whatever.

use std::collections::BTreeMap;

use distribution_testkit::World;

/// The columns of a slot that say which markers it needs.
#[derive(serde::Deserialize)]
struct Columns {
    id: String,
    revision: u64,
    concept_id: Option<String>,
    checksum: String,
    settled: bool,
    claimed_at: i64,
}

/// The first promise that the keys below `records/` in the target break.
pub(crate) fn broken(world: &World, target: &str) -> Option<String> {
    let objects = world.objects();
    let here = || objects.iter().filter(|((of, _), _)| of == target);
    let mut latest: BTreeMap<String, Columns> = BTreeMap::new();
    for ((_, key), object) in here().filter(|((_, key), _)| key.starts_with("records/publication/")) {
        let line = object.bytes.split(|byte| *byte == b'\n').nth(1)?;
        let columns: Columns = serde_json::from_slice(line).ok()?;
        let expected = latest.get(&columns.id).map_or(0, |before| before.revision + 1);
        if columns.revision != expected {
            return Some(format!("{key} follows a gap"));
        }
        latest.insert(columns.id.clone(), columns);
    }
    let missing = latest.values().flat_map(needed).find(|marker| !here().any(|((_, key), _)| key == marker));
    missing.map(|marker| format!("{marker} is missing"))
}

fn needed(columns: &Columns) -> Vec<String> {
    let Columns { id, revision, concept_id, checksum, settled, claimed_at } = columns;
    let count = format!("{:016x}", !(claimed_at.cast_unsigned() ^ (1 << 63)));
    let hex = checksum.strip_prefix("sha256:").unwrap();
    let mut markers = vec![format!("records/by-time/{count}-{id}"), format!("records/by-checksum/{hex}/{count}-{id}")];
    markers.extend(concept_id.iter().map(|concept_id| format!("records/by-concept/{concept_id}/{count}-{id}")));
    markers.extend((!settled).then(|| format!("records/open/{count}-{id}-{revision:06}")));
    markers
}
