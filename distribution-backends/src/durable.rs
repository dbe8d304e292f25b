//! Names that survive a crash of the machine: a file has one when its directory is synced.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{fstat, fsync};
use rustix::io::Errno;

/// Makes the names in `dir` survive.
///
/// On a file system that went down (an i/o error, a pulled disk), XFS lets the `fsync` of a directory
/// succeed although the names are lost. Looking at it tells.
pub(crate) fn sync_dir(dir: impl AsFd) -> Result<(), Errno> {
    fsync(&dir)?;
    fstat(&dir).map(drop)
}

/// The same for the directory at this path.
pub(crate) fn sync_dir_at(path: &Path) -> io::Result<()> {
    Ok(sync_dir(File::open(path)?)?)
}
