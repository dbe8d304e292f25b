//! Failures of the disk. They need rights taken away or a file system of their own, so each test
//! runs itself again in such a process and says `NOT TRIED` where the machine does not allow that.

use std::fs;
use std::path::Path;

use distribution_backends::{LocalDisk, LocalFiles};
use distribution_core::{Error, ErrorKind, Meter, Source, StagedFile, Staging as _, Storage, VideoUrl};
use futures::TryStreamExt as _;

use crate::support::{MIB, again, bytes_of, created, file_of, key_of, stream_of};

/// A process in a mount namespace of its own, which ends with it.
fn with_mounts(script: &'static str) -> [&'static str; 7] {
    ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script]
}

/// A process that is not allowed what only root is, even if it is root.
const WITHOUT_RIGHTS: [&str; 2] = ["unshare", "--user"];

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(work)
}

fn assert_clean(dir: &Path) {
    let names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.is_empty(), "{names:?}");
}

fn assert_says(error: &Error, key: &str, way_out: &str) {
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.message().contains(key) && error.message().contains(way_out), "{error}");
    assert!(std::error::Error::source(error).is_some());
}

#[test]
fn a_full_disk_is_said_and_leaves_nothing_and_a_repeat_succeeds() {
    let script = r#"mount -t tmpfs -o size=4m none "$LOCAL_DISK_DIR" && exec "$0" "$@""#;
    let name = "failures::a_full_disk_is_said_and_leaves_nothing_and_a_repeat_succeeds";
    let Some(dir) = again(name, &with_mounts(script)) else { return };
    let (disk, key, staging) = (LocalDisk::open(&dir).unwrap(), key_of("clip.mp4"), tempfile::tempdir().unwrap());
    let (bytes, source) = (bytes_of(1, 3 * MIB), staging.path().join("clip.mp4"));
    fs::write(&source, &bytes).unwrap();
    run(async {
        let filler = dir.join("filler");
        fs::write(&filler, vec![1; 2 * MIB]).unwrap();
        for content in [file_of(&source, &bytes, Meter::default()), stream_of(&bytes, MIB)] {
            let error = disk.create(&key, content).await.unwrap_err();
            assert_says(&error, "clip.mp4", "the disk is full: free space and repeat");
            assert_eq!(disk.stat(&key).await.unwrap(), None);
        }
        fs::remove_file(filler).unwrap();
        assert_clean(&dir);
        assert_eq!(disk.create(&key, stream_of(&bytes, MIB)).await.unwrap(), created(&bytes));
    });
}

#[test]
fn a_read_only_file_system_is_said() {
    let script = r#"mount -t tmpfs none "$LOCAL_DISK_DIR" && mount -o remount,ro "$LOCAL_DISK_DIR" && exec "$0" "$@""#;
    let Some(dir) = again("failures::a_read_only_file_system_is_said", &with_mounts(script)) else { return };
    let disk = LocalDisk::open(&dir).unwrap();
    for key in ["clip.mp4", "mvp/clip.mp4"] {
        let error = run(disk.create(&key_of(key), stream_of(b"new", 3))).unwrap_err();
        assert_says(&error, key, "read-only");
    }
    assert_clean(&dir);
}

#[test]
fn a_size_limit_is_said_and_leaves_nothing() {
    // The limit is in blocks of 512 bytes; the signal that comes with it is ignored.
    let script = r#"trap '' XFSZ && ulimit -f 2048 && exec "$0" "$@""#;
    let Some(dir) = again("failures::a_size_limit_is_said_and_leaves_nothing", &["sh", "-c", script]) else { return };
    let (disk, bytes) = (LocalDisk::open(&dir).unwrap(), bytes_of(2, 3 * MIB));
    let error = run(disk.create(&key_of("clip.mp4"), stream_of(&bytes, MIB))).unwrap_err();
    assert_says(&error, "clip.mp4", "too large");
    assert_clean(&dir);
}

#[test]
fn a_folder_without_write_permission_is_said() {
    let Some(dir) = again("failures::a_folder_without_write_permission_is_said", &WITHOUT_RIGHTS) else { return };
    let disk = LocalDisk::open(&dir).unwrap();
    chmod(&dir, 0o555);
    for key in ["clip.mp4", "mvp/clip.mp4"] {
        let error = run(disk.create(&key_of(key), stream_of(b"new", 3))).unwrap_err();
        assert_says(&error, key, "permission denied");
    }
    chmod(&dir, 0o755);
    assert_clean(&dir);
    assert_eq!(run(disk.create(&key_of("clip.mp4"), stream_of(b"new", 3))).unwrap(), created(b"new"));
}

#[test]
fn a_refused_look_is_an_error_and_never_none() {
    let Some(dir) = again("failures::a_refused_look_is_an_error_and_never_none", &WITHOUT_RIGHTS) else { return };
    let disk = LocalDisk::open(&dir).unwrap();
    let (source, url) = (LocalFiles::open(&dir).unwrap(), VideoUrl::parse("mvp/clip.mp4").unwrap());
    let key = key_of("mvp/clip.mp4");
    run(disk.create(&key, stream_of(b"new", 3))).unwrap();
    for (path, mode) in [("mvp", 0o000), ("mvp/clip.mp4", 0o000)] {
        chmod(&dir.join(path), mode);
        assert_says(&run(disk.stat(&key)).unwrap_err(), "mvp/clip.mp4", "permission denied");
        assert_says(&run(disk.digest(&key, &Meter::default())).unwrap_err(), "mvp/clip.mp4", "permission denied");
        let error = run(source.open(&url)).err().expect("opened");
        assert_says(&error, "mvp/clip.mp4", "permission denied");
        if path == "mvp" {
            assert_says(&run(disk.list("", None, 9)).unwrap_err(), "mvp", "permission denied");
        }
        chmod(&dir.join(path), 0o755);
    }
    assert!(run(disk.stat(&key)).unwrap().is_some());
}

fn chmod(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_staging_folder_that_cannot_be_read_holds_up_no_other() {
    let name = "failures::a_staging_folder_that_cannot_be_read_holds_up_no_other";
    let Some(dir) = again(name, &WITHOUT_RIGHTS) else { return };
    for name in ["a/one.mp4", "lost+found/two.mp4", "z/three.mp4"] {
        fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
        fs::write(dir.join(name), b"staged").unwrap();
    }
    chmod(&dir.join("lost+found"), 0o000);
    let listed: Result<Vec<StagedFile>, _> = run(LocalFiles::open(&dir).unwrap().list().try_collect());
    chmod(&dir.join("lost+found"), 0o755);
    let mut names: Vec<String> = listed.unwrap().iter().map(|file| file.url.to_string()).collect();
    names.sort();
    assert!(matches!(&*names, [a, z] if a.ends_with("/a/one.mp4") && z.ends_with("/z/three.mp4")), "{names:?}");
}
