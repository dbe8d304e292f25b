//! A Story server that holds copies of records.

use distribution_core::{AuditLogId, Error, Row};
use serde_json::Value;

use super::client::Client;
use super::config::StoryConfig;
use super::contract::StoryContract;
use super::document;
use super::get;

/// The Story MCP datastore as a copy of records that are kept elsewhere, for [`MirrorTo`](crate::MirrorTo).
///
/// It needs no more of the server than `put`, which it calls without `expected_revision`: the document
/// that comes last stays. Where there is a `get`, a document that is there with the same revision or a
/// newer one is left alone. The rest of the contract is that of
/// [`StoryMcpMetadata`](crate::StoryMcpMetadata).
#[derive(Clone, Debug)]
pub struct StoryMirror {
    client: Client,
}

impl StoryMirror {
    /// Connects, and compares the server's tools with the contract.
    ///
    /// # Errors
    /// Those of [`StoryMcpMetadata::open`](crate::StoryMcpMetadata::open); and
    /// [`Unsupported`](distribution_core::ErrorKind::Unsupported) if `put` insists on an expected
    /// revision: such a server can keep the records itself.
    pub async fn open(config: StoryConfig, contract: StoryContract) -> Result<Self, Error> {
        let client = Client::open(config, contract, StoryContract::check_mirror).await?;
        Ok(Self { client })
    }

    /// As [`StoryMcpMetadata::close`](crate::StoryMcpMetadata::close).
    ///
    /// # Errors
    /// [`Unavailable`](distribution_core::ErrorKind::Unavailable) if it was closed before.
    pub async fn close(&self) -> Result<(), Error> {
        self.client.close().await
    }

    /// Has the server hold this row, or a newer one.
    pub(crate) async fn put(&self, row: &Row) -> Result<(), Error> {
        let contract = self.client.contract();
        if self.client.offer().await?.get && self.revision(&row.id).await?.is_some_and(|held| held >= row.revision) {
            return Ok(());
        }
        let (tool, names) = (&contract.tools.put, &contract.answers);
        let answer = self.client.call(tool, document::put_row(contract, row)?).await?;
        if answer.get(&names.outcome).and_then(Value::as_str) == Some(&names.stored) {
            return Ok(());
        }
        let place = self.client.place();
        let message = format!("tool {tool:?} of {place} does not say that it stored the record: repeat");
        Err(Error::unavailable(message))
    }

    /// The server, for messages.
    pub(crate) fn place(&self) -> &str {
        self.client.place()
    }

    async fn revision(&self, id: &AuditLogId) -> Result<Option<u64>, Error> {
        let contract = self.client.contract();
        let found = get(&self.client, &contract.collections.publications, id.as_str()).await?;
        found.map(|document| document::revision(contract, &document, self.client.place())).transpose()
    }
}
