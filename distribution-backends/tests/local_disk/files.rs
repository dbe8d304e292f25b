use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use distribution_backends::LocalFiles;
use distribution_core::{Body, Error, ErrorKind, Source, Staged, VideoUrl};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

/// `staging` and `archive` are roots, `secret` is beside them.
struct Place {
    dir: TempDir,
    source: LocalFiles,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["staging/edits", "archive", "secret"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("staging/edits/clip.mp4"), b"clip").unwrap();
        fs::write(dir.path().join("staging/a b%é#.mp4"), b"odd").unwrap();
        fs::write(dir.path().join("archive/old.mp4"), b"old").unwrap();
        fs::write(dir.path().join("secret/key"), b"secret").unwrap();
        let source = LocalFiles::open(dir.path().join("staging")).unwrap();
        let source = source.also(dir.path().join("archive")).unwrap();
        Self { dir, source }
    }

    fn root(&self) -> &Path {
        self.dir.path()
    }

    fn staging(&self, name: &str) -> PathBuf {
        self.root().join("staging").join(name)
    }

    /// What `check` and `open` say; both must agree on what is allowed.
    async fn open(&self, url: &str) -> Result<Option<Staged>, Error> {
        // Some are no URLs at all.
        let url = VideoUrl::parse(url).map_err(|error| error.at("final_edit.video_url"))?;
        let opened = tokio::time::timeout(Duration::from_secs(60), self.source.open(&url)).await.expect("it hangs");
        if let Err(error) = self.source.check(&url) {
            assert_eq!(opened.err().map(|error| error.to_string()), Some(error.to_string()));
            return Err(error);
        }
        opened
    }

    async fn read(&self, url: &str) -> Option<Vec<u8>> {
        let staged = self.open(url).await.unwrap()?;
        let Body::File { mut file, pin } = staged.body else { panic!("no file") };
        assert_eq!(pin, staged.pin);
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        assert_eq!(pin.size, bytes.len() as u64);
        Some(bytes)
    }
}

fn assert_refused(opened: Result<Option<Staged>, Error>, url: &str) -> Error {
    let error = opened.err().unwrap_or_else(|| panic!("{url} was opened"));
    assert_eq!(error.kind(), ErrorKind::Invalid, "{url}: {error}");
    assert_eq!(error.field(), Some("final_edit.video_url"), "{url}");
    error
}

#[tokio::test]
async fn a_file_below_a_root_is_opened_however_it_is_named() {
    let place = Place::new();
    let root = place.root().display();
    for (url, bytes) in [
        ("edits/clip.mp4".to_owned(), b"clip".as_slice()),
        (format!("file://{root}/staging/edits/clip.mp4"), b"clip"),
        (format!("FILE://LocalHost{root}/staging/edits/%63lip.mp4"), b"clip"),
        (format!("{root}/staging/edits/clip.mp4"), b"clip"),
        (format!("file://{root}/archive/old.mp4"), b"old"),
        ("a b%é#.mp4".to_owned(), b"odd"),
        (format!("file://{root}/staging/a%20b%25%C3%A9%23.mp4"), b"odd"),
        (format!("file://{root}/staging/a b%25é%23.mp4"), b"odd"),
    ] {
        assert_eq!(place.read(&url).await.as_deref(), Some(bytes), "{url}");
    }
}

#[tokio::test]
async fn a_missing_file_is_none() {
    let place = Place::new();
    for url in ["no.mp4", "no/such/folder.mp4", "edits/clip.mp4/below", "old.mp4", "edits/clip.mp4%"] {
        assert_eq!(place.read(url).await, None, "{url}");
    }
}

#[tokio::test]
async fn what_leads_elsewhere_is_refused_by_its_text() {
    let place = Place::new();
    let root = place.root().display();
    for url in [
        "../secret/key".to_owned(),
        "edits/../../secret/key".into(),
        "edits/../edits/clip.mp4".into(),
        "./edits/clip.mp4".into(),
        "edits//clip.mp4".into(),
        "edits/clip.mp4/".into(),
        "edits\\clip.mp4".into(),
        "..\\secret\\key".into(),
        "/etc/passwd".into(),
        "//etc/passwd".into(),
        "/".into(),
        "file:///".into(),
        "file:///etc/passwd".into(),
        "file://".into(),
        "file:///%".into(),
        "file://etc/passwd".into(),
        "file:/etc/passwd".into(),
        "file:edits/clip.mp4".into(),
        format!("file://{root}/secret/key"),
        format!("file://{root}/staging"),
        format!("file://{root}/staging/"),
        format!("file://{root}/staging-2/clip.mp4"),
        format!("file://{root}/staging/../secret/key"),
        format!("file://{root}/staging/%2e%2e/secret/key"),
        format!("file://{root}/staging/%2E./secret/key"),
        format!("file://{root}/staging/..%2fsecret/key"),
        format!("file://{root}/staging/edits%2Fclip.mp4"),
        format!("file://{root}/staging/edits%5Cclip.mp4"),
        format!("file://{root}/staging/clip%00.mp4"),
        format!("file://{root}/staging/clip%0A.mp4"),
        format!("file://{root}/staging/clip%zz.mp4"),
        format!("file://{root}/staging/clip%2"),
        format!("file://{root}/staging/clip%"),
        format!("file://{root}/staging/edits/clip.mp4?x=1"),
        format!("file://{root}/staging/edits/clip.mp4#x"),
        format!("file://evil.example{root}/staging/edits/clip.mp4"),
        format!("file://localhost:80{root}/staging/edits/clip.mp4"),
        format!("file://me@localhost{root}/staging/edits/clip.mp4"),
        "s3://bucket/clip.mp4".into(),
        "https://evil.example/clip.mp4?token=hush".into(),
        "https:evil.example/clip.mp4?token=hush".into(),
        "data:text/plain,hush".into(),
        "c:\\clip.mp4".into(),
    ] {
        let error = assert_refused(place.open(&url).await, &url);
        assert!(!error.message().contains("hush"), "{error}");
        if VideoUrl::parse(&url).is_err() {
            continue; // refused before anybody asks what is allowed
        }
        let (staging, archive) = (place.staging(""), place.root().join("archive"));
        for allowed in [staging.to_str().unwrap().trim_end_matches('/'), archive.to_str().unwrap()] {
            assert!(error.message().contains(allowed), "{error}");
        }
    }
}

#[tokio::test]
async fn no_link_is_followed() {
    let place = Place::new();
    symlink("../secret", place.staging("out")).unwrap();
    symlink("edits", place.staging("within")).unwrap();
    symlink("../secret/key", place.staging("clip.mp4")).unwrap();
    symlink("nowhere", place.staging("dangling.mp4")).unwrap();
    for url in ["out/key", "within/clip.mp4", "clip.mp4", "dangling.mp4"] {
        let error = assert_refused(place.open(url).await, url);
        assert!(error.message().contains("symbolic link"), "{error}");
    }
    symlink("staging", place.root().join("root")).unwrap();
    assert_eq!(LocalFiles::open(place.root().join("root")).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(LocalFiles::open(place.root().join("missing")).unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn what_is_no_regular_file_is_refused_without_waiting() {
    let place = Place::new();
    mknodat(CWD, place.staging("fifo"), FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    let long = "x".repeat(300);
    for url in ["fifo", "edits", "fifo/clip.mp4", &long] {
        assert_refused(place.open(url).await, url);
    }
}

#[tokio::test]
async fn the_innermost_of_nested_roots_and_a_root_behind_a_link_are_found() {
    let place = Place::new();
    symlink("staging", place.root().join("alias")).unwrap();
    let source = LocalFiles::open(place.staging("")).unwrap().also(place.root().join("alias/edits")).unwrap();
    for url in ["alias/edits/clip.mp4", "staging/edits/clip.mp4"] {
        let url = VideoUrl::parse(format!("file://{}/{url}", place.root().display())).unwrap();
        assert!(source.open(&url).await.unwrap().is_some(), "{url}");
    }
}

#[tokio::test]
async fn the_pin_changes_with_the_file() {
    let place = Place::new();
    let pin = async || place.open("edits/clip.mp4").await.unwrap().unwrap().pin;
    let first = pin().await;
    assert_eq!(pin().await, first);
    std::thread::sleep(Duration::from_millis(20));
    fs::write(place.staging("edits/clip.mp4"), b"cl1p").unwrap();
    let second = pin().await;
    assert_ne!(second, first);
    fs::write(place.staging("edits/new.mp4"), b"cl1p").unwrap();
    fs::rename(place.staging("edits/new.mp4"), place.staging("edits/clip.mp4")).unwrap();
    assert_ne!(pin().await, second);
}
