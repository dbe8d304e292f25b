//! A backend of one's own: objects and records as files below a directory.
//! `cargo run --example custom_backend` publishes the sample through it and prints the record;
//! `cargo test --example custom_backend` shows that it keeps every guarantee of its ports.
//!
//! All of it stands on one step, [`Files::publish`]: a name is given once, to something whole. Any
//! store with such a step (an insert with a unique key, a conditional PUT) can be made a backend.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use distribution_backends::{HmacKey, HmacSigner, JsonlAudit, LocalFiles, LogAlerts, SystemClock, holder_name};
use distribution_core::*;
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

/// Both a storage and a metadata store. It calls `std::fs` where it stands, to be short; a backend in
/// earnest leaves the async threads for that (`tokio::task::spawn_blocking`).
struct Files {
    root: PathBuf,
}

#[async_trait]
impl Storage for Files {
    async fn create(&self, key: &ObjectKey, content: Content) -> Result<CreateOutcome, Error> {
        // Whatever ends this call early, be it an error, a timeout or unfit content, leaves nothing.
        let mut draft = self.draft(&head(key))?;
        let (mut pieces, mut digester, mut size) = (pieces_of(content.body)?, Digester::default(), 0);
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            size += piece.len() as u64;
            if size > content.size {
                break;
            }
            digester.update(&piece);
            draft.write_all(&piece).map_err(failed)?;
            content.meter.add(piece.len() as u64);
        }
        // The store is the last to see the bytes on their way, so it is the store that refuses others.
        let found = digester.finish();
        if size != content.size {
            return Ok(CreateOutcome::Unfit(Unfit::Changed));
        }
        if found.checksum != content.expected {
            return Ok(CreateOutcome::Unfit(Unfit::OtherBytes { found }));
        }
        // No proof: these bytes were hashed on their way, not read back. The publisher will do that.
        match self.publish(&draft, &self.place("objects", key.as_str()))? {
            true => Ok(CreateOutcome::Created { proof: None }),
            false => Ok(CreateOutcome::AlreadyExists),
        }
    }

    async fn digest(&self, key: &ObjectKey, meter: &Meter) -> Result<Option<Digest>, Error> {
        let Some(mut pieces) = self.open(key, 0..u64::MAX).await? else { return Ok(None) };
        let mut digester = Digester::default();
        // The meter keeps the publisher's lease alive while this takes its time.
        while let Some(piece) = pieces.next().await.transpose()? {
            digester.update(&piece);
            meter.add(piece.len() as u64);
        }
        Ok(Some(digester.finish()))
    }

    async fn stat(&self, key: &ObjectKey) -> Result<Option<ObjectStat>, Error> {
        let found = self.known(fs::metadata(self.place("objects", key.as_str())))?;
        Ok(found.map(|found| ObjectStat { size: size(key, &found), ..ObjectStat::default() }))
    }

    async fn open(&self, key: &ObjectKey, range: Range<u64>) -> Result<Option<ByteStream>, Error> {
        let Some(mut file) = self.known(File::open(self.place("objects", key.as_str())))? else { return Ok(None) };
        let end = range.end.min(size(key, &file.metadata().map_err(failed)?));
        let start = range.start.min(end);
        file.seek(SeekFrom::Start(head(key).len() as u64 + start)).map_err(failed)?;
        Ok(Some(pieces_of_file(file, end - start)))
    }

    async fn remove(&self, key: &ObjectKey) -> Result<(), Error> {
        // That nothing was there is fine: an earlier call whose answer was lost may have removed it.
        self.known(fs::remove_file(self.place("objects", key.as_str())))?;
        self.sync(&self.place("objects", key.as_str()))
    }

    async fn list(&self, prefix: &str, after: Option<&ObjectKey>, limit: usize) -> Result<Vec<ObjectKey>, Error> {
        let mut keys = Vec::new();
        for entry in fs::read_dir(self.root.join("objects")).map_err(failed)? {
            let mut head = String::new();
            // `None` if it was removed meanwhile.
            let Some(file) = self.known(File::open(entry.map_err(failed)?.path()))? else { continue };
            BufReader::new(file.take(1_000)).read_line(&mut head).map_err(failed)?;
            keys.push(ObjectKey::parse(head.trim_end())?);
        }
        keys.retain(|key| key.as_str().starts_with(prefix) && after.is_none_or(|after| key > after));
        keys.sort_unstable();
        keys.truncate(limit);
        Ok(keys)
    }

    #[expect(clippy::expect_used, reason = "a scheme and a key are a location")]
    fn location(&self, key: &ObjectKey) -> Location {
        Location::parse(format!("custom://files/{key}")).expect("a location")
    }
}

/// A row is a directory with a file for each revision, `records/<id>/<revision>`. That a revision's
/// name is given once is all the compare-and-swap there is.
#[async_trait]
impl MetadataStore for Files {
    async fn claim(&self, first: &Row) -> Result<Claim, Error> {
        if self.write(first)? {
            return Ok(Claim::Claimed);
        }
        self.newest(&first.id)?.map(Claim::Exists).ok_or_else(|| no_row(&first.id))
    }

    async fn load(&self, id: &AuditLogId) -> Result<Option<Row>, Error> {
        self.newest(id)
    }

    async fn advance(&self, next: &Row) -> Result<Advance, Error> {
        let present = self.newest(&next.id)?.ok_or_else(|| no_row(&next.id))?;
        // Between this look and the write another may be first; then the name is taken.
        if present.revision.checked_add(1) == Some(next.revision) && self.write(next)? {
            return Ok(Advance::Advanced);
        }
        self.newest(&next.id)?.map(Advance::Superseded).ok_or_else(|| no_row(&next.id))
    }

    async fn bind(&self, key: &IdempotencyKey, id: &AuditLogId) -> Result<AuditLogId, Error> {
        let place = self.place("names", key.as_str());
        self.publish(&self.draft(id.as_str())?, &place)?;
        AuditLogId::parse(fs::read_to_string(&place).map_err(failed)?)
    }

    async fn bound(&self, key: &IdempotencyKey) -> Result<Option<AuditLogId>, Error> {
        self.known(fs::read_to_string(self.place("names", key.as_str())))?.map(AuditLogId::parse).transpose()
    }

    async fn find(&self, query: &Query, after: Option<&Cursor>, limit: usize) -> Result<Found, Error> {
        let mut rows = Vec::new();
        for entry in fs::read_dir(self.root.join("records")).map_err(failed)? {
            let id = AuditLogId::parse(entry.map_err(failed)?.file_name().to_string_lossy())?;
            rows.extend(self.newest(&id)?.filter(|row| query.matches(&row.index)));
        }
        // The cursor is a place in the order, not a row: that may be gone, or match no more.
        rows.retain(|row| after.is_none_or(|after| row.cursor() > *after));
        rows.sort_by_key(Row::cursor);
        rows.truncate(limit);
        Ok(rows.into())
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let json = publish(Path::new("distribution-data/custom")).await?;
    io::stdout().write_all(format!("{json}\n").as_bytes()).map_err(failed)
}

async fn publish(root: &Path) -> Result<String, Error> {
    fs::create_dir_all(root).map_err(failed)?;
    let files = Arc::new(Files::open(root).map_err(failed)?);
    let key = HmacKey::load_or_create(root.join("link.key"))?;
    let staging = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/staging");
    let publisher = Publisher::builder()
        .target(TargetName::default(), files.clone(), Arc::new(HmacSigner::new("https://media.example", key)?))
        .metadata(files)
        .source(Arc::new(LocalFiles::open(staging)?))
        .audit(Arc::new(JsonlAudit::open(root.join("audit.jsonl")).await?))
        .alerts(Arc::new(LogAlerts))
        .clock(Arc::new(SystemClock))
        .holder(holder_name())
        .build()?;
    let clip = fs::read(Path::new(staging).join("clip.mp4")).map_err(failed)?;
    let checksum = Checksum::of(&clip);
    let request = serde_json::json!({
        "final_edit": { "video_url": "clip.mp4", "duration_seconds": 2.0, "checksum": checksum },
        "qc_report": { "status": "pass" },
    });
    let request = PublishRequest::from_json(request.to_string().as_bytes())?;
    let response = PublishResponse::from(publisher.publish(request).await?);
    serde_json::to_string_pretty(&response).map_err(|error| failed(error.into()))
}

impl Files {
    /// Files below `root`, which must be there: a volume that is not mounted is no empty store.
    fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        for folder in ["objects", "records", "names", "drafts"] {
            match fs::create_dir(root.join(folder)) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        File::open(&root)?.sync_all()?;
        Ok(Self { root })
    }

    /// A file that nobody sees, and that is gone when it is dropped, beginning with `head`.
    fn draft(&self, head: &str) -> Result<NamedTempFile, Error> {
        let mut draft = NamedTempFile::new_in(self.root.join("drafts")).map_err(failed)?;
        draft.write_all(head.as_bytes()).map_err(failed)?;
        Ok(draft)
    }

    /// Gives it this name; false if something has it. `link(2)` is the one moment in which a whole file
    /// appears, and it fails where `rename(2)` would replace what is there.
    fn publish(&self, draft: &NamedTempFile, place: &Path) -> Result<bool, Error> {
        // First the bytes, then the name, or a power cut could leave a name without bytes.
        draft.as_file().sync_all().map_err(failed)?;
        place.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
        let is_first = match fs::hard_link(draft.path(), place) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            linked => linked.map(|()| true).map_err(failed)?,
        };
        // Also if somebody else was first: they may not have come as far as this.
        self.sync(place)?;
        Ok(is_first)
    }

    /// Has a name survive a power cut, and the folders on the way to it.
    fn sync(&self, place: &Path) -> Result<(), Error> {
        let mut folders = place.ancestors().skip(1).take_while(|folder| *folder != self.root);
        folders.try_for_each(|folder| File::open(folder)?.sync_all()).map_err(failed)
    }

    /// By its hash: so `a` does not stand in the way of `a/b`, nor `A` in that of `a`, on any disk.
    fn place(&self, folder: &str, name: &str) -> PathBuf {
        self.root.join(folder).join(Checksum::of(name.as_bytes()).hex())
    }

    /// "Not found" is believed only while the store itself is there.
    fn known<T>(&self, looked: io::Result<T>) -> Result<Option<T>, Error> {
        match looked {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::metadata(self.root.join("objects")).map(|_| None).map_err(failed)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Writes this revision; false if it is written already.
    fn write(&self, row: &Row) -> Result<bool, Error> {
        let Index { concept_id, checksum, tags, state, settled, claimed_at } = row.index.clone();
        let (state, claimed_at) = (state.as_str().to_owned(), claimed_at.timestamp_micros());
        let columns = Columns { concept_id, checksum, tags, state, settled, claimed_at };
        let columns = serde_json::to_string(&columns).map_err(|error| failed(error.into()))?;
        let mut draft = self.draft(&format!("{columns}\n"))?;
        draft.write_all(&row.body).map_err(failed)?;
        self.publish(&draft, &self.root.join("records").join(row.id.as_str()).join(row.revision.to_string()))
    }

    fn newest(&self, id: &AuditLogId) -> Result<Option<Row>, Error> {
        let folder = self.root.join("records").join(id.as_str());
        let Some(revisions) = self.known(fs::read_dir(&folder))? else { return Ok(None) };
        let mut newest = None;
        for entry in revisions {
            let name = entry.map_err(failed)?.file_name();
            newest = newest.max(name.to_str().and_then(|name| name.parse::<u64>().ok()));
        }
        let Some(revision) = newest else { return Ok(None) };
        let bytes = Bytes::from(fs::read(folder.join(revision.to_string())).map_err(failed)?);
        row(id, revision, &bytes).map(Some).ok_or_else(|| Error::corrupt(format!("the row of {id} cannot be read")))
    }
}

/// The first line of an object's file; its bytes follow.
fn head(key: &ObjectKey) -> String {
    format!("{key}\n")
}

fn size(key: &ObjectKey, found: &fs::Metadata) -> u64 {
    found.len().saturating_sub(head(key).len() as u64)
}

/// The first line of a row's file; its body follows.
#[derive(Serialize, Deserialize)]
struct Columns {
    concept_id: Option<ConceptId>,
    checksum: Checksum,
    tags: Vec<String>,
    state: String,
    settled: bool,
    claimed_at: i64,
}

fn row(id: &AuditLogId, revision: u64, bytes: &Bytes) -> Option<Row> {
    let line = bytes.iter().position(|byte| *byte == b'\n')?;
    let Columns { concept_id, checksum, tags, state, settled, claimed_at } =
        serde_json::from_slice(bytes.get(..line)?).ok()?;
    let (state, claimed_at) = (State::parse(&state)?, Timestamp::from_timestamp_micros(claimed_at)?);
    let index = Index { concept_id, checksum, tags, state, settled, claimed_at };
    Some(Row { id: id.clone(), revision, index, body: bytes.slice(line + 1..) })
}

fn no_row(id: &AuditLogId) -> Error {
    Error::corrupt(format!("the publication {id} has no row"))
}

fn pieces_of(body: Body) -> Result<ByteStream, Error> {
    match body {
        Body::Stream(pieces) | Body::Object { bytes: pieces, .. } => Ok(pieces),
        // As long as it is now, so that one that has grown is noticed.
        Body::File { file, .. } => {
            let size = file.metadata().map_err(failed)?.len();
            Ok(pieces_of_file(file, size))
        }
        _ => Err(Error::new(ErrorKind::Unsupported, "this kind of body is not known here")),
    }
}

/// So many bytes from where the file is, a piece at a time: memory does not grow with the file. Fewer
/// are an error, never a shorter file.
fn pieces_of_file(file: File, bytes: u64) -> ByteStream {
    let pieces = stream::try_unfold((file, bytes), |(mut file, left)| async move {
        let mut piece = vec![0; left.min(256 << 10) as usize];
        file.read_exact(&mut piece).map_err(failed)?;
        let left = left - piece.len() as u64;
        Ok((!piece.is_empty()).then(|| (Bytes::from(piece), (file, left))))
    });
    pieces.boxed()
}

/// What is not known to have failed is not said to have: look, then repeat.
fn failed(error: io::Error) -> Error {
    Error::unavailable("the file system says no: look at the cause and repeat").because(error)
}

/// One test for each sentence of what `Storage` and `MetadataStore` guarantee.
#[cfg(test)]
mod tests {
    use distribution_testkit::conformance::{Harness, MetadataHarness, StorageHarness};

    use super::*;

    /// A directory for each test.
    struct Directory(tempfile::TempDir);

    impl Directory {
        fn new() -> Self {
            let directory = Self(tempfile::tempdir().unwrap());
            fs::create_dir(directory.root()).unwrap();
            directory
        }

        fn root(&self) -> PathBuf {
            self.0.path().join("store")
        }

        fn files(&self) -> Arc<Files> {
            Arc::new(Files::open(self.root()).unwrap())
        }
    }

    impl Harness for Directory {}

    #[async_trait]
    impl StorageHarness for Directory {
        async fn open(&self) -> Arc<dyn Storage> {
            self.files()
        }

        async fn replace(&self, key: &ObjectKey, bytes: &[u8]) -> bool {
            fs::write(self.files().place("objects", key.as_str()), [head(key).as_bytes(), bytes].concat()).is_ok()
        }

        async fn cut_off(&self, cut_off: bool) -> bool {
            let (here, away) = (self.root(), self.0.path().join("away"));
            if cut_off { fs::rename(here, away).is_ok() } else { fs::rename(away, here).is_ok() }
        }
    }

    #[async_trait]
    impl MetadataHarness for Directory {
        async fn open(&self) -> Arc<dyn MetadataStore> {
            self.files()
        }
    }

    mod proof_of_storage {
        distribution_testkit::storage_conformance!(super::Directory::new());
    }

    mod proof_of_metadata {
        distribution_testkit::metadata_conformance!(super::Directory::new());
    }

    #[tokio::test]
    async fn publishes_the_sample() {
        let directory = Directory::new();
        let first = publish(&directory.root()).await.unwrap();
        assert_eq!(publish(&directory.root()).await.unwrap(), first, "a repeat");
    }
}
