//! A file of 10 GiB costs a few KiB.

use std::fs::File;
use std::os::unix::fs::FileExt;

use distribution_backends::{LocalFiles, Mp4Inspector};
use distribution_core::{Inspector as _, Source, VideoUrl};

use crate::support::{Counted, ftyp, header, moov};

const SIZE: u64 = 10 << 30;

#[tokio::test]
async fn proof_that_10_gib_cost_a_few_kib() {
    let folder = tempfile::tempdir().unwrap();
    let file = File::create(folder.path().join("clip.mp4")).unwrap();
    let (begins, ends) = (ftyp(), moov());
    file.set_len(SIZE).unwrap();
    file.write_all_at(&begins, 0).unwrap();
    let media = SIZE - (begins.len() + ends.len()) as u64;
    file.write_all_at(&header(b"mdat", media), begins.len() as u64).unwrap();
    file.write_all_at(&ends, begins.len() as u64 + media).unwrap();

    let source = LocalFiles::open(folder.path()).unwrap();
    let staged = source.open(&VideoUrl::parse("clip.mp4").unwrap()).await.unwrap().unwrap();
    let counted = Counted::new(staged.ranges.unwrap());
    let facts = Mp4Inspector::new().inspect(&counted, staged.pin.size).await.unwrap();
    assert_eq!((facts.duration_seconds, facts.faststart, facts.tracks.len()), (Some(9.7), Some(false), 2));
    let (reads, bytes) = counted.cost();
    assert!(reads <= 6 && bytes <= 24 << 10, "{reads} reads, {bytes} bytes");
    println!("proof_preflight_cost: {reads} reads, {bytes} bytes of {SIZE}, moov of {} bytes at the end", ends.len());
}
