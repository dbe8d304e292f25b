//! The fakes: core's ports over a [`World`](crate::World).

mod alerts;
mod audit;
mod clock;
mod metadata;
mod signer;
mod source;
mod storage;
mod viewer;

pub use alerts::MemoryAlerts;
pub use audit::MemoryAudit;
pub use clock::ManualClock;
pub use metadata::MemoryMetadata;
pub use signer::TestSigner;
pub use source::{MemorySource, Plant};
pub use storage::MemoryStorage;
pub use viewer::TestViewer;

use bytes::Bytes;
use distribution_core::ByteStream;
use futures::{StreamExt as _, stream};

use crate::world::World;

/// The pieces as a stream in which others go first before each.
fn paced(world: &World, pieces: Vec<Bytes>) -> ByteStream {
    let steps = stream::iter(pieces).zip(stream::repeat(world.clone())).then(|(piece, world)| async move {
        world.let_others_go_first_within().await;
        Ok(piece)
    });
    steps.boxed()
}

/// The bytes with this bit of the byte in their middle flipped. Storing and reading have each a bit of
/// their own, so that no second flip mends the first.
fn flipped(bytes: &Bytes, bit: u8) -> Bytes {
    let (mut bytes, middle) = (bytes.to_vec(), bytes.len() / 2);
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= bit;
    }
    bytes.into()
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
