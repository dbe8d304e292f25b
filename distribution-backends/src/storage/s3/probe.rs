//! Which roads into this bucket are safe: found out under a race, not believed.

use bytes::Bytes;
use distribution_core::{
    Body, Content, CreateOutcome, Digest, Error, ErrorKind, Meter, ObjectKey, StagedObject, Storage as _, Timestamp,
    Unfit,
};
use futures::future::{join_all, try_join_all};
use futures::stream::{self, StreamExt};
use http::{HeaderMap, StatusCode};

use super::S3Storage;
use super::class;
use super::create::{Creation, Ready};
use crate::probe::{Ability, Place, Probe, RACERS, RACES, distinct, of, race, verdict, whole};

/// What this bucket may be asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Roads {
    /// Objects in one request each.
    pub(super) put: bool,
    /// Uploads in parts.
    pub(super) upload: bool,
    /// Copies in parts, by the service.
    pub(super) copy_parts: bool,
    /// The SHA-256 that the service tells of an object that was one request.
    pub(super) attests_put: bool,
    /// Copies in one request, of which the service computes the SHA-256.
    pub(super) attests_copy: bool,
}

impl Roads {
    pub(super) fn found(probe: &Probe, attested: bool) -> Result<Self, Error> {
        let roads = Self {
            put: probe.has(Ability::CreateByPut),
            upload: probe.has(Ability::CreateByUpload),
            copy_parts: probe.has(Ability::CreateByPartCopy),
            attests_put: attested && probe.has(Ability::ChecksumOnPut),
            attests_copy: attested && probe.has(Ability::CreateByCopy),
        };
        if let Some(fault) = probe.fault(Ability::ReadAfterWrite) {
            let message = format!("the bucket cannot be published to: {fault}; use another service");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        if roads.put || roads.upload {
            return Ok(roads);
        }
        let fault = probe.fault(Ability::CreateByPut).unwrap_or("nobody has looked whether it can");
        let message = format!(
            "the bucket cannot create an object only if it is absent, so publishing there could overwrite: {fault}; \
             use another service or a newer release of it"
        );
        Err(Error::new(ErrorKind::Unsupported, message))
    }

    /// What is tried by itself, to see whether it is safe.
    const PUT: Self = Self { put: true, upload: false, copy_parts: false, attests_put: false, attests_copy: false };
    const UPLOAD: Self = Self { put: false, upload: true, ..Self::PUT };
    const PART_COPY: Self = Self { copy_parts: true, ..Self::UPLOAD };
    const COPY: Self = Self { attests_copy: true, ..Self::PART_COPY };
}

impl S3Storage {
    pub(super) async fn look(&self) -> Result<Probe, Error> {
        let place = Place::new()?;
        let by = |roads| Self { roads, ..self.clone() };
        let mut probe = Probe { target: self.client.config().place(), findings: Vec::new() };
        let upload = by(Roads::UPLOAD);
        probe.note(Ability::CreateByPut, race(&by(Roads::PUT), &place, "put", |n| whole(&distinct(n))).await?);
        // What is wrong with the other roads is no reason to take none.
        let raced = upload.race_completions(&place, "upload", |n| whole(&distinct(n))).await;
        probe.note(Ability::CreateByUpload, raced.unwrap_or_else(|error| Some(error.to_string())));
        if probe.has(Ability::CreateByUpload) {
            // Of an upload, so that no service has a SHA-256 of it yet.
            let sources = Sources::create(&upload, &place).await?;
            let copies = |n| sources.content(n);
            let part_copy = by(Roads::PART_COPY);
            // Ceph copies parts in any state, whatever is asked for: the proof judges what they are.
            let raced = part_copy.race_completions(&place, "parts", copies).await;
            probe.note(Ability::CreateByPartCopy, raced.unwrap_or_else(|error| Some(error.to_string())));
            let copy = by(Roads::COPY);
            probe.note(Ability::CreateByCopy, self.checksum_on_copy(&copy, &place, &sources).await?);
            if probe.has(Ability::CreateByCopy) {
                probe.note(Ability::CreateByCopy, copy.pin_of_copy(&place.key("pin-of-copy")?, &sources).await?);
            }
            if probe.has(Ability::CreateByCopy) {
                probe.note(Ability::CreateByCopy, race(&copy, &place, "copy", copies).await?);
            }
            sources.remove(self).await?;
        }
        if probe.has(Ability::CreateByPut) {
            probe.note(Ability::ChecksumOnPut, by(Roads::PUT).checksum_on_put(&place).await?);
        }
        let roads = Roads::found(&probe, false);
        if let Ok(roads) = roads {
            let common = Probe::of(&by(roads), None, Timestamp::default()).await?;
            for finding in common.findings.into_iter().filter(|finding| finding.ability != Ability::CreateByPut) {
                probe.note(finding.ability, finding.fault);
            }
            if self.is_locking {
                probe.note(Ability::LegalHold, by(roads).legal_hold_fault(&place).await?);
            }
        }
        Ok(probe)
    }

    /// Has uploads filled, and then races for the key with their completions only.
    async fn race_completions(
        &self,
        place: &Place,
        name: &str,
        content: impl Fn(usize) -> Content,
    ) -> Result<Option<String>, Error> {
        for round in 0..RACES {
            let key = place.key(&format!("{name}-{round}"))?;
            let racers: Vec<_> = (0..RACERS).map(|n| self.creation(&key, &content(n))).collect();
            let ready = racers.iter().zip(0..).map(|(racer, n)| racer.made_ready(content(n).body));
            let ready = try_join_all(ready).await?;
            let outcomes = join_all(racers.iter().zip(ready).map(|(racer, ready)| racer.complete(ready))).await;
            if let Some(fault) = verdict(self, &key, outcomes, &content).await? {
                return Ok(Some(fault));
            }
        }
        Ok(None)
    }

    fn creation<'a>(&'a self, key: &'a ObjectKey, content: &Content) -> Creation<'a> {
        let wanted = Digest { checksum: content.expected, size: content.size };
        let mut headers = HeaderMap::new();
        class::ask_for(self.class.as_ref(), &mut headers);
        Creation { storage: self, key, wanted, headers, meter: Meter::default() }
    }

    /// Whether an object is copied only in the state that is asked for.
    async fn pin_of_copy(&self, key: &ObjectKey, from: &Sources) -> Result<Option<String>, Error> {
        let mut content = from.content(0);
        if let Body::Object { object, .. } = &mut content.body {
            object.etag = "\"of-another-state\"".to_owned();
        }
        let outcome = self.create(key, content).await;
        self.remove(key).await?;
        let is_kept = outcome? == CreateOutcome::Unfit(Unfit::Changed);
        Ok((!is_kept).then(|| "an object is copied in another state than was asked for".to_owned()))
    }

    /// Whether bytes with another SHA-256 than was told are refused, and the right one is told again.
    async fn checksum_on_put(&self, place: &Place) -> Result<Option<String>, Error> {
        let (key, bytes) = (place.key("checksum")?, distinct(1));
        let other = Content { size: bytes.len() as u64, ..whole(&distinct(2)) };
        let put = self.creation(&key, &other);
        let refused = match put.put_request(bytes.clone()).await {
            Ok(_) => false,
            Err(failure) if failure.status() == Some(StatusCode::BAD_REQUEST) => self.stat(&key).await?.is_none(),
            Err(failure) => return Err(failure.into_error("probe checksums")),
        };
        let fault = if refused {
            self.create(&key, whole(&bytes)).await?;
            let kept = self.attested(&key).await?.and_then(|sha256| put.proof(&sha256));
            let is_right = kept.is_some_and(|proof| proof.digest.checksum == whole(&bytes).expected);
            (!is_right).then_some("the SHA-256 that was told with an object is not told again")
        } else {
            Some("bytes are taken whose SHA-256 is another than was told")
        };
        self.remove(&key).await?;
        Ok(fault.map(str::to_owned))
    }

    async fn checksum_on_copy(&self, copy: &Self, place: &Place, from: &Sources) -> Result<Option<String>, Error> {
        let key = place.key("checksum-on-copy")?;
        let content = from.content(0);
        let checksum = content.expected;
        let outcome = copy.create(&key, content).await;
        self.remove(&key).await?;
        Ok(match outcome {
            Ok(CreateOutcome::Created { proof: Some(proof) }) if proof.digest.checksum == checksum => None,
            Ok(CreateOutcome::Created { .. }) => Some("the service does not compute the SHA-256 of a copy".to_owned()),
            Ok(_) => Some("a copy was not made".to_owned()),
            Err(error) => Some(error.to_string()),
        })
    }
}

impl Creation<'_> {
    async fn made_ready(&self, body: Body) -> Result<Ready, Error> {
        let unfit = || Error::unavailable("the probe could not store an object: repeat");
        match body {
            Body::Object { object, .. } => {
                self.ready_copy(&object).await?.map_err(|failure| failure.into_error("probe copies"))
            }
            body => self.ready(body).await?.map_err(|_| unfit()),
        }
    }
}

/// Two objects to be copied.
struct Sources(Vec<(ObjectKey, StagedObject, Bytes)>);

impl Sources {
    async fn create(storage: &S3Storage, place: &Place) -> Result<Self, Error> {
        let mut sources = Vec::new();
        for n in 0..2 {
            let (key, bytes) = (place.key(&format!("source-{n}"))?, distinct(n));
            storage.create(&key, whole(&bytes)).await?;
            let etag = storage.stat(&key).await?.and_then(|stat| stat.etag);
            let etag = etag.ok_or_else(|| Error::unavailable("the probe's object has no etag: repeat"))?;
            let object = StagedObject {
                service: storage.client.service().to_owned(),
                container: storage.bucket.clone(),
                name: storage.name(&key),
                etag: format!("\"{etag}\""),
            };
            sources.push((key, object, bytes));
        }
        Ok(Self(sources))
    }

    fn content(&self, n: usize) -> Content {
        let (bytes, body) = match self.0.get(n % self.0.len().max(1)) {
            Some((_, object, bytes)) => {
                let taken =
                    stream::once(async { Err(Error::new(ErrorKind::Unsupported, "the service copies no objects")) });
                (bytes.clone(), Body::Object { object: object.clone(), bytes: taken.boxed() })
            }
            None => (Bytes::new(), Body::Stream(stream::empty().boxed())),
        };
        of(&bytes, body)
    }

    async fn remove(self, storage: &S3Storage) -> Result<(), Error> {
        for (key, ..) in &self.0 {
            storage.remove(key).await?;
        }
        Ok(())
    }
}
