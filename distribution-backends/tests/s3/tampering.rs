//! Storages whose objects are changed behind their back, and storages that are broken on purpose: the proofs
//! must catch those, or they prove nothing.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use distribution_core::{
    ByteStream, Checksum, Content, CreateOutcome, Digest, Error, Location, Meter, ObjectKey, ObjectStat, Proof,
    Storage, Verification,
};

/// What happens to stored bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// One bit in the middle is another.
    Flipped,
    /// The last byte is gone.
    Truncated,
    /// Other bytes of the same size.
    Swapped,
}

impl Damage {
    pub(crate) const ALL: [Self; 3] = [Self::Flipped, Self::Truncated, Self::Swapped];

    pub(crate) fn to(self, bytes: &[u8]) -> Vec<u8> {
        let mut damaged = bytes.to_vec();
        match self {
            Self::Flipped => damaged[bytes.len() / 2] ^= 1,
            Self::Truncated => damaged.truncate(bytes.len() - 1),
            Self::Swapped => damaged.iter_mut().for_each(|byte| *byte = !*byte),
        }
        damaged
    }
}

/// When.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// As soon as it is stored, for good.
    AtRest,
    /// Only while it is read back.
    OnReadBack,
}

/// Replaces the object at a key by one with these bytes.
pub(crate) type Replace = Box<dyn Fn(&ObjectKey, &[u8]) + Send + Sync>;

pub(crate) struct Tampering {
    pub(crate) sound: Arc<dyn Storage>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) damage: Damage,
    pub(crate) moment: Moment,
    /// How often.
    pub(crate) times: AtomicUsize,
    pub(crate) replace: Replace,
}

impl Tampering {
    fn strikes(&self, moment: Moment) -> bool {
        let fewer = |times: usize| times.checked_sub(1);
        self.moment == moment && self.times.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer).is_ok()
    }

    fn damage(&self, key: &ObjectKey) {
        (self.replace)(key, &self.damage.to(&self.bytes));
    }
}

#[async_trait]
impl Storage for Tampering {
    async fn create(&self, key: &ObjectKey, content: Content) -> Result<CreateOutcome, Error> {
        let outcome = self.sound.create(key, content).await?;
        if !matches!(outcome, CreateOutcome::Created { .. }) {
            return Ok(outcome);
        }
        if self.strikes(Moment::AtRest) {
            self.damage(key);
        }
        // A proof that was made before the damage counts for nothing.
        Ok(CreateOutcome::Created { proof: None })
    }

    async fn digest(&self, key: &ObjectKey, meter: &Meter) -> Result<Option<Digest>, Error> {
        let strikes = self.strikes(Moment::OnReadBack);
        if strikes {
            self.damage(key);
        }
        let digest = self.sound.digest(key, meter).await;
        if strikes {
            (self.replace)(key, &self.bytes);
        }
        digest
    }

    async fn stat(&self, key: &ObjectKey) -> Result<Option<ObjectStat>, Error> {
        self.sound.stat(key).await
    }

    async fn open(&self, key: &ObjectKey, range: Range<u64>) -> Result<Option<ByteStream>, Error> {
        self.sound.open(key, range).await
    }

    async fn remove(&self, key: &ObjectKey) -> Result<(), Error> {
        self.sound.remove(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&ObjectKey>, limit: usize) -> Result<Vec<ObjectKey>, Error> {
        self.sound.list(prefix, after, limit).await
    }

    fn location(&self, key: &ObjectKey) -> Location {
        self.sound.location(key)
    }
}

/// What is wrong with a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    /// When no answer comes, it takes its object for stored.
    Hasty,
    /// It does not read back but tells what it was given.
    Believing,
}

pub(crate) struct Broken {
    pub(crate) sound: Arc<dyn Storage>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) defect: Defect,
}

impl Broken {
    fn given(&self) -> Digest {
        Digest { checksum: Checksum::of(&self.bytes), size: self.bytes.len() as u64 }
    }
}

#[async_trait]
impl Storage for Broken {
    async fn create(&self, key: &ObjectKey, content: Content) -> Result<CreateOutcome, Error> {
        let outcome = self.sound.create(key, content).await;
        let proof = Proof { digest: self.given(), how: Verification::ReadBack };
        match outcome {
            Err(_) if self.defect == Defect::Hasty => Ok(CreateOutcome::Created { proof: Some(proof) }),
            outcome => outcome,
        }
    }

    async fn digest(&self, key: &ObjectKey, meter: &Meter) -> Result<Option<Digest>, Error> {
        match self.defect {
            Defect::Believing => Ok(Some(self.given())),
            Defect::Hasty => self.sound.digest(key, meter).await,
        }
    }

    async fn stat(&self, key: &ObjectKey) -> Result<Option<ObjectStat>, Error> {
        self.sound.stat(key).await
    }

    async fn open(&self, key: &ObjectKey, range: Range<u64>) -> Result<Option<ByteStream>, Error> {
        self.sound.open(key, range).await
    }

    async fn remove(&self, key: &ObjectKey) -> Result<(), Error> {
        self.sound.remove(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&ObjectKey>, limit: usize) -> Result<Vec<ObjectKey>, Error> {
        self.sound.list(prefix, after, limit).await
    }

    fn location(&self, key: &ObjectKey) -> Location {
        self.sound.location(key)
    }
}
