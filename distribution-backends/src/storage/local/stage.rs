//! A file on its way to its final name, which it gets whole and durable or never.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use data_encoding::HEXLOWER;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, fsync, linkat, openat, unlinkat};
use rustix::io::Errno;

use crate::durable::sync_dir;

/// What the name of a stage begins with, if it needs one. No key has a segment that starts with a dot.
pub(super) const PREFIX: &str = ".stage-";

/// A file in the directory that it will be published in, without a name where the system can do that,
/// so that even a crash leaves nothing of it; else a hidden one. Gone when this is dropped.
pub(super) struct Stage<'a> {
    dir: &'a OwnedFd,
    hidden: Option<String>,
    pub(super) file: File,
}

impl<'a> Stage<'a> {
    pub(super) fn create(dir: &'a OwnedFd) -> io::Result<Self> {
        match nameless(dir) {
            Some(file) => Ok(Self { dir, hidden: None, file }),
            None => Self::create_hidden(dir),
        }
    }

    fn create_hidden(dir: &'a OwnedFd) -> io::Result<Self> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let name = format!("{PREFIX}{}", HEXLOWER.encode(&random));
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(dir, &name, flags, Mode::from_raw_mode(0o644))?;
        Ok(Self { dir, hidden: Some(name), file: file.into() })
    }

    /// Gives the file its final name, durably; `false` if something has that name.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] on a file system without hard links.
    pub(super) fn publish(self, name: &str) -> io::Result<bool> {
        fsync(&self.file)?;
        let linked = match self.link(name) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            // What Linux says for a file system without hard links (link(2)).
            Err(errno @ (Errno::PERM | Errno::OPNOTSUPP)) => {
                return Err(io::Error::new(io::ErrorKind::Unsupported, io::Error::from(errno)));
            }
            Err(errno) => return Err(errno.into()),
        };
        let dir = self.dir;
        drop(self);
        // Also if somebody else was first: they may not have come as far as this.
        sync_dir(dir)?;
        Ok(linked)
    }

    fn link(&self, name: &str) -> Result<(), Errno> {
        match &self.hidden {
            Some(hidden) => linkat(self.dir, hidden, self.dir, name, AtFlags::empty()),
            None => linkat(CWD, path_of(&self.file), self.dir, name, AtFlags::SYMLINK_FOLLOW),
        }
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        if let Some(hidden) = &self.hidden {
            // What cannot be removed now is left to the sweep.
            let _ = unlinkat(self.dir, hidden, AtFlags::empty());
        }
    }
}

/// A file without a name that can be given one (open(2), `O_TMPFILE`); `None` where there is no such
/// thing: not on Linux, on NFS and others, or without `/proc`.
#[cfg(target_os = "linux")]
fn nameless(dir: &OwnedFd) -> Option<File> {
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    let file = File::from(openat(dir, ".", flags, Mode::from_raw_mode(0o644)).ok()?);
    rustix::fs::statat(CWD, path_of(&file), AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some(file)
}

#[cfg(not(target_os = "linux"))]
fn nameless(_: &OwnedFd) -> Option<File> {
    None
}

/// The path by which Linux names an open file.
fn path_of(file: &File) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    fn names(dir: &tempfile::TempDir) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_stage_of_either_kind_is_published_once_or_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let dir = OwnedFd::from(File::open(&place).unwrap());
        let kinds: [fn(&OwnedFd) -> io::Result<Stage<'_>>; 2] =
            [|dir| Stage::create(dir), |dir| Stage::create_hidden(dir)];
        for (kind, name) in kinds.into_iter().zip(["a", "b"]) {
            let before = names(&place);
            drop(kind(&dir).unwrap());
            assert_eq!(names(&place), before);
            for (bytes, is_first) in [("first", true), ("second", false)] {
                let mut stage = kind(&dir).unwrap();
                stage.file.write_all(bytes.as_bytes()).unwrap();
                assert_eq!(stage.publish(name).unwrap(), is_first);
            }
            assert_eq!(fs::read_to_string(place.path().join(name)).unwrap(), "first");
        }
        assert_eq!(names(&place), ["a", "b"]);
    }

    #[test]
    fn a_crash_leaves_no_stage_without_a_name() {
        let place = tempfile::tempdir().unwrap();
        let dir = OwnedFd::from(File::open(&place).unwrap());
        let stage = Stage::create(&dir).unwrap();
        let has_name = stage.hidden.is_some();
        // As a crash does, without cleaning up.
        std::mem::forget(stage);
        assert_eq!(names(&place).len(), usize::from(has_name));
    }
}
