//! Content, and what holds of a storage whatever its network does.

use bytes::Bytes;
use distribution_backends::opendal::HttpTransport;
use distribution_backends::{Ability, OpendalStorage, Probe, SystemClock};
use distribution_core::{
    Body, Checksum, Clock as _, Content, ContentHeaders, CreateOutcome, Digest, ErrorKind, Meter, ObjectKey, Storage,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::faulty::{FAULTS, Fault, Faulty};

pub(crate) fn pattern(len: usize, seed: u8) -> Bytes {
    (0..len).map(|n| (n % 251) as u8 ^ seed).collect()
}

pub(crate) fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).unwrap()
}

pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    Digest { checksum: Checksum::of(bytes), size: bytes.len() as u64 }
}

/// Content that promises to be `expected` and is `actual`.
pub(crate) fn content(expected: &[u8], actual: &Bytes) -> Content {
    let pieces: Vec<_> = actual.chunks(1 << 20).map(|piece| Ok(actual.slice_ref(piece))).collect();
    Content {
        size: expected.len() as u64,
        expected: Checksum::of(expected),
        headers: ContentHeaders {
            content_type: "video/mp4".into(),
            content_disposition: "inline".into(),
            cache_control: "private".into(),
            user_metadata: [("audit-log-id".into(), "dist_0".into())].into(),
        },
        body: Body::Stream(stream::iter(pieces).boxed()),
        meter: Meter::default(),
    }
}

pub(crate) async fn digest(storage: &dyn Storage, key: &ObjectKey) -> Option<Digest> {
    storage.digest(key, &Meter::default()).await.unwrap()
}

/// Whatever happens to whichever request of a create: the object is there whole or not at all, what was
/// said of it is true, and a repeat finishes the job. Unfit content is never there.
pub(crate) async fn creates_survive_every_fault<T: HttpTransport>(
    storage: &OpendalStorage,
    network: &Faulty<T>,
    size: usize,
) -> usize {
    let good = pattern(size, 0);
    let mut unfit = good.to_vec();
    *unfit.last_mut().unwrap() ^= 1;
    let unfit = Bytes::from(unfit);
    let mut faults = 0;
    for fault in FAULTS {
        for n in 0.. {
            let case = format!("{fault:?} at request {n}");
            let key = key(&format!("{fault:?}/{size}/{n}.mp4"));
            network.fail(Some((n, fault)));
            let outcome = storage.create(&key, content(&good, &unfit)).await;
            assert!(matches!(outcome, Err(_) | Ok(CreateOutcome::Unfit(_))), "{case}: {outcome:?}");
            network.fail(None);
            assert_eq!(digest(storage, &key).await, None, "{case}: unfit content");

            network.fail(Some((n, fault)));
            let outcome = storage.create(&key, content(&good, &good)).await;
            let is_over = network.requests().len() <= n;
            network.fail(None);
            let seen = digest(storage, &key).await;
            assert!(seen.is_none_or(|seen| seen == digest_of(&good)), "{case}: {seen:?}");
            match outcome {
                Ok(CreateOutcome::Created { .. } | CreateOutcome::AlreadyExists) => assert!(seen.is_some(), "{case}"),
                Ok(CreateOutcome::Unfit(unfit)) => panic!("{case}: {unfit:?} of good content"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{case}: {error}"),
            }
            let again = storage.create(&key, content(&good, &good)).await.unwrap();
            assert_eq!(again == CreateOutcome::AlreadyExists, seen.is_some(), "{case}: {again:?}");
            assert_eq!(digest(storage, &key).await, Some(digest_of(&good)), "{case}");
            if is_over {
                break;
            }
            faults += 1;
        }
    }
    faults
}

/// Whatever happens to whichever request of a read: what is read is right, or there is an error; and what
/// passes by itself is tried again.
pub(crate) async fn reads_survive_every_fault<T: HttpTransport>(
    storage: &OpendalStorage,
    network: &Faulty<T>,
    size: usize,
) {
    let (key, bytes) = (key("read.mp4"), pattern(size, 0));
    storage.create(&key, content(&bytes, &bytes)).await.unwrap();
    for fault in FAULTS {
        for n in 0..4 {
            network.fail(Some((n, fault)));
            let found = storage.digest(&key, &Meter::default()).await;
            let has_failed = network.requests().len() > n && fault == Fault::Refused;
            match found {
                Ok(found) => assert_eq!(found, Some(digest_of(&bytes)), "{fault:?} at request {n}"),
                Err(error) => assert!(has_failed && error.is_retryable(), "{fault:?} at request {n}: {error}"),
            }
            network.fail(Some((n, fault)));
            let opened = storage.open(&key, 5..u64::MAX).await;
            let read = match opened {
                Ok(opened) => opened.expect("the object is there").try_collect::<Vec<_>>().await,
                Err(error) => Err(error),
            };
            match read {
                Ok(read) => assert!(read.concat() == bytes[5..], "{fault:?} at request {n}"),
                Err(error) => assert!(fault == Fault::Refused && error.is_retryable(), "{fault:?} at {n}: {error}"),
            }
        }
    }
    network.fail(None);
}

/// What asks any target whether it can be published to.
pub(crate) async fn finds_nothing_wrong(storage: &OpendalStorage) {
    let probe = Probe::of(storage, None, SystemClock.now()).await.unwrap();
    assert!(probe.has(Ability::CreateByPut), "{probe}");
    assert!(probe.findings.iter().all(|finding| finding.fault.is_none()), "{probe}");
}
