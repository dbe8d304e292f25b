//! Every file below the roots, some at a time.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use distribution_core::{Error, SourcePin, StagedFile, Timestamp, VideoUrl};
use rustix::fs::{AtFlags, Dir, FileType, Stat, statat};
use rustix::io::Errno;
use tracing::warn;

use super::aside::{is_abandoned, own_name, put_back};
use super::{escaped, url_of};
use crate::blocking::Cancel;
use crate::confined::{Refusal, Root, open_dir, way_out};
use crate::pin::pin_of_stat;

/// How many files are looked at before others get the thread.
const BATCH: usize = 1_000;

/// Where in the tree a listing is.
pub(super) struct Walk {
    roots: Vec<Arc<Root>>,
    open: Vec<Folder>,
    /// What was put aside so long ago gets its name back; `None` if nothing is to be changed.
    put_back_after: Option<Duration>,
}

struct Folder {
    fd: OwnedFd,
    entries: Dir,
    url: String,
}

enum Found {
    File(StagedFile),
    Folder(Folder),
}

impl Walk {
    pub(super) fn new(roots: Vec<Arc<Root>>, put_back_after: Option<Duration>) -> Self {
        Self { roots, open: Vec::new(), put_back_after }
    }

    /// The next files; none if there are no more. What cannot be looked at is left out, and so is kept: one folder
    /// that only its owner may read, such as `lost+found`, must not hold up all others.
    pub(super) fn batch(&mut self, cancel: &Cancel) -> Result<Vec<StagedFile>, Error> {
        let mut files = Vec::new();
        while files.len() < BATCH {
            cancel.check()?;
            let Some(folder) = self.open.last_mut() else {
                let Some(root) = self.roots.pop() else { break };
                self.open.extend(Folder::of_root(&root)?);
                continue;
            };
            let found = match folder.entries.next() {
                None => {
                    self.open.pop();
                    continue;
                }
                Some(Ok(entry)) => folder.take(entry.file_name().to_bytes(), self.put_back_after),
                Some(Err(errno)) => Err((folder.url.clone(), errno.into())),
            };
            match found {
                Ok(None) => {}
                Ok(Some(Found::File(file))) => files.push(file),
                Ok(Some(Found::Folder(child))) => self.open.push(child),
                Err((url, refusal)) if is_ours(&refusal) => return Err(unlisted(&url, refusal)),
                Err((url, refusal)) => {
                    let error = unlisted(&url, refusal);
                    warn!(%url, %error, "a part of the staging area is left out: all that is in it is kept");
                }
            }
        }
        Ok(files)
    }
}

impl Folder {
    fn new(fd: OwnedFd, url: String) -> Result<Self, Errno> {
        Ok(Self { entries: Dir::read_from(&fd)?, fd, url })
    }

    /// A root that cannot be read is a mistake in the configuration, and no part to be left out.
    fn of_root(root: &Root) -> Result<Option<Self>, Error> {
        root.check()?;
        let url = url_of(root);
        let failed = |refusal| unlisted(&url, refusal);
        let Some(fd) = root.dir([]).map_err(failed)? else { return Ok(None) };
        Self::new(fd, url.clone()).map(Some).map_err(|errno| failed(errno.into()))
    }

    /// What has this name, if it is a file or a folder.
    fn take(&self, name: &[u8], put_back_after: Option<Duration>) -> Result<Option<Found>, (String, Refusal)> {
        if matches!(name, b"." | b"..") {
            return Ok(None);
        }
        let name = match own_name(name) {
            None => name,
            Some(own) if self.restores(name, own, put_back_after) => own,
            Some(_) => return Ok(None),
        };
        let url = format!("{}/{}", self.url, escaped(name));
        self.look(name, &url).map_err(|refusal| (url, refusal))
    }

    fn look(&self, name: &[u8], url: &str) -> Result<Option<Found>, Refusal> {
        let stat = match statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(None),
            stat => stat?,
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let Some(fd) = open_dir(&self.fd, name)? else { return Ok(None) };
                Ok(Some(Found::Folder(Self::new(fd, url.to_owned())?)))
            }
            FileType::RegularFile => Ok(staged(url, &stat).map(Found::File)),
            _ => Ok(None),
        }
    }

    /// Whether a file that was put aside has its own name again: where a removal died between two steps, nobody
    /// knows whether it was still the file that was to go.
    fn restores(&self, aside: &[u8], own: &[u8], after: Option<Duration>) -> bool {
        let Some(after) = after else {
            warn!(folder = %self.url, name = %String::from_utf8_lossy(aside), "a file is put aside: a sweep is at it, or will put it back");
            return false;
        };
        if !is_abandoned(&self.fd, aside, after) {
            return false;
        }
        put_back(&self.fd, aside, own)
            .inspect_err(|error| {
                let name = String::from_utf8_lossy(aside);
                warn!(folder = %self.url, %name, %error, "a file that was put aside stays so: rename it by hand");
            })
            .is_ok()
    }
}

/// Whether it is this process that cannot go on, with any folder.
fn is_ours(refusal: &Refusal) -> bool {
    let Refusal::Io(error) = refusal else { return false };
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM))
}

/// A file as it is told of; `None` if no URL can name it, as for a path that is too long.
fn staged(url: &str, stat: &Stat) -> Option<StagedFile> {
    let (url, pin): (_, SourcePin) = (VideoUrl::parse(url).ok()?, pin_of_stat(stat));
    let modified: Timestamp = DateTime::from_timestamp(stat.st_mtime, u32::try_from(stat.st_mtime_nsec).ok()?)?;
    Some(StagedFile { url, pin, modified })
}

fn unlisted(url: &str, refusal: Refusal) -> Error {
    match refusal {
        Refusal::Io(error) => Error::unavailable(format!("cannot list {url}: {}", way_out(&error))).because(error),
        Refusal::Irregular { .. } => Error::unavailable(format!("{url} changed while it was listed: repeat")),
    }
}
