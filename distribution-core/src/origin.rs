//! Which part an error came from, so that its alert names what is to be mended.

use std::sync::Arc;

use async_trait::async_trait;

use crate::audit::AuditSink;
use crate::error::Error;
use crate::identity::AuditLogId;
use crate::metadata::{Advance, Claim, Cursor, Found, MetadataStore, Query, Row};
use crate::request::IdempotencyKey;
use crate::trail::AuditEntry;

/// A part that all publications share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Audit,
    Metadata,
    /// Copies on other targets, of which each has been told by itself.
    Replica,
}

/// The part, whose errors say where they come from.
pub(crate) struct Named<P: ?Sized>(pub(crate) Arc<P>);

#[async_trait]
impl AuditSink for Named<dyn AuditSink> {
    async fn append(&self, entries: &[AuditEntry]) -> Result<(), Error> {
        self.0.append(entries).await.map_err(audit)
    }
}

#[async_trait]
impl MetadataStore for Named<dyn MetadataStore> {
    async fn claim(&self, first: &Row) -> Result<Claim, Error> {
        self.0.claim(first).await.map_err(metadata)
    }

    async fn load(&self, id: &AuditLogId) -> Result<Option<Row>, Error> {
        self.0.load(id).await.map_err(metadata)
    }

    async fn advance(&self, next: &Row) -> Result<Advance, Error> {
        self.0.advance(next).await.map_err(metadata)
    }

    async fn bind(&self, key: &IdempotencyKey, id: &AuditLogId) -> Result<AuditLogId, Error> {
        self.0.bind(key, id).await.map_err(metadata)
    }

    async fn bound(&self, key: &IdempotencyKey) -> Result<Option<AuditLogId>, Error> {
        self.0.bound(key).await.map_err(metadata)
    }

    async fn find(&self, query: &Query, after: Option<&Cursor>, limit: usize) -> Result<Found, Error> {
        self.0.find(query, after, limit).await.map_err(metadata)
    }
}

fn audit(error: Error) -> Error {
    error.of_part(Part::Audit)
}

fn metadata(error: Error) -> Error {
    error.of_part(Part::Metadata)
}
