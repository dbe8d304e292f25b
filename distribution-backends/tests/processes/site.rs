//! A folder that publishers share, and what is staged for them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use distribution_backends::{HmacKey, HmacSigner, JsonlAudit, LocalDisk, LocalFiles, SqliteMetadata, SystemClock};
use distribution_core::{
    Alert, AlertSink, Builder, Clock, Error, MetadataStore, Policy, PublishRequest, Publisher, Replication, Storage,
    StoragePrefix, TargetName, Timestamp,
};
use distribution_testkit::request;
use fastrand::Rng;
use serde::{Deserialize, Serialize};

use crate::defect::Defect;

pub(crate) const KIB: usize = 1 << 10;
pub(crate) const MIB: usize = 1 << 20;

/// Where everything is; each may be on a file system of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Site {
    pub(crate) objects: PathBuf,
    /// The folders of other targets, each of which a copy must be in before there is a link.
    pub(crate) replicas: Vec<PathBuf>,
    /// The folder of the archive.
    pub(crate) archive: Option<PathBuf>,
    /// Records and audit trail.
    ledger: PathBuf,
    staging: PathBuf,
    /// The bucket that objects are in, if they are not on this disk.
    #[cfg(feature = "s3")]
    pub(crate) remote: Option<crate::remote::Remote>,
    /// The database that records are in, if they are not on this disk.
    #[cfg(feature = "postgres")]
    pub(crate) database: Option<crate::database::Database>,
}

/// A request, and its number among the site's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) number: usize,
    pub(crate) request: PublishRequest,
}

/// Who publishes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Host {
    pub(crate) holder: String,
    /// How far its clock is ahead.
    pub(crate) ahead_secs: u32,
    pub(crate) lease_secs: u32,
    pub(crate) defect: Option<Defect>,
}

impl Host {
    pub(crate) fn new(holder: impl Into<String>) -> Self {
        Self { holder: holder.into(), ahead_secs: 0, lease_secs: 1, defect: None }
    }

    /// One with a clock that is ahead: it takes the others' leases for over.
    pub(crate) fn ahead(holder: impl Into<String>) -> Self {
        Self { ahead_secs: 2, ..Self::new(holder) }
    }

    /// One that comes when all leases are over, also those of hosts whose clock is ahead.
    pub(crate) fn later(holder: impl Into<String>) -> Self {
        Self { ahead_secs: 10, ..Self::new(holder) }
    }
}

impl Site {
    pub(crate) fn new(objects: &Path, ledger: &Path, staging: &Path) -> Self {
        let made = [objects, ledger, staging].map(|dir| {
            fs::create_dir_all(dir).unwrap();
            dir.to_owned()
        });
        let [objects, ledger, staging] = made;
        Self {
            objects,
            replicas: Vec::new(),
            archive: None,
            ledger,
            staging,
            #[cfg(feature = "s3")]
            remote: None,
            #[cfg(feature = "postgres")]
            database: None,
        }
    }

    /// With its objects in this bucket.
    #[cfg(feature = "s3")]
    pub(crate) fn on(self, remote: crate::remote::Remote) -> Self {
        Self { remote: Some(remote), ..self }
    }

    /// With its records in this database.
    #[cfg(feature = "postgres")]
    pub(crate) fn with(self, database: crate::database::Database) -> Self {
        Self { database: Some(database), ..self }
    }

    /// One below a folder.
    pub(crate) fn below(dir: &Path) -> Self {
        Self::new(&dir.join("objects"), &dir.join("ledger"), &dir.join("staging"))
    }

    /// With copies in these folders.
    pub(crate) fn copied_to(self, folders: &[PathBuf]) -> Self {
        folders.iter().for_each(|folder| fs::create_dir_all(folder).unwrap());
        Self { replicas: folders.to_vec(), ..self }
    }

    /// With an archive in this folder.
    pub(crate) fn archived_in(self, folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        Self { archive: Some(folder.to_owned()), ..self }
    }

    pub(crate) fn audit(&self) -> PathBuf {
        self.ledger.join("audit.jsonl")
    }

    pub(crate) fn records(&self) -> PathBuf {
        self.ledger.join("records.sqlite")
    }

    /// Stages a file of `size` random bytes, some below folders that are not there yet.
    pub(crate) fn stage(&self, number: usize, size: usize, chance: &mut Rng) -> Job {
        let mut bytes = vec![0; size];
        chance.fill(&mut bytes);
        let name = format!("clip-{number}.mp4");
        fs::write(self.staging.join(&name), &bytes).unwrap();
        let mut request = request(&name, &bytes);
        let prefix = match number % 3 {
            0 => None,
            1 => Some("mvp/".to_owned()),
            _ => Some(format!("deep/{number}/")),
        };
        request.distribution_settings.storage_prefix = prefix.map(|prefix| StoragePrefix::parse(prefix).unwrap());
        Job { number, request }
    }

    /// Where the objects are.
    pub(crate) fn storage(&self) -> Result<Arc<dyn Storage>, Error> {
        #[cfg(feature = "s3")]
        if let Some(remote) = &self.remote {
            return remote.storage().map(|storage| Arc::new(storage) as Arc<dyn Storage>);
        }
        Ok(Arc::new(LocalDisk::open(&self.objects)?))
    }

    /// Where the records are.
    pub(crate) async fn metadata(&self) -> Result<Arc<dyn MetadataStore>, Error> {
        #[cfg(feature = "postgres")]
        if let Some(database) = &self.database {
            return Ok(Arc::new(database.open().await?));
        }
        Ok(Arc::new(SqliteMetadata::open(self.records()).await?))
    }

    /// What copies that were never finished have left.
    pub(crate) async fn left_overs(&self) -> Result<usize, Error> {
        #[cfg(feature = "s3")]
        if let Some(remote) = &self.remote {
            return remote.unfinished().await;
        }
        Ok(stages(&self.objects))
    }

    fn replicated(&self, mut builder: Builder) -> Result<Builder, Error> {
        let signer = |name: &TargetName| {
            HmacSigner::new(&format!("http://media.example/{name}"), HmacKey::new("k1", [7; 32])?).map(Arc::new)
        };
        if let Some(folder) = &self.archive {
            let cold = TargetName::parse("cold")?;
            builder = builder.target(cold.clone(), Arc::new(LocalDisk::open(folder)?), signer(&cold)?);
            builder = builder.archive(TargetName::default(), cold);
        }
        let mut targets = Vec::new();
        for (number, folder) in self.replicas.iter().enumerate() {
            let (name, storage) = (TargetName::parse(format!("replica-{number}"))?, Arc::new(LocalDisk::open(folder)?));
            builder = builder.target(name.clone(), storage, signer(&name)?);
            targets.push(name);
        }
        let quorum = u32::try_from(targets.len()).unwrap() + 1;
        let replication = Replication { targets, quorum };
        Ok(if quorum > 1 { builder.replicate(TargetName::default(), replication) } else { builder })
    }

    /// A publisher on this site, as a process opens it.
    pub(crate) async fn publisher(&self, host: &Host) -> Result<Publisher, Error> {
        let storage = self.storage()?;
        let signer = Arc::new(HmacSigner::new("http://media.example", HmacKey::new("k1", [7; 32])?)?);
        let metadata = self.metadata().await?;
        let audit = Arc::new(JsonlAudit::open(self.audit()).await?);
        let builder = Publisher::builder()
            .target(TargetName::default(), Defect::storage(host.defect, storage, &self.objects), signer)
            .source(Arc::new(LocalFiles::open(&self.staging)?))
            .metadata(Defect::metadata(host.defect, metadata))
            .audit(Defect::audit(host.defect, audit))
            .alerts(Arc::new(Unheard))
            .clock(Arc::new(Ahead(host.ahead_secs)))
            .holder(&host.holder);
        let builder = self.replicated(builder)?;
        builder.policy(Policy { lease_secs: host.lease_secs, ..Policy::default() }).build()
    }
}

fn stages(dir: &Path) -> usize {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let count = |entry: fs::DirEntry| match entry.file_type().unwrap().is_dir() {
        true => stages(&entry.path()),
        false => usize::from(entry.file_name().to_string_lossy().starts_with(".stage-")),
    };
    entries.map(|entry| count(entry.unwrap())).sum()
}

struct Ahead(u32);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now() + std::time::Duration::from_secs(self.0.into())
    }
}

struct Unheard;

impl AlertSink for Unheard {
    fn raise(&self, _: Alert) {}
}
