//! A file on its way to its final name, which it gets whole and durable or never.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use data_encoding::HEXLOWER;
use rustix::fs::{AtFlags, Mode, OFlags, fsync, linkat, openat, unlinkat};
use rustix::io::Errno;

/// What the name of a stage begins with. No key has a segment that starts with a dot.
const PREFIX: &str = ".stage-";

/// A hidden file in the directory that it will be published in. Gone when this is dropped.
pub(super) struct Stage<'a> {
    dir: &'a OwnedFd,
    name: String,
    pub(super) file: File,
}

impl<'a> Stage<'a> {
    pub(super) fn create(dir: &'a OwnedFd) -> io::Result<Self> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let name = format!("{PREFIX}{}", HEXLOWER.encode(&random));
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(dir, &name, flags, Mode::from_raw_mode(0o644))?;
        Ok(Self { dir, name, file: file.into() })
    }

    /// Gives the file its final name, durably; `false` if something has that name.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] on a file system without hard links.
    pub(super) fn publish(self, name: &str) -> io::Result<bool> {
        fsync(&self.file)?;
        let linked = match linkat(self.dir, &self.name, self.dir, name, AtFlags::empty()) {
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
        fsync(dir)?;
        Ok(linked)
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        // What cannot be removed now is left to the sweep.
        let _ = unlinkat(self.dir, &self.name, AtFlags::empty());
    }
}
