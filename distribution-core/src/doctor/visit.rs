//! The examination of one target.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{SubsecRound as _, TimeDelta};
use futures::future::join_all;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::{Check, Health, Viewer};
use crate::error::{Error, ErrorKind};
use crate::key::ObjectKey;
use crate::object::{Checksum, ContentHeaders};
use crate::parts::{Reach, Target};
use crate::progress::Meter;
use crate::publisher::Publisher;
use crate::signer::{Link, LinkRequest, SignedUrl, UrlSigner};
use crate::storage::{Body, Content, CreateOutcome, Storage};
use crate::time::{Timestamp, link_expiry, seconds_after};

const NOTHING_STORED: &str = "nothing could be stored to try it on";
const SMALL: usize = 64 << 10;
/// Above what any backend stores in one request.
const LARGE: usize = 17 << 20;
const RACERS: usize = 8;
/// After how many bytes they repeat: no power of two, so that nothing that cuts at one goes unnoticed.
const PERIOD: u8 = 251;
const SKEW_MAX: TimeDelta = TimeDelta::minutes(5);
const LINK_SECS: u64 = 5;
/// How long before its end a link must still work; clocks that differ by a second are not seen by it.
const SHORTLY: TimeDelta = TimeDelta::seconds(2);
/// How much longer than it says a link may work: clocks differ.
const GRACE: TimeDelta = TimeDelta::seconds(2);

/// What is wrong; `None` if nothing is.
type Problem = Result<Option<String>, Error>;

/// One target, with two objects and two that are raced for.
pub(super) struct Visit<'a> {
    publisher: &'a Publisher,
    target: &'a Target,
    viewer: &'a dyn Viewer,
    small: [ObjectKey; 2],
    large: [ObjectKey; 2],
    /// Where the bytes of all objects are cut from.
    pattern: Bytes,
    /// How far the store's clock is behind this host's, if it tells.
    skew: Option<TimeDelta>,
    findings: Vec<(Check, Health)>,
}

impl<'a> Visit<'a> {
    pub(super) fn new(
        publisher: &'a Publisher,
        target: &'a Target,
        viewer: &'a dyn Viewer,
        place: &str,
    ) -> Result<Self, Error> {
        let key = |name: &str| ObjectKey::parse(format!("{place}/{name}.mp4"));
        let (small, large) = ([key("small")?, key("small-raced")?], [key("large")?, key("large-raced")?]);
        let period: Vec<u8> = (0..PERIOD).collect();
        let pattern = period.repeat((LARGE + RACERS) / period.len() + 1).into();
        Ok(Self { publisher, target, viewer, small, large, pattern, skew: None, findings: Vec::new() })
    }

    pub(super) async fn examine(mut self) -> Vec<(Check, Health)> {
        let ([small, _], large) = (&self.small.clone(), self.large.clone());
        if self.creates(self.small.clone(), SMALL, [Check::Create, Check::CreateOnly]).await {
            self.note(Check::ReadBack, self.reads_back(small).await);
            self.looks(small).await;
            self.note(Check::Range, self.reads_ranges(small).await);
            self.note(Check::List, self.lists(small).await);
            self.links(small).await;
        } else {
            for check in [Check::ReadBack, Check::Stat, Check::Clock, Check::Range, Check::List, Check::Link] {
                self.unknown(check, NOTHING_STORED);
            }
        }
        self.creates(large, LARGE, [Check::CreateLarge, Check::CreateOnlyLarge]).await;
        self.note(Check::Remove, self.removes().await);
        self.findings
    }

    /// Whether an object of this size is there in the end.
    async fn creates(&mut self, keys: [ObjectKey; 2], size: usize, [create, create_only]: [Check; 2]) -> bool {
        let created = match self.storage().create(&keys[0], content(&self.bytes(size, 0))).await {
            Ok(CreateOutcome::Created { .. }) => Ok(None),
            Ok(_) => Ok(Some("the store says of a new object that it is there already: use another".to_owned())),
            Err(error) => Err(error),
        };
        let is_there = matches!(created, Ok(None));
        self.note(create, created);
        if is_there {
            self.note(create_only, self.keeps(&keys, size).await);
        } else {
            self.unknown(create_only, NOTHING_STORED);
        }
        is_there
    }

    /// Tries to overwrite the object, and to create another many times at once.
    async fn keeps(&self, [key, raced]: &[ObjectKey; 2], size: usize) -> Problem {
        let way_out = "publishing there could overwrite: use another service, or a newer release of it";
        if self.storage().create(key, content(&self.bytes(size, 1))).await? != CreateOutcome::AlreadyExists {
            return Ok(Some(format!("an object that was there was overwritten; {way_out}")));
        }
        let racers = if size > SMALL { 2 } else { RACERS };
        let outcomes = join_all((0..racers).map(|n| self.storage().create(raced, content(&self.bytes(size, n))))).await;
        let created = |outcome: &&Result<_, _>| matches!(outcome, Ok(CreateOutcome::Created { .. }));
        match outcomes.iter().filter(created).count() {
            1 => Ok(None),
            0 => outcomes.into_iter().find_map(Result::err).map_or(Ok(Some("nobody could create it".to_owned())), Err),
            won => Ok(Some(format!("{won} of {racers} at a time were told that they created one object; {way_out}"))),
        }
    }

    async fn reads_back(&self, key: &ObjectKey) -> Problem {
        let read = self.storage().digest(key, &Meter::default()).await?;
        let is_right = read.is_some_and(|digest| digest.checksum == Checksum::of(&self.bytes(SMALL, 0)));
        Ok((!is_right).then(|| "an object has gone, or has other bytes than were stored: check the store".to_owned()))
    }

    async fn looks(&mut self, key: &ObjectKey) {
        let stat = match self.storage().stat(key).await {
            Ok(Some(stat)) => stat,
            other => {
                let problem = "an object that was just stored is not seen: use a store that shows it at once";
                self.note(Check::Stat, other.map(|_| Some(problem.to_owned())));
                return self.unknown(Check::Clock, "the store did not tell when the object appeared");
            }
        };
        let is_right = stat.size == SMALL as u64;
        self.note(Check::Stat, Ok((!is_right).then(|| "the store tells another size than was stored".to_owned())));
        self.skew = stat.modified.map(|modified| self.publisher.now() - modified);
        match self.skew {
            Some(skew) if skew.abs() > SKEW_MAX => {
                let problem =
                    format!("differs from the store's by {} seconds: correct the wrong one", skew.num_seconds());
                self.note(Check::Clock, Ok(Some(format!("this host's clock {problem}"))));
            }
            Some(_) => self.note(Check::Clock, Ok(None)),
            None => self.unknown(Check::Clock, "the store does not tell when an object appeared"),
        }
    }

    async fn reads_ranges(&self, key: &ObjectKey) -> Problem {
        let pieces = self.storage().open(key, 1_000..3_000).await?;
        let read = match pieces {
            Some(pieces) => pieces.try_collect::<Vec<_>>().await?.concat(),
            None => Vec::new(),
        };
        let is_right = self.bytes(SMALL, 0).get(1_000..3_000) == Some(read.as_slice());
        Ok((!is_right).then(|| "a range is answered with other bytes: use a store that knows ranges".to_owned()))
    }

    async fn lists(&self, key: &ObjectKey) -> Problem {
        let is_listed = self.storage().list(key.as_str(), None, 1).await? == [key.clone()];
        Ok((!is_listed).then(|| "an object that was just stored is not listed: sweeps would miss some".to_owned()))
    }

    async fn links(&mut self, key: &ObjectKey) {
        match &self.target.reach {
            Reach::Public(base) => {
                let link = base.link(key);
                self.tries(&link, key).await;
            }
            Reach::Private { signer, authenticated } => {
                let link = self.link(&**signer, key).await;
                let mut open_doors: Vec<_> = authenticated.iter().map(|base| base.link(key)).collect();
                open_doors.extend(link.as_ref().map(without_query));
                self.note(Check::Privacy, self.keeps_private(&open_doors).await);
            }
        }
    }

    /// Fetches through a link; whether that works.
    async fn tries(&mut self, link: &Link, key: &ObjectKey) -> bool {
        let watched = self.viewer.watch(link, &**self.storage(), key).await;
        let works = watched.is_ok();
        self.note(Check::Link, watched.map(|()| None));
        match self.viewer.metadata(link).await {
            Ok(Some(metadata)) => {
                let sha256 = Checksum::of(&self.bytes(SMALL, 0)).hex();
                let is_right = metadata.get("sha256") == Some(&sha256);
                let problem = "the metadata that an object was stored with is not there: look whether the service, or \
                               what is in front of it, keeps it";
                self.note(Check::ObjectMetadata, Ok((!is_right).then(|| problem.to_owned())));
            }
            Ok(None) => self.unknown(Check::ObjectMetadata, "answers to links of this service do not tell of it"),
            Err(error) => self.unknown(Check::ObjectMetadata, &error.to_string()),
        }
        works
    }

    /// The link that a publish would hand out, if it can be signed; and how long links live.
    async fn link(&mut self, signer: &dyn UrlSigner, key: &ObjectKey) -> Option<Link> {
        let (now, hours) = (self.publisher.now(), self.publisher.parts().policy.url_expiry_hours);
        let hours = hours.min(signer.limits().valid_hours_max);
        let expires_at = link_expiry(now, hours)?;
        let signed = match signer.sign(&LinkRequest { key: key.clone(), expires_at }, now).await {
            Ok(signed) => signed,
            Err(error) => {
                self.note(Check::Link, Err(error));
                for check in [Check::ObjectMetadata, Check::LinkLife, Check::LinkEnd] {
                    self.unknown(check, "no link could be signed");
                }
                return None;
            }
        };
        let SignedUrl { link, expires_at: end, limited_by } = signed;
        let works = self.tries(&link, key).await;
        let reason = limited_by.unwrap_or_else(|| "the signer does not say why".to_owned());
        let problem = format!("links end at {end}, not after {hours} hours, because {reason}");
        let admitted = (end < expires_at).then_some(problem);
        match self.short_link(signer, key).await {
            Ok((lives, outlives)) => {
                match (admitted, lives) {
                    (Some(problem), _) => self.note(Check::LinkLife, Ok(Some(problem))),
                    (None, Some(true)) => self.note(Check::LinkLife, Ok(None)),
                    (None, lives) => self.dies_early(lives, works),
                }
                let problem = "a link still works after its end: look whether the server checks it, and at its clock";
                self.note(Check::LinkEnd, Ok(outlives.then(|| problem.to_owned())));
            }
            Err(error) => {
                self.note(Check::LinkLife, admitted.map_or_else(|| Err(error.clone()), |problem| Ok(Some(problem))));
                self.note(Check::LinkEnd, Err(error));
            }
        }
        Some(link)
    }

    /// Of a link of a few seconds: whether it worked shortly before its end, if that was found out in time, and
    /// whether it does after it. That one of many hours lives as long is not waited for.
    async fn short_link(&self, signer: &dyn UrlSigner, key: &ObjectKey) -> Result<(Option<bool>, bool), Error> {
        let now = self.publisher.now();
        let end = seconds_after(now, LINK_SECS).map_or(Timestamp::MAX_UTC, |end| end.trunc_subsecs(0));
        let signed = signer.sign(&LinkRequest { key: key.clone(), expires_at: end }, now).await?;
        self.viewer.wait_until(signed.expires_at - SHORTLY).await;
        let lives = self.viewer.is_let_in(&signed.link).await?;
        let in_time = self.publisher.now() < signed.expires_at;
        self.viewer.wait_until(signed.expires_at + GRACE).await;
        Ok(((lives || in_time).then_some(lives), self.viewer.is_let_in(&signed.link).await?))
    }

    /// Notes what it means that a link did not work before its end, or was tried too late.
    fn dies_early(&mut self, lives: Option<bool>, works: bool) {
        if !works {
            return self.unknown(Check::LinkLife, "no link works that could end early");
        }
        match self.skew {
            _ if lives.is_none() => self.unknown(Check::LinkLife, "a link was answered too late: repeat"),
            Some(skew) if skew < TimeDelta::zero() => {
                self.unknown(
                    Check::LinkLife,
                    "the store's clock is ahead, by which links of a few seconds end earlier",
                );
            }
            _ => {
                let problem = "a link ends before its time: look at the clock of what serves it, and at the session of \
                               the credentials that sign";
                self.note(Check::LinkLife, Ok(Some(problem.to_owned())));
            }
        }
    }

    async fn keeps_private(&self, doors: &[Link]) -> Problem {
        for door in doors {
            if self.viewer.is_let_in(door).await? {
                let problem = "an object of a private target is read without a signature and by anybody: close it";
                return Ok(Some(problem.to_owned()));
            }
        }
        Ok(None)
    }

    async fn removes(&self) -> Problem {
        let mut left = None;
        for key in self.small.iter().chain(&self.large) {
            let why = match self.storage().remove(key).await {
                // A look that fails has been told of.
                Ok(()) => self.storage().stat(key).await.ok().flatten().map(|_| "it is still there".to_owned()),
                Err(error) => Some(error.to_string()),
            };
            let place = self.storage().location(key);
            left = left.or(why.map(|why| format!("{place} cannot be removed, so it is left behind: {why}")));
        }
        Ok(left)
    }

    /// Other bytes for each `n`.
    fn bytes(&self, size: usize, n: usize) -> Bytes {
        self.pattern.slice(n..n + size)
    }

    fn storage(&self) -> &Arc<dyn Storage> {
        &self.target.storage
    }

    fn note(&mut self, check: Check, problem: Problem) {
        let health = match problem {
            Ok(None) => Health::Well,
            Ok(Some(problem)) => Health::Ill { problem },
            Err(error)
                if matches!(check, Check::LinkLife | Check::LinkEnd | Check::Privacy)
                    && error.kind() == ErrorKind::Unavailable =>
            {
                Health::Unknown { reason: error.to_string() }
            }
            Err(error) => Health::from(error),
        };
        self.findings.push((check, health));
    }

    fn unknown(&mut self, check: Check, reason: &str) {
        self.findings.push((check, Health::Unknown { reason: reason.to_owned() }));
    }
}

fn without_query(link: &Link) -> Link {
    Link::new(link.expose().split('?').next().unwrap_or_default())
}

/// What is stored, in pieces of a MiB.
pub(crate) fn content(bytes: &Bytes) -> Content {
    let size = bytes.len();
    let expected = Checksum::of(bytes);
    let headers = ContentHeaders {
        content_type: "video/mp4".to_owned(),
        content_disposition: "inline".to_owned(),
        cache_control: "no-store".to_owned(),
        user_metadata: [("sha256".to_owned(), expected.hex())].into(),
    };
    let pieces: Vec<_> = (0..size).step_by(1 << 20).map(|at| Ok(bytes.slice(at..size.min(at + (1 << 20))))).collect();
    let body = Body::Stream(stream::iter(pieces).boxed());
    Content { size: size as u64, expected, headers, body, meter: Meter::default() }
}
