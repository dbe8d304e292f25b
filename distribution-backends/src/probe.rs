//! What a target really does, found out before anything is published there.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use chrono::{SubsecRound as _, TimeDelta};
use data_encoding::HEXLOWER;
use distribution_core::{
    Body, Checksum, Content, ContentHeaders, CreateOutcome, Error, ErrorKind, LinkRequest, Meter, ObjectKey, Storage,
    Timestamp, UrlSigner,
};
use futures::future::join_all;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use crate::http::{build, client_builder};

/// How many writers race for one key, and how often. A store that looks first and writes then is found
/// out by chance only, so this finds the guilty and acquits nobody: one that lets two win in every
/// seventh race, the rarest that was measured, slips through one probe in six.
pub(crate) const RACERS: usize = 16;
pub(crate) const RACES: usize = 12;
const LINK_VALID_SECS: i64 = 60;

/// What a target was found to do. It can be kept, so that a process that starts often need not ask
/// each time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// What was probed: a bucket and its service, or the place of a probe's object.
    pub target: String,
    /// One for each ability that was looked for.
    pub findings: Vec<Finding>,
}

/// Whether the target has an ability.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked for.
    pub ability: Ability,
    /// What is wrong with it, in words; `None` if nothing is.
    pub fault: Option<String>,
}

/// What a target may be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ability {
    /// Of many that create one object at a time in one request each, exactly one does.
    CreateByPut,
    /// The same with uploads in parts.
    CreateByUpload,
    /// The same with copies within the service, in parts.
    CreateByPartCopy,
    /// The same with copies within the service, in one request, of which the service tells the SHA-256.
    CreateByCopy,
    /// Bytes other than those with the SHA-256 that was told are refused, and the SHA-256 is kept.
    ChecksumOnPut,
    /// An object is seen as soon as it is stored.
    ReadAfterWrite,
    /// A range is answered with that range.
    RangeRead,
    /// An object is listed as soon as it is stored.
    ListAfterWrite,
    /// A removed object is gone.
    Remove,
    /// A signed link fetches its object.
    Link,
    /// What is under a legal hold is not destroyed.
    LegalHold,
}

impl Probe {
    /// Probes any storage, and the links of its signer: creates objects below `distribution-probe/`,
    /// and removes them.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if the store cannot be reached.
    pub async fn of(storage: &dyn Storage, signer: Option<&dyn UrlSigner>, now: Timestamp) -> Result<Self, Error> {
        let place = Place::new()?;
        let target = storage.location(&place.key("object")?).to_string();
        let mut probe = Self { target, findings: Vec::new() };
        probe.note(Ability::CreateByPut, race(storage, &place, "create", |n| whole(&distinct(n))).await?);
        let (key, bytes) = (place.key("object")?, distinct(1));
        let outcome = storage.create(&key, whole(&bytes)).await?;
        if !matches!(outcome, CreateOutcome::Created { .. }) {
            return Err(Error::unavailable("the probe could not store an object: repeat"));
        }
        probe.note(Ability::ReadAfterWrite, read_after_write(storage, &key, &bytes).await?);
        probe.note(Ability::RangeRead, range_read(storage, &key, &bytes).await?);
        probe.note(Ability::ListAfterWrite, listed(storage, &key).await?);
        if let Some(signer) = signer {
            probe.note(Ability::Link, link(signer, &key, &bytes, now).await?);
        }
        storage.remove(&key).await?;
        let left = storage.stat(&key).await?.map(|_| "an object that was removed is still there".to_owned());
        probe.note(Ability::Remove, left);
        Ok(probe)
    }

    /// Whether the ability was looked for and found.
    pub fn has(&self, ability: Ability) -> bool {
        self.findings.iter().any(|finding| finding.ability == ability && finding.fault.is_none())
    }

    /// What is wrong with the ability; `None` if nothing is, or if nobody has looked.
    pub fn fault(&self, ability: Ability) -> Option<&str> {
        self.findings.iter().find(|finding| finding.ability == ability)?.fault.as_deref()
    }

    pub(crate) fn note(&mut self, ability: Ability, fault: Option<String>) {
        self.findings.retain(|finding| finding.ability != ability);
        self.findings.push(Finding { ability, fault });
    }
}

impl Ability {
    /// The ability's name, such as `create_by_put`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CreateByPut => "create_by_put",
            Self::CreateByUpload => "create_by_upload",
            Self::CreateByPartCopy => "create_by_part_copy",
            Self::CreateByCopy => "create_by_copy",
            Self::ChecksumOnPut => "checksum_on_put",
            Self::ReadAfterWrite => "read_after_write",
            Self::RangeRead => "range_read",
            Self::ListAfterWrite => "list_after_write",
            Self::Remove => "remove",
            Self::Link => "link",
            Self::LegalHold => "legal_hold",
        }
    }
}

impl fmt::Display for Probe {
    /// One line for each finding.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { ability, fault } in &self.findings {
            writeln!(f, "{}: {}", ability.as_str(), fault.as_deref().unwrap_or("yes"))?;
        }
        Ok(())
    }
}

/// Where one probe's objects are, apart from those of any other.
pub(crate) struct Place(String);

impl Place {
    pub(crate) fn new() -> Result<Self, Error> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| Error::unavailable("no randomness to be had").because(error))?;
        Ok(Self(format!("distribution-probe/{}", HEXLOWER.encode(&random))))
    }

    pub(crate) fn key(&self, name: &str) -> Result<ObjectKey, Error> {
        ObjectKey::parse(format!("{}/{name}", self.0))
    }
}

/// Lets many create one key at a time with distinct contents, and tells how that went wrong.
pub(crate) async fn race(
    storage: &dyn Storage,
    place: &Place,
    name: &str,
    content: impl Fn(usize) -> Content,
) -> Result<Option<String>, Error> {
    for round in 0..RACES {
        let key = place.key(&format!("{name}-{round}"))?;
        let outcomes = join_all((0..RACERS).map(|n| storage.create(&key, content(n)))).await;
        if let Some(fault) = verdict(storage, &key, outcomes, &content).await? {
            return Ok(Some(fault));
        }
    }
    Ok(None)
}

/// What went wrong in a race, of which nothing is left then.
pub(crate) async fn verdict(
    storage: &dyn Storage,
    key: &ObjectKey,
    outcomes: Vec<Result<CreateOutcome, Error>>,
    content: impl Fn(usize) -> Content,
) -> Result<Option<String>, Error> {
    let fault = judge(storage, key, outcomes, content).await;
    let removed = storage.remove(key).await;
    // What is wrong says more than what became of the object.
    match fault? {
        Some(fault) => Ok(Some(fault)),
        None => removed.map(|()| None),
    }
}

async fn judge(
    storage: &dyn Storage,
    key: &ObjectKey,
    outcomes: Vec<Result<CreateOutcome, Error>>,
    content: impl Fn(usize) -> Content,
) -> Result<Option<String>, Error> {
    let is_created = |outcome: &Result<_, _>| matches!(outcome, Ok(CreateOutcome::Created { .. }));
    let winners: Vec<_> = (0..).zip(&outcomes).filter(|(_, outcome)| is_created(outcome)).map(|(n, _)| n).collect();
    let &[winner] = winners.as_slice() else {
        // Nobody may have won because of an error that says more.
        let error = outcomes.into_iter().find_map(Result::err).filter(|_| winners.is_empty());
        return match error {
            Some(error) if error.kind() == ErrorKind::Unsupported => Ok(Some(error.to_string())),
            Some(error) => Err(error),
            None => {
                Ok(Some(format!("{} of {RACERS} writers of one key were told that they created it", winners.len())))
            }
        };
    };
    let late = storage.create(key, content(winner + 1)).await?;
    if late != CreateOutcome::AlreadyExists {
        return Ok(Some("an object that was there was overwritten".to_owned()));
    }
    let stored = storage.digest(key, &Meter::default()).await?;
    let is_winners = stored.is_some_and(|digest| digest.checksum == content(winner).expected);
    Ok((!is_winners).then(|| "what is stored is not what the one that created it has written".to_owned()))
}

async fn read_after_write(storage: &dyn Storage, key: &ObjectKey, bytes: &Bytes) -> Result<Option<String>, Error> {
    let seen = storage.stat(key).await?.is_some_and(|stat| stat.size == bytes.len() as u64);
    let read = storage.digest(key, &Meter::default()).await?.map(|digest| digest.checksum);
    let is_kept = seen && read == Some(Checksum::of(bytes));
    Ok((!is_kept).then(|| "an object that was just stored is not seen as it is".to_owned()))
}

async fn range_read(storage: &dyn Storage, key: &ObjectKey, bytes: &Bytes) -> Result<Option<String>, Error> {
    let range = storage.open(key, 7..19).await?;
    let read = match range {
        Some(pieces) => pieces.try_collect::<Vec<_>>().await.map(|pieces| pieces.concat()),
        None => Ok(Vec::new()),
    };
    let is_kept = read.is_ok_and(|read| bytes.get(7..19) == Some(read.as_slice()));
    Ok((!is_kept).then(|| "a range of an object is answered with other bytes".to_owned()))
}

async fn listed(storage: &dyn Storage, key: &ObjectKey) -> Result<Option<String>, Error> {
    let keys = storage.list(key.as_str(), None, 2).await?;
    Ok((keys != [key.clone()]).then(|| "an object that was just stored is not listed".to_owned()))
}

async fn link(signer: &dyn UrlSigner, key: &ObjectKey, bytes: &Bytes, now: Timestamp) -> Result<Option<String>, Error> {
    let expires_at = now.trunc_subsecs(0) + TimeDelta::seconds(LINK_VALID_SECS);
    let signed = match signer.sign(&LinkRequest { key: key.clone(), expires_at }, now).await {
        Ok(signed) => signed,
        Err(error) => return Ok(Some(format!("no link can be signed: {error}"))),
    };
    let client = build(client_builder()?.timeout(Duration::from_secs(30)))?;
    let fetched = match client.get(signed.link.expose()).send().await {
        Ok(response) if response.status().is_success() => response.bytes().await,
        Ok(response) => return Ok(Some(format!("a link was answered with {}", response.status().as_u16()))),
        Err(error) => Err(error),
    };
    Ok(match fetched {
        Ok(fetched) if fetched == *bytes => None,
        Ok(_) => Some("a link fetched other bytes than its object's".to_owned()),
        Err(_) => Some("a link was not answered: is its host right and reached from here?".to_owned()),
    })
}

pub(crate) fn distinct(n: usize) -> Bytes {
    format!("bytes of a probe, written by number {n}").into()
}

pub(crate) fn whole(bytes: &Bytes) -> Content {
    of(bytes, Body::Stream(stream::iter([Ok(bytes.clone())]).boxed()))
}

/// Content that is to be these bytes.
pub(crate) fn of(bytes: &Bytes, body: Body) -> Content {
    Content {
        size: bytes.len() as u64,
        expected: Checksum::of(bytes),
        headers: ContentHeaders {
            content_type: "video/mp4".to_owned(),
            content_disposition: "inline".to_owned(),
            cache_control: "no-store".to_owned(),
            user_metadata: [("sha256".to_owned(), Checksum::of(bytes).hex())].into(),
        },
        body,
        meter: Meter::default(),
    }
}
