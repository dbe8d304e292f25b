use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use distribution_backends::LocalFiles;
use distribution_core::{Checksum, CreateOutcome, ErrorKind, Meter, Source, Storage, Unfit, VideoUrl};

use crate::support::{MIB, Place, bytes_of, content, created, digest_of, file_of, key_of, stream_of};

#[tokio::test]
async fn a_file_is_stored_proven_and_left_alone() {
    for size in [0, 1, 4096, 256 << 10, (256 << 10) + 1, 40 * MIB + 17] {
        let place = Place::new();
        let bytes = bytes_of(1, size);
        let source = place.stage(&bytes);
        let count = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&count);
        let meter = Meter::new(move |n| {
            counter.fetch_add(n, Ordering::Relaxed);
        });
        let outcome = place.disk.create(&key_of("mvp/a/clip.mp4"), file_of(&source, &bytes, meter)).await.unwrap();
        assert_eq!(outcome, created(&bytes));
        assert_eq!(count.load(Ordering::Relaxed), size as u64, "the meter");
        assert!(fs::read(place.store("mvp/a/clip.mp4")).unwrap() == bytes);
        assert!(fs::read(&source).unwrap() == bytes);
        assert_eq!(place.files().len(), 1, "{:?}", place.files());
        let (from, to) = (fs::metadata(&source).unwrap(), fs::metadata(place.store("mvp/a/clip.mp4")).unwrap());
        assert_ne!(from.ino(), to.ino(), "the staged file's inode is not shared");
        assert_eq!(to.nlink(), 1);
    }
}

#[tokio::test]
async fn a_file_is_read_from_its_start_wherever_its_cursor_is() {
    let place = Place::new();
    let bytes = bytes_of(2, 3 * MIB);
    let mut content = file_of(&place.stage(&bytes), &bytes, Meter::default());
    let distribution_core::Body::File { file, .. } = &mut content.body else { panic!() };
    std::io::Seek::seek(file, std::io::SeekFrom::End(0)).unwrap();
    assert_eq!(place.disk.create(&key_of("clip.mp4"), content).await.unwrap(), created(&bytes));
}

#[tokio::test]
async fn what_is_there_is_never_changed() {
    let place = Place::new();
    place.put("mvp/clip.mp4", b"first").await;
    let before = place.disk.stat(&key_of("mvp/clip.mp4")).await.unwrap();
    let outcome = place.disk.create(&key_of("mvp/clip.mp4"), stream_of(b"second", 3)).await.unwrap();
    assert_eq!(outcome, CreateOutcome::AlreadyExists);
    assert_eq!(fs::read(place.store("mvp/clip.mp4")).unwrap(), b"first");
    assert_eq!(place.disk.stat(&key_of("mvp/clip.mp4")).await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sixteen_racers_with_other_bytes_each_one_wins() {
    let place = Place::new();
    let race = (0..16).map(|n| {
        let (disk, bytes) = (place.disk.clone(), bytes_of(n, MIB + n as usize));
        tokio::spawn(async move {
            let outcome = disk.create(&key_of("new/folder/clip.mp4"), stream_of(&bytes, 100_000)).await.unwrap();
            (outcome, bytes)
        })
    });
    let race: Vec<_> = race.collect();
    let mut winners = Vec::new();
    for racer in race {
        let (outcome, bytes) = racer.await.unwrap();
        if outcome == CreateOutcome::AlreadyExists {
            continue;
        }
        assert_eq!(outcome, created(&bytes));
        winners.push(bytes);
    }
    assert_eq!(winners.len(), 1);
    assert!(fs::read(place.store("new/folder/clip.mp4")).unwrap() == winners[0]);
    assert_eq!(place.files().len(), 1, "{:?}", place.files());
}

#[tokio::test]
async fn other_bytes_are_named_and_leave_nothing() {
    let place = Place::new();
    let (staged, approved) = (bytes_of(3, 2 * MIB), bytes_of(4, 2 * MIB));
    let source = place.stage(&staged);
    let outcome = place.disk.create(&key_of("clip.mp4"), file_of(&source, &approved, Meter::default())).await.unwrap();
    assert_eq!(outcome, CreateOutcome::Unfit(Unfit::OtherBytes { found: digest_of(&staged) }));
    assert!(place.files().is_empty(), "{:?}", place.files());
}

#[tokio::test]
async fn a_file_of_another_size_than_announced_has_changed() {
    for announced in [MIB - 1, MIB + 1] {
        let place = Place::new();
        let bytes = bytes_of(5, MIB);
        let source = place.stage(&bytes);
        let mut content = file_of(&source, &bytes, Meter::default());
        content.size = announced as u64;
        let outcome = place.disk.create(&key_of("clip.mp4"), content).await.unwrap();
        assert_eq!(outcome, CreateOutcome::Unfit(Unfit::Changed));
        assert!(place.files().is_empty(), "{:?}", place.files());
    }
}

/// Creates from a file with which `change` does something once the first bytes are proven.
async fn changed_while_copied(change: impl Fn(&std::path::Path) + Send + Sync + 'static) {
    let place = Place::new();
    let bytes = bytes_of(6, 24 * MIB);
    let source = place.stage(&bytes);
    let (path, once) = (source.clone(), Mutex::new(Some(change)));
    let meter = Meter::new(move |_| {
        if let Some(change) = once.lock().unwrap().take() {
            // Clocks of file systems tick slowly.
            std::thread::sleep(Duration::from_millis(20));
            change(&path);
        }
    });
    let outcome = place.disk.create(&key_of("clip.mp4"), file_of(&source, &bytes, meter)).await.unwrap();
    if can_clone(&place) {
        // The change came after the snapshot.
        assert_eq!(outcome, created(&bytes));
        assert!(fs::read(place.store("clip.mp4")).unwrap() == bytes);
        return;
    }
    assert_eq!(outcome, CreateOutcome::Unfit(Unfit::Changed));
    assert!(place.files().is_empty(), "{:?}", place.files());
}

/// Whether the file system makes copies that share their bytes.
fn can_clone(place: &Place) -> bool {
    let (from, to) = (place.dir.path().join("staging/clone-from"), place.dir.path().join("staging/clone-to"));
    fs::write(&from, b"bytes").unwrap();
    let clone = rustix::fs::ioctl_ficlone(fs::File::create(to).unwrap(), fs::File::open(from).unwrap());
    clone.is_ok()
}

#[tokio::test]
async fn a_file_truncated_while_copied_has_changed() {
    changed_while_copied(|path| fs::File::options().write(true).open(path).unwrap().set_len(100).unwrap()).await;
}

#[tokio::test]
async fn a_file_that_grows_while_copied_has_changed() {
    changed_while_copied(|path| {
        fs::File::options().write(true).open(path).unwrap().set_len(25 * MIB as u64).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_file_rewritten_while_copied_has_changed() {
    changed_while_copied(|path| {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.write_all_at(b"other", 24 * MIB as u64 - 5).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_file_changed_between_opening_and_copying_has_changed() {
    let place = Place::new();
    let bytes = bytes_of(7, MIB);
    let path = place.stage(&bytes);
    let source = LocalFiles::open(place.dir.path().join("staging")).unwrap();
    let staged = source.open(&VideoUrl::parse("clip.mp4").unwrap()).await.unwrap().unwrap();
    std::thread::sleep(Duration::from_millis(20));
    fs::File::options().write(true).open(path).unwrap().write_all_at(b"other", 0).unwrap();
    let content = content(MIB, Checksum::of(&bytes), staged.body, Meter::default());
    let outcome = place.disk.create(&key_of("clip.mp4"), content).await.unwrap();
    assert_eq!(outcome, CreateOutcome::Unfit(Unfit::Changed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_create_leaves_nothing() {
    let place = Place::new();
    let bytes = bytes_of(8, 8 * MIB);
    // The first piece takes half a second: time enough to cancel.
    let meter = Meter::new(|_| std::thread::sleep(Duration::from_millis(500)));
    let content = file_of(&place.stage(&bytes), &bytes, meter);
    let key = key_of("clip.mp4");
    let create = place.disk.create(&key, content);
    assert!(tokio::time::timeout(Duration::from_millis(100), create).await.is_err(), "still copying");
    place.wait_until_clean().await;
    assert!(place.files().is_empty(), "{:?}", place.files());
}

#[test]
fn outside_of_a_runtime_nothing_panics() {
    let place = Place::new();
    let error = futures::FutureExt::now_or_never(place.disk.stat(&key_of("clip.mp4"))).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
