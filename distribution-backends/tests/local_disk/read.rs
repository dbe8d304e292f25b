use std::fs;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use distribution_core::{Checksum, ErrorKind, Meter, Storage};
use futures::StreamExt;

use crate::support::{MIB, Place, bytes_of, digest_of, key_of};

async fn read(place: &Place, range: Range<u64>) -> Vec<u8> {
    let mut stream = place.disk.open(&key_of("mvp/clip.mp4"), range).await.unwrap().unwrap();
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        bytes.extend(piece.unwrap());
    }
    bytes
}

#[tokio::test]
async fn what_was_stored_can_be_read_in_any_range() {
    let place = Place::new();
    let bytes = bytes_of(1, MIB + 3);
    place.put("mvp/clip.mp4", &bytes).await;
    let size = bytes.len() as u64;
    for range in [0..size, 0..u64::MAX, 0..1, 5..300_000, size - 1..size, MIB as u64..size + 9] {
        let (start, end) = (range.start as usize, range.end.min(size) as usize);
        assert!(read(&place, range.clone()).await == bytes[start..end], "{range:?}");
    }
    #[expect(clippy::reversed_empty_ranges, reason = "what nobody should ask for")]
    for range in [0..0, size..size + 1, u64::MAX..u64::MAX, 9..3, u64::MAX..0] {
        assert!(read(&place, range.clone()).await.is_empty(), "{range:?}");
    }
}

#[tokio::test]
async fn a_stream_of_a_file_that_became_shorter_ends_in_an_error() {
    let place = Place::new();
    place.put("mvp/clip.mp4", &bytes_of(2, MIB)).await;
    let mut stream = place.disk.open(&key_of("mvp/clip.mp4"), 0..MIB as u64).await.unwrap().unwrap();
    assert!(stream.next().await.unwrap().is_ok());
    fs::File::options().write(true).open(place.store("mvp/clip.mp4")).unwrap().set_len(300_000).unwrap();
    let last = loop {
        match stream.next().await.unwrap() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(last.kind(), ErrorKind::Corrupt);
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn digest_and_stat_tell_what_is_stored() {
    let place = Place::new();
    let (one, two) = (bytes_of(3, 5 * MIB + 1), bytes_of(4, 5 * MIB + 1));
    place.put("mvp/one.mp4", &one).await;
    place.put("mvp/two.mp4", &two).await;
    let meter = Meter::default();
    assert_eq!(place.disk.digest(&key_of("mvp/one.mp4"), &meter).await.unwrap(), Some(digest_of(&one)));
    let stat = place.disk.stat(&key_of("mvp/one.mp4")).await.unwrap().unwrap();
    assert_eq!(stat.size, one.len() as u64);
    let age = SystemTime::now().duration_since(stat.modified.unwrap().into()).unwrap_or_default();
    assert!(age < Duration::from_secs(600), "{age:?}");
    assert_ne!(stat.etag, place.disk.stat(&key_of("mvp/two.mp4")).await.unwrap().unwrap().etag);
    // A stored byte that the disk lost is seen, though nobody touched the size.
    let mut bytes = one;
    bytes[77] ^= 1;
    fs::write(place.store("mvp/one.mp4"), &bytes).unwrap();
    let found = place.disk.digest(&key_of("mvp/one.mp4"), &meter).await.unwrap().unwrap();
    assert_eq!(found.checksum, Checksum::of(&bytes));
}

#[tokio::test]
async fn nothing_is_at_a_missing_key_a_folder_or_below_an_object() {
    let place = Place::new();
    place.put("mvp/clip.mp4", b"here").await;
    for missing in ["other.mp4", "mvp/other.mp4", "no/such/folder.mp4", "mvp", "mvp/clip.mp4/below"] {
        let key = key_of(missing);
        assert_eq!(place.disk.stat(&key).await.unwrap(), None, "{missing}");
        assert_eq!(place.disk.digest(&key, &Meter::default()).await.unwrap(), None, "{missing}");
        assert!(place.disk.open(&key, 0..1).await.unwrap().is_none(), "{missing}");
        place.disk.remove(&key).await.unwrap();
    }
    assert_eq!(fs::read(place.store("mvp/clip.mp4")).unwrap(), b"here");
}

#[tokio::test]
async fn what_is_removed_is_gone_and_can_be_stored_again() {
    let place = Place::new();
    let key = key_of("mvp/clip.mp4");
    place.put("mvp/clip.mp4", b"one").await;
    place.disk.remove(&key).await.unwrap();
    place.disk.remove(&key).await.unwrap();
    assert_eq!(place.disk.stat(&key).await.unwrap(), None);
    place.put("mvp/clip.mp4", b"two").await;
}
