//! One object in memory, which can be made to fail.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use axum::body::Bytes;
use distribution_core::{
    ByteStream, Content, CreateOutcome, Digest, Error, Location, Meter, ObjectKey, ObjectStat, Storage,
};
use futures::stream;

use crate::{KEY, NOW, at};

/// What goes wrong.
pub(crate) enum Fault {
    Stat(Error),
    Open(Error),
    /// It is gone when it is opened.
    Gone,
    /// The body fails behind so many bytes.
    Breaks(u64),
    /// The body ends behind so many bytes, or goes on beyond its end.
    Ends(u64),
}

/// A store that holds one object, at [`KEY`].
pub(crate) struct Shelf {
    pub(crate) bytes: Bytes,
    pub(crate) chunk: usize,
    pub(crate) stat: ObjectStat,
    pub(crate) fault: Option<Fault>,
    /// How often it was asked for anything.
    pub(crate) asked: AtomicU64,
    pub(crate) opened: AtomicU64,
    /// How many bytes of bodies were taken from it.
    pub(crate) taken: Arc<AtomicU64>,
}

impl Shelf {
    pub(crate) fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let stat = ObjectStat {
            size: bytes.len() as u64,
            modified: Some(at(NOW)),
            etag: Some("v1".into()),
            ..ObjectStat::default()
        };
        let (asked, opened, taken) = (AtomicU64::new(0), AtomicU64::new(0), Arc::default());
        Self { bytes, chunk: 7, stat, fault: None, asked, opened, taken }
    }

    pub(crate) fn failing(bytes: impl Into<Bytes>, fault: Fault) -> Arc<Self> {
        Arc::new(Self { fault: Some(fault), ..Self::new(bytes) })
    }

    fn has(&self, key: &ObjectKey) -> bool {
        self.asked.fetch_add(1, Ordering::Relaxed);
        key.as_str() == KEY
    }

    fn body(&self, range: Range<u64>) -> ByteStream {
        let mut bytes = self.bytes.slice(range.start as usize..range.end as usize);
        let mut breaks = false;
        match self.fault {
            Some(Fault::Breaks(after)) => {
                breaks = true;
                bytes.truncate(after as usize);
            }
            Some(Fault::Ends(after)) => {
                let end = range.start + after;
                bytes = Bytes::from([&self.bytes[..], &[0; 16]].concat()).slice(range.start as usize..end as usize);
            }
            _ => {}
        }
        let (chunk, taken) = (self.chunk, self.taken.clone());
        let mut chunks = std::iter::from_fn(move || {
            let next = bytes.split_to(chunk.min(bytes.len()));
            taken.fetch_add(next.len() as u64, Ordering::Relaxed);
            (!next.is_empty()).then_some(Ok(next))
        });
        let error = breaks.then(|| Err(Error::unavailable("the disk is on fire")));
        let mut error = error.into_iter();
        Box::pin(stream::iter(std::iter::from_fn(move || chunks.next().or_else(|| error.next()))))
    }
}

#[async_trait]
impl Storage for Shelf {
    async fn stat(&self, key: &ObjectKey) -> Result<Option<ObjectStat>, Error> {
        match &self.fault {
            Some(Fault::Stat(error)) => Err(error.clone()),
            _ => Ok(self.has(key).then(|| self.stat.clone())),
        }
    }

    async fn open(&self, key: &ObjectKey, range: Range<u64>) -> Result<Option<ByteStream>, Error> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        match &self.fault {
            Some(Fault::Open(error)) => Err(error.clone()),
            Some(Fault::Gone) => Ok(None),
            _ => Ok(self.has(key).then(|| self.body(range))),
        }
    }

    async fn create(&self, _: &ObjectKey, _: Content) -> Result<CreateOutcome, Error> {
        unreachable!("a download creates nothing")
    }
    async fn digest(&self, _: &ObjectKey, _: &Meter) -> Result<Option<Digest>, Error> {
        unreachable!("a download proves nothing")
    }
    async fn remove(&self, _: &ObjectKey) -> Result<(), Error> {
        unreachable!("a download removes nothing")
    }
    async fn list(&self, _: &str, _: Option<&ObjectKey>, _: usize) -> Result<Vec<ObjectKey>, Error> {
        unreachable!("a download lists nothing")
    }
    fn location(&self, _: &ObjectKey) -> Location {
        unreachable!("a download tells no location")
    }
}
