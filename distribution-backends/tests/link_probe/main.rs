//! What a link probe says of links that work, and of those that do not.
#![cfg(feature = "link-probe")]
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

#[path = "../support/heard.rs"]
mod a_heard;
mod faults;
#[cfg(feature = "serve")]
mod route;
#[allow(dead_code, reason = "shared with the tests of URLs")]
#[path = "../ssrf/server.rs"]
mod server;
mod silence;

use std::fs;
use std::time::Duration;

use distribution_backends::{LinkProbe, LocalDisk};
use distribution_core::{Error, Link, ObjectKey};
use tempfile::TempDir;

pub(crate) const KEY: &str = "mvp/clip.mp4";
/// In a link, never in what is said of it.
pub(crate) const SECRET: &str = "s=canary-signature";

/// A disk with one object.
pub(crate) struct Disk {
    pub(crate) dir: TempDir,
    pub(crate) bytes: Vec<u8>,
}

impl Disk {
    pub(crate) fn of(size: usize) -> Self {
        let (dir, bytes): (_, Vec<u8>) = (tempfile::tempdir().unwrap(), (0..size).map(|n| (n % 251) as u8).collect());
        fs::create_dir(dir.path().join("mvp")).unwrap();
        fs::write(dir.path().join(KEY), &bytes).unwrap();
        Self { dir, bytes }
    }

    pub(crate) fn storage(&self) -> LocalDisk {
        LocalDisk::open(self.dir.path()).unwrap()
    }

    pub(crate) async fn check(&self, probe: &LinkProbe, link: &str) -> Result<(), Error> {
        probe.check(&Link::new(link), &self.storage(), &key()).await
    }
}

pub(crate) fn key() -> ObjectKey {
    ObjectKey::parse(KEY).unwrap()
}

pub(crate) fn probe() -> LinkProbe {
    LinkProbe::new().unwrap().time_max(Duration::from_secs(10))
}
