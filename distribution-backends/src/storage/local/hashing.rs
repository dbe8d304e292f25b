//! SHA-256 on a second thread, a few recycled buffers behind the thread that reads.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

use distribution_core::{Digest, Digester, Error, Meter};

use crate::blocking::Cancel;

/// Larger pieces leave the processor's cache between being written, read back and hashed.
pub(super) const PIECE_BYTES: usize = 256 << 10;
const PIECES: usize = 4;

/// Takes pieces to the thread that hashes them.
pub(super) struct Hashing {
    full: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
}

/// Runs `feed` and hashes, in order, what it hands over; tells the meter of it.
pub(super) fn hashing<T>(meter: &Meter, feed: impl FnOnce(&Hashing) -> Result<T, Error>) -> Result<(T, Digest), Error> {
    let (full, work) = sync_channel::<Vec<u8>>(PIECES);
    let (done, empty) = channel();
    for _ in 0..PIECES {
        let _ = done.send(vec![0; PIECE_BYTES]);
    }
    let hash = move || {
        let mut digester = Digester::default();
        for piece in work {
            digester.update(&piece);
            meter.add(piece.len() as u64);
            let _ = done.send(piece);
        }
        digester.finish()
    };
    thread::scope(|scope| {
        let hasher = thread::Builder::new().name("distribution-hash".into()).spawn_scoped(scope, hash);
        let hasher = hasher.map_err(|error| Error::unavailable("no thread to hash on: repeat").because(error))?;
        let fed = feed(&Hashing { full, empty });
        let digest = hasher.join().map_err(|_| interrupted())?;
        Ok((fed?, digest))
    })
}

impl Hashing {
    /// A buffer of [`PIECE_BYTES`] or less, with anything in it.
    pub(super) fn buffer(&self) -> Result<Vec<u8>, Error> {
        self.empty.recv().map_err(|_| interrupted())
    }

    /// Hashes a piece.
    pub(super) fn hash(&self, piece: Vec<u8>) -> Result<(), Error> {
        self.full.send(piece).map_err(|_| interrupted())
    }
}

/// Reads the file from its start to its end.
pub(crate) fn hash_file(
    file: &File,
    meter: &Meter,
    cancel: &Cancel,
    failed: &dyn Fn(io::Error) -> Error,
) -> Result<Digest, Error> {
    let ((), digest) = hashing(meter, |hashing| {
        let mut at = 0;
        loop {
            cancel.check()?;
            let mut piece = hashing.buffer()?;
            fill(&mut piece, |rest, filled| file.read_at(rest, at + filled)).map_err(failed)?;
            if piece.is_empty() {
                return Ok(());
            }
            at += piece.len() as u64;
            hashing.hash(piece)?;
        }
    })?;
    Ok(digest)
}

/// Makes `piece` [`PIECE_BYTES`] of what `read(rest, filled)` gives, fewer only at the end.
pub(super) fn fill(piece: &mut Vec<u8>, mut read: impl FnMut(&mut [u8], u64) -> io::Result<usize>) -> io::Result<()> {
    piece.resize(PIECE_BYTES, 0);
    let mut filled = 0;
    while let Some(rest) = piece.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match read(rest, filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    piece.truncate(filled);
    Ok(())
}

fn interrupted() -> Error {
    Error::unavailable("the thread that hashes was interrupted: repeat")
}
