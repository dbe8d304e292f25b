//! The Story MCP datastore: where records are kept, or mirrored.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use distribution_core::{AuditSink, Error, MetadataStore};
use serde::Deserialize;

use super::document::Places;
use super::metadata::Records;
use super::secret::Secret;
use super::values::Whole;

/// `[metadata.story]` and `[audit.story]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub(super) struct Story {
    /// `story:stdio`: the server's program and its arguments, which is started as a child and speaks on its
    /// standard input and output.
    command: Vec<String>,
    /// `story:https://…`: the bearer token that goes with every request. Default: none.
    bearer: Option<Secret>,
    /// How long one call may take, in seconds, 1 to 3,600. Default: 30.
    call_timeout_secs: Option<Whole>,
    /// What the server calls its tools, their arguments and the fields of their answers, where not as
    /// `StoryContract` does: `{ tools = { put = "upsert" } }`.
    contract: Contract,
}

/// Copies of records that go with the audit trail.
#[async_trait]
pub(super) trait Mirror: Send + Sync {
    /// The sink that copies, too.
    async fn wrap(
        &self,
        sink: Arc<dyn AuditSink>,
        records: Arc<dyn MetadataStore>,
        base: &Path,
        places: &Places,
    ) -> Result<Arc<dyn AuditSink>, Error>;
}

#[cfg(not(feature = "story-mcp"))]
type Contract = Option<serde::de::IgnoredAny>;

#[cfg(not(feature = "story-mcp"))]
pub(super) fn records(_: &str, _: Option<&Story>, places: &Places) -> Result<Arc<dyn Records>, Error> {
    Err(places.locate("metadata.uri", super::bucket::lacks("story-mcp")))
}

#[cfg(not(feature = "story-mcp"))]
pub(super) fn mirror(_: &str, _: Option<&Story>, places: &Places) -> Result<Arc<dyn Mirror>, Error> {
    Err(places.locate("audit.mirror", super::bucket::lacks("story-mcp")))
}

#[cfg(feature = "story-mcp")]
type Contract = crate::StoryContract;

#[cfg(feature = "story-mcp")]
pub(super) use self::with::{mirror, records};

#[cfg(feature = "story-mcp")]
mod with {
    use std::time::Duration;

    use super::*;
    use crate::blocking::blocking;
    use crate::{MirrorTo, StoryConfig, StoryContract, StoryMcpMetadata, StoryMirror};

    /// A server that nobody has asked yet.
    struct Server {
        config: StoryConfig,
        contract: StoryContract,
        bearer: Option<Secret>,
        /// The keys that errors name.
        at: (&'static str, &'static str),
    }

    /// What is behind `story:` in `metadata.uri`.
    pub(in crate::config) fn records(
        server: &str,
        story: Option<&Story>,
        places: &Places,
    ) -> Result<Arc<dyn Records>, Error> {
        Ok(Arc::new(Server::parse(server, story, ("metadata.uri", "metadata.story"), places)?))
    }

    /// What is behind `story:` in `audit.mirror`.
    pub(in crate::config) fn mirror(
        server: &str,
        story: Option<&Story>,
        places: &Places,
    ) -> Result<Arc<dyn Mirror>, Error> {
        Ok(Arc::new(Server::parse(server, story, ("audit.mirror", "audit.story"), places)?))
    }

    impl Server {
        fn parse(
            server: &str,
            story: Option<&Story>,
            at: (&'static str, &'static str),
            places: &Places,
        ) -> Result<Self, Error> {
            let Story { command, bearer, call_timeout_secs, contract } = story.cloned().unwrap_or_default();
            let key = |key: &str| format!("{}.{key}", at.1);
            let config = match (server, command.split_first()) {
                ("stdio", Some((program, args))) => StoryConfig::stdio(program, args),
                ("stdio", None) => return Err(places.invalid(at.0, format!("needs `{}`, an array", key("command")))),
                (_, Some(_)) => return Err(places.invalid(&key("command"), "is of no use with a URL: use story:stdio")),
                (url, None) => StoryConfig::http(url).map_err(|error| places.locate(at.0, error))?,
            };
            if server == "stdio" && bearer.is_some() {
                return Err(places.invalid(&key("bearer"), "is of no use with a child: give it by its environment"));
            }
            let at_timeout = key("call_timeout_secs");
            let config = match call_timeout_secs {
                None => config,
                Some(secs) => {
                    let timeout = Duration::from_secs(secs.within(1..=3_600, &at_timeout, places)?.into());
                    config.call_timeout(timeout).map_err(|error| places.locate(&at_timeout, error))?
                }
            };
            Ok(Self { config, contract, bearer, at })
        }

        async fn config(&self, base: &Path, places: &Places) -> Result<StoryConfig, Error> {
            let Some(secret) = self.bearer.clone() else { return Ok(self.config.clone()) };
            let (base, at) = (base.to_owned(), format!("{}.bearer", self.at.1));
            let token = blocking(move |_| secret.read(&base)).await.map_err(|error| places.locate(&at, error))?;
            self.config.clone().bearer(token.as_str()).map_err(|error| places.locate(&at, error))
        }
    }

    #[async_trait]
    impl Records for Server {
        async fn open(&self, base: &Path, places: &Places) -> Result<Arc<dyn MetadataStore>, Error> {
            let opened = StoryMcpMetadata::open(self.config(base, places).await?, self.contract.clone()).await;
            Ok(Arc::new(opened.map_err(|error| places.locate(self.at.0, error))?))
        }
    }

    #[async_trait]
    impl Mirror for Server {
        async fn wrap(
            &self,
            sink: Arc<dyn AuditSink>,
            records: Arc<dyn MetadataStore>,
            base: &Path,
            places: &Places,
        ) -> Result<Arc<dyn AuditSink>, Error> {
            let opened = StoryMirror::open(self.config(base, places).await?, self.contract.clone()).await;
            let mirror = opened.map_err(|error| places.locate(self.at.0, error))?;
            Ok(Arc::new(MirrorTo::new(sink, records, mirror)))
        }
    }
}
