use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use distribution_backends::LocalDisk;
use distribution_core::{ErrorKind, Meter, Storage};
use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};

use crate::support::{Place, created, key_of, stream_of};

fn make_fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
}

/// Every operation on the key, by name, with the kind of its error.
async fn kinds(place: &Place, key: &str) -> Vec<(&'static str, Option<ErrorKind>)> {
    let (disk, key) = (&place.disk, key_of(key));
    let kinds = async {
        vec![
            ("create", disk.create(&key, stream_of(b"new", 3)).await.err()),
            ("digest", disk.digest(&key, &Meter::default()).await.err()),
            ("stat", disk.stat(&key).await.err()),
            ("open", disk.open(&key, 0..1).await.err()),
            ("remove", disk.remove(&key).await.err()),
        ]
    };
    // A FIFO must not make anything wait.
    let kinds = tokio::time::timeout(Duration::from_secs(60), kinds).await.expect("it hangs");
    kinds.into_iter().map(|(name, error)| (name, error.map(|error| error.kind()))).collect()
}

#[test]
fn a_root_must_be_a_directory_that_is_there() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("real")).unwrap();
    fs::write(dir.path().join("file"), b"").unwrap();
    symlink("real", dir.path().join("link")).unwrap();
    symlink("nowhere", dir.path().join("dangling")).unwrap();
    for (name, why) in [
        ("missing", "mount its volume"),
        ("file", "no directory"),
        ("link", "symbolic link"),
        ("link/", "symbolic link"),
        ("link/.", "symbolic link"),
        ("dangling", "symbolic link"),
    ] {
        let error = LocalDisk::open(dir.path().join(name)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{name}: {error}");
        assert!(
            error.to_string().contains(why) && error.to_string().contains(name.trim_end_matches(['/', '.'])),
            "{error}"
        );
    }
    assert!(!dir.path().join("missing").exists());
    assert!(LocalDisk::open("").is_err());
    // A link on the way to the root is the system's own business; the location names the real place.
    fs::create_dir(dir.path().join("real/store")).unwrap();
    let disk = LocalDisk::open(dir.path().join("link/store")).unwrap();
    assert!(disk.location(&key_of("clip")).as_str().ends_with("/real/store/clip"));
}

#[tokio::test]
async fn a_root_that_was_replaced_or_removed_is_out_of_reach() {
    let place = Place::new();
    place.put("clip.mp4", b"here").await;
    fs::rename(place.store(""), place.dir.path().join("moved")).unwrap();
    let all_unavailable = async || {
        for (name, kind) in kinds(&place, "clip.mp4").await {
            assert_eq!(kind, Some(ErrorKind::Unavailable), "{name}");
        }
        assert_eq!(place.disk.list("", None, 9).await.unwrap_err().kind(), ErrorKind::Unavailable);
    };
    all_unavailable().await;
    fs::create_dir(place.store("")).unwrap();
    all_unavailable().await;
    assert!(place.files().is_empty());
    fs::remove_dir(place.store("")).unwrap();
    fs::rename(place.dir.path().join("moved"), place.store("")).unwrap();
    assert!(place.disk.stat(&key_of("clip.mp4")).await.unwrap().is_some());
}

#[tokio::test]
async fn no_link_is_followed_at_the_final_name() {
    let place = Place::new();
    let outside = place.stage(b"outside");
    symlink(&outside, place.store("clip.mp4")).unwrap();
    symlink("nowhere", place.store("dangling.mp4")).unwrap();
    for key in ["clip.mp4", "dangling.mp4"] {
        for (name, kind) in kinds(&place, key).await {
            assert_eq!(kind, Some(ErrorKind::Corrupt), "{name} {key}");
        }
        assert!(place.store(key).is_symlink(), "left for a person to see to");
    }
    assert_eq!(fs::read(outside).unwrap(), b"outside");
    assert!(!place.store("nowhere").exists());
}

#[tokio::test]
async fn no_link_is_followed_on_the_way() {
    let place = Place::new();
    let outside = place.stage(b"outside");
    symlink(outside.parent().unwrap(), place.store("out")).unwrap();
    fs::create_dir(place.store("deep")).unwrap();
    symlink("../deep", place.store("deep/inside")).unwrap();
    for key in ["out/clip.mp4", "out/new.mp4", "out/new/new.mp4", "deep/inside/clip.mp4"] {
        for (name, kind) in kinds(&place, key).await {
            assert_eq!(kind, Some(ErrorKind::Corrupt), "{name} {key}");
        }
    }
    assert_eq!(fs::read(&outside).unwrap(), b"outside");
    assert_eq!(fs::read_dir(outside.parent().unwrap()).unwrap().count(), 1);
}

#[tokio::test]
async fn what_is_no_regular_file_is_refused_without_waiting() {
    let place = Place::new();
    make_fifo(&place.store("fifo"));
    let _socket = UnixListener::bind(place.store("socket")).unwrap();
    for key in ["fifo", "socket", "fifo/below", "socket/below"] {
        for (name, kind) in kinds(&place, key).await {
            assert_eq!(kind, Some(ErrorKind::Corrupt), "{name} {key}");
        }
    }
}

#[tokio::test]
async fn a_folder_and_an_object_do_not_share_a_name() {
    let place = Place::new();
    place.put("mvp/clip.mp4", b"here").await;
    for key in ["mvp", "mvp/clip.mp4/below"] {
        let kinds = kinds(&place, key).await;
        assert_eq!(kinds[0], ("create", Some(ErrorKind::Conflict)), "{key}");
        assert!(kinds[1..].iter().all(|(_, kind)| kind.is_none()), "{key}: {kinds:?}");
    }
    assert_eq!(place.files().len(), 1, "{:?}", place.files());
}

#[tokio::test]
async fn a_folder_swapped_for_a_link_meanwhile_leads_nowhere() {
    let place = Place::new();
    let outside = place.stage(b"outside").parent().unwrap().to_owned();
    let (folder, link) = (place.store("mvp"), place.store("link"));
    fs::create_dir(&folder).unwrap();
    symlink(&outside, &link).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let swapper = std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            let _ = renameat_with(CWD, &folder, CWD, &link, RenameFlags::EXCHANGE);
        }
    });
    let mut refused = 0;
    // 500 at least, and until the link was there when it mattered.
    for n in 0..50_000 {
        match place.disk.create(&key_of(&format!("mvp/new-{n}.mp4")), stream_of(b"new", 3)).await {
            Err(error) if error.kind() == ErrorKind::Corrupt => refused += 1,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
            Ok(outcome) => assert_eq!(outcome, created(b"new")),
        }
        if n > 500 && refused > 0 {
            break;
        }
    }
    stop.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
    assert!(refused > 0, "the link was never there when it mattered");
    assert_eq!(fs::read_dir(outside).unwrap().count(), 1, "something was written outside");
}

#[tokio::test]
async fn the_location_is_a_uri_of_the_real_path() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join(OsStr::new("a b%é#?"));
    fs::create_dir(&root).unwrap();
    let disk = LocalDisk::open(&root).unwrap();
    let location = disk.location(&key_of("mvp/clip-1.mp4"));
    assert!(location.as_str().starts_with("file:///"), "{location}");
    assert!(location.as_str().ends_with("/a%20b%25%C3%A9%23%3F/mvp/clip-1.mp4"), "{location}");
    assert_ne!(location, disk.location(&key_of("mvp/clip-2.mp4")));
}
