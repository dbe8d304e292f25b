//! Files that have another name while they are being removed.

use std::fs::{File, TryLockError};
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::HEXLOWER;
use distribution_core::Error;
use rustix::fs::{AtFlags, fstat, linkat, unlinkat};
use rustix::io::Errno;

use crate::confined::open_file;

/// What the name of a file begins with while it is being removed; 16 digits and a dash follow, then its own name.
const SWEPT: &[u8] = b".distribution-swept-";
const DIGITS: usize = 16;

/// A name that the file `name` can have while it is being removed.
pub(super) fn name_aside(name: &[u8]) -> Result<Vec<u8>, Error> {
    let mut random = [0; DIGITS / 2];
    getrandom::fill(&mut random).map_err(|error| Error::unavailable(format!("no random name: {error}")))?;
    Ok([SWEPT, HEXLOWER.encode(&random).as_bytes(), b"-", name].concat())
}

/// The own name of a file that is put aside; `None` if this is none.
pub(super) fn own_name(aside: &[u8]) -> Option<&[u8]> {
    aside.strip_prefix(SWEPT)?.get(DIGITS + 1..).filter(|own| !own.is_empty())
}

/// Tells those who find the file aside that somebody is at it, for as long as it is open. Where the file system
/// knows no locks, its age must tell.
pub(super) fn mark(file: &File) {
    drop(file.try_lock());
}

/// Whether the one who has put the file aside is gone for good: nobody has marked it, and the name is older than any
/// removal takes.
pub(super) fn is_abandoned(dir: &OwnedFd, aside: &[u8], after: Duration) -> bool {
    let Ok(Some(file)) = open_file(dir, aside) else { return false };
    if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
        return false;
    }
    // The change time is that of the name. One that is to come is of another clock, and tells nothing.
    let Ok(stat) = fstat(&file) else { return false };
    let changed = u64::try_from(stat.st_ctime).ok().and_then(|secs| UNIX_EPOCH.checked_add(Duration::from_secs(secs)));
    changed.and_then(|changed| SystemTime::now().duration_since(changed).ok()).is_some_and(|age| age >= after)
}

/// Gives a file its own name again, unless another has it now.
pub(super) fn put_back(dir: &OwnedFd, aside: &[u8], name: &[u8]) -> Result<(), Errno> {
    linkat(dir, aside, dir, name, AtFlags::empty())?;
    unlinkat(dir, aside, AtFlags::empty())
}
