//! Stages that a crash has left with a name.

use std::os::fd::OwnedFd;

use chrono::DateTime;
use distribution_core::{Error, Timestamp, Unfinished};
use rustix::fs::{AtFlags, Dir, FileType, statat, unlinkat};
use rustix::io::Errno;

use super::stage::PREFIX;
use crate::blocking::Cancel;
use crate::confined::{Refusal, Root, open_dir, way_out};

/// At most `limit` stages that were last written to before `begun_before`.
pub(super) fn find(
    root: &Root,
    begun_before: Timestamp,
    limit: usize,
    cancel: &Cancel,
) -> Result<Vec<Unfinished>, Error> {
    root.check()?;
    let mut search = Search { begun_before, limit, cancel, found: Vec::new() };
    if let Some(dir) = root.dir([]).map_err(|refusal| failed("list stages", refusal))? {
        search.visit(&dir, "")?;
    }
    Ok(search.found)
}

/// Removes the stage of that name, which [`find`] has told.
pub(super) fn remove(root: &Root, name: &str) -> Result<(), Error> {
    root.check()?;
    let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
    let folder = folder.split('/').filter(|segment| !segment.is_empty()).map(str::as_bytes);
    if !file.starts_with(PREFIX) {
        return Err(Error::invalid("unfinished", "is no stage"));
    }
    let Some(dir) = root.dir(folder).map_err(|refusal| failed("remove a stage", refusal))? else { return Ok(()) };
    match unlinkat(&dir, file, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(failed("remove a stage", errno.into())),
    }
}

struct Search<'a> {
    begun_before: Timestamp,
    limit: usize,
    cancel: &'a Cancel,
    found: Vec<Unfinished>,
}

impl Search<'_> {
    fn visit(&mut self, dir: &OwnedFd, path: &str) -> Result<(), Error> {
        let unlisted = |errno: Errno| failed("list stages", errno.into());
        for entry in Dir::read_from(dir).map_err(unlisted)? {
            self.cancel.check()?;
            let entry = entry.map_err(unlisted)?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if self.found.len() >= self.limit {
                return Ok(());
            }
            if name.starts_with(PREFIX) {
                self.take(dir, path, name).map_err(unlisted)?;
            } else if !name.starts_with('.')
                && matches!(entry.file_type(), FileType::Directory | FileType::Unknown)
                && let Ok(Some(child)) = open_dir(dir, name.as_bytes())
            {
                self.visit(&child, &format!("{path}{name}/"))?;
            }
        }
        Ok(())
    }

    fn take(&mut self, dir: &OwnedFd, path: &str, name: &str) -> Result<(), Errno> {
        let stat = match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(()),
            stat => stat?,
        };
        let begun_at = DateTime::from_timestamp(stat.st_mtime, 0).filter(|at| *at < self.begun_before);
        if let (Some(begun_at), FileType::RegularFile) = (begun_at, FileType::from_raw_mode(stat.st_mode)) {
            self.found.push(Unfinished { name: format!("{path}{name}"), begun_at, token: String::new() });
        }
        Ok(())
    }
}

fn failed(what: &str, refusal: Refusal) -> Error {
    match refusal {
        Refusal::Io(error) => Error::unavailable(format!("cannot {what}: {}", way_out(&error))).because(error),
        Refusal::Irregular { name, kind } => {
            Error::unavailable(format!("cannot {what}: {name:?} is {}", kind.as_str()))
        }
    }
}
