//! A digest of pieces in order, made on threads that may block while others are on their way.

use std::mem;

use distribution_core::{Digest, Digester, Error};
use opendal::Buffer;
use tokio::task::JoinHandle;

use super::runtime;

/// Less than this is hashed at once: a change of threads would take longer.
const SMALL_BYTES: usize = 64 << 10;

/// A running digest. One piece is hashed while the next one is awaited; no thread waits.
pub(super) enum Hashing {
    Idle(Digester),
    Busy(JoinHandle<Digester>),
}

impl Default for Hashing {
    fn default() -> Self {
        Self::Idle(Digester::default())
    }
}

impl Hashing {
    /// Takes the next piece, once the one before is done with.
    pub(super) async fn update(&mut self, piece: Buffer) -> Result<(), Error> {
        let mut digester = self.idle().await?;
        if piece.len() < SMALL_BYTES {
            piece.for_each(|bytes| digester.update(&bytes));
            *self = Self::Idle(digester);
            return Ok(());
        }
        *self = Self::Busy(runtime()?.spawn_blocking(move || {
            piece.for_each(|bytes| digester.update(&bytes));
            digester
        }));
        Ok(())
    }

    /// The digest of all pieces.
    pub(super) async fn finish(mut self) -> Result<Digest, Error> {
        Ok(self.idle().await?.finish())
    }

    async fn idle(&mut self) -> Result<Digester, Error> {
        match mem::take(self) {
            Self::Idle(digester) => Ok(digester),
            Self::Busy(work) => work
                .await
                .map_err(|error| Error::unavailable("the thread that hashes was interrupted: repeat").because(error)),
        }
    }
}
