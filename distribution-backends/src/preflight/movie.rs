//! What the `moov` box says (ISO/IEC 14496-12 §8.2.1).

use std::ops::Range;

use distribution_core::{MediaFacts, MediaTrack};
use mp4_atom::{Decode as _, FourCC, Mdhd, Mehd, Mvhd, Tkhd, Trex, Visual};

use super::reader::{Fault, Reader};
use super::text;

/// A movie.
#[derive(Default)]
pub(super) struct Movie {
    /// How long it plays, as far as `moov` tells.
    pub(super) duration_seconds: Option<f64>,
    /// Whether fragments follow.
    pub(super) fragmented: bool,
    /// The first tracks.
    pub(super) tracks: Vec<Track>,
}

/// A track, and what its fragments leave out.
#[derive(Default)]
pub(super) struct Track {
    pub(super) id: u32,
    /// Units of its media in a second; 0 is none.
    pub(super) timescale: u32,
    /// Whether `moov` has samples of it.
    pub(super) has_samples: bool,
    pub(super) sample_duration: u32,
    pub(super) shown: MediaTrack,
    duration_seconds: Option<f64>,
}

impl Movie {
    pub(super) async fn read(reader: &mut Reader<'_>, body: Range<u64>) -> Result<Self, Fault> {
        let damaged = |what: &str| Fault::Damaged(format!("its `moov` box {what}"));
        let (mut movie, mut header, mut fragments, mut at) = (Self::default(), None, None, body.start);
        while let Some(child) = reader.header(at, body.end).await? {
            if child.beyond().is_some() {
                return Err(damaged("has a box in it that is larger than it"));
            }
            match &<[u8; 4]>::from(child.kind) {
                b"mvhd" => header = reader.leaf::<Mvhd>(&child.body).await?,
                b"mvex" => fragments = Some(child.body.clone()),
                b"trak" if movie.tracks.len() < MediaFacts::TRACKS_MAX => {
                    let track = match Track::read(reader, &child.body).await {
                        // A track that is odd does not make the file none.
                        Err(Fault::Damaged(_)) => Track::unknown(),
                        track => track?,
                    };
                    movie.tracks.push(track);
                }
                _ => {}
            }
            at = child.body.end;
        }
        let header = header.ok_or_else(|| damaged("has no `mvhd` box that can be read"))?;
        let longest =
            |seconds: &dyn Fn(&Track) -> Option<f64>| movie.tracks.iter().filter_map(seconds).reduce(f64::max);
        movie.duration_seconds =
            seconds(header.duration, header.timescale).or_else(|| longest(&|t| t.duration_seconds));
        if let Some(fragments) = fragments {
            movie.fragmented = true;
            // It tells of the beginning only, if of anything.
            movie.duration_seconds = movie.read_fragmented(reader, &fragments, header.timescale).await?;
        }
        Ok(movie)
    }

    /// What holds for all fragments, and how long they play, if that is told.
    async fn read_fragmented(
        &mut self,
        reader: &mut Reader<'_>,
        body: &Range<u64>,
        timescale: u32,
    ) -> Result<Option<f64>, Fault> {
        let (mut duration, mut at) = (None, body.start);
        while let Some(child) = reader.header(at, body.end).await? {
            if child.is(b"mehd") {
                let told = reader.leaf::<Mehd>(&child.body).await?;
                duration = told.and_then(|told| seconds(told.fragment_duration, timescale));
            } else if child.is(b"trex")
                && let Some(usual) = reader.leaf::<Trex>(&child.body).await?
                && let Some(track) = self.tracks.iter_mut().find(|track| track.id == usual.track_id)
            {
                track.sample_duration = usual.default_sample_duration;
            }
            at = child.body.end;
        }
        Ok(duration)
    }
}

impl Track {
    fn unknown() -> Self {
        let shown = MediaTrack { kind: "unknown".to_owned(), ..MediaTrack::default() };
        Self { shown, ..Self::default() }
    }

    /// What can be read of it.
    async fn read(reader: &mut Reader<'_>, body: &Range<u64>) -> Result<Self, Fault> {
        let [tkhd, mdia] = reader.children(body, [b"tkhd", b"mdia"]).await?;
        let id = reader.maybe::<Tkhd>(tkhd.as_ref()).await?.map_or(0, |header| header.track_id);
        let mut track = Self { id, ..Self::unknown() };
        let Some(mdia) = mdia else { return Ok(track) };
        let [mdhd, hdlr, minf] = reader.children(&mdia, [b"mdhd", b"hdlr", b"minf"]).await?;
        if let Some(header) = reader.maybe::<Mdhd>(mdhd.as_ref()).await? {
            track.timescale = header.timescale;
            track.duration_seconds = seconds(header.duration, header.timescale);
            track.has_samples = track.duration_seconds.is_some();
        }
        if let Some(code) = handler(reader, hdlr.as_ref()).await? {
            track.shown.kind = match &<[u8; 4]>::from(code) {
                b"vide" => "video".to_owned(),
                b"soun" => "audio".to_owned(),
                _ => text(code),
            };
        }
        if let Some(minf) = minf
            && let [Some(stbl)] = reader.children(&minf, [b"stbl"]).await?
            && let [Some(stsd)] = reader.children(&stbl, [b"stsd"]).await?
        {
            track.read_samples(reader, &stsd).await?;
        }
        Ok(track)
    }

    /// The first sample entry (§8.5.2), behind version, flags and a count.
    async fn read_samples(&mut self, reader: &mut Reader<'_>, stsd: &Range<u64>) -> Result<(), Fault> {
        const BEFORE_BYTES: u64 = 8;
        /// A visual sample entry without the boxes in it (§12.1.3).
        const VISUAL_BYTES: u64 = 78;
        let at = stsd.start.saturating_add(BEFORE_BYTES);
        let Some(entry) = reader.header(at, stsd.end).await? else { return Ok(()) };
        self.shown.codec = Some(text(entry.kind));
        if self.shown.kind == "video" && entry.body.end.saturating_sub(entry.body.start) >= VISUAL_BYTES {
            let bytes = reader.read(entry.body.start..entry.body.start + VISUAL_BYTES).await?;
            if let Ok(visual) = Visual::decode(&mut &*bytes) {
                (self.shown.width, self.shown.height) = (Some(visual.width.into()), Some(visual.height.into()));
            }
        }
        Ok(())
    }
}

/// What a track's media are (§8.4.3), without the name behind it, which is written in many ways.
async fn handler(reader: &mut Reader<'_>, hdlr: Option<&Range<u64>>) -> Result<Option<FourCC>, Fault> {
    const CODE: Range<u64> = 8..12;
    let Some(hdlr) = hdlr.filter(|hdlr| hdlr.end.saturating_sub(hdlr.start) >= CODE.end) else { return Ok(None) };
    let bytes = reader.read(hdlr.start + CODE.start..hdlr.start + CODE.end).await?;
    Ok(FourCC::decode(&mut &*bytes).ok())
}

/// A duration in seconds; `None` for 0 and all ones, which say that it is not known.
fn seconds(duration: u64, timescale: u32) -> Option<f64> {
    let is_known = timescale > 0 && !matches!(duration, 0 | u64::MAX) && duration != u64::from(u32::MAX);
    is_known.then(|| duration as f64 / f64::from(timescale))
}
