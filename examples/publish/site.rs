//! The publisher that the options ask for.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use distribution_backends::serve;
use distribution_backends::{
    Ability, AzblobConfig, GcsConfig, HmacKey, HmacSigner, JsonlAudit, LocalDisk, LocalFiles, PresignSigner, Probe,
    S3Config, S3Files, S3Storage, Sources, SqliteMetadata, SystemClock, holder_name,
};
use distribution_core::{Clock as _, Error, ErrorKind, Policy, Publisher, Storage, TargetName, UrlSigner};

use crate::Options;
use crate::shell::{Stderr, unavailable};

/// A publisher, and the route that serves its links, where a storage service does not.
pub(crate) struct Site {
    pub(crate) publisher: Publisher,
    pub(crate) routes: Option<axum::Router>,
}

impl Site {
    /// Records, audit trail and link key are on this machine's disk; objects are there or at the target.
    pub(crate) async fn open(options: &Options, staging: &Path, base_url: &str) -> Result<Self, Error> {
        let data = &options.data;
        fs::create_dir_all(data).map_err(|error| unavailable("create", data.display(), error))?;
        let target = match options.target.as_deref() {
            None => Target::local(data, base_url)?,
            Some(uri) => Target::service(uri).await.map_err(|error| error.at("--target"))?,
        };
        let files = Arc::new(LocalFiles::open(staging)?);
        let mut sources = Sources::new().paths(files.clone()).scheme("file", files)?;
        if let Some(uri) = &options.s3_staging {
            let files = S3Config::from_uri(uri).and_then(S3Files::open).map_err(|error| error.at("--s3-staging"))?;
            sources = sources.scheme("s3", Arc::new(files))?;
        }
        let publisher = Publisher::builder()
            .target(TargetName::default(), target.storage, target.signer)
            .source(Arc::new(sources))
            .metadata(Arc::new(SqliteMetadata::open(data.join("records.sqlite")).await?))
            .audit(Arc::new(JsonlAudit::open(data.join("audit.jsonl")).await?))
            .alerts(Arc::new(Stderr))
            .clock(Arc::new(SystemClock))
            .holder(holder_name())
            .policy(Policy { lease_secs: 15, ..Policy::default() })
            .build()?;
        Ok(Self { publisher, routes: target.routes })
    }
}

/// Where objects go, and who signs their links.
struct Target {
    storage: Arc<dyn Storage>,
    signer: Arc<dyn UrlSigner>,
    routes: Option<axum::Router>,
}

impl Target {
    fn local(data: &Path, base_url: &str) -> Result<Self, Error> {
        let objects = data.join("objects");
        fs::create_dir_all(&objects).map_err(|error| unavailable("create", objects.display(), error))?;
        let storage = Arc::new(LocalDisk::open(&objects)?);
        let signer = Arc::new(HmacSigner::new(base_url, HmacKey::load_or_create(data.join("link.key"))?)?);
        let routes = serve::router(storage.clone(), signer.clone(), Arc::new(SystemClock));
        Ok(Self { storage, signer, routes: Some(routes) })
    }

    /// Which service it is, the scheme tells.
    async fn service(uri: &str) -> Result<Self, Error> {
        let (storage, signer): (Arc<dyn Storage>, _) = match uri.split_once("://") {
            Some(("s3", _)) => {
                let config = S3Config::from_uri(uri)?;
                (Arc::new(S3Storage::open(config.clone()).await?), PresignSigner::s3(config)?.bounded_by_credentials())
            }
            Some(("gs", _)) => {
                let config = GcsConfig::from_uri(uri)?;
                (Arc::new(config.open()?), PresignSigner::gcs(&config)?)
            }
            Some(("az", _)) => {
                let config = AzblobConfig::from_uri(uri)?;
                (Arc::new(config.open()?), PresignSigner::azblob(&config)?)
            }
            _ => {
                let message = "is not like s3://bucket/prefix, gs://… or az://…; leave it out for this machine's disk";
                return Err(Error::invalid("--target", message));
            }
        };
        // Much of it is known of an S3 bucket already, but not whether its links fetch.
        let probe = Probe::of(&*storage, Some(&signer), SystemClock.now()).await?;
        match probe.fault(Ability::CreateByPut).or(probe.fault(Ability::Link)) {
            Some(fault) => Err(Error::new(ErrorKind::Unsupported, format!("cannot be published to: {fault}"))),
            None => Ok(Self { storage, signer: Arc::new(signer), routes: None }),
        }
    }
}
