//! The connections that write. What waits for one is written together, so that it shares a round trip
//! and a commit.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use distribution_core::{AuditLogId, Error, IdempotencyKey, Row};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::fault::Failed;
use super::row::{self, Statement, array_literal};
use super::sessions::Sessions;
use crate::desk::{Caller, Desk, Shift};
use crate::metadata::columns::revision;
use crate::metadata::instant::micros;

/// How many writes share a statement at most.
const GROUP_WRITES_MAX: usize = 64;
/// How many writes of a group are refused one by one.
const REFUSALS_MAX: usize = 3;

/// Writes each row or name, unless another is in its way.
#[derive(Clone, Debug)]
pub(super) struct Writers {
    sessions: Arc<Sessions>,
    /// One for each connection. What concerns one row always goes to the same.
    desks: Arc<[Arc<Desk<Pen, Write, bool>>]>,
}

/// What is written.
#[derive(Debug)]
pub(super) enum Write {
    /// At revision 0: unless its publication has a row. Else: over the revision before.
    Row(Row),
    /// Unless the key names a publication.
    Key(IdempotencyKey, AuditLogId),
}

#[derive(Debug)]
struct Pen(Arc<Sessions>);

type Waiting = (Write, Caller<bool>);

impl Write {
    /// # Errors
    /// [`Invalid`](distribution_core::ErrorKind::Invalid) for a row that the columns cannot hold.
    pub(super) fn row(row: &Row) -> Result<Self, Error> {
        row::check(row)?;
        Ok(Self::Row(row.clone()))
    }

    /// What it is about. Two of one subject are never in one statement, which would see neither.
    fn subject(&self) -> (bool, &str) {
        match self {
            Self::Row(row) => (true, row.id.as_str()),
            Self::Key(key, _) => (false, key.as_str()),
        }
    }
}

impl Writers {
    pub(super) fn new(sessions: Arc<Sessions>) -> Self {
        let desks = (0..sessions.size()).map(|_| Desk::new(Pen(Arc::clone(&sessions)))).collect();
        Self { sessions, desks }
    }

    /// Whether it was written.
    pub(super) async fn write(&self, write: Write) -> Result<bool, Error> {
        let mut hasher = DefaultHasher::new();
        write.subject().hash(&mut hasher);
        let desks = self.desks.len().max(1);
        let desk = self.desks.get(usize::try_from(hasher.finish()).unwrap_or(usize::MAX) % desks);
        let desk = desk.ok_or_else(|| Error::unavailable("the store has no connection to write with"))?;
        desk.ask(write, |shift| drop(tokio::spawn(work(shift)))).await
    }

    pub(super) async fn close(&self) -> Result<(), Error> {
        self.sessions.close().await
    }
}

async fn work(mut shift: Shift<Pen, Write, bool>) {
    while let Some((pen, mut group)) = shift.next_group(GROUP_WRITES_MAX) {
        while !group.is_empty() {
            let (now, later) = split(group);
            pen.serve(now).await;
            group = later;
        }
    }
}

/// The first of each subject, and the rest.
fn split(group: Vec<Waiting>) -> (Vec<Waiting>, Vec<Waiting>) {
    let mut subjects = HashSet::new();
    let is_first = group.iter().map(|(write, _)| subjects.insert(write.subject())).collect::<Vec<_>>();
    let (mut now, mut later) = (Vec::new(), Vec::new());
    for (waiting, is_first) in group.into_iter().zip(is_first) {
        if is_first { now.push(waiting) } else { later.push(waiting) }
    }
    (now, later)
}

impl Pen {
    async fn serve(&self, group: Vec<Waiting>) {
        let (writes, callers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        match self.write(&writes.iter().collect::<Vec<_>>()).await {
            Ok(written) => answer(&writes, callers, &written),
            // The others must not suffer.
            Err(failed) if failed.refused && writes.len() > 1 => self.serve_each(writes, callers).await,
            Err(failed) => callers.into_iter().for_each(|caller| caller.answer(Err(failed.error.clone()))),
        }
    }

    /// Each in a statement of its own. If several are refused, all are likely to be, each perhaps after
    /// the time that a lock is waited for.
    async fn serve_each(&self, writes: Vec<Write>, callers: Vec<Caller<bool>>) {
        let mut refusals: Vec<Error> = Vec::new();
        for (write, caller) in writes.into_iter().zip(callers) {
            let written =
                match refusals.get(REFUSALS_MAX - 1) {
                    Some(error) => Err(Error::unavailable("others that were written beside it are refused: repeat")
                        .because(error.clone())),
                    None => self.write(&[&write]).await.map_err(|failed| failed.error),
                };
            match written {
                Ok(written) => answer(&[write], vec![caller], &written),
                Err(error) => {
                    refusals.push(error.clone());
                    caller.answer(Err(error));
                }
            }
        }
    }

    /// The subjects that were written; all of them are committed. On an error none or all: then nobody
    /// knows.
    async fn write(&self, writes: &[&Write]) -> Result<HashSet<(bool, String)>, Failed> {
        let statement = statement(writes).map_err(Failed::before)?;
        let written = self.0.fetch(statement).await?;
        let subject = |row: &PgRow| Ok::<_, sqlx::Error>((row.try_get("is_row")?, row.try_get("name")?));
        written.iter().map(|row| subject(row).map_err(|error| self.0.failed(error))).collect()
    }
}

fn answer(writes: &[Write], callers: Vec<Caller<bool>>, written: &HashSet<(bool, String)>) {
    for (write, caller) in writes.iter().zip(callers) {
        let (is_row, name) = write.subject();
        caller.answer(Ok(written.contains(&(is_row, name.to_owned()))));
    }
}

/// All of it in one statement, which is a transaction by itself. Two hosts that write the same rows do
/// not deadlock: the parts run one after the other, each in the order of ids.
const WRITE: &str = "\
WITH next AS MATERIALIZED (
    SELECT * FROM unnest(
        $1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::boolean[], $8::bigint[], $9::bytea[]
    ) AS n (id, revision, concept_id, checksum, tags, state, settled, claimed_at, body)
), claimed AS (
    INSERT INTO publication (id, revision, concept_id, checksum, tags, state, settled, claimed_at, body)
    SELECT id, 0, concept_id, checksum, tags::text[], state, settled, claimed_at, body FROM next WHERE revision = 0
    ON CONFLICT (id) DO NOTHING
    RETURNING id
), advanced AS (
    UPDATE publication AS p
    SET revision = n.revision, concept_id = n.concept_id, checksum = n.checksum, tags = n.tags::text[],
        state = n.state, settled = n.settled, claimed_at = n.claimed_at, body = n.body
    FROM next AS n
    WHERE n.revision > 0 AND p.id = n.id AND p.revision = n.revision - 1
    RETURNING p.id
), bound AS (
    INSERT INTO idempotency_key (key, id) SELECT * FROM unnest($10::text[], $11::text[])
    ON CONFLICT (key) DO NOTHING
    RETURNING key
)
SELECT TRUE AS is_row, id AS name FROM claimed
UNION ALL SELECT TRUE, id FROM advanced
UNION ALL SELECT FALSE, key FROM bound";

fn statement(writes: &[&Write]) -> Result<Statement, Error> {
    let (mut rows, mut keys) = (Vec::new(), Vec::new());
    for write in writes {
        match write {
            Write::Row(row) => rows.push(row),
            Write::Key(key, id) => keys.push((key.as_str(), id.as_str())),
        }
    }
    rows.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    keys.sort_unstable();
    let (keys, ids): (Vec<_>, Vec<_>) = keys.into_iter().unzip();
    let column = |of: fn(&Row) -> String| rows.iter().map(|row| of(row)).collect::<Vec<_>>();
    Ok(sqlx::query(WRITE)
        .bind(column(|row| row.id.as_str().to_owned()))
        .bind(rows.iter().map(|row| revision(row.revision)).collect::<Result<Vec<_>, _>>()?)
        .bind(rows.iter().map(|row| row.index.concept_id.as_ref().map(|id| id.as_str())).collect::<Vec<_>>())
        .bind(column(|row| row.index.checksum.to_string()))
        .bind(column(|row| array_literal(&row.index.tags)))
        .bind(column(|row| row.index.state.as_str().to_owned()))
        .bind(rows.iter().map(|row| row.index.settled).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| micros(row.index.claimed_at)).collect::<Result<Vec<_>, _>>()?)
        .bind(rows.iter().map(|row| row.body.as_ref()).collect::<Vec<_>>())
        .bind(keys)
        .bind(ids))
}
