//! Why a publication could not go on, and what its caller is told.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::key::ObjectKey;
use crate::object::{Checksum, Digest};
use crate::request::VideoUrl;

/// Why a publication could not go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Rejection {
    /// The staged file cannot be published.
    Source {
        /// What is wrong with it.
        fault: SourceFault,
    },
    /// Another file is at the key, which does not tell files apart by their bytes.
    KeyTaken {
        /// What is there.
        found: Digest,
    },
    /// The QC report expired before the bytes were proven.
    QcLapsed,
    /// Every attempt's object was missing or had other bytes: the store does not keep what it is
    /// given.
    AttemptsUsedUp,
}

/// What can be wrong with a staged file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum SourceFault {
    /// It is not there.
    Missing,
    /// It may not be read.
    Refused {
        /// What the source said.
        message: String,
    },
    /// Preflight has looked into it and found it unfit.
    FailedPreflight {
        /// What is wrong with it.
        message: String,
    },
    /// It changed while it was copied.
    Changed,
    /// It has other bytes than QC approved.
    OtherBytes {
        /// What it has.
        found: Digest,
    },
}

impl Rejection {
    /// What the caller is told.
    pub(crate) fn error(&self, approved: &Checksum, key: &ObjectKey, source: &VideoUrl) -> Error {
        let url = |message: &str| Error::new(ErrorKind::Rejected, message).at("final_edit.video_url");
        match self {
            Self::Source { fault: SourceFault::Missing } => {
                url(&format!("no file is staged at {source}: stage it and repeat"))
            }
            Self::Source { fault: SourceFault::Refused { message } } => url(message),
            Self::Source { fault: SourceFault::FailedPreflight { message } } => {
                url(&format!("the staged file fails preflight: {message}"))
            }
            Self::Source { fault: SourceFault::Changed } => {
                url("the staged file changed while it was copied: finish writing it and repeat")
            }
            Self::Source { fault: SourceFault::OtherBytes { found } } => {
                let found = found.checksum;
                let message = format!("the staged file is {found}, not the approved {approved}: stage what QC saw");
                Error::new(ErrorKind::Rejected, message).at("final_edit.checksum")
            }
            Self::KeyTaken { found } => {
                let way_out = "use another prefix, or a key template with {sha256:12}";
                let message = format!("`{key}` holds another file, {}: {way_out}", found.checksum);
                Error::new(ErrorKind::Conflict, message).at("distribution_settings.storage_prefix")
            }
            Self::QcLapsed => {
                let message = "the QC report expired before the file was published: have QC renew it";
                Error::new(ErrorKind::Refused, message).at("qc_report.expires_at")
            }
            Self::AttemptsUsedUp => {
                let message = "every stored copy was missing or had other bytes when read back";
                Error::corrupt(format!("{message}: check the store, then repeat"))
            }
        }
    }
}
