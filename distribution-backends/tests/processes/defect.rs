//! Publishers that are broken on purpose: the proofs must catch them, or they prove nothing.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use distribution_core::{
    Advance, AuditEntry, AuditLogId, AuditSink, Body, ByteStream, Claim, Content, CreateOutcome, Cursor, Digest, Error,
    Found, IdempotencyKey, Location, MetadataStore, Meter, ObjectKey, ObjectStat, Query, Row, Storage,
};
use serde::{Deserialize, Serialize};

/// What is wrong with a publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Defect {
    /// Objects are written under their final name, on a slow disk.
    InPlace,
    /// Objects are written under another name and renamed, and nothing is synced.
    Unsynced,
    /// The same, and the file is synced, but its folder is not.
    FolderUnsynced,
    /// Every second delivery of audit entries is forgotten.
    Forgetful,
    /// Records are said to be written before they are.
    Hasty,
}

impl Defect {
    pub(crate) fn storage(defect: Option<Self>, sound: Arc<dyn Storage>, root: &Path) -> Arc<dyn Storage> {
        match defect {
            Some(defect @ (Self::InPlace | Self::Unsynced | Self::FolderUnsynced)) => {
                Arc::new(NaiveStorage { sound, root: root.to_owned(), defect })
            }
            _ => sound,
        }
    }

    pub(crate) fn metadata(defect: Option<Self>, sound: Arc<dyn MetadataStore>) -> Arc<dyn MetadataStore> {
        if defect == Some(Self::Hasty) { Arc::new(HastyMetadata(sound)) } else { sound }
    }

    pub(crate) fn audit(defect: Option<Self>, sound: Arc<dyn AuditSink>) -> Arc<dyn AuditSink> {
        if defect == Some(Self::Forgetful) { Arc::new(ForgetfulAudit(sound, AtomicUsize::new(0))) } else { sound }
    }
}

struct NaiveStorage {
    sound: Arc<dyn Storage>,
    root: PathBuf,
    defect: Defect,
}

impl NaiveStorage {
    fn write(&self, key: &ObjectKey, mut bytes: &[u8]) -> std::io::Result<()> {
        let path = self.root.join(key.as_str());
        fs::create_dir_all(path.parent().unwrap())?;
        if self.defect != Defect::InPlace {
            let temporary = path.with_extension(format!("{}.tmp~", std::process::id()));
            fs::write(&temporary, bytes)?;
            if self.defect == Defect::FolderUnsynced {
                fs::File::open(&temporary)?.sync_all()?;
            }
            return fs::rename(temporary, path);
        }
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        let piece = (bytes.len() / 32).max(1);
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(piece.min(bytes.len()));
            file.write_all(now)?;
            thread::sleep(Duration::from_millis(1));
            bytes = later;
        }
        file.sync_all()
    }
}

#[async_trait]
impl Storage for NaiveStorage {
    async fn create(&self, key: &ObjectKey, content: Content) -> Result<CreateOutcome, Error> {
        let Body::File { mut file, .. } = content.body else { panic!("local files only") };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        if self.sound.stat(key).await?.is_some() {
            return Ok(CreateOutcome::AlreadyExists);
        }
        match self.write(key, &bytes) {
            Ok(()) => Ok(CreateOutcome::Created { proof: None }),
            Err(error) => Err(Error::unavailable("naive").because(error)),
        }
    }

    async fn digest(&self, key: &ObjectKey, meter: &Meter) -> Result<Option<Digest>, Error> {
        self.sound.digest(key, meter).await
    }

    async fn stat(&self, key: &ObjectKey) -> Result<Option<ObjectStat>, Error> {
        self.sound.stat(key).await
    }

    async fn open(&self, key: &ObjectKey, range: Range<u64>) -> Result<Option<ByteStream>, Error> {
        self.sound.open(key, range).await
    }

    async fn remove(&self, key: &ObjectKey) -> Result<(), Error> {
        self.sound.remove(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&ObjectKey>, limit: usize) -> Result<Vec<ObjectKey>, Error> {
        self.sound.list(prefix, after, limit).await
    }

    fn location(&self, key: &ObjectKey) -> Location {
        self.sound.location(key)
    }
}

struct ForgetfulAudit(Arc<dyn AuditSink>, AtomicUsize);

#[async_trait]
impl AuditSink for ForgetfulAudit {
    async fn append(&self, entries: &[AuditEntry]) -> Result<(), Error> {
        if self.1.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            return Ok(());
        }
        self.0.append(entries).await
    }
}

struct HastyMetadata(Arc<dyn MetadataStore>);

#[async_trait]
impl MetadataStore for HastyMetadata {
    async fn claim(&self, first: &Row) -> Result<Claim, Error> {
        self.0.claim(first).await
    }

    async fn load(&self, id: &AuditLogId) -> Result<Option<Row>, Error> {
        self.0.load(id).await
    }

    async fn advance(&self, next: &Row) -> Result<Advance, Error> {
        let (sound, next) = (Arc::clone(&self.0), next.clone());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            sound.advance(&next).await
        });
        Ok(Advance::Advanced)
    }

    async fn bind(&self, key: &IdempotencyKey, id: &AuditLogId) -> Result<AuditLogId, Error> {
        self.0.bind(key, id).await
    }

    async fn bound(&self, key: &IdempotencyKey) -> Result<Option<AuditLogId>, Error> {
        self.0.bound(key).await
    }

    async fn find(&self, query: &Query, after: Option<&Cursor>, limit: usize) -> Result<Found, Error> {
        self.0.find(query, after, limit).await
    }
}
