//! What a publisher is made of: its ports and its policy.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::alert::AlertSink;
use crate::audit::AuditSink;
use crate::base_url::BaseUrl;
use crate::error::{Error, ErrorKind};
use crate::flight::Flights;
use crate::key::{KeyTemplate, StoragePrefix, TargetName};
use crate::metadata::MetadataStore;
use crate::metrics::Outcomes;
use crate::object::Verification;
use crate::preflight::{Inspector, PreflightPolicy};
use crate::qc::QcPolicy;
use crate::receipt::DistributionRecord;
use crate::record::Lease;
use crate::replicas::{Replicas, Replication};
use crate::request::Access;
use crate::signer::UrlSigner;
use crate::source::Source;
use crate::storage::Storage;
use crate::time::Clock;

pub(crate) struct Parts {
    pub(crate) targets: BTreeMap<TargetName, Target>,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) inspector: Option<Arc<dyn Inspector>>,
    pub(crate) metadata: Arc<dyn MetadataStore>,
    pub(crate) audit: Arc<dyn AuditSink>,
    pub(crate) alerts: Arc<dyn AlertSink>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) holder: String,
    pub(crate) policy: Policy,
    pub(crate) flights: Flights<Result<DistributionRecord, Error>>,
    pub(crate) outcomes: Outcomes,
}

/// Where objects go, and how they are read there.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) reach: Reach,
    /// Where else copies of what is published here go.
    pub(crate) replication: Option<Replication>,
    /// Where its archive is.
    pub(crate) archive: Option<TargetName>,
}

/// How the objects of a target are read. Where everybody can read one, nothing there is a secret: so a target
/// is public or it is not.
#[derive(Clone)]
pub(crate) enum Reach {
    /// By links that expire; and below `authenticated`, by whom the host lets through there.
    Private { signer: Arc<dyn UrlSigner>, authenticated: Option<BaseUrl> },
    /// By everybody, below this base.
    Public(BaseUrl),
}

impl Target {
    /// Where links of this access begin; `None` for those that are signed.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for an access that the target has not.
    pub(crate) fn base(&self, access: Access) -> Result<Option<&BaseUrl>, Error> {
        let lacks = |message: &str| Err(Error::new(ErrorKind::Unsupported, message));
        match (access, &self.reach) {
            (Access::Signed, Reach::Private { .. }) => Ok(None),
            (Access::Authenticated, Reach::Private { authenticated: Some(base), .. }) => Ok(Some(base)),
            (Access::Public, Reach::Public(base)) => Ok(Some(base)),
            (Access::Signed | Access::Authenticated, Reach::Public(_)) => {
                lacks("everybody can read what is on this target: ask for `public`, or name another target")
            }
            (Access::Public, Reach::Private { .. }) => {
                lacks("this target is not public: name one that is, or ask for `signed`")
            }
            (Access::Authenticated, Reach::Private { authenticated: None, .. }) => {
                lacks("this target has no route that asks who it is: name one that has, or ask for `signed`")
            }
        }
    }

    /// The copies on other targets that are wanted of what is published here.
    pub(crate) fn replicas(&self) -> Replicas {
        self.replication.as_ref().map_or_else(Replicas::default, Replicas::from)
    }

    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where nothing is signed.
    pub(crate) fn signer(&self) -> Result<&Arc<dyn UrlSigner>, Error> {
        match &self.reach {
            Reach::Private { signer, .. } => Ok(signer),
            Reach::Public(_) => Err(Error::new(ErrorKind::Unsupported, "this target is public: nothing is signed")),
        }
    }
}

/// What holds for every request that does not say otherwise, and the limits of the work.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The target of requests that name none: `default`.
    pub target: TargetName,
    /// The prefix of requests that name none: empty.
    pub storage_prefix: StoragePrefix,
    /// How keys are made: `{prefix}{stem}-{sha256:12}.mp4`.
    pub key_template: KeyTemplate,
    /// How many hours links work: 72.
    pub url_expiry_hours: u32,
    /// Who may download, on a target that is not public: `Signed`.
    pub access: Access,
    /// Which QC reports pass.
    pub qc: QcPolicy,
    /// What a staged file must be, where the publisher has an inspector: else nobody asks.
    pub preflight: PreflightPolicy,
    /// The weakest proof that counts: `ReadBack`. With `StoreAttested`, what the store itself has hashed
    /// on its way in need not be read back.
    pub verification: Verification,
    /// How many objects one call may try before it gives up on a store that loses or changes what
    /// it is given: 3, at most [`Policy::ATTEMPTS_MAX`].
    pub attempts_max: u32,
    /// How long others leave the work alone after its last sign of life: 60 seconds, at most
    /// [`Lease::SECS_MAX`].
    pub lease_secs: u32,
    /// How many publications one [`recover`](crate::Publisher::recover) works on at a time: 4, at most
    /// [`Policy::RECOVERIES_MAX`].
    pub recoveries_max: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            target: TargetName::default(),
            storage_prefix: StoragePrefix::default(),
            key_template: KeyTemplate::default(),
            url_expiry_hours: 72,
            access: Access::Signed,
            qc: QcPolicy::default(),
            preflight: PreflightPolicy::default(),
            verification: Verification::ReadBack,
            attempts_max: 3,
            lease_secs: 60,
            recoveries_max: 4,
        }
    }
}

impl Policy {
    /// The most objects that one call may try.
    pub const ATTEMPTS_MAX: u32 = 100;
    /// The most publications that one recovery works on at a time.
    pub const RECOVERIES_MAX: u32 = 64;

    /// Whether a proof of this kind counts.
    pub(crate) fn accepts(&self, how: Verification) -> bool {
        how == Verification::ReadBack || self.verification == Verification::StoreAttested
    }

    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), naming the setting that is out of range.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let check = |name: &str, value: u32, max: u32| {
            let message = || format!("must be 1 to {max}, not {value}");
            if (1..=max).contains(&value) { Ok(()) } else { Err(Error::invalid(name, message())) }
        };
        check("policy.attempts_max", self.attempts_max, Self::ATTEMPTS_MAX)?;
        check("policy.lease_secs", self.lease_secs, Lease::SECS_MAX)?;
        check("policy.recoveries_max", self.recoveries_max, Self::RECOVERIES_MAX)
    }
}
