//! The fakes: core's ports over a [`World`](crate::World).

mod alerts;
mod audit;
mod clock;
mod metadata;
mod signer;
mod source;
mod storage;

pub use alerts::MemoryAlerts;
pub use audit::MemoryAudit;
pub use clock::ManualClock;
pub use metadata::MemoryMetadata;
pub use signer::TestSigner;
pub use source::{MemorySource, Plant};
pub use storage::MemoryStorage;

use bytes::Bytes;
use distribution_core::ByteStream;
use futures::{StreamExt as _, stream};

use crate::faults::let_others_go_first;

/// The pieces as a stream in which others go first before each.
fn paced(pieces: Vec<Bytes>) -> ByteStream {
    let steps = stream::iter(pieces).then(|piece| async {
        let_others_go_first().await;
        Ok(piece)
    });
    steps.boxed()
}

/// The bytes in about four pieces, so that there is something between the first and the last.
fn in_pieces(bytes: &Bytes) -> Vec<Bytes> {
    const PIECE_BYTES_MAX: usize = 64 << 10;
    let piece_bytes = bytes.len().div_ceil(4).clamp(1, PIECE_BYTES_MAX);
    let mut rest = bytes.clone();
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        pieces.push(rest.split_to(piece_bytes.min(rest.len())));
    }
    pieces
}
