//! Boxes and their bytes, with limits.

use std::ops::Range;

use bytes::Bytes;
use distribution_core::{Error, Ranges};
use mp4_atom::{Atom, Decode as _, FourCC, Header};

use super::text;

/// How much is read at a time: the headers and small boxes that stand together.
const WINDOW_BYTES: u64 = 4 << 10;
/// The largest box that is read whole.
pub(super) const BOX_BYTES_MAX: u64 = 256 << 10;
const BOXES_MAX: u32 = 16_384;
const READS_MAX: u32 = 4_096;
const BYTES_MAX: u64 = 16 << 20;

/// Why nothing more was looked at.
pub(super) enum Fault {
    /// The file cannot be read.
    Unread(Error),
    /// It can, and this is wrong with it.
    Damaged(String),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Unread(error)
    }
}

/// Reads boxes of a file.
pub(super) struct Reader<'a> {
    file: &'a dyn Ranges,
    size: u64,
    /// The bytes read last, and where they begin.
    window: (u64, Bytes),
    boxes_left: u32,
    reads_left: u32,
    bytes_left: u64,
}

/// A box's header.
pub(super) struct Found {
    pub(super) kind: FourCC,
    /// Where its contents are; they end where what is around it ends, even if it says that it goes on.
    pub(super) body: Range<u64>,
    /// How many bytes it says that it has beyond that.
    beyond_bytes: u64,
}

impl Found {
    pub(super) fn is(&self, kind: &[u8; 4]) -> bool {
        self.kind == FourCC::new(kind)
    }

    /// What to say of a box that goes on behind the end.
    pub(super) fn beyond(&self) -> Option<String> {
        let (kind, beyond) = (text(self.kind), self.beyond_bytes);
        (beyond > 0).then(|| format!("its `{kind}` box says that it goes on for {beyond} bytes behind its end"))
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a dyn Ranges, size: u64) -> Self {
        let window = (0, Bytes::new());
        Self { file, size, window, boxes_left: BOXES_MAX, reads_left: READS_MAX, bytes_left: BYTES_MAX }
    }

    /// The size of the file.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The header of the box at `at`, within what ends at `end`; `None` where no other can follow: fewer than 8
    /// bytes are no box.
    pub(super) async fn header(&mut self, at: u64, end: u64) -> Result<Option<Found>, Fault> {
        /// A header whose size has 64 bits.
        const HEADER_BYTES_MAX: u64 = 16;
        let room = end.saturating_sub(at);
        if room < 8 {
            return Ok(None);
        }
        self.boxes_left = self.boxes_left.checked_sub(1).ok_or_else(too_much)?;
        let bytes = self.read(at..at + room.min(HEADER_BYTES_MAX)).await?;
        let mut rest = &*bytes;
        let header = Header::decode(&mut rest)
            .map_err(|_| Fault::Damaged(format!("the box at its byte {at} has a size that is impossible")))?;
        let start = at + (bytes.len() - rest.len()) as u64;
        let wanted = match header.size {
            Some(size) => start.saturating_add(size as u64),
            // To the end.
            None => end,
        };
        Ok(Some(Found { kind: header.kind, body: start..wanted.min(end), beyond_bytes: wanted.saturating_sub(end) }))
    }

    /// The first of each of these boxes within `body`.
    pub(super) async fn children<const N: usize>(
        &mut self,
        body: &Range<u64>,
        kinds: [&[u8; 4]; N],
    ) -> Result<[Option<Range<u64>>; N], Fault> {
        let (mut found, mut at) = ([const { None }; N], body.start);
        while found.iter().any(Option::is_none)
            && let Some(child) = self.header(at, body.end).await?
        {
            at = child.body.end;
            for (kind, place) in kinds.iter().zip(&mut found) {
                if child.is(kind) && place.is_none() {
                    *place = Some(child.body.clone());
                }
            }
        }
        Ok(found)
    }

    /// The contents of a box as mp4-atom reads them; `None` where it cannot. Only for boxes without others in them.
    pub(super) async fn leaf<T: Atom>(&mut self, body: &Range<u64>) -> Result<Option<T>, Fault> {
        if body.end.saturating_sub(body.start) > BOX_BYTES_MAX {
            return Ok(None);
        }
        let bytes = self.read(body.clone()).await?;
        Ok(T::decode_body(&mut &*bytes).ok())
    }

    /// The same, where there may be no box.
    pub(super) async fn maybe<T: Atom>(&mut self, body: Option<&Range<u64>>) -> Result<Option<T>, Fault> {
        match body {
            Some(body) => self.leaf(body).await,
            None => Ok(None),
        }
    }

    /// The bytes in `range`, which is within the file.
    pub(super) async fn read(&mut self, range: Range<u64>) -> Result<Bytes, Fault> {
        if let Some(bytes) = self.seen(&range) {
            return Ok(bytes);
        }
        let end = range.end.max(range.start.saturating_add(WINDOW_BYTES)).min(self.size);
        let wanted = end.saturating_sub(range.start);
        self.reads_left = self.reads_left.checked_sub(1).ok_or_else(too_much)?;
        self.bytes_left = self.bytes_left.checked_sub(wanted).ok_or_else(too_much)?;
        let bytes = self.file.read(range.start..end).await?;
        if bytes.len() as u64 != wanted {
            return Err(Error::unavailable("the staged file's source gives another part than was asked for").into());
        }
        self.window = (range.start, bytes);
        self.seen(&range).ok_or_else(|| Fault::Damaged("it ends within a box".to_owned()))
    }

    fn seen(&self, range: &Range<u64>) -> Option<Bytes> {
        let (start, bytes) = &self.window;
        let within = |at: u64| usize::try_from(at.checked_sub(*start)?).ok().filter(|at| *at <= bytes.len());
        let (from, to) = (within(range.start)?, within(range.end)?);
        (from <= to).then(|| bytes.slice(from..to))
    }
}

fn too_much() -> Fault {
    Fault::Damaged("it has more boxes than any video needs".to_owned())
}
