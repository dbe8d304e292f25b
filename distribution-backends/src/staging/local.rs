//! Staged files of this machine, listed and removed.

mod aside;
#[cfg(test)]
mod tests;
mod walk;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use distribution_core::{Digest, Error, Meter, Removal, StagedFile, Staging, VideoUrl};
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rustix::fs::{AtFlags, renameat, statat, unlinkat};
use rustix::io::Errno;

use aside::{mark, name_aside, put_back};
use walk::Walk;

use crate::blocking::blocking;
use crate::confined::{Refusal, Root, open_file, way_out};
use crate::durable::sync_dir;
use crate::pin::{has_kept_its_bytes, pin_of};
use crate::source::LocalFiles;
use crate::storage::local::hash_file;

/// What a path is written with in a URL besides letters and digits (RFC 3986 §2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// No removal takes as long as this: it renames, looks, and unlinks.
const ABANDONED_AFTER: Duration = Duration::from_secs(15 * 60);

#[async_trait]
impl Staging for LocalFiles {
    fn resolve(&self, url: &VideoUrl) -> Option<VideoUrl> {
        let (root, segments) = self.place(url).ok()?;
        let below = segments.iter().fold(url_of(root), |url, segment| format!("{url}/{}", escaped(segment)));
        VideoUrl::parse(below).ok()
    }

    fn list(&self) -> BoxStream<'static, Result<StagedFile, Error>> {
        self.walk(None)
    }

    fn list_and_mend(&self) -> BoxStream<'static, Result<StagedFile, Error>> {
        self.walk(Some(ABANDONED_AFTER))
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
    fn walk(&self, put_back_after: Option<Duration>) -> BoxStream<'static, Result<StagedFile, Error>> {
        // What is below one root already is not told of twice.
        let outermost = |root: &&Arc<Root>| {
            !self.roots().iter().any(|other| root.path != other.path && root.path.starts_with(&other.path))
        };
        let mut roots: Vec<Arc<Root>> = self.roots().iter().filter(outermost).cloned().collect();
        roots.dedup_by(|a, b| a.path == b.path);
        let batches = stream::try_unfold(Walk::new(roots, put_back_after), |mut walk| async {
            let (walk, files) = blocking(move |cancel| {
                let files = walk.batch(cancel)?;
                Ok((walk, files))
            })
            .await?;
            Ok::<_, Error>((!files.is_empty()).then(|| (stream::iter(files).map(Ok), walk)))
        });
        batches.try_flatten().boxed()
    }

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

    fn remove_now(&self, file: &StagedFile) -> Result<Removal, Error> {
        match self.in_state(file)? {
            Some((dir, name, open)) => take_away(file, &dir, &name, &open),
            None => Ok(self.gone_or_changed(file)),
        }
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

/// Takes the name away first, then looks again at what had it: no name can be removed only if it is still that of a
/// certain file. What counts is the state that was to be removed, not the one that was found in between: somebody may
/// have written into the file since.
fn take_away(file: &StagedFile, dir: &OwnedFd, name: &[u8], open: &File) -> Result<Removal, Error> {
    let failed = |errno: Errno| unavailable("remove", &file.url, errno.into());
    mark(open);
    let aside = name_aside(name)?;
    match renameat(dir, name, dir, &aside) {
        Ok(()) => {}
        Err(Errno::NOENT) => return Ok(Removal::Gone),
        Err(errno) => return Err(failed(errno)),
    }
    let moved = statat(dir, &aside, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
    if !has_kept_its_bytes(&file.pin, &moved) {
        put_back(dir, &aside, name).map_err(failed)?;
        return Ok(Removal::Changed);
    }
    unlinkat(dir, &aside, AtFlags::empty()).map_err(failed)?;
    sync_dir(dir).map_err(failed)?;
    Ok(Removal::Removed)
}

fn url_of(root: &Root) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    let names = root.path.components().skip(1);
    names.fold("file://".to_owned(), |url, name| format!("{url}/{}", escaped(name.as_os_str().as_bytes())))
}

fn escaped(name: &[u8]) -> String {
    percent_encode(name, ESCAPED).to_string()
}

fn unavailable(what: &str, url: &VideoUrl, error: std::io::Error) -> Error {
    Error::unavailable(format!("cannot {what} {url}: {}", way_out(&error))).because(error)
}
