//! Where staged files are read from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use distribution_core::{Error, Source, Staging, TargetName};

use super::bucket::Bucket;
use super::document::Places;
use super::file::{self, Credentials, File};
use super::place::Place;
use crate::{LocalFiles, Sources};

/// The staging roots, none of them open yet.
pub(super) struct Roots {
    roots: BTreeMap<TargetName, Root>,
    /// The root that plain paths are below.
    default: Option<TargetName>,
}

enum Root {
    Disk(PathBuf),
    Bucket(Arc<dyn Bucket>, Option<Credentials>),
    Hosts(Arc<dyn Source>),
}

impl Roots {
    /// # Errors
    /// `Invalid`, naming the key, for a root that cannot be one.
    pub(super) fn check(file: &File, base: &Path, places: &Places) -> Result<Self, Error> {
        if file.staging.is_empty() {
            return Err(places.invalid("staging", "has no root: add `[staging.NAME]` with a `root` or `hosts`"));
        }
        let roots = file.staging.iter().map(|(name, staging)| {
            Root::check(staging, &format!("staging.{name}"), base, places).map(|root| (name.clone(), root))
        });
        let roots = roots.collect::<Result<BTreeMap<_, _>, Error>>()?;
        let default = default_of(&roots, file.defaults.staging.as_ref(), places)?;
        Ok(Self { roots, default })
    }

    /// All of them as one source. Blocks on the disk.
    pub(super) fn open(&self, base: &Path, places: &Places) -> Result<(Sources, Vec<Arc<dyn Staging>>), Error> {
        let (mut sources, mut swept) = self.open_disks(places)?;
        for (name, root) in &self.roots {
            let at = format!("staging.{name}");
            let (scheme, source) = match root {
                Root::Disk(_) => continue,
                Root::Bucket(bucket, credentials) => {
                    let bucket = match credentials {
                        Some(keys) => keys.give(bucket, (&format!("{at}.credentials"), base, places))?,
                        None => bucket.clone(),
                    };
                    let Some(files) = bucket.files() else { continue };
                    let (files, staging) = files.map_err(|error| places.locate(&format!("{at}.root"), error))?;
                    swept.push(staging);
                    ("s3", files)
                }
                Root::Hosts(source) => ("https", source.clone()),
            };
            if self.is_default(name) {
                sources = sources.paths(source.clone());
            }
            sources = sources.scheme(scheme, source)?;
        }
        Ok((sources, swept))
    }

    /// The directories are one source, since they may be within each other.
    fn open_disks(&self, places: &Places) -> Result<(Sources, Vec<Arc<dyn Staging>>), Error> {
        let disks = self.roots.iter().filter_map(|(name, root)| match root {
            Root::Disk(path) => Some((name, path)),
            Root::Bucket(..) | Root::Hosts(_) => None,
        });
        let mut disks: Vec<_> = disks.collect();
        disks.sort_by_key(|(name, _)| !self.is_default(name));
        let mut files: Option<LocalFiles> = None;
        for (name, path) in &disks {
            let opened = match files {
                None => LocalFiles::open(*path),
                Some(files) => files.also(*path),
            };
            files = Some(opened.map_err(|error| places.locate(&format!("staging.{name}.root"), error))?);
        }
        let Some(files) = files.map(Arc::new) else { return Ok((Sources::new(), Vec::new())) };
        let is_default = disks.first().is_some_and(|(name, _)| self.is_default(name));
        let sources = if is_default { Sources::new().paths(files.clone()) } else { Sources::new() };
        Ok((sources.scheme("file", files.clone())?, vec![files]))
    }

    fn is_default(&self, name: &TargetName) -> bool {
        self.default.as_ref() == Some(name)
    }
}

impl Root {
    fn check(staging: &file::Staging, at: &str, base: &Path, places: &Places) -> Result<Self, Error> {
        let at_key = |key: &str| format!("{at}.{key}");
        let Some(root) = &staging.root else {
            if staging.hosts.is_empty() && staging.private_hosts.is_empty() {
                return Err(places.invalid(at, "has neither `root` nor `hosts`: add one of them"));
            }
            if staging.credentials.is_some() {
                return Err(places.invalid(&at_key("credentials"), "is of no use without `root`: hosts get no keys"));
            }
            return hosts(staging, at, places).map(Self::Hosts);
        };
        if let Some(key) = staging.key_of_hosts() {
            let message = "is of no use beside `root`: give hosts a `[staging.NAME]` of their own";
            return Err(places.invalid(&at_key(key), message));
        }
        let place = Place::parse(root, base).map_err(|error| places.locate(&at_key("root"), error))?;
        if let Some(credentials) = &staging.credentials {
            credentials.check(&place, &at_key("credentials"), places)?;
        }
        let name = place.name();
        match place {
            Place::Disk(path) => Ok(Self::Disk(path)),
            Place::Bucket(bucket) if bucket.files().is_some() => Ok(Self::Bucket(bucket, staging.credentials.clone())),
            Place::Bucket(_) => {
                let message = format!("cannot be {name}: staged files are read from disks, s3:// buckets and hosts");
                Err(places.invalid(&at_key("root"), message))
            }
        }
    }

    fn has_paths(&self) -> bool {
        !matches!(self, Self::Hosts(_))
    }
}

impl file::Staging {
    fn key_of_hosts(&self) -> Option<&'static str> {
        let given = [
            ("hosts", !self.hosts.is_empty()),
            ("private_hosts", !self.private_hosts.is_empty()),
            ("size_max_mib", self.size_max_mib.is_some()),
            ("silence_max_secs", self.silence_max_secs.is_some()),
            ("time_max_secs", self.time_max_secs.is_some()),
            ("kib_per_sec_min", self.kib_per_sec_min.is_some()),
            ("redirects_max", self.redirects_max.is_some()),
        ];
        given.into_iter().find(|(_, is_given)| *is_given).map(|(key, _)| key)
    }
}

#[cfg(feature = "http-source")]
use super::hosts::source as hosts;

#[cfg(not(feature = "http-source"))]
fn hosts(_: &file::Staging, at: &str, places: &Places) -> Result<Arc<dyn Source>, Error> {
    Err(places.locate(at, super::bucket::lacks("http-source")))
}

fn default_of(
    roots: &BTreeMap<TargetName, Root>,
    wanted: Option<&TargetName>,
    places: &Places,
) -> Result<Option<TargetName>, Error> {
    const AT: &str = "defaults.staging";
    let named: Vec<&TargetName> = roots.iter().filter(|(_, root)| root.has_paths()).map(|(name, _)| name).collect();
    let names = named.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match (wanted, named.as_slice()) {
        (Some(wanted), _) if named.contains(&wanted) => Ok(Some(wanted.clone())),
        (Some(wanted), _) => {
            let message = format!("`{wanted}` is no staging root with a `root`: there are [{names}]");
            Err(places.invalid(AT, message))
        }
        (None, []) => Ok(None),
        (None, [only]) => Ok(Some((*only).clone())),
        (None, _) => {
            let message = format!("is missing: say below which root plain paths are, one of {names}");
            Err(places.invalid(AT, message))
        }
    }
}
