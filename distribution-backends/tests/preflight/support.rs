//! MP4s box by box, and files that count what is read of them.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use distribution_backends::Mp4Inspector;
use distribution_core::{Error, Inspector as _, MediaFacts, Ranges};
use futures::executor::block_on;
use mp4_atom::{Encode, FourCC, Hdlr, Mdhd, Mvhd, Tkhd, Visual};

/// A file that counts what is read of it.
pub(crate) struct Counted<T> {
    pub(crate) file: T,
    pub(crate) reads: AtomicU64,
    pub(crate) bytes: AtomicU64,
}

impl<T> Counted<T> {
    pub(crate) fn new(file: T) -> Self {
        Self { file, reads: AtomicU64::new(0), bytes: AtomicU64::new(0) }
    }

    pub(crate) fn cost(&self) -> (u64, u64) {
        (self.reads.load(Ordering::SeqCst), self.bytes.load(Ordering::SeqCst))
    }

    fn count(&self, range: &Range<u64>) {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.bytes.fetch_add(range.end - range.start, Ordering::SeqCst);
    }
}

#[async_trait]
impl Ranges for Counted<Bytes> {
    async fn read(&self, range: Range<u64>) -> Result<Bytes, Error> {
        self.count(&range);
        assert!(range.end <= self.file.len() as u64, "{range:?} is beyond the file");
        Ok(self.file.slice(range.start as usize..range.end as usize))
    }
}

#[async_trait]
impl Ranges for Counted<Box<dyn Ranges>> {
    async fn read(&self, range: Range<u64>) -> Result<Bytes, Error> {
        self.count(&range);
        self.file.read(range).await
    }
}

/// What is found in these bytes, and what it cost: reads and bytes.
pub(crate) fn inspect(file: impl Into<Bytes>) -> (MediaFacts, (u64, u64)) {
    let file = Counted::new(file.into());
    let facts = block_on(Mp4Inspector::new().inspect(&file, file.file.len() as u64)).unwrap();
    (facts, file.cost())
}

/// A box with these in it.
pub(crate) fn boxed(kind: &[u8; 4], contents: &[&[u8]]) -> Vec<u8> {
    let body = contents.concat();
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, &body].concat()
}

/// A box whose header says that it has so many bytes in all.
pub(crate) fn header(kind: &[u8; 4], size: u64) -> Vec<u8> {
    match u32::try_from(size) {
        Ok(size) => [&size.to_be_bytes()[..], kind].concat(),
        Err(_) => [&1_u32.to_be_bytes()[..], kind, &size.to_be_bytes()].concat(),
    }
}

pub(crate) fn encoded(what: &impl Encode) -> Vec<u8> {
    let mut bytes = Vec::new();
    what.encode(&mut bytes).unwrap();
    bytes
}

pub(crate) fn ftyp() -> Vec<u8> {
    boxed(b"ftyp", &[b"isom\0\0\x02\0isomavc1mp41"])
}

pub(crate) fn mdat(bytes: usize) -> Vec<u8> {
    boxed(b"mdat", &[&vec![0xa5; bytes]])
}

/// 9.7 seconds in units of 1/1000.
pub(crate) fn mvhd() -> Vec<u8> {
    encoded(&Mvhd { timescale: 1_000, duration: 9_700, ..Mvhd::default() })
}

/// A video and an audio track, with sample tables of many bytes that nobody needs.
pub(crate) fn tracks() -> Vec<u8> {
    let visual = encoded(&Visual { width: 1920, height: 1080, ..Visual::default() });
    let video = track(1, b"vide", 12_800, 9_600, &boxed(b"avc1", &[&visual, &boxed(b"avcC", &[&[1; 40]])]));
    let audio = track(2, b"soun", 48_000, 9_700, &boxed(b"mp4a", &[&[0; 28], &boxed(b"esds", &[&[0; 40]])]));
    [video, audio].concat()
}

pub(crate) fn track(id: u32, kind: &[u8; 4], timescale: u32, millis: u64, entry: &[u8]) -> Vec<u8> {
    let tkhd = encoded(&Tkhd { track_id: id, duration: millis, ..Tkhd::default() });
    let duration = millis * u64::from(timescale) / 1_000;
    let mdhd = encoded(&Mdhd { timescale, duration, language: "und".into(), ..Mdhd::default() });
    let hdlr = encoded(&Hdlr { handler: FourCC::new(kind), name: "handler".into() });
    let stsd = boxed(b"stsd", &[&[0, 0, 0, 0, 0, 0, 0, 1], entry]);
    let tables = boxed(b"stsz", &[&vec![7; 100_000]]);
    let minf = boxed(b"minf", &[&boxed(b"stbl", &[&stsd, &tables])]);
    boxed(b"trak", &[&tkhd, &boxed(b"edts", &[]), &boxed(b"mdia", &[&mdhd, &hdlr, &minf])])
}

pub(crate) fn moov() -> Vec<u8> {
    boxed(b"moov", &[&mvhd(), &tracks(), &boxed(b"udta", &[&[0; 60]])])
}
