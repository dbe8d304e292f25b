//! Listing keys in byte order, a bounded number of names in memory at a time.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use distribution_core::{Error, ObjectKey};
use rustix::fs::{Dir, DirEntry, FileType};
use rustix::io::Errno;

use crate::blocking::Cancel;
use crate::confined::{Kind, Refusal, Root, kind_of, open_dir, way_out};

/// The most names of one directory that are held at a time; with more, it is read again.
const NAMES_MAX: usize = 1024;

pub(super) fn list(
    root: &Root,
    prefix: &str,
    after: Option<&ObjectKey>,
    limit: usize,
    cancel: &Cancel,
) -> Result<Vec<ObjectKey>, Error> {
    root.check()?;
    let folder = prefix.rfind('/').map_or("", |slash| prefix.split_at(slash + 1).0);
    let segments: Vec<&[u8]> = match folder.strip_suffix('/') {
        None => Vec::new(),
        // No key begins with what is no key.
        Some(path) if ObjectKey::parse(path).is_err() => return Ok(Vec::new()),
        Some(path) => path.split('/').map(str::as_bytes).collect(),
    };
    let after = after.map_or("", ObjectKey::as_str);
    let mut listing = Listing { prefix, after, limit, cancel, keys: Vec::new() };
    match root.dir(segments) {
        Ok(Some(dir)) => listing.visit(&dir, folder)?,
        Ok(None) | Err(Refusal::Irregular { .. }) => {}
        Err(Refusal::Io(error)) => return Err(unreadable(folder, error)),
    }
    Ok(listing.keys)
}

struct Listing<'a> {
    prefix: &'a str,
    after: &'a str,
    limit: usize,
    cancel: &'a Cancel,
    keys: Vec<ObjectKey>,
}

impl Listing<'_> {
    /// Takes what is in `dir`, whose keys begin with `path`.
    fn visit(&mut self, dir: &OwnedFd, path: &str) -> Result<(), Error> {
        let mut behind = String::new();
        loop {
            self.cancel.check()?;
            let (names, is_last) = self.names(dir, path, &behind).map_err(|errno| unreadable(path, errno.into()))?;
            for name in &names {
                if self.keys.len() == self.limit {
                    return Ok(());
                }
                match name.strip_suffix('/') {
                    None => self.keys.push(ObjectKey::parse(format!("{path}{name}"))?),
                    Some(folder) => match open_dir(dir, folder.as_bytes()) {
                        Ok(Some(child)) => self.visit(&child, &format!("{path}{name}"))?,
                        Ok(None) | Err(Refusal::Irregular { .. }) => {}
                        Err(Refusal::Io(error)) => return Err(unreadable(name, error)),
                    },
                }
            }
            match names.last() {
                Some(last) if !is_last => behind.clone_from(last),
                _ => return Ok(()),
            }
        }
    }

    /// The first names in `dir` behind `behind`, folders with a trailing slash, which is how they
    /// sort among whole keys; and whether these are the last ones.
    fn names(&self, dir: &OwnedFd, path: &str, behind: &str) -> Result<(BTreeSet<String>, bool), Errno> {
        let mut names = BTreeSet::new();
        let mut is_last = true;
        for entry in Dir::read_from(dir)? {
            let Some(name) = self.name(dir, path, &entry?)?.filter(|name| name.as_str() > behind) else {
                continue;
            };
            names.insert(name);
            if names.len() > NAMES_MAX {
                names.pop_last();
                is_last = false;
            }
        }
        Ok((names, is_last))
    }

    /// The entry's name, if keys that are asked for are or may be there.
    fn name(&self, dir: &OwnedFd, path: &str, entry: &DirEntry) -> Result<Option<String>, Errno> {
        let Ok(name) = entry.file_name().to_str() else {
            return Ok(None);
        };
        let full = format!("{path}{name}");
        // Stages, and whatever else is no object, have names that are no keys.
        if ObjectKey::parse(full.as_str()).is_err() {
            return Ok(None);
        }
        let kind = match entry.file_type() {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Unknown => match kind_of(dir, name.as_bytes()) {
                Err(Errno::NOENT) => return Ok(None),
                kind => kind?,
            },
            _ => return Ok(None),
        };
        let folder = format!("{full}/");
        let (prefix, after) = (self.prefix, self.after);
        Ok(match kind {
            Kind::File if full.starts_with(prefix) && full.as_str() > after => Some(name.to_owned()),
            Kind::Directory
                if (folder.starts_with(prefix) || prefix.starts_with(&folder))
                    && (folder.as_str() > after || after.starts_with(&folder)) =>
            {
                Some(format!("{name}/"))
            }
            Kind::File | Kind::Directory | Kind::Link | Kind::Special => None,
        })
    }
}

fn unreadable(path: &str, error: std::io::Error) -> Error {
    Error::unavailable(format!("cannot list {path}: {}", way_out(&error))).because(error)
}
