//! Where the last movie fragments end (ISO/IEC 14496-12 §8.8).

use std::collections::VecDeque;
use std::ops::Range;

use mp4_atom::{Mfro, Sidx, Tfdt, Tfhd, Trun, TrunSamples};

use super::TOP_BOXES_MAX;
use super::movie::{Movie, Track};
use super::reader::{BOX_BYTES_MAX, Fault, Reader};

/// How many of the last fragments are read: tracks may take turns.
const LAST_MAX: usize = 16;
/// The most runs of one fragment.
const RUNS_MAX: usize = 64;

/// What the fragments tell.
pub(super) struct End {
    /// How long they play, if that can be told.
    pub(super) duration_seconds: Option<f64>,
    pub(super) incomplete: Option<String>,
}

/// One track's part of a fragment, in seconds.
struct Part {
    begins: f64,
    ends: f64,
}

/// Goes from the first fragment, at `first`, to the last: by an index if there is one, else step by step.
pub(super) async fn find(
    reader: &mut Reader<'_>,
    movie: &Movie,
    first: u64,
    indexes: &[Range<u64>],
) -> Result<End, Fault> {
    let from = match by_segment_index(reader, indexes).await? {
        Some(at) => Some(at),
        None => by_random_access(reader).await?,
    };
    let from = match from.filter(|at| *at > first) {
        Some(at) if is_fragment(reader, at).await? => at,
        Some(_) | None => first,
    };
    let (mut last, mut at, mut incomplete, mut is_whole) = (VecDeque::new(), from, None, false);
    for _ in 0..TOP_BOXES_MAX {
        let Some(found) = reader.header(at, reader.size()).await? else {
            is_whole = true;
            break;
        };
        incomplete = found.beyond();
        at = found.body.end;
        if found.is(b"moof") && incomplete.is_none() {
            last.push_back(found.body);
            if last.len() > LAST_MAX {
                last.pop_front();
            }
        }
    }
    if !is_whole {
        return Ok(End { duration_seconds: None, incomplete });
    }
    let mut parts = Vec::new();
    for body in last {
        parts.extend(fragment(reader, movie, &body).await?);
    }
    let ends = parts.iter().map(|part| part.ends).reduce(f64::max);
    let begins = begin(reader, movie, first).await?;
    Ok(End { duration_seconds: ends.map(|ends| ends - begins), incomplete })
}

/// When the first sample plays, in seconds.
async fn begin(reader: &mut Reader<'_>, movie: &Movie, first: u64) -> Result<f64, Fault> {
    if movie.tracks.iter().any(|track| track.has_samples) {
        return Ok(0.0);
    }
    let Some(found) = reader.header(first, reader.size()).await? else { return Ok(0.0) };
    let parts = fragment(reader, movie, &found.body).await?;
    Ok(parts.iter().map(|part| part.begins).reduce(f64::min).unwrap_or(0.0))
}

/// Where the last segment begins that segment indexes (`sidx`, §8.16.3) tell of, if they go to the file's end.
async fn by_segment_index(reader: &mut Reader<'_>, indexes: &[Range<u64>]) -> Result<Option<u64>, Fault> {
    let mut from = None;
    for body in indexes.iter().take(LAST_MAX) {
        let Some(index) = reader.leaf::<Sidx>(body).await? else { continue };
        let start = body.end.saturating_add(index.first_offset);
        let size = |number: usize| {
            index.references.iter().take(number).map(|reference| u64::from(reference.referenced_size)).sum::<u64>()
        };
        let count = index.references.len();
        let (last, end) = (start.saturating_add(size(count.saturating_sub(1))), start.saturating_add(size(count)));
        let is_all = end == reader.size() || reader.header(end, reader.size()).await?.is_some_and(|b| b.is(b"mfra"));
        if is_all {
            from = Some(from.map_or(last, |from: u64| from.min(last)));
        }
    }
    Ok(from)
}

/// The last fragment that the table at the file's end tells of (`mfra`, §8.8.9).
async fn by_random_access(reader: &mut Reader<'_>) -> Result<Option<u64>, Fault> {
    const MFRO_BYTES: u64 = 16;
    let Some(at) = reader.size().checked_sub(MFRO_BYTES) else { return Ok(None) };
    let Some(mfro) = at_most(reader, at, b"mfro").await? else { return Ok(None) };
    let Some(Mfro { parent_size }) = reader.leaf(&mfro).await? else { return Ok(None) };
    let Some(at) = reader.size().checked_sub(parent_size.into()) else { return Ok(None) };
    let Some(body) = at_most(reader, at, b"mfra").await? else { return Ok(None) };
    let (mut from, mut at) = (None, body.start);
    for _ in 0..LAST_MAX {
        let Some(table) = reader.header(at, body.end).await? else { break };
        at = table.body.end;
        if table.is(b"tfra")
            && let Some(last) = last_of_table(reader, &table.body).await?
        {
            from = Some(from.map_or(last, |from: u64| from.min(last)));
        }
    }
    Ok(from)
}

/// The box at `at`, if it is of this kind.
async fn at_most(reader: &mut Reader<'_>, at: u64, kind: &[u8; 4]) -> Result<Option<Range<u64>>, Fault> {
    let found = match reader.header(at, reader.size()).await {
        // What is there need not be a box.
        Err(Fault::Damaged(_)) => None,
        found => found?,
    };
    Ok(found.filter(|found| found.is(kind)).map(|found| found.body))
}

/// Where the fragment of a table's last entry is (`tfra`, §8.8.10). Its entries are equally long, so the others
/// are not read.
async fn last_of_table(reader: &mut Reader<'_>, body: &Range<u64>) -> Result<Option<u64>, Fault> {
    const BEFORE_BYTES: u64 = 16;
    if body.end.saturating_sub(body.start) < BEFORE_BYTES {
        return Ok(None);
    }
    let before = reader.read(body.start..body.start + BEFORE_BYTES).await?;
    let (Some(version), Some(lengths)) = (before.first(), number(&before, 8, 4)) else { return Ok(None) };
    let width = if *version == 0 { 4 } else { 8 };
    // Three numbers of 1 to 4 bytes each, whose lengths are told in two bits.
    let entry = 2 * width + 3 + (lengths & 3) + (lengths >> 2 & 3) + (lengths >> 4 & 3);
    let Some(entries) = number(&before, 12, 4).filter(|entries| *entries > 0) else { return Ok(None) };
    let at = body.start.saturating_add(BEFORE_BYTES + (entries - 1) * entry + width);
    if at.saturating_add(width) > body.end {
        return Ok(None);
    }
    Ok(number(&reader.read(at..at + width).await?, 0, width as usize))
}

/// The big-endian number of `width` bytes.
fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(width)?)?;
    Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// Whether a segment or fragment begins here.
async fn is_fragment(reader: &mut Reader<'_>, at: u64) -> Result<bool, Fault> {
    let found = match reader.header(at, reader.size()).await {
        Err(Fault::Damaged(_)) => None,
        found => found?,
    };
    Ok(found.is_some_and(|found| [b"moof", b"styp", b"sidx", b"prft", b"emsg"].iter().any(|kind| found.is(kind))))
}

/// The parts of a fragment whose time is known.
async fn fragment(reader: &mut Reader<'_>, movie: &Movie, body: &Range<u64>) -> Result<Vec<Part>, Fault> {
    let (mut parts, mut at) = (Vec::new(), body.start);
    while let Some(child) = reader.header(at, body.end).await? {
        at = child.body.end;
        if child.is(b"traf") && parts.len() < LAST_MAX {
            parts.extend(track_fragment(reader, movie, &child.body).await?);
        }
    }
    Ok(parts)
}

async fn track_fragment(reader: &mut Reader<'_>, movie: &Movie, body: &Range<u64>) -> Result<Option<Part>, Fault> {
    let [tfhd, tfdt] = reader.children(body, [b"tfhd", b"tfdt"]).await?;
    let (Some(header), Some(time)) =
        (reader.maybe::<Tfhd>(tfhd.as_ref()).await?, reader.maybe::<Tfdt>(tfdt.as_ref()).await?)
    else {
        return Ok(None);
    };
    let track = movie.tracks.iter().find(|track| track.id == header.track_id && track.timescale > 0);
    let Some(track) = track else { return Ok(None) };
    let usual = header.default_sample_duration.unwrap_or(track.sample_duration);
    let Some(length) = length(reader, body, usual).await? else { return Ok(None) };
    let begins = time.base_media_decode_time;
    Ok(Some(Part { begins: in_seconds(begins, track), ends: in_seconds(begins.saturating_add(length), track) }))
}

/// How long the runs of a fragment last, in the track's units.
async fn length(reader: &mut Reader<'_>, body: &Range<u64>, usual: u32) -> Result<Option<u64>, Fault> {
    let (mut length, mut at, mut runs) = (0_u64, body.start, 0);
    while let Some(child) = reader.header(at, body.end).await? {
        at = child.body.end;
        if !child.is(b"trun") {
            continue;
        }
        runs += 1;
        let is_small = child.body.end.saturating_sub(child.body.start) <= BOX_BYTES_MAX;
        if runs > RUNS_MAX || !is_small {
            return Ok(None);
        }
        let Some(run) = reader.leaf::<Trun>(&child.body).await? else { return Ok(None) };
        let run = match run.samples {
            TrunSamples::Inherited { count, .. } => u64::from(count) * u64::from(usual),
            TrunSamples::Explicit(samples) => {
                samples.iter().map(|sample| u64::from(sample.duration.unwrap_or(usual))).sum()
            }
        };
        length = length.saturating_add(run);
    }
    Ok(Some(length))
}

fn in_seconds(units: u64, track: &Track) -> f64 {
    units as f64 / f64::from(track.timescale)
}
