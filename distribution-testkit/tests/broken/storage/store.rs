//! A storage with a flaw.

use std::io::Read as _;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use distribution_core::{
    Body, ByteStream, Checksum, Content, ContentHeaders, CreateOutcome, Digest, Error, LegalHold, Location, Meter,
    ObjectKey, ObjectStat, Proof, Storage, Verification,
};
use distribution_testkit::{MemoryStorage, World, let_others_go_first};
use futures::{StreamExt as _, stream};

use super::Flaw::{self, *};
use super::{Shared, Stats};

const LARGE_BYTES: u64 = 1 << 20;

pub(super) struct BrokenStorage {
    pub(super) flaw: Flaw,
    pub(super) world: World,
    pub(super) inner: MemoryStorage,
    pub(super) shared: Arc<Shared>,
    /// What this handle has seen.
    pub(super) stats: Stats,
}

impl BrokenStorage {
    fn key(&self, key: &ObjectKey) -> ObjectKey {
        match self.flaw {
            FoldsCase => ObjectKey::parse(key.as_str().to_lowercase()).unwrap(),
            FlattensKeys => ObjectKey::parse(key.as_str().replace('/', "_")).unwrap(),
            _ => key.clone(),
        }
    }

    fn takes_anything(&self, content: &Content) -> bool {
        let is_large = content.size > LARGE_BYTES;
        match self.flaw {
            Overwrites | ChecksThenCreates | ShowsParts | TakesOtherBytes | TakesWhatCameBeforeAnError => true,
            OverwritesLarge | ShowsLargeParts | TrustsLarge => is_large,
            TrustsFiles | StoresEmptyFiles => matches!(content.body, Body::File { .. }),
            _ => false,
        }
    }

    /// Stores whatever the content turns out to be; one object for each piece, if it shows parts.
    async fn create_anything(&self, key: &ObjectKey, content: Content) -> Result<CreateOutcome, Error> {
        let shows_parts = matches!(self.flaw, ShowsParts | ShowsLargeParts);
        let overwrites = matches!(self.flaw, Overwrites | ChecksThenCreates | OverwritesLarge);
        let mut pieces = match content.body {
            Body::Stream(pieces) => pieces,
            Body::File { .. } if self.flaw == StoresEmptyFiles => stream::empty().boxed(),
            Body::File { file, .. } => file_pieces(file),
            _ => panic!("neither a stream nor a file"),
        };
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.next().await {
            match piece {
                Ok(piece) => bytes.extend_from_slice(&piece),
                Err(_) if self.flaw == TakesWhatCameBeforeAnError => break,
                Err(error) => return Err(error),
            }
            content.meter.add(1);
            if shows_parts {
                self.inner.remove(key).await?;
                self.inner.create(key, whole(&bytes, &content.headers)).await?;
            }
        }
        if shows_parts {
            self.inner.remove(key).await?;
        }
        let outcome = self.inner.create(key, whole(&bytes, &content.headers)).await?;
        if overwrites && outcome == CreateOutcome::AlreadyExists {
            // As rename(2) does.
            self.world.corrupt("main", key.as_str(), |stored| *stored = bytes);
            return Ok(CreateOutcome::Created { proof: None });
        }
        Ok(outcome)
    }

    /// As a directory that is swept away by a file of its name, and the other way round.
    fn replace_folders(&self, key: &ObjectKey) {
        for (_, other) in self.world.objects().into_keys() {
            if other.starts_with(&format!("{key}/")) || key.as_str().starts_with(&format!("{other}/")) {
                self.world.lose("main", &other);
            }
        }
    }

    async fn created(
        &self,
        key: &ObjectKey,
        expected: Checksum,
        outcome: CreateOutcome,
    ) -> Result<CreateOutcome, Error> {
        self.shared.is_lagging.store(true, Ordering::SeqCst);
        if self.flaw == ProvesWhatItWasTold && matches!(outcome, CreateOutcome::Created { .. }) {
            let digest = Digest { checksum: expected, size: 0 };
            return Ok(CreateOutcome::Created { proof: Some(Proof { digest, how: Verification::ReadBack }) });
        }
        let found =
            if self.flaw == CreatesTheSameAgain { self.inner.digest(key, &Meter::default()).await? } else { None };
        if found.is_some_and(|found| found.checksum == expected) {
            return Ok(CreateOutcome::Created { proof: None });
        }
        Ok(outcome)
    }
}

fn whole(bytes: &[u8], headers: &ContentHeaders) -> Content {
    let body = stream::iter([Ok(Bytes::copy_from_slice(bytes))]).boxed();
    Content {
        size: bytes.len() as u64,
        expected: Checksum::of(bytes),
        headers: headers.clone(),
        body: Body::Stream(body),
        meter: Meter::default(),
    }
}

fn file_pieces(mut file: std::fs::File) -> ByteStream {
    let pieces = std::iter::from_fn(move || {
        let mut piece = Vec::new();
        std::io::Read::by_ref(&mut file).take(100_000).read_to_end(&mut piece).unwrap();
        (!piece.is_empty()).then(|| Ok(piece.into()))
    });
    stream::iter(pieces).boxed()
}

/// Reads on while there is something.
fn until_nothing_is_left(world: World, key: ObjectKey) -> ByteStream {
    let pieces = stream::iter(0..).map(move |n| {
        let bytes = world.object("main", key.as_str()).unwrap().bytes;
        bytes.slice((n * 10_000).min(bytes.len())..((n + 1) * 10_000).min(bytes.len()))
    });
    pieces.take_while(|piece| std::future::ready(!piece.is_empty())).map(Ok).boxed()
}

#[async_trait::async_trait]
impl Storage for BrokenStorage {
    async fn create(&self, key: &ObjectKey, mut content: Content) -> Result<CreateOutcome, Error> {
        let (key, expected) = (&self.key(key), content.expected);
        if self.flaw == ChecksThenCreates && self.inner.stat(key).await?.is_some() {
            return Ok(CreateOutcome::AlreadyExists);
        }
        if self.takes_anything(&content) {
            return self.create_anything(key, content).await;
        }
        match self.flaw {
            ReplacesFolders => self.replace_folders(key),
            MetersNothing => content.meter = Meter::default(),
            ForgetsHeaders => content.headers.content_disposition = "attachment".into(),
            _ => {}
        }
        let outcome = self.inner.create(key, content).await?;
        self.created(key, expected, outcome).await
    }

    async fn digest(&self, key: &ObjectKey, meter: &Meter) -> Result<Option<Digest>, Error> {
        let unmetered = Meter::default();
        let meter = if self.flaw == MetersNothing { &unmetered } else { meter };
        let digest = self.inner.digest(&self.key(key), meter).await;
        match self.flaw {
            RemembersDigests => Ok(*self.shared.digests.lock().unwrap().entry(key.clone()).or_insert(digest?)),
            TakesErrorsForNothing => Ok(digest.unwrap_or_default()),
            _ => digest,
        }
    }

    async fn stat(&self, key: &ObjectKey) -> Result<Option<ObjectStat>, Error> {
        let stat = self.inner.stat(&self.key(key)).await?;
        match self.flaw {
            FindsFolders if !self.inner.list(&format!("{key}/"), None, 1).await?.is_empty() => {
                Ok(Some(ObjectStat { size: 4096, ..ObjectStat::default() }))
            }
            EtagIsTheSize => Ok(stat.map(|stat| ObjectStat { etag: Some(stat.size.to_string()), ..stat })),
            HoldsInWords => Ok(stat.map(|stat| ObjectStat { legal_hold: LegalHold::Off, ..stat })),
            CachesStats => Ok(self.stats.lock().unwrap().entry(key.clone()).or_insert(stat).clone()),
            _ => Ok(stat),
        }
    }

    async fn open(&self, key: &ObjectKey, range: Range<u64>) -> Result<Option<ByteStream>, Error> {
        let (mut start, mut end) = (range.start, range.end);
        match self.flaw {
            RangesAreInclusive => end = end.saturating_add(1),
            AlignsLargeRanges if start > LARGE_BYTES => start -= start % 4_096,
            EndsStreamsInSilence if self.inner.stat(key).await?.is_some() => {
                return Ok(Some(until_nothing_is_left(self.world.clone(), key.clone())));
            }
            _ => {}
        }
        self.inner.open(&self.key(key), start..end).await
    }

    async fn remove(&self, key: &ObjectKey) -> Result<(), Error> {
        match self.flaw {
            DestroysWhatIsHeld => drop(self.world.lose("main", key.as_str())),
            RemovesOnce if self.inner.stat(key).await?.is_none() => {
                return Err(Error::unavailable("nothing is there to remove"));
            }
            RemovesInSteps => {
                self.world.corrupt("main", key.as_str(), Vec::clear);
                let_others_go_first().await;
            }
            _ => {}
        }
        self.inner.remove(&self.key(key)).await
    }

    async fn list(&self, prefix: &str, after: Option<&ObjectKey>, limit: usize) -> Result<Vec<ObjectKey>, Error> {
        match self.flaw {
            ListsInReverse => {
                let mut keys = self.inner.list(prefix, after, limit).await?;
                keys.reverse();
                Ok(keys)
            }
            ListsFolders if !prefix.is_empty() && !prefix.ends_with('/') => {
                self.inner.list(&format!("{prefix}/"), after, limit).await
            }
            ListsFromAfterOn => {
                let mut keys = self.inner.list(prefix, None, usize::MAX).await?;
                keys.retain(|key| after.is_none_or(|after| key >= after));
                keys.truncate(limit);
                Ok(keys)
            }
            ListsByPosition => {
                let keys = self.inner.list(prefix, None, usize::MAX).await?.into_iter().enumerate();
                let mut positions = self.shared.positions.lock().unwrap();
                let from = after.and_then(|after| positions.get(after).copied()).unwrap_or(0);
                let page: Vec<_> = keys.skip(from).take(limit).collect();
                positions.extend(page.iter().map(|(position, key)| (key.clone(), position + 1)));
                Ok(page.into_iter().map(|(_, key)| key).collect())
            }
            ListsAThousand => self.inner.list(prefix, after, limit.min(1_000)).await,
            // As if by a cache that every create leaves stale for one look.
            ListsLate if self.shared.is_lagging.swap(false, Ordering::SeqCst) => Ok(Vec::new()),
            _ => self.inner.list(prefix, after, limit).await,
        }
    }

    fn keeps_legal_holds(&self) -> bool {
        self.inner.keeps_legal_holds()
    }

    async fn set_legal_hold(&self, key: &ObjectKey, hold: LegalHold) -> Result<Option<LegalHold>, Error> {
        self.inner.set_legal_hold(&self.key(key), hold).await
    }

    fn location(&self, key: &ObjectKey) -> Location {
        let location = self.inner.location(&self.key(key));
        if self.flaw == SignsLocations {
            return Location::parse(format!("https://user:secret@host/{key}")).unwrap();
        }
        location
    }
}
