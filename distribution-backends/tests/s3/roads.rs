//! How objects come into the bucket: by which requests, with what, and how many bytes move.

use bytes::Bytes;
use distribution_backends::{S3Files, S3Storage};
use distribution_core::{
    Body, CreateOutcome, Digest, ErrorKind, Meter, Proof, Source as _, Storage as _, Unfit, Verification, VideoUrl,
};
use distribution_testkit::s3::{Fault, Op, Request};
use futures::TryStreamExt as _;

use crate::double::{BUCKET, LARGE, MIB, Target, content, digest_of, key, object_of, pattern};

const CREATED: CreateOutcome = CreateOutcome::Created { proof: None };

fn of(log: &[Request], op: Op) -> Vec<&Request> {
    log.iter().filter(|request| request.op == op).collect()
}

fn attested(bytes: &Bytes) -> CreateOutcome {
    CreateOutcome::Created { proof: Some(Proof { digest: digest_of(bytes), how: Verification::StoreAttested }) }
}

#[tokio::test]
async fn a_small_object_is_one_request_that_the_service_checks() {
    let target = Target::start().await;
    let storage = target.open().await;
    let bytes = pattern(16 * MIB, 1);
    assert_eq!(storage.create(&key("a.mp4"), content(&bytes)).await.unwrap(), CREATED);
    let log = target.double.log();
    let [put] = log.as_slice() else { panic!("{log:?}") };
    let hash = digest_of(&bytes).checksum.hex();
    assert_eq!((put.op, put.header("if-none-match")), (Op::PutObject, Some("*")));
    assert_eq!(put.header("x-amz-content-sha256"), Some(hash.as_str()));
    let object = target.double.object(BUCKET, "mvp/a.mp4").unwrap();
    assert_eq!(object.bytes, bytes);
    assert_eq!(object.headers["content-type"], "video/mp4");
    assert_eq!(object.metadata["sha256"], hash);
}

#[tokio::test]
async fn a_large_object_is_an_upload_that_is_completed_once() {
    let target = Target::start().await;
    let storage = target.open().await;
    let bytes = pattern(33 * MIB, 1);
    assert_eq!(storage.create(&key("a.mp4"), content(&bytes)).await.unwrap(), CREATED);
    let log = target.double.log();
    let [complete] = of(&log, Op::CompleteMultipartUpload)[..] else { panic!("{log:?}") };
    assert_eq!(complete.header("if-none-match"), Some("*"));
    assert_eq!(of(&log, Op::UploadPart).len(), 3);
    let object = target.double.object(BUCKET, "mvp/a.mp4").unwrap();
    assert_eq!((object.bytes, object.headers["content-type"].as_str()), (bytes.clone(), "video/mp4"));
    assert_eq!(storage.digest(&key("a.mp4"), &Meter::default()).await.unwrap(), Some(digest_of(&bytes)));
}

#[tokio::test]
async fn proof_a_copy_within_the_service_moves_no_byte_through_here() {
    for len in [1, 1000, LARGE] {
        let target = Target::start().await;
        let storage = target.open().await;
        let bytes = pattern(len, 1);
        let staged = target.staged(&bytes).await;
        assert_eq!(storage.create(&key("a.mp4"), staged).await.unwrap(), CREATED);
        assert_eq!((target.double.bytes_in(), target.double.bytes_out()), (0, 0));
        // It is proven by reading it once.
        assert_eq!(storage.digest(&key("a.mp4"), &Meter::default()).await.unwrap(), Some(digest_of(&bytes)));
        assert_eq!((target.double.bytes_in(), target.double.bytes_out()), (0, len as u64));

        let log = target.double.log();
        let [complete] = of(&log, Op::CompleteMultipartUpload)[..] else { panic!("{log:?}") };
        assert_eq!(complete.header("if-none-match"), Some("*"));
        assert!(of(&log, Op::UploadPartCopy).iter().all(|part| part.header("x-amz-copy-source-if-match").is_some()));
        let object = target.double.object(BUCKET, "mvp/a.mp4").unwrap();
        assert_eq!(object.headers["content-disposition"], "inline; filename=\"clip.mp4\"");
        assert_eq!(object.metadata["sha256"], digest_of(&bytes).checksum.hex());
    }
    println!("proof: copy within S3: 0 bytes moved to copy, each byte read once to prove");
}

#[tokio::test]
async fn proof_an_attested_copy_moves_no_byte_at_all() {
    let target = Target::start().await;
    let storage = target.open_as(|config| config.attested(true)).await;
    let bytes = pattern(LARGE, 1);
    let staged = target.staged(&bytes).await;
    assert_eq!(storage.create(&key("a.mp4"), staged).await.unwrap(), attested(&bytes));
    assert_eq!((target.double.bytes_in(), target.double.bytes_out()), (0, 0));
    println!("proof: attested copy within S3: 0 bytes moved");
}

#[tokio::test]
async fn a_put_is_attested_only_where_that_was_asked_for_and_is_true() {
    let bytes = pattern(1000, 1);
    let target = Target::start().await;
    let storage = target.open_as(|config| config.attested(true)).await;
    assert_eq!(storage.create(&key("a.mp4"), content(&bytes)).await.unwrap(), attested(&bytes));

    for (op, fault) in [
        (Op::PutObject, Fault::ChecksumEchoed),
        (Op::PutObject, Fault::ChecksumComposite),
        (Op::PutObject, Fault::ChecksumUnchecked),
    ] {
        let target = Target::start().await;
        target.double.always(op, fault);
        target.double.always(op, Fault::IgnoredPayloadHash);
        let storage = target.open_as(|config| config.attested(true)).await;
        assert_eq!(storage.create(&key("a.mp4"), content(&bytes)).await.unwrap(), CREATED, "{fault:?}");
    }
}

#[tokio::test]
async fn a_staged_object_that_has_changed_is_not_copied() {
    for attests in [false, true] {
        let target = Target::start().await;
        let storage = target.open_as(|config| config.attested(attests)).await;
        let bytes = pattern(1000, 1);
        let mut staged = target.staged(&bytes).await;
        object_of(&mut staged).etag = "\"another\"".into();
        let outcome = storage.create(&key("a.mp4"), staged).await.unwrap();
        assert_eq!((outcome, target.stored("a.mp4")), (CreateOutcome::Unfit(Unfit::Changed), None));
        assert!(target.double.uploads(BUCKET).is_empty());
    }
}

#[tokio::test]
async fn credentials_that_have_run_out_are_fetched_anew_once() {
    let target = Target::start().await;
    let storage = target.open().await;
    let bytes = pattern(1000, 1);
    target.double.inject(Op::PutObject, 0, Fault::ExpiredToken);
    assert_eq!(storage.create(&key("a.mp4"), content(&bytes)).await.unwrap(), CREATED);
    assert_eq!((target.double.requests(Op::PutObject), target.stored("a.mp4")), (2, Some(bytes.clone())));

    target.double.always_all(Fault::ExpiredToken);
    let error = storage.create(&key("b.mp4"), content(&bytes)).await.unwrap_err();
    assert_eq!((error.kind(), target.double.requests(Op::PutObject)), (ErrorKind::Unavailable, 4), "{error}");
}

#[tokio::test]
async fn what_the_service_may_not_copy_is_read() {
    for attests in [false, true] {
        for (op, fault) in [(Op::UploadPartCopy, Fault::AccessDenied), (Op::CopyObject, Fault::AccessDenied)] {
            let target = Target::start().await;
            let storage = target.open_as(|config| config.attested(attests)).await;
            let bytes = pattern(LARGE, 1);
            let staged = target.staged(&bytes).await;
            target.double.always(op, fault);
            let outcome = storage.create(&key("a.mp4"), staged).await.unwrap();
            assert!(matches!(outcome, CreateOutcome::Created { .. }), "{outcome:?}");
            assert_eq!(target.stored("a.mp4"), Some(bytes));
            assert!(target.double.uploads(BUCKET).is_empty());
        }
    }
}

#[tokio::test]
async fn an_object_of_another_service_is_read() {
    let (target, elsewhere) = (Target::start().await, Target::start().await);
    let storage = target.open().await;
    let bytes = pattern(LARGE, 1);
    let staged = elsewhere.staged(&bytes).await;
    assert_eq!(storage.create(&key("a.mp4"), staged).await.unwrap(), CREATED);
    assert_eq!((elsewhere.double.bytes_out(), target.double.requests(Op::UploadPartCopy)), (LARGE as u64, 0));
    assert_eq!(target.stored("a.mp4"), Some(bytes));
}

#[tokio::test]
async fn a_staged_file_is_never_a_mix_of_two_states() {
    let target = Target::start().await;
    let bytes = pattern(LARGE, 1);
    let staged = target.staged(&bytes).await;
    target.double.damage("staging", "mvp/clip.mp4", |object| object.etag = "\"another\"".into());
    let Body::Object { bytes, .. } = staged.body else { panic!() };
    let error = bytes.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn names_are_taken_as_they_are_written() {
    let target = Target::start().await;
    let put = target.open_found("staging").await;
    let source = S3Files::open(target.config("staging")).unwrap();
    put.create(&key("a.mp4"), content(&pattern(10, 1))).await.unwrap();
    for name in ["a%2Emp4", "./a.mp4", "x/../a.mp4", "a.mp4 ", "/a.mp4", "A.mp4"] {
        let url = VideoUrl::parse(format!("s3://staging/mvp/{name}")).unwrap();
        assert!(!matches!(source.open(&url).await, Ok(Some(_))), "{name}");
    }
    let found = source.open(&VideoUrl::parse("s3://staging/mvp/a.mp4").unwrap()).await.unwrap();
    assert!(found.is_some());
}

#[tokio::test]
async fn an_empty_object_is_stored_by_every_road() {
    let target = Target::start().await;
    let storage = target.open().await;
    let empty = Bytes::new();
    let staged = target.staged(&empty).await;
    assert_eq!(storage.create(&key("a.mp4"), staged).await.unwrap(), CREATED);
    target.double.always(Op::PutObject, Fault::IgnoredIfNoneMatch);
    let uploads = S3Storage::open(target.config(BUCKET)).await.unwrap();
    assert_eq!(uploads.create(&key("b.mp4"), content(&empty)).await.unwrap(), CREATED);
    let nothing = Some(Digest { size: 0, ..digest_of(&empty) });
    assert_eq!(uploads.digest(&key("b.mp4"), &Meter::default()).await.unwrap(), nothing);
}
