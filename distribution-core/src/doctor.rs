//! The doctor: whether publishing works, tried on the real path with objects of its own.

mod visit;

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::{Instrument as _, info_span};

use crate::error::Error;
use crate::identity::{AuditLogId, Identity};
use crate::key::{ObjectKey, TargetName};
use crate::metadata::Query;
use crate::object::Checksum;
use crate::publisher::Publisher;
use crate::signer::Link;
use crate::storage::Storage;
use crate::time::Timestamp;

use self::visit::Visit;
pub(crate) use self::visit::content;

/// Fetches through links as those do who get them, and can wait.
#[async_trait]
pub trait Viewer: Send + Sync {
    /// Fetches a part of the object at `key` of `storage` through its link.
    ///
    /// # Errors
    /// What is wrong with the link, or with what it is answered with, and the way out.
    async fn watch(&self, link: &Link, storage: &dyn Storage, key: &ObjectKey) -> Result<(), Error>;

    /// Whether the link is answered with a file, whatever is in it.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if nobody answers.
    async fn is_let_in(&self, link: &Link) -> Result<bool, Error>;

    /// What the answer to the link tells of the metadata that its object was stored with, by names without the
    /// service's prefix, such as `sha256` of `x-amz-meta-sha256`; `None` where such answers tell of none.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if the link is not answered with a file.
    async fn metadata(&self, link: &Link) -> Result<Option<BTreeMap<String, String>>, Error>;

    /// Waits until it is later than that.
    async fn wait_until(&self, at: Timestamp);
}

/// What the doctor found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnosis {
    /// One for each check of each target, then those of what all targets share.
    pub findings: Vec<Finding>,
}

/// What one check came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The target that was looked at; `None` for what all share.
    pub target: Option<TargetName>,
    /// What was looked for.
    pub check: Check,
    /// How it is.
    pub health: Health,
}

/// What the doctor looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Check {
    /// A small object can be stored.
    Create,
    /// So can one of 17 MiB, which backends that upload in parts do so.
    CreateLarge,
    /// What is there is not overwritten, and of eight that create one object at a time exactly one does.
    CreateOnly,
    /// The same of large objects.
    CreateOnlyLarge,
    /// What is read back is what was stored.
    ReadBack,
    /// The store tells that an object is there, and its size.
    Stat,
    /// The store's clock and this host's differ by five minutes at most.
    Clock,
    /// A range is answered with that range.
    Range,
    /// What was just stored is listed.
    List,
    /// The link that would be handed out fetches the object.
    Link,
    /// What an object was stored with comes with it.
    ObjectMetadata,
    /// It works as long as the policy says, and a link of a few seconds until shortly before its end.
    LinkLife,
    /// A link that has ended does not work any more.
    LinkEnd,
    /// Without its signature, or without being let through, nobody gets the object.
    Privacy,
    /// What was stored can be removed again.
    Remove,
    /// The records can be read.
    Records,
    /// The audit sink answers.
    Audit,
}

/// How something is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "health", rename_all = "snake_case")]
pub enum Health {
    /// As it should be.
    Well,
    /// Not as it should be.
    Ill {
        /// What is wrong and what to do, in one line.
        problem: String,
    },
    /// It was not looked at.
    Unknown {
        /// Why not.
        reason: String,
    },
}

impl Diagnosis {
    /// Whether nothing was found to be wrong.
    pub fn is_well(&self) -> bool {
        !self.findings.iter().any(|finding| matches!(finding.health, Health::Ill { .. }))
    }
}

impl Check {
    /// The check's name, such as `create_only`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::CreateLarge => "create_large",
            Self::CreateOnly => "create_only",
            Self::CreateOnlyLarge => "create_only_large",
            Self::ReadBack => "read_back",
            Self::Stat => "stat",
            Self::Clock => "clock",
            Self::Range => "range",
            Self::List => "list",
            Self::Link => "link",
            Self::ObjectMetadata => "object_metadata",
            Self::LinkLife => "link_life",
            Self::LinkEnd => "link_end",
            Self::Privacy => "privacy",
            Self::Remove => "remove",
            Self::Records => "records",
            Self::Audit => "audit",
        }
    }
}

impl fmt::Display for Diagnosis {
    /// One line for each finding.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { target, check, health } in &self.findings {
            let target = target.as_ref().map_or("all", TargetName::as_str);
            let (health, text) = match health {
                Health::Well => ("well", ""),
                Health::Ill { problem } => ("ILL", problem.as_str()),
                Health::Unknown { reason } => ("unknown", reason.as_str()),
            };
            writeln!(f, "{:<8}{target} {:<18}{text}", health, check.as_str())?;
        }
        Ok(())
    }
}

impl Publisher {
    /// Tries what publishing needs with the ports that it has, and so with their credentials: on each target it
    /// stores a small object and one of 17 MiB below `distribution-doctor/`, tries to overwrite them, reads
    /// them back, fetches one through its link with the help of `viewer`, and removes them. A target takes a few
    /// seconds, in which a link ends.
    ///
    /// Nothing is left behind; of a doctor that was killed, its objects. No record, audit entry or alert is
    /// written, since those would stay: whether they can be is unknown until the first publish.
    pub async fn doctor(&self, viewer: &dyn Viewer) -> Diagnosis {
        let mut findings = Vec::new();
        for (name, target) in &self.parts().targets {
            let place = format!("distribution-doctor/{}-{name}", self.now().timestamp_micros());
            let found = match Visit::new(self, target, viewer, &place) {
                Ok(visit) => visit.examine().instrument(info_span!("doctor", storage_target = %name)).await,
                Err(error) => vec![(Check::Create, Health::from(error))],
            };
            findings.extend(found.into_iter().map(|(check, health)| Finding {
                target: Some(name.clone()),
                check,
                health,
            }));
        }
        let shared = [(Check::Records, self.examine_records().await), (Check::Audit, self.examine_audit().await)];
        findings.extend(shared.map(|(check, health)| Finding { target: None, check, health }));
        Diagnosis { findings }
    }

    async fn examine_records(&self) -> Health {
        let metadata = &self.parts().metadata;
        let read = async {
            let key = ObjectKey::parse("distribution-doctor/nobody")?;
            let (target, checksum) = (&self.parts().policy.target, &Checksum::of(b""));
            metadata.load(&AuditLogId::of(Identity { target, key: &key, checksum, concept_id: None })).await?;
            metadata.find(&Query::default(), None, 1).await
        };
        read.await.map_or_else(Health::from, |_| Health::Well)
    }

    async fn examine_audit(&self) -> Health {
        let unknown = || Health::Unknown { reason: "an entry would stay for ever: nothing was written".to_owned() };
        self.parts().audit.append(&[]).await.map_or_else(Health::from, |()| unknown())
    }
}

impl From<Error> for Health {
    fn from(error: Error) -> Self {
        Self::Ill { problem: error.to_string() }
    }
}
