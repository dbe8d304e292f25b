//! What one call brings with it.

use std::sync::Arc;

use crate::lease::OwnLease;
use crate::progress::Progress;
use crate::qc::QcApproval;
use crate::record::{Record, StagedAt};
use crate::rejection::Rejection;
use crate::request::VideoUrl;
use crate::time::Timestamp;

/// What one call brings with it.
pub(crate) struct Call {
    pub(crate) approval: QcApproval,
    /// Where the bytes are staged; `None` if only a caller knows.
    pub(crate) source: Option<VideoUrl>,
    pub(crate) progress: Arc<dyn Progress>,
    /// The lease that this call wrote last and that no other call was under.
    pub(crate) lease: OwnLease,
    /// Whether it makes all copies that are wanted, also those without which there are links already.
    pub(crate) repairs: bool,
}

impl Call {
    /// One that nobody waits for: it goes on with what is on record.
    pub(crate) fn of(record: &Record, repairs: bool) -> Self {
        Self {
            approval: record.approval.clone(),
            source: record.source.whole.then(|| record.source.url.clone()),
            progress: Arc::new(()),
            lease: OwnLease::default(),
            repairs,
        }
    }

    /// Whether the staged file on record is another one than this call's: what is wrong with the one is
    /// not wrong with the other.
    pub(crate) fn is_from_elsewhere(&self, record: &Record) -> bool {
        self.source.as_ref().is_some_and(|url| record.source != StagedAt::from(url))
    }

    /// Whether what the publication was rejected for is wrong with another call only: with its staged
    /// file, or with its QC report.
    pub(crate) fn is_free_of(&self, reason: &Rejection, record: &Record, now: Timestamp) -> bool {
        match reason {
            Rejection::Source { .. } => self.is_from_elsewhere(record),
            Rejection::QcLapsed => self.approval.holds_at(now),
            Rejection::KeyTaken { .. } | Rejection::AttemptsUsedUp => false,
        }
    }
}
