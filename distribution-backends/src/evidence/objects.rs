//! Small objects of a storage, whole.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use distribution_core::{
    Body, Checksum, Content, ContentHeaders, CreateOutcome, Error, ErrorKind, Meter, ObjectKey, Storage,
};
use futures::{TryStreamExt as _, stream};

/// How many keys are asked for at a time.
const LIST_KEYS: usize = 1_000;

/// Whether the object is there now by this call; `false` if something was there.
pub(crate) async fn create(storage: &dyn Storage, key: &ObjectKey, bytes: Bytes) -> Result<bool, Error> {
    let headers = ContentHeaders {
        content_type: "application/octet-stream".to_owned(),
        content_disposition: "inline".to_owned(),
        cache_control: "no-store".to_owned(),
        user_metadata: BTreeMap::new(),
    };
    let (size, expected) = (u64::try_from(bytes.len()).unwrap_or(u64::MAX), Checksum::of(&bytes));
    let body = Body::Stream(Box::pin(stream::iter([Ok(bytes)])));
    match storage.create(key, Content { size, expected, headers, body, meter: Meter::default() }).await? {
        CreateOutcome::Created { .. } => Ok(true),
        CreateOutcome::AlreadyExists => Ok(false),
        CreateOutcome::Unfit(_) => Err(Error::unavailable(format!("{key} was damaged on its way: repeat"))),
    }
}

/// All of the object, of at most `bytes_max`.
pub(crate) async fn read(storage: &dyn Storage, key: &ObjectKey, bytes_max: usize) -> Result<Bytes, Error> {
    let end = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    let stream = storage
        .open(key, 0..end)
        .await?
        .ok_or_else(|| Error::unavailable(format!("{key} is listed and not there: wait for the store, then repeat")))?;
    let add = |mut all: BytesMut, piece: Bytes| async move {
        all.extend_from_slice(&piece);
        Ok(all)
    };
    let bytes = stream.try_fold(BytesMut::new(), add).await?.freeze();
    match bytes.len() <= bytes_max {
        true => Ok(bytes),
        false => Err(Error::new(ErrorKind::Corrupt, format!("{key} is longer than what is written there"))),
    }
}

/// All keys that start with `prefix`, in byte order, a page at a time.
pub(crate) async fn page(
    storage: &dyn Storage,
    prefix: &str,
    after: &mut Option<ObjectKey>,
) -> Result<Vec<ObjectKey>, Error> {
    let keys = storage.list(prefix, after.as_ref(), LIST_KEYS).await?;
    *after = keys.last().cloned();
    Ok(keys)
}
