//! The preflight port: what a staged file is found to be before a byte of it is stored, and whether that may
//! be published.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::request::DurationSeconds;
use crate::source::Ranges;

/// Finds out what a staged file is. It observes only: what follows is for the [`PreflightPolicy`].
/// `distribution-backends` has one for MP4s.
///
/// ```
/// use std::sync::Arc;
///
/// use distribution_core::{Error, Inspector, MediaFacts, Ranges};
/// use distribution_testkit::{World, request};
///
/// struct AtLeastItsType;
///
/// #[async_trait::async_trait]
/// impl Inspector for AtLeastItsType {
///     async fn inspect(&self, file: &dyn Ranges, size: u64) -> Result<MediaFacts, Error> {
///         let start = file.read(0..size.min(8)).await?;
///         let not_mp4 = (!start.ends_with(b"ftyp")).then(|| "it has no `ftyp` box".to_owned());
///         Ok(MediaFacts { not_mp4, ..MediaFacts::default() })
///     }
/// }
///
/// # futures::executor::block_on(async {
/// let world = World::new();
/// world.stage("clip.mp4", "a text");
/// let publisher = world.builder("host-1").inspector(Arc::new(AtLeastItsType)).build()?;
/// let error = publisher.publish(request("clip.mp4", b"a text")).await.unwrap_err();
/// assert!(error.message().ends_with("it is no MP4, it has no `ftyp` box: stage the finished MP4"));
/// # Ok::<(), Error>(()) }).unwrap();
/// ```
#[async_trait]
pub trait Inspector: Send + Sync + 'static {
    /// What the file of `size` bytes is. It reads little of it, and never more than it needs.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if the file cannot be read. What is wrong with its
    /// contents is no error but a finding.
    async fn inspect(&self, file: &dyn Ranges, size: u64) -> Result<MediaFacts, Error>;
}

/// What an [`Inspector`] has found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MediaFacts {
    /// Why it is no MP4; absent for one that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_mp4: Option<String>,
    /// What is missing of it; absent where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
    /// How long it plays; absent where it does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    /// Whether players can begin before they have all of it (`moov` comes before the media).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faststart: Option<bool>,
    /// Whether it is made of movie fragments (ISO/IEC 14496-12 §8.8).
    #[serde(default)]
    pub fragmented: bool,
    /// Its tracks, the first [`MediaFacts::TRACKS_MAX`] of them.
    #[serde(default)]
    pub tracks: Vec<MediaTrack>,
}

/// A track of a media file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MediaTrack {
    /// `video`, `audio`, or the handler's four-character code, such as `tmcd`.
    pub kind: String,
    /// The four-character code of its samples (ISO/IEC 14496-12 §8.5.2), such as `avc1`, `hvc1`, `av01`, `mp4a`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codec: Option<String>,
    /// The coded width of a video, in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// The coded height of a video, in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
}

/// What was found in the staged file before it was copied, and what the policy has said of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Preflight {
    /// What it is.
    #[serde(flatten)]
    pub facts: MediaFacts,
    /// What is wrong with it, one line each; it was published all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What follows when a file does not pass a check, or when nobody can tell whether it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreflightCheck {
    /// Nothing.
    Off,
    /// It is published, with a warning on record and in the log.
    Warn,
    /// It is rejected.
    Refuse,
}

/// What an inspected file must be. QC has approved these very bytes, so where they can be played at all the
/// default is to warn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreflightPolicy {
    /// It is an MP4, with `ftyp` first and a `moov` that can be read: `Refuse`. A file that is none is not
    /// what anybody has watched.
    pub mp4: PreflightCheck,
    /// All of it is there: no box goes beyond the file's end. `Warn`.
    pub complete: PreflightCheck,
    /// It plays as long as the request says: `Warn`.
    pub duration: PreflightCheck,
    /// How much longer or shorter it may play, in milliseconds: 500. That is what remains when a request
    /// rounds to whole seconds, and more than what audio frames add at the end.
    pub duration_tolerance_ms: u32,
    /// `moov` comes before the media: `Warn`.
    pub faststart: PreflightCheck,
}

impl Default for PreflightPolicy {
    fn default() -> Self {
        Self {
            mp4: PreflightCheck::Refuse,
            complete: PreflightCheck::Warn,
            duration: PreflightCheck::Warn,
            duration_tolerance_ms: 500,
            faststart: PreflightCheck::Warn,
        }
    }
}

impl PreflightPolicy {
    /// Judges what was found; `None` if the file could not be looked into.
    ///
    /// # Errors
    /// Why the file is rejected, in one line.
    pub(crate) fn judge(&self, facts: Option<MediaFacts>, expected: DurationSeconds) -> Result<Preflight, String> {
        let looked = facts.is_some();
        let facts = facts.unwrap_or_default().within_limits();
        let problems = if looked { self.problems(&facts, expected) } else { self.unknown() };
        let of = |wanted: PreflightCheck| {
            problems.iter().filter(move |(check, _)| *check == wanted).map(|(_, text)| text.clone())
        };
        let refusals: Vec<String> = of(PreflightCheck::Refuse).collect();
        let warnings = of(PreflightCheck::Warn).collect();
        if refusals.is_empty() { Ok(Preflight { facts, warnings }) } else { Err(refusals.join("; ")) }
    }

    fn unknown(&self) -> Vec<(PreflightCheck, String)> {
        let message = "its source reads it only in one piece, so nobody can look into it: stage it where parts of \
                       a file can be read, or have preflight warn only";
        let checks = [self.mp4, self.complete, self.duration, self.faststart];
        let strictest = |wanted| checks.contains(&wanted).then(|| (wanted, message.to_owned()));
        strictest(PreflightCheck::Refuse).or_else(|| strictest(PreflightCheck::Warn)).into_iter().collect()
    }

    fn problems(&self, facts: &MediaFacts, expected: DurationSeconds) -> Vec<(PreflightCheck, String)> {
        if let Some(why) = &facts.not_mp4 {
            return vec![(self.mp4, format!("it is no MP4, {why}: stage the finished MP4"))];
        }
        let mut problems = Vec::new();
        if let Some(why) = &facts.incomplete {
            problems.push((self.complete, format!("it is not all there, {why}: stage the whole file")));
        }
        let expected = expected.get();
        match facts.duration_seconds {
            None => problems.push((self.duration, "it does not tell how long it plays".to_owned())),
            Some(found) if (found - expected).abs() * 1000.0 > f64::from(self.duration_tolerance_ms) + ROUNDING_MS => {
                let way_out = "stage what QC saw, or correct final_edit.duration_seconds";
                let message = format!("it plays {found:.3} seconds and not {expected:.3}: {way_out}");
                problems.push((self.duration, message));
            }
            Some(_) => {}
        }
        if facts.faststart != Some(true) {
            let way_out = "have it made with faststart, and approved anew";
            problems.push((self.faststart, format!("its moov box comes after the media: {way_out}")));
        }
        problems
    }
}

/// What 64-bit numbers add to a difference of durations.
const ROUNDING_MS: f64 = 0.001;

impl MediaFacts {
    /// The most tracks that are kept.
    pub const TRACKS_MAX: usize = 16;
    const TEXT_CHARS_MAX: usize = 200;
    const CODE_CHARS_MAX: usize = 16;

    /// The same, small enough for a record, whatever an inspector says.
    fn within_limits(mut self) -> Self {
        let cut = |text: &mut String, max: usize| {
            *text = text.chars().take(max).map(|c| if c.is_control() { '?' } else { c }).collect();
        };
        for text in [&mut self.not_mp4, &mut self.incomplete].into_iter().flatten() {
            cut(text, Self::TEXT_CHARS_MAX);
        }
        self.tracks.truncate(Self::TRACKS_MAX);
        for track in &mut self.tracks {
            cut(&mut track.kind, Self::CODE_CHARS_MAX);
            track.codec.iter_mut().for_each(|codec| cut(codec, Self::CODE_CHARS_MAX));
        }
        self.duration_seconds = self.duration_seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
        self
    }
}
