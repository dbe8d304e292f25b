//! A store in a temporary directory, content to put there, and processes with fewer rights.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use distribution_backends::LocalDisk;
use distribution_core::{
    Body, ByteStream, Checksum, Content, ContentHeaders, CreateOutcome, Digest, Error, Meter, ObjectKey, SourcePin,
    Storage, Verification,
};
use futures::{StreamExt, stream};
use tempfile::TempDir;

pub(crate) const MIB: usize = 1 << 20;

/// A directory `store` and a directory `staging` beside it.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
    pub(crate) disk: LocalDisk,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("store")).unwrap();
        fs::create_dir(dir.path().join("staging")).unwrap();
        let disk = LocalDisk::open(dir.path().join("store")).unwrap();
        Self { dir, disk }
    }

    pub(crate) fn store(&self, name: &str) -> PathBuf {
        self.dir.path().join("store").join(name)
    }

    pub(crate) fn stage(&self, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join("staging/clip.mp4");
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Every file below the store, with its path.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        walk(&self.store(""), &mut found);
        found
    }

    /// Waits until the store holds no stage; those who cancel do not wait for the cleaning.
    pub(crate) async fn wait_until_clean(&self) {
        for _ in 0..1000 {
            if !self.files().iter().any(|path| path.contains(".stage-")) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("a stage stays: {:?}", self.files());
    }

    pub(crate) async fn put(&self, key: &str, bytes: &[u8]) {
        let outcome = self.disk.create(&key_of(key), stream_of(bytes, 64 << 10)).await.unwrap();
        assert_eq!(outcome, created(bytes));
    }
}

fn walk(dir: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            walk(&entry.path(), found);
        } else {
            found.push(entry.path().to_str().unwrap().to_owned());
        }
    }
}

pub(crate) fn key_of(text: &str) -> ObjectKey {
    ObjectKey::parse(text).unwrap()
}

/// So many bytes that no two pieces of the same length are alike.
pub(crate) fn bytes_of(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

pub(crate) fn content(size: usize, expected: Checksum, body: Body, meter: Meter) -> Content {
    let headers = ContentHeaders {
        content_type: "video/mp4".into(),
        content_disposition: "attachment".into(),
        cache_control: "no-cache".into(),
        user_metadata: BTreeMap::new(),
    };
    Content { size: size as u64, expected, headers, body, meter }
}

/// A file's content, pinned by somebody else, with what it is expected to be.
pub(crate) fn file_of(path: &Path, expected: &[u8], meter: Meter) -> Content {
    let file = File::open(path).unwrap();
    let pin = SourcePin { size: file.metadata().unwrap().len(), tag: "of another source".into() };
    content(expected.len(), Checksum::of(expected), Body::File { file, pin }, meter)
}

pub(crate) fn stream_of(bytes: &[u8], piece: usize) -> Content {
    content(bytes.len(), Checksum::of(bytes), Body::Stream(pieces(bytes, piece)), Meter::default())
}

pub(crate) fn pieces(bytes: &[u8], piece: usize) -> ByteStream {
    let pieces: Vec<Result<Bytes, Error>> =
        bytes.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    stream::iter(pieces).boxed()
}

pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    Digest { checksum: Checksum::of(bytes), size: bytes.len() as u64 }
}

pub(crate) fn created(bytes: &[u8]) -> CreateOutcome {
    let proof = distribution_core::Proof { digest: digest_of(bytes), how: Verification::ReadBack };
    CreateOutcome::Created { proof: Some(proof) }
}

/// Runs the test of this name again, in a process that `wrap` makes (its last argument is a shell
/// script that ends in `exec "$0" "$@"`), with a fresh directory in `LOCAL_DISK_DIR`. `None` in the
/// outer process, once that is done; the directory in the inner one.
pub(crate) fn again(test: &str, wrap: &[&str]) -> Option<PathBuf> {
    if let Some(dir) = std::env::var_os("LOCAL_DISK_DIR") {
        return Some(dir.into());
    }
    let dir = tempfile::tempdir().unwrap();
    let [program, args @ ..] = wrap else { panic!("no program") };
    let output = Command::new(program)
        .args(args)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("LOCAL_DISK_DIR", dir.path())
        .output();
    let said = |output: &std::process::Output| {
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    match output {
        Ok(output) if output.status.success() => assert!(said(&output).contains("1 passed"), "{}", said(&output)),
        Ok(output) if output.status.code() == Some(101) => panic!("{}", said(&output)),
        // This machine does not let us make such a process.
        Ok(output) => println!("NOT TRIED: {test}: {wrap:?}: {}", said(&output)),
        Err(error) => println!("NOT TRIED: {test}: {wrap:?}: {error}"),
    }
    None
}
