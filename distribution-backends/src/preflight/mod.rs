//! What a staged MP4 is, from a few KiB of it.

mod fragments;
mod movie;
mod reader;

use async_trait::async_trait;
use distribution_core::{Error, Inspector, MediaFacts, Ranges};
use mp4_atom::FourCC;

use self::movie::Movie;
use self::reader::{Fault, Reader};

/// Looks into MP4 files (ISO/IEC 14496-12): whether a file is one and all there, how long it plays, whether its
/// `moov` comes before the media, and what its tracks are.
///
/// It follows the boxes' headers from one to the next and reads what it needs in parts of 4 KiB; media and sample
/// tables are skipped. What a file can cost is limited:
///
/// | of one file | at most |
/// |---|---|
/// | boxes looked at | 16,384; at the top level 4,096 |
/// | reads | 4,096 |
/// | bytes read | 16 MiB |
/// | memory | 256 KiB for a box, and what that holds |
/// | depth | six boxes, all by name: nothing is recursive |
///
/// An ordinary file takes three to six reads. One of movie fragments is looked up in its index (`mfra`, or a
/// `sidx` that goes to its end), and its last fragments are read; without an index, every fragment's header is,
/// up to the limits. If those do not suffice, it does not tell how long it plays, unless by `mehd`.
///
/// ```
/// use std::sync::Arc;
///
/// use distribution_backends::Mp4Inspector;
/// use distribution_core::{Policy, PreflightCheck, PreflightPolicy, Publisher};
///
/// let faststart = PreflightPolicy { faststart: PreflightCheck::Refuse, ..PreflightPolicy::default() };
/// let builder = Publisher::builder()
///     .inspector(Arc::new(Mp4Inspector::new()))
///     .policy(Policy { preflight: faststart, ..Policy::default() });
/// # let _ = builder;
/// ```
#[derive(Clone, Debug, Default)]
pub struct Mp4Inspector {
    _more: (),
}

impl Mp4Inspector {
    /// An inspector.
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Inspector for Mp4Inspector {
    async fn inspect(&self, file: &dyn Ranges, size: u64) -> Result<MediaFacts, Error> {
        let mut found = Found::default();
        match found.look(&mut Reader::new(file, size)).await {
            Ok(()) => {}
            Err(Fault::Unread(error)) => return Err(error),
            Err(Fault::Damaged(what)) => found.damage = Some(what),
        }
        Ok(found.facts())
    }
}

/// What has been seen so far.
#[derive(Default)]
struct Found {
    has_type: bool,
    movie: Option<Movie>,
    movie_at: u64,
    media_at: Option<u64>,
    duration_seconds: Option<f64>,
    incomplete: Option<String>,
    damage: Option<String>,
}

/// The most boxes at the top level: a fragment has two.
const TOP_BOXES_MAX: u32 = 4_096;

impl Found {
    /// Goes through the boxes at the top level.
    async fn look(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let (mut at, mut indexes) = (0, Vec::new());
        for _ in 0..TOP_BOXES_MAX {
            let Some(found) = reader.header(at, reader.size()).await? else { break };
            self.incomplete = found.beyond();
            match &<[u8; 4]>::from(found.kind) {
                b"ftyp" => self.has_type = true,
                _ if !self.has_type => return Ok(()),
                b"mdat" => self.media_at = self.media_at.or(Some(at)),
                b"moov" if self.movie.is_none() && self.incomplete.is_none() => {
                    self.movie_at = at;
                    self.movie = Some(Movie::read(reader, found.body.clone()).await?);
                }
                b"sidx" => indexes.push(found.body.clone()),
                b"moof" => {
                    let Some(movie) = &self.movie else { break };
                    let end = fragments::find(reader, movie, at, &indexes).await?;
                    self.duration_seconds = end.duration_seconds;
                    self.incomplete = end.incomplete;
                    break;
                }
                _ => {}
            }
            at = found.body.end;
        }
        Ok(())
    }

    fn facts(self) -> MediaFacts {
        let Some(movie) = self.movie.filter(|_| self.has_type) else {
            let why = match (self.has_type, self.damage) {
                (false, _) => "it does not begin with a `ftyp` box".to_owned(),
                (true, Some(damage)) => damage,
                (true, None) => "it has no `moov` box".to_owned(),
            };
            let cut =
                self.incomplete.filter(|_| self.has_type).map_or_else(String::new, |what| format!(", and {what}"));
            return MediaFacts { not_mp4: Some(format!("{why}{cut}")), ..MediaFacts::default() };
        };
        MediaFacts {
            not_mp4: None,
            incomplete: self.incomplete.or(self.damage),
            duration_seconds: self.duration_seconds.or(movie.duration_seconds),
            faststart: Some(self.media_at.is_none_or(|media_at| self.movie_at < media_at)),
            fragmented: movie.fragmented,
            tracks: movie.tracks.into_iter().map(|track| track.shown).collect(),
        }
    }
}

/// A code as it can be shown: what is no printable ASCII is `?`.
fn text(code: FourCC) -> String {
    <[u8; 4]>::from(code).iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '?' }).collect()
}
