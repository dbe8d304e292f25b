//! Staged files of this machine, listed and removed.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::DateTime;
use data_encoding::HEXLOWER;
use distribution_core::{Digest, Error, Meter, Removal, SourcePin, StagedFile, Staging, Timestamp, VideoUrl};
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rustix::fs::{AtFlags, Dir, FileType, Stat, fstat, linkat, renameat, statat, unlinkat};
use rustix::io::Errno;
use tracing::warn;

use crate::blocking::{Cancel, blocking};
use crate::confined::{Refusal, Root, open_dir, open_file, way_out};
use crate::durable::sync_dir;
use crate::pin::{pin_of, pin_of_stat};
use crate::source::LocalFiles;
use crate::storage::local::hash_file;

/// What a path is written with in a URL besides letters and digits (RFC 3986 §2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What the name of a file begins with while it is being removed; 16 digits and a dash follow, then its own name.
const SWEPT: &[u8] = b".distribution-swept-";
const DIGITS: usize = 16;
/// How many files are looked at before others get the thread.
const BATCH: usize = 1_000;

#[async_trait]
impl Staging for LocalFiles {
    fn resolve(&self, url: &VideoUrl) -> Option<VideoUrl> {
        let (root, segments) = self.place(url).ok()?;
        let below = segments.iter().fold(url_of(root), |url, segment| format!("{url}/{}", escaped(segment)));
        VideoUrl::parse(below).ok()
    }

    fn list(&self) -> BoxStream<'static, Result<StagedFile, Error>> {
        // What is below one root already is not told of twice.
        let outermost = |root: &&Arc<Root>| {
            !self.roots().iter().any(|other| root.path != other.path && root.path.starts_with(&other.path))
        };
        let mut roots: Vec<Arc<Root>> = self.roots().iter().filter(outermost).cloned().collect();
        roots.dedup_by(|a, b| a.path == b.path);
        let walk = Walk { roots, open: Vec::new() };
        let batches = stream::try_unfold(walk, |mut walk| async {
            let (walk, files) = blocking(move |cancel| {
                let files = walk.batch(cancel)?;
                Ok((walk, files))
            })
            .await?;
            Ok::<_, Error>((!files.is_empty()).then(|| (stream::iter(files).map(Ok), walk)))
        });
        batches.try_flatten().boxed()
    }

    async fn digest(&self, file: &StagedFile) -> Result<Option<Digest>, Error> {
        let (this, file) = (self.clone(), file.clone());
        blocking(move |cancel| {
            let Some((_, _, open)) = this.in_state(&file)? else { return Ok(None) };
            let failed = |error: std::io::Error| unavailable("read", &file.url, error);
            let digest = hash_file(&open, &Meter::default(), cancel, &failed)?;
            Ok((pin_of(&open).map_err(failed)? == file.pin).then_some(digest))
        })
        .await
    }

    async fn remove(&self, file: &StagedFile) -> Result<Removal, Error> {
        let (this, file) = (self.clone(), file.clone());
        blocking(move |_| this.remove_now(&file)).await
    }
}

impl LocalFiles {
    /// The file's directory, its name there, and the file itself; `None` if it is gone or in another state.
    fn in_state(&self, file: &StagedFile) -> Result<Option<(OwnedFd, Vec<u8>, File)>, Error> {
        let (root, mut segments) = self.place(&file.url)?;
        root.check()?;
        let failed = |refusal| match refusal {
            Refusal::Io(error) => unavailable("open", &file.url, error),
            Refusal::Irregular { .. } => Error::unavailable(format!("{} is no regular file any more", file.url)),
        };
        let Some(name) = segments.pop() else { return Ok(None) };
        let Some(dir) = root.dir(segments.iter().map(Vec::as_slice)).map_err(failed)? else { return Ok(None) };
        let Some(open) = open_file(&dir, &name).map_err(failed)? else { return Ok(None) };
        let pin = pin_of(&open).map_err(|error| unavailable("look at", &file.url, error))?;
        Ok((pin == file.pin).then_some((dir, name, open)))
    }

    /// Takes the name away first, then looks again at what had it: no name can be removed only if it is still
    /// that of a certain file.
    fn remove_now(&self, file: &StagedFile) -> Result<Removal, Error> {
        let failed = |errno: Errno| unavailable("remove", &file.url, errno.into());
        let Some((dir, name, open)) = self.in_state(file)? else { return Ok(self.gone_or_changed(file)) };
        let aside = aside(&name)?;
        match renameat(&dir, &name, &dir, &aside) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(Removal::Gone),
            Err(errno) => return Err(failed(errno)),
        }
        let moved = statat(&dir, &aside, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        if !is_same(&moved, &fstat(&open).map_err(failed)?) {
            put_back(&dir, &aside, &name).map_err(failed)?;
            return Ok(Removal::Changed);
        }
        unlinkat(&dir, &aside, AtFlags::empty()).map_err(failed)?;
        sync_dir(&dir).map_err(failed)?;
        Ok(Removal::Removed)
    }

    fn gone_or_changed(&self, file: &StagedFile) -> Removal {
        let there = self.place(&file.url).ok().and_then(|(root, mut segments)| {
            let name = segments.pop()?;
            let dir = root.dir(segments.iter().map(Vec::as_slice)).ok()??;
            statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW).ok()
        });
        if there.is_some() { Removal::Changed } else { Removal::Gone }
    }
}

/// Where in the tree a listing is.
struct Walk {
    roots: Vec<Arc<Root>>,
    open: Vec<Folder>,
}

struct Folder {
    fd: OwnedFd,
    entries: Dir,
    url: String,
}

impl Walk {
    /// The next files; none if there are no more.
    fn batch(&mut self, cancel: &Cancel) -> Result<Vec<StagedFile>, Error> {
        let mut files = Vec::new();
        while files.len() < BATCH {
            cancel.check()?;
            let Some(folder) = self.open.last_mut() else {
                let Some(root) = self.roots.pop() else { break };
                root.check()?;
                let url = url_of(&root);
                let failed = |refusal| unlisted(&url, refusal);
                if let Some(fd) = root.dir([]).map_err(failed)? {
                    self.open.push(Folder::new(fd, url.clone()).map_err(|errno| unlisted(&url, errno.into()))?);
                }
                continue;
            };
            match folder.entries.next() {
                None => drop(self.open.pop()),
                Some(entry) => {
                    let entry = entry.map_err(|errno| unlisted(&folder.url, errno.into()))?;
                    let name = entry.file_name().to_bytes().to_vec();
                    if name != b"." && name != b".." {
                        let found = folder.take(name).map_err(|refusal| unlisted(&folder.url, refusal))?;
                        match found {
                            Some(Found::File(file)) => files.push(file),
                            Some(Found::Folder(child)) => self.open.push(child),
                            None => {}
                        }
                    }
                }
            }
        }
        Ok(files)
    }
}

enum Found {
    File(StagedFile),
    Folder(Folder),
}

impl Folder {
    fn new(fd: OwnedFd, url: String) -> Result<Self, Errno> {
        Ok(Self { entries: Dir::read_from(&fd)?, fd, url })
    }

    /// What has this name, if it is a file or a folder.
    fn take(&self, mut name: Vec<u8>) -> Result<Option<Found>, Refusal> {
        if let Some(own) = name.strip_prefix(SWEPT).and_then(|rest| rest.get(DIGITS + 1..)).map(<[u8]>::to_vec) {
            // A sweep died between two steps: nobody knows whether it was still the file that was to go.
            if put_back(&self.fd, &name, &own).is_err() {
                warn!(folder = %self.url, name = %String::from_utf8_lossy(&name), "a file that was put aside stays so");
                return Ok(None);
            }
            name = own;
        }
        let stat = match statat(&self.fd, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(None),
            stat => stat?,
        };
        let url = format!("{}/{}", self.url, escaped(&name));
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let Some(fd) = open_dir(&self.fd, &name)? else { return Ok(None) };
                Ok(Some(Found::Folder(Self::new(fd, url)?)))
            }
            FileType::RegularFile => Ok(staged(url, &stat).map(Found::File)),
            _ => Ok(None),
        }
    }
}

/// A file as it is told of; `None` if no URL can name it, as for a path that is too long.
fn staged(url: String, stat: &Stat) -> Option<StagedFile> {
    let (url, pin): (_, SourcePin) = (VideoUrl::parse(url).ok()?, pin_of_stat(stat));
    let modified: Timestamp = DateTime::from_timestamp(stat.st_mtime, u32::try_from(stat.st_mtime_nsec).ok()?)?;
    Some(StagedFile { url, pin, modified })
}

fn url_of(root: &Root) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    let names = root.path.components().skip(1);
    names.fold("file://".to_owned(), |url, name| format!("{url}/{}", escaped(name.as_os_str().as_bytes())))
}

fn escaped(name: &[u8]) -> String {
    percent_encode(name, ESCAPED).to_string()
}

fn aside(name: &[u8]) -> Result<Vec<u8>, Error> {
    let mut random = [0; DIGITS / 2];
    getrandom::fill(&mut random).map_err(|error| Error::unavailable(format!("no random name: {error}")))?;
    Ok([SWEPT, HEXLOWER.encode(&random).as_bytes(), b"-", name].concat())
}

/// Gives a file its own name again, unless another has it now.
fn put_back(dir: &OwnedFd, aside: &[u8], name: &[u8]) -> Result<(), Errno> {
    linkat(dir, aside, dir, name, AtFlags::empty())?;
    unlinkat(dir, aside, AtFlags::empty())
}

/// Whether both are one file with the same content: the change time is that of the name, too.
fn is_same(a: &Stat, b: &Stat) -> bool {
    (a.st_dev, a.st_ino, a.st_size, a.st_mtime, a.st_mtime_nsec)
        == (b.st_dev, b.st_ino, b.st_size, b.st_mtime, b.st_mtime_nsec)
}

fn unavailable(what: &str, url: &VideoUrl, error: std::io::Error) -> Error {
    Error::unavailable(format!("cannot {what} {url}: {}", way_out(&error))).because(error)
}

fn unlisted(url: &str, refusal: Refusal) -> Error {
    match refusal {
        Refusal::Io(error) => Error::unavailable(format!("cannot list {url}: {}", way_out(&error))).because(error),
        Refusal::Irregular { .. } => Error::unavailable(format!("{url} changed while it was listed: repeat")),
    }
}
