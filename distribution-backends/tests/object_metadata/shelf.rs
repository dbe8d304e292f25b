//! A storage in memory with records on it, and rows to put there.

use std::sync::Arc;

use bytes::Bytes;
use distribution_backends::ObjectMetadata;
use distribution_core::{
    Advance, AuditLogId, Checksum, Claim, ConceptId, Index, MetadataStore as _, Row, State, Storage, TargetName,
    Timestamp,
};
use distribution_testkit::{MemoryStorage, Op, World};

use crate::conformance::prefix;

pub(crate) struct Shelf {
    pub(crate) world: World,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) records: ObjectMetadata,
}

impl Shelf {
    pub(crate) fn new() -> Self {
        let world = World::new();
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new(&world, &TargetName::default()));
        let records = ObjectMetadata::new(storage.clone(), prefix());
        Self { world, storage, records }
    }

    /// How many requests there were of each kind since there were `before` effects: writes, lists, reads
    /// and looks, removals.
    pub(crate) fn requests(&self, before: usize) -> [usize; 4] {
        let effects = self.world.effects();
        let count = |ops: &[Op]| effects[before..].iter().filter(|effect| ops.contains(&effect.op)).count();
        [
            count(&[Op::StorageCreate]),
            count(&[Op::StorageList]),
            count(&[Op::StorageOpen, Op::StorageStat]),
            count(&[Op::StorageRemove]),
        ]
    }

    pub(crate) fn begun(&self) -> usize {
        self.world.effects().len()
    }

    pub(crate) fn keys(&self, list: &str) -> Vec<String> {
        let keys = self.world.objects().into_keys().map(|(_, key)| key);
        keys.filter(|key| key.starts_with(&format!("records/{list}/"))).collect()
    }

    pub(crate) async fn claim(&self, row: &Row) {
        assert_eq!(self.records.claim(row).await.unwrap(), Claim::Claimed);
    }

    pub(crate) async fn advance(&self, row: &Row) {
        assert_eq!(self.records.advance(row).await.unwrap(), Advance::Advanced);
    }
}

pub(crate) fn id(n: u64) -> AuditLogId {
    AuditLogId::parse(format!("dist_{n:025}0")).unwrap()
}

pub(crate) fn at(secs: i64) -> Timestamp {
    Timestamp::from_timestamp(1_767_225_600 + secs, 0).unwrap()
}

/// Unsettled, claimed `n` seconds after the first, in one of ten works.
pub(crate) fn row(n: u64) -> Row {
    let index = Index {
        concept_id: Some(ConceptId::parse(format!("work-{}", n % 10)).unwrap()),
        checksum: Checksum::of(&n.to_be_bytes()),
        tags: vec!["tag".to_owned()],
        state: State::InProgress,
        settled: false,
        claimed_at: at(n as i64),
    };
    Row { id: id(n), revision: 0, index, body: Bytes::from(format!("{{\"n\":{n}}}")) }
}

pub(crate) fn settled(row: &Row) -> Row {
    let mut next = Row { revision: row.revision + 1, ..row.clone() };
    (next.index.state, next.index.settled) = (State::Published, true);
    next
}
