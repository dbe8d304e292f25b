//! Staged files of a bucket are removed at most once, whatever gets lost: what an editor uploads after that stays.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use distribution_backends::S3Files;
use distribution_core::{ErrorKind, Removal, StagedFile, Staging as _};
use distribution_testkit::s3::{Fault, Op, Request, S3Double};
use futures::TryStreamExt as _;

use crate::double::Target;

const CLIP: &str = "mvp/clip.mp4";

/// A file that is staged, and the bucket it is in.
async fn staged() -> (Target, S3Files, StagedFile) {
    let target = Target::start().await;
    assert!(target.double.plant("staging", CLIP, "published"));
    let files = S3Files::open(target.config("staging")).unwrap();
    let [file] = files.list().try_collect::<Vec<_>>().await.unwrap().try_into().unwrap();
    (target, files, file)
}

/// Asks the plan what becomes of each DeleteObject, by its number.
fn at_deletes(double: &S3Double, plan: impl Fn(usize, &S3Double, &Request) -> Option<Fault> + Send + Sync + 'static) {
    let (deletes, rival) = (Arc::new(AtomicUsize::new(0)), double.clone());
    double.fail(move |request| match request.op {
        Op::DeleteObject => plan(deletes.fetch_add(1, Ordering::SeqCst), &rival, request),
        _ => None,
    });
}

fn there(target: &Target) -> Option<bytes::Bytes> {
    target.double.object("staging", CLIP).map(|object| object.bytes)
}

#[tokio::test]
async fn a_removal_whose_answer_is_lost_is_not_repeated() {
    let (target, files, file) = staged().await;
    // The service looks at no condition, and an editor uploads before a second request could come.
    target.double.always(Op::DeleteObject, Fault::IgnoredIfMatch);
    at_deletes(&target.double, |number, rival, _| {
        if number == 0 {
            return Some(Fault::LostAnswer);
        }
        rival.plant("staging", CLIP, "not published");
        None
    });
    let error = files.remove(&file).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!((target.double.requests(Op::DeleteObject), there(&target)), (1, None));
    // The next pass looks again.
    assert_eq!(files.remove(&file).await.unwrap(), Removal::Gone);
    target.double.plant("staging", CLIP, "not published");
    assert_eq!(files.remove(&file).await.unwrap(), Removal::Changed);
    assert_eq!(there(&target).unwrap(), "not published");
}

#[tokio::test]
async fn a_service_that_knows_no_condition_is_looked_at_right_before() {
    let (target, files, file) = staged().await;
    // An editor uploads between the refusal of the condition and what comes then.
    at_deletes(&target.double, |_, rival, request| {
        request.header("if-match")?;
        rival.plant("staging", CLIP, "not published");
        Some(Fault::NotImplemented)
    });
    assert_eq!(files.remove(&file).await.unwrap(), Removal::Changed);
    assert_eq!(there(&target).unwrap(), "not published");
}

#[tokio::test]
async fn without_a_condition_a_removal_is_sent_once_too() {
    let (target, files, file) = staged().await;
    at_deletes(&target.double, |number, rival, request| match (request.header("if-match"), number) {
        (Some(_), _) => Some(Fault::NotImplemented),
        (None, 1) => Some(Fault::LostAnswer),
        (None, _) => {
            rival.plant("staging", CLIP, "not published");
            None
        }
    });
    assert_eq!(files.remove(&file).await.unwrap_err().kind(), ErrorKind::Unavailable);
    let deletes = target.double.log().into_iter().filter(|request| request.op == Op::DeleteObject);
    let conditions: Vec<bool> = deletes.map(|request| request.header("if-match").is_some()).collect();
    assert_eq!((conditions, there(&target)), (vec![true, false], None));
}

#[tokio::test]
async fn a_service_that_knows_no_condition_removes_what_is_as_it_was() {
    let (target, files, file) = staged().await;
    at_deletes(&target.double, |_, _, request| request.header("if-match").map(|_| Fault::NotImplemented));
    assert_eq!(files.remove(&file).await.unwrap(), Removal::Removed);
    assert_eq!(there(&target), None);
}
