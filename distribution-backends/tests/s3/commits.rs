//! What is made of answers that are lost, late or false: never a guess.

use chrono::{TimeDelta, Utc};
use distribution_backends::S3Storage;
use distribution_core::{CreateOutcome, Error, ErrorKind, Meter, Storage as _};
use distribution_testkit::s3::{Fault, Op};

use crate::double::{BUCKET, LARGE, Target, content, digest_of, key, pattern};
use crate::server::Server;

/// What one create comes to, and whether its object is there then.
async fn create(len: usize, op: Op, fault: Fault) -> (Result<CreateOutcome, Error>, bool, Target) {
    let target = Target::start().await;
    let storage = target.open().await;
    let bytes = pattern(len, 1);
    let content = match op {
        Op::UploadPartCopy => target.staged(&bytes).await,
        _ => content(&bytes),
    };
    target.double.inject(op, 0, fault);
    let before = target.double.requests(op);
    let outcome = storage.create(&key("a.mp4"), content).await;
    let sent = target.double.requests(op) - before;
    let is_commit = matches!(op, Op::PutObject | Op::CompleteMultipartUpload);
    assert!(!is_commit || sent == 1, "{op:?} {fault:?}: a commit is sent once, not {sent} times");
    let stored = target.stored("a.mp4");
    assert!(stored.as_ref().is_none_or(|stored| *stored == bytes), "whole or not at all");
    // Whatever it was: the same call again finishes the job.
    target.double.heal();
    target.double.clear_log();
    let again = storage.create(&key("a.mp4"), self::content(&bytes)).await.unwrap();
    let moved = target.double.requests(Op::UploadPart);
    assert!(stored.is_none() || moved == 0, "{op:?} {fault:?}: what is there already is not moved again");
    assert!(matches!(again, CreateOutcome::Created { .. } | CreateOutcome::AlreadyExists), "{again:?}");
    assert_eq!(storage.digest(&key("a.mp4"), &Meter::default()).await.unwrap(), Some(digest_of(&bytes)));
    (outcome, stored.is_some(), target)
}

#[tokio::test]
async fn proof_no_answer_to_a_commit_is_believed_to_be_a_failure() {
    use Op::{CompleteMultipartUpload as Complete, PutObject as Put};
    let table = [
        (Fault::LostRequest, false),
        (Fault::LostAnswer, true),
        (Fault::AppliedLate, false),
        (Fault::SlowDown, false),
        (Fault::InternalError, false),
        (Fault::CutAfter(0), true),
    ];
    for (fault, applied) in table {
        for (op, len) in [(Put, 1000), (Complete, LARGE)] {
            let (outcome, stored, _) = create(len, op, fault).await;
            // An answer to a PUT has no body that could be cut.
            let known = op == Put && matches!(fault, Fault::CutAfter(_));
            let is_unknown = outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unavailable);
            assert!(is_unknown || known && outcome.is_ok(), "{op:?} {fault:?}: {outcome:?}");
            assert_eq!(stored, applied, "{op:?} {fault:?}");
        }
    }
    for applied in [false, true] {
        let (outcome, stored, _) = create(LARGE, Complete, Fault::ErrorInBody { applied }).await;
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unavailable, "a 200 that is an error");
        assert_eq!(stored, applied);
    }
    println!("proof: lost and false answers to commits: {} told as unknown", table.len() * 2 + 1);
}

#[tokio::test]
async fn our_own_deed_comes_back_as_an_object_that_is_there() {
    let answers = [
        (Op::PutObject, 1000, Fault::RepeatedBelow),
        (Op::CompleteMultipartUpload, LARGE, Fault::RepeatedBelow),
        (Op::CompleteMultipartUpload, LARGE, Fault::NoSuchUpload),
    ];
    for (op, len, fault) in answers {
        let (outcome, stored, _) = create(len, op, fault).await;
        // A completion that is repeated may be answered as the first was.
        assert!(
            matches!(outcome, Ok(CreateOutcome::AlreadyExists | CreateOutcome::Created { .. })),
            "{op:?} {outcome:?}"
        );
        assert!(stored);
    }
}

#[tokio::test]
async fn a_conflict_is_looked_into() {
    for (op, len) in [(Op::PutObject, 1000), (Op::CompleteMultipartUpload, LARGE)] {
        let (outcome, stored, _) = create(len, op, Fault::Conflict).await;
        let error = outcome.unwrap_err();
        assert_eq!((error.kind(), stored), (ErrorKind::Unavailable, false), "nobody has it: repeat");
    }
    let target = Target::start().await;
    let storage = target.open().await;
    storage.create(&key("a.mp4"), content(&pattern(10, 1))).await.unwrap();
    target.double.inject(Op::PutObject, 0, Fault::Conflict);
    let outcome = storage.create(&key("a.mp4"), content(&pattern(10, 2))).await.unwrap();
    assert_eq!(outcome, CreateOutcome::AlreadyExists);
}

#[tokio::test]
async fn what_can_be_repeated_is() {
    let parts = [
        (Op::CreateMultipartUpload, Fault::LostAnswer),
        (Op::UploadPart, Fault::SlowDown),
        (Op::UploadPart, Fault::LostRequest),
        (Op::UploadPart, Fault::LostAnswer),
        (Op::UploadPartCopy, Fault::SlowDown),
        (Op::UploadPartCopy, Fault::LostAnswer),
        (Op::UploadPartCopy, Fault::ErrorInBody { applied: false }),
    ];
    for (op, fault) in parts {
        let (outcome, ..) = create(LARGE, op, fault).await;
        assert!(matches!(outcome, Ok(CreateOutcome::Created { .. })), "{op:?} {fault:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_part_that_cannot_be_uploaded_leaves_nothing() {
    let target = Target::start().await;
    let storage = target.open().await;
    target.double.always(Op::UploadPart, Fault::AccessDenied);
    let error = storage.create(&key("a.mp4"), content(&pattern(LARGE, 1))).await.unwrap_err();
    assert!(error.to_string().contains("403"), "{error}");
    assert!(target.double.keys(BUCKET).is_empty() && target.double.uploads(BUCKET).is_empty());
}

#[tokio::test]
async fn uploads_that_a_crash_has_left_are_found_and_aborted() {
    let target = Target::start().await;
    let storage = target.open().await;
    // Neither completed nor aborted.
    target.double.always(Op::AbortMultipartUpload, Fault::LostRequest);
    target.double.always(Op::UploadPart, Fault::AccessDenied);
    for n in 0..3 {
        storage.create(&key(&format!("{n}.mp4")), content(&pattern(LARGE, 1))).await.unwrap_err();
    }
    target.double.heal();
    assert_eq!(target.double.uploads(BUCKET).len(), 3);
    let hour = TimeDelta::hours(1);
    assert_eq!(storage.unfinished(Utc::now() - hour, 10).await.unwrap(), [], "what is young is at work");
    let found = storage.unfinished(Utc::now() + hour, 2).await.unwrap();
    assert_eq!(found.iter().map(|upload| upload.name.as_str()).collect::<Vec<_>>(), ["0.mp4", "1.mp4"]);
    for upload in &found {
        storage.discard(upload).await.unwrap();
        // As often as one likes.
        storage.discard(upload).await.unwrap();
    }
    assert_eq!(target.double.uploads(BUCKET).len(), 1);
}

#[tokio::test]
async fn proof_unfinished_uploads_of_a_real_server_are_found_and_aborted() {
    let Some(server) = Server::named("DISTRIBUTION_TEST_S3") else { return };
    let bucket = server.bucket();
    let storage = S3Storage::open(server.config(bucket, "orphans", &server.host)).await.unwrap();
    for name in ["orphans/a.mp4", "orphans/b.mp4", "orphans/not a key", "elsewhere/c.mp4"] {
        let begun = server.curl(&["-X", "POST"], &format!("{bucket}/{}?uploads=", name.replace(' ', "%20")), b"");
        assert!(begun.contains("UploadId"), "{begun}");
    }
    let soon = Utc::now() + TimeDelta::hours(1);
    let found = storage.unfinished(soon, 10).await.unwrap();
    assert_eq!(found.iter().map(|upload| upload.name.as_str()).collect::<Vec<_>>(), ["a.mp4", "b.mp4"]);
    for upload in &found {
        storage.discard(upload).await.unwrap();
        storage.discard(upload).await.unwrap();
    }
    assert_eq!(storage.unfinished(soon, 10).await.unwrap(), []);
    println!("proof: unfinished uploads on a real server: {} of 4 are ours, found and aborted", found.len());
}

#[tokio::test]
async fn a_create_that_nobody_waits_for_aborts_its_upload() {
    let target = Target::start().await;
    let storage = target.open().await;
    let stuck = futures::StreamExt::boxed(futures::stream::pending());
    let bytes = pattern(LARGE, 1);
    let content = crate::double::content_of(&bytes, distribution_core::Body::Stream(stuck));
    let key = key("a.mp4");
    let create = storage.create(&key, content);
    assert!(tokio::time::timeout(std::time::Duration::from_millis(300), create).await.is_err());
    for _ in 0..100 {
        if target.double.requests(Op::AbortMultipartUpload) > 0 && target.double.uploads(BUCKET).is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the upload is left: {:?}", target.double.uploads(BUCKET));
}
