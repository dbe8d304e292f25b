//! Looking at objects, reading and removing them.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, SubsecRound};
use distribution_core::{ByteStream, Digest, Error, Meter, ObjectKey, ObjectStat};
use futures::{StreamExt, stream};
use rustix::fs::{AtFlags, unlinkat};
use rustix::io::Errno;

use super::hashing::hash_file;
use super::{failed, folder, refused};
use crate::blocking::{Cancel, blocking};
use crate::confined::{Kind, Refusal, Root, has_file, open_file};
use crate::durable::sync_dir;

/// How much is read at a time for a stream.
const PIECE_BYTES: u64 = 64 << 10;

pub(super) fn digest(root: &Root, key: &ObjectKey, meter: &Meter, cancel: &Cancel) -> Result<Option<Digest>, Error> {
    let file = find(root, key, "read")?;
    file.map(|file| hash_file(&file, meter, cancel, &|error| failed("read", key, error))).transpose()
}

pub(super) fn stat(root: &Root, key: &ObjectKey) -> Result<Option<ObjectStat>, Error> {
    let Some(file) = find(root, key, "look at")? else {
        return Ok(None);
    };
    let found = file.metadata().map_err(|error| failed("look at", key, error))?;
    let (secs, nanos) = (found.mtime(), found.mtime_nsec());
    let modified = u32::try_from(nanos).ok().and_then(|nanos| DateTime::from_timestamp(secs, nanos));
    Ok(Some(ObjectStat {
        size: found.size(),
        modified: modified.map(|at| at.trunc_subsecs(6)),
        etag: Some(format!("{:x}-{:x}-{secs:x}.{nanos:x}", found.ino(), found.size())),
        ..ObjectStat::default()
    }))
}

pub(super) fn open(root: &Root, key: &ObjectKey, range: Range<u64>) -> Result<Option<ByteStream>, Error> {
    let Some(file) = find(root, key, "read")? else {
        return Ok(None);
    };
    let size = file.metadata().map_err(|error| failed("read", key, error))?.size();
    let rest = range.start..range.end.min(size);
    let reading = Arc::new((file, key.clone()));
    // A thread for each piece, not for each stream: a slow reader must not hold one.
    let pieces = stream::try_unfold(rest, move |rest| {
        let reading = Arc::clone(&reading);
        async move {
            if rest.is_empty() {
                return Ok(None);
            }
            let end = rest.end.min(rest.start.saturating_add(PIECE_BYTES));
            let piece = match read_cached(&reading.0, rest.start..end) {
                Some(piece) => piece,
                None => blocking(move |_| read_piece(&reading.0, &reading.1, rest.start..end)).await?,
            };
            let next = rest.start.saturating_add(piece.len() as u64);
            Ok(Some((piece, next..rest.end)))
        }
    });
    Ok(Some(pieces.boxed()))
}

pub(super) fn remove(root: &Root, key: &ObjectKey) -> Result<(), Error> {
    let Some(dir) = find_folder(root, key, "remove")? else {
        return Ok(());
    };
    let name = key.file_name();
    match has_file(&dir, name.as_bytes()) {
        Ok(true) => match unlinkat(&dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(failed("remove", key, errno.into())),
        },
        Ok(false) | Err(Refusal::Irregular { kind: Kind::Directory, .. }) => {}
        Err(refusal) => return Err(refused("remove", key, refusal)),
    }
    // Also where nothing was: whoever removed it may not have come as far as this.
    sync_dir(&dir).map_err(|errno| failed("remove", key, errno.into()))
}

/// The object's file. A folder of that name is no object.
fn find(root: &Root, key: &ObjectKey, task: &str) -> Result<Option<File>, Error> {
    let Some(dir) = find_folder(root, key, task)? else {
        return Ok(None);
    };
    match open_file(&dir, key.file_name().as_bytes()) {
        Err(Refusal::Irregular { kind: Kind::Directory, .. }) => Ok(None),
        found => found.map_err(|refusal| refused(task, key, refusal)),
    }
}

fn find_folder(root: &Root, key: &ObjectKey, task: &str) -> Result<Option<OwnedFd>, Error> {
    root.check()?;
    root.dir(folder(key)).map_err(|refusal| refused(task, key, refusal))
}

/// What is in memory already, or at least its beginning, without waiting for the disk.
#[cfg(target_os = "linux")]
fn read_cached(file: &File, range: Range<u64>) -> Option<Bytes> {
    use rustix::io::{ReadWriteFlags, preadv2};

    let mut piece = vec![0; usize::try_from(range.end - range.start).ok()?];
    let mut buffers = [io::IoSliceMut::new(&mut piece)];
    let read = preadv2(file, &mut buffers, range.start, ReadWriteFlags::NOWAIT).ok().filter(|read| *read > 0)?;
    piece.truncate(read);
    Some(piece.into())
}

#[cfg(not(target_os = "linux"))]
fn read_cached(_: &File, _: Range<u64>) -> Option<Bytes> {
    None
}

fn read_piece(file: &File, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, Error> {
    let mut piece = vec![0; usize::try_from(range.end - range.start).unwrap_or(0)];
    match file.read_exact_at(&mut piece, range.start) {
        Ok(()) => Ok(piece.into()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let message = format!("{key} became shorter while it was read: objects must never change");
            Err(Error::corrupt(message).because(error))
        }
        Err(error) => Err(failed("read", key, error)),
    }
}
