//! An operator's connections.

use distribution_core::Error;
use opendal::{HttpTransporter, OperationContext, Operator};
use opendal_http_transport_reqwest::ReqwestTransport;

use crate::http::{build, client_builder};

/// The operator with an HTTP client of its own: opendal's is one for the process, has no time limits
/// and would outlive the runtime that it was first used in.
pub(crate) fn with_own_client(operator: Operator) -> Result<Operator, Error> {
    let client = build(client_builder()?)?;
    let transport = HttpTransporter::new(ReqwestTransport::new(client));
    Ok(operator.with_context(OperationContext::new().with_http_transport(transport)))
}
