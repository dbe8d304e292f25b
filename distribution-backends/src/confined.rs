//! Files below a directory, reached segment by segment so that no symbolic link is ever followed,
//! and never looked up twice: what was checked is what is used.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use distribution_core::{Error, ErrorKind};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, mkdirat, openat, statat};
use rustix::io::Errno;

use crate::durable::sync_dir;

const DIR: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Not blocking, so that opening a FIFO does not wait for its writer.
const FILE: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// An open directory outside of which nothing is reached.
#[derive(Debug)]
pub(crate) struct Root {
    /// Absolute and without symbolic links.
    pub(crate) path: PathBuf,
    /// Absolute, as it was configured.
    pub(crate) given: PathBuf,
    dir: OwnedFd,
    id: (u64, u64),
}

/// Why a place below a root could not be used.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// `name` on the way or at the end is not what it must be.
    Irregular { name: String, kind: Kind },
    /// The operating system said no.
    Io(io::Error),
}

/// What was found where a file or a directory was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Link,
    Special,
}

impl Root {
    /// Opens the directory at `path`, which must be there: a volume that is not mounted must not be
    /// filled silently.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is missing, a symbolic link or no directory.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let failed = |error: io::Error| {
            let message = format!("cannot open the root {}: {}", path.display(), way_out(&error));
            Error::unavailable(message).because(error)
        };
        // A trailing slash, which `components` drops, would make the kernel follow a symbolic link.
        let given: PathBuf = std::path::absolute(path).map_err(failed)?.components().collect();
        let dir = openat(CWD, &given, DIR, Mode::empty()).map_err(|errno| match unusable(&given, errno) {
            Some(why) => Error::new(ErrorKind::Invalid, format!("the root {} {why}", path.display())),
            None => failed(errno.into()),
        })?;
        let file = File::from(dir);
        let id = identity(&file.metadata().map_err(failed)?);
        let path = fs::canonicalize(&given).map_err(failed)?;
        let root = Self { path, given, dir: file.into(), id };
        root.check()?;
        Ok(root)
    }

    /// Checks that the root's path still leads to the directory that was opened.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if it was removed, replaced, or mounted over.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match fs::symlink_metadata(&self.path) {
            Ok(now) if identity(&now) == self.id => Ok(()),
            Ok(_) => {
                let message = "is no longer the directory that was opened: was it replaced or mounted over? reopen it";
                Err(Error::unavailable(format!("the root {} {message}", self.path.display())))
            }
            Err(error) => {
                let message = format!("the root {} is out of reach: {}", self.path.display(), way_out(&error));
                Err(Error::unavailable(message).because(error))
            }
        }
    }

    /// The directory at `segments`; `None` if there is none.
    pub(crate) fn dir<'a>(&self, segments: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<OwnedFd>, Refusal> {
        let mut dir = openat(&self.dir, ".", DIR, Mode::empty())?;
        for segment in segments {
            dir = match open_dir(&dir, segment) {
                Ok(Some(child)) => child,
                Ok(None) | Err(Refusal::Irregular { kind: Kind::File, .. }) => return Ok(None),
                Err(refusal) => return Err(refusal),
            };
        }
        Ok(Some(dir))
    }

    /// The directory at `segments`, made where it is missing; it survives a crash of the machine.
    pub(crate) fn make_dir<'a>(&self, segments: impl IntoIterator<Item = &'a [u8]>) -> Result<OwnedFd, Refusal> {
        let mut dir = openat(&self.dir, ".", DIR, Mode::empty())?;
        for segment in segments {
            let child = match open_dir(&dir, segment)? {
                Some(child) => child,
                None => {
                    match mkdirat(&dir, segment, Mode::from_raw_mode(0o755)) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(errno) => return Err(errno.into()),
                    }
                    open_dir(&dir, segment)?.ok_or(Errno::NOENT)?
                }
            };
            // Also where it was there: whoever made it may not have come as far as this.
            sync_dir(&dir)?;
            dir = child;
        }
        Ok(dir)
    }
}

/// The directory `name` in `dir`; `None` if nothing is there.
pub(crate) fn open_dir(dir: &OwnedFd, name: &[u8]) -> Result<Option<OwnedFd>, Refusal> {
    match openat(dir, name, DIR, Mode::empty()) {
        Ok(child) => Ok(Some(child)),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::NOTDIR | Errno::LOOP | Errno::MLINK) => Err(irregular(dir, name, Kind::Directory)),
        Err(errno) => Err(errno.into()),
    }
}

/// The regular file `name` in `dir`, for reading; `None` if nothing is there.
pub(crate) fn open_file(dir: &OwnedFd, name: &[u8]) -> Result<Option<File>, Refusal> {
    let file = match openat(dir, name, FILE, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP | Errno::MLINK | Errno::NXIO) => return Err(irregular(dir, name, Kind::File)),
        Err(errno) => return Err(errno.into()),
    };
    let found = file.metadata().map_err(Refusal::Io)?.file_type();
    if found.is_file() {
        return Ok(Some(file));
    }
    let kind = if found.is_dir() { Kind::Directory } else { Kind::Special };
    Err(Refusal::Irregular { name: lossy(name), kind })
}

/// Whether the regular file `name` is in `dir`.
pub(crate) fn has_file(dir: &OwnedFd, name: &[u8]) -> Result<bool, Refusal> {
    match kind_of(dir, name) {
        Ok(Kind::File) => Ok(true),
        Ok(kind) => Err(Refusal::Irregular { name: lossy(name), kind }),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// What `name` in `dir` is, symbolic links not followed.
pub(crate) fn kind_of(dir: &OwnedFd, name: &[u8]) -> Result<Kind, Errno> {
    let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Link,
        _ => Kind::Special,
    })
}

/// What a person can do about an error of the operating system.
pub(crate) fn way_out(error: &io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::NOSPC | Errno::DQUOT) => "the disk is full: free space and repeat",
        Some(Errno::ACCESS | Errno::PERM) => "permission denied: give this process access and repeat",
        Some(Errno::ROFS) => "the file system is read-only: mount it for writing and repeat",
        Some(Errno::IO) => "the disk reports an i/o error: check it and repeat",
        Some(Errno::MFILE | Errno::NFILE) => "too many files are open: raise the limit and repeat",
        Some(Errno::FBIG) => "the file is too large for the file system or its limits",
        Some(Errno::NAMETOOLONG) => "the name is too long for the file system",
        Some(Errno::NOENT | Errno::STALE) => "it has gone: mount its volume and repeat",
        Some(Errno::AGAIN) => "it changed at that moment: repeat",
        _ => "repeat, and look at the cause if it stays",
    }
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Directory => "a directory",
            Self::Link => "a symbolic link, which is never followed",
            Self::Special => "neither a file nor a directory",
        }
    }
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

/// What stands in the way of opening a `wanted`; unless that has changed since.
fn irregular(dir: &OwnedFd, name: &[u8], wanted: Kind) -> Refusal {
    match kind_of(dir, name) {
        Ok(kind) if kind != wanted => Refusal::Irregular { name: lossy(name), kind },
        _ => Errno::AGAIN.into(),
    }
}

fn unusable(path: &Path, errno: Errno) -> Option<&'static str> {
    match errno {
        Errno::NOENT => Some("is missing: create it, or mount its volume"),
        Errno::NOTDIR | Errno::LOOP | Errno::MLINK if path.is_symlink() => {
            Some("is a symbolic link: name the directory that it leads to")
        }
        Errno::NOTDIR | Errno::LOOP | Errno::MLINK => Some("is no directory: name one"),
        _ => None,
    }
}

fn identity(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn lossy(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}
