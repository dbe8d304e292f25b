//! What there is to see.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use distribution_core::{
    AuditEntry, Digest, Digester, DistributionRecord, Error, MetadataStore, Meter, Query, Row, Storage, Timestamp,
};

use crate::world::{State, World};

/// How many rows or keys are read at a time.
const PAGE: usize = 500;

/// What can be seen of a world or of real stores, and what callers were told. The fields are open so
/// that a test can look, and can plant damage.
#[derive(Clone, Default)]
pub struct Evidence {
    /// All rows of the metadata store.
    pub rows: Vec<Row>,
    /// All objects, by the URI that the store gives their location.
    pub objects: BTreeMap<String, ObjectSeen>,
    /// All audit entries that the sink has kept, in any order.
    pub audit: Vec<AuditEntry>,
    /// The staged files by name; `None` if they are not part of the check.
    pub staged: Option<BTreeMap<String, Digest>>,
    /// What callers were told.
    pub answers: Vec<Answer>,
    /// What must not be found anywhere: keys, signatures, credentials.
    pub secrets: Vec<String>,
    /// Keys of objects that no publication has to account for.
    pub foreign: BTreeSet<String>,
}

/// An object as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectSeen {
    /// Its key.
    pub key: String,
    /// What reading it to its end has shown.
    pub digest: Digest,
    /// When it appeared, where that is known.
    pub created_at: Option<Timestamp>,
}

/// What a caller was told.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What.
    pub record: DistributionRecord,
    /// When.
    pub at: Timestamp,
}

impl Evidence {
    /// What is in these stores. Reads every row and every byte of every object, so it takes its time.
    ///
    /// # Errors
    /// Those of the stores; and [`Unavailable`](distribution_core::ErrorKind::Unavailable) if an
    /// object vanishes while they are read.
    pub async fn of(
        storage: &dyn Storage,
        metadata: &dyn MetadataStore,
        audit: Vec<AuditEntry>,
    ) -> Result<Self, Error> {
        let rows = all_rows(metadata).await?;
        Self { rows, audit, ..Self::default() }.with_storage(storage).await
    }

    /// With the objects of another storage target.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub async fn with_storage(mut self, storage: &dyn Storage) -> Result<Self, Error> {
        let mut after = None;
        loop {
            let keys = storage.list("", after.as_ref(), PAGE).await?;
            for key in &keys {
                let digest = storage.digest(key, &Meter::default()).await?.ok_or_else(|| {
                    Error::unavailable(format!("`{key}` vanished while it was checked: check while nobody deletes"))
                })?;
                let created_at = storage.stat(key).await?.and_then(|stat| stat.modified);
                let seen = ObjectSeen { key: key.to_string(), digest, created_at };
                self.objects.insert(storage.location(key).to_string(), seen);
            }
            match keys.into_iter().nth(PAGE - 1) {
                Some(last) => after = Some(last),
                None => return Ok(self),
            }
        }
    }

    /// With one more answer that a caller was given at this time.
    pub fn with_answer(mut self, record: DistributionRecord, at: Timestamp) -> Self {
        self.answers.push(Answer { record, at });
        self
    }

    /// With these answers.
    pub fn with_answers(mut self, answers: impl IntoIterator<Item = Answer>) -> Self {
        self.answers.extend(answers);
        self
    }

    /// With the staged files as they are.
    pub fn with_staged(mut self, staged: BTreeMap<String, Digest>) -> Self {
        self.staged = Some(staged);
        self
    }

    /// With one more text that must not be found anywhere.
    pub fn with_secret(mut self, secret: impl Into<String>) -> Self {
        self.secrets.push(secret.into());
        self
    }

    /// With the key of an object that no publication has to account for.
    pub fn with_foreign(mut self, key: impl Into<String>) -> Self {
        self.foreign.insert(key.into());
        self
    }
}

async fn all_rows(metadata: &dyn MetadataStore) -> Result<Vec<Row>, Error> {
    let (all, mut rows) = (Query::default(), Vec::new());
    loop {
        let after = rows.last().map(Row::cursor);
        let page = metadata.find(&all, after.as_ref(), PAGE).await?;
        if let Some((_, error)) = page.damaged.into_iter().next() {
            return Err(error);
        }
        let full = page.rows.len() == PAGE;
        rows.extend(page.rows);
        if !full {
            return Ok(rows);
        }
    }
}

impl fmt::Debug for Evidence {
    /// Counts only: rows may be long, and secrets are secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evidence")
            .field("rows", &self.rows.len())
            .field("objects", &self.objects.keys())
            .field("audit", &self.audit.len())
            .field("staged", &self.staged.as_ref().map(BTreeMap::len))
            .field("answers", &self.answers.len())
            .finish_non_exhaustive()
    }
}

impl World {
    /// All that can be seen of this world now, staged files and the [answers](Self::answered) that were
    /// kept included. No effects.
    pub fn evidence(&self) -> Evidence {
        self.lock().evidence()
    }
}

impl State {
    pub(crate) fn evidence(&self) -> Evidence {
        let state = self;
        let published = state.objects.iter().filter(|((target, _), _)| !state.apart.contains(target));
        let objects = published.map(|((target, key), object)| {
            let created_at = Some(object.created_at);
            let seen = ObjectSeen { key: key.clone(), digest: digest(&object.bytes), created_at };
            (format!("memory://{target}/{key}"), seen)
        });
        Evidence {
            rows: state.rows.values().cloned().collect(),
            objects: objects.collect(),
            audit: state.audit.clone(),
            staged: Some(state.staged.iter().map(|(name, file)| (name.clone(), digest(&file.bytes))).collect()),
            answers: state.answers.clone(),
            ..Evidence::default()
        }
    }
}

fn digest(bytes: &[u8]) -> Digest {
    let mut digester = Digester::default();
    digester.update(bytes);
    digester.finish()
}
