//! MP4s: whatever the bytes, there is an answer, and it costs no more than is promised.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use distribution_backends::Mp4Inspector;
use distribution_core::{Error, Inspector as _, MediaFacts, Ranges};
use futures::executor::block_on;

/// A file that counts what is read of it.
struct Counted {
    file: Bytes,
    reads: AtomicU64,
    bytes: AtomicU64,
}

#[async_trait::async_trait]
impl Ranges for Counted {
    async fn read(&self, range: Range<u64>) -> Result<Bytes, Error> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(range.end - range.start, Ordering::Relaxed);
        assert!(range.start < range.end && range.end <= self.file.len() as u64, "only what is there is asked for");
        let within = |at: u64| usize::try_from(at).expect("within the file");
        Ok(self.file.slice(within(range.start)..within(range.end)))
    }
}

/// Reads the bytes as a file.
pub fn run(bytes: &[u8]) {
    let file =
        Counted { file: Bytes::copy_from_slice(bytes), reads: AtomicU64::default(), bytes: AtomicU64::default() };
    let found = block_on(Mp4Inspector::new().inspect(&file, bytes.len() as u64)).expect("a file that can be read");
    assert!(file.reads.into_inner() <= 4_096 && file.bytes.into_inner() <= 16 << 20, "within the limits");
    assert!(found.duration_seconds.is_none_or(|seconds| seconds.is_finite()));
    assert!(found.tracks.len() <= MediaFacts::TRACKS_MAX);
    if found.not_mp4.is_some() {
        assert_eq!(found, MediaFacts { not_mp4: found.not_mp4.clone(), ..MediaFacts::default() });
    }
}
