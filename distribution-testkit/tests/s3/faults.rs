//! What goes wrong on the way.

use distribution_testkit::s3::{Answer, Fault, LATE_REQUESTS, Op, S3Double};

use crate::client::{ask, get, open, put, request, told};
use crate::multipart::{complete, two_parts};

fn create_only(double: &S3Double, body: &str) -> Answer {
    double.answer(request("PUT", "/media/clip", &[("if-none-match", "*")], body))
}

fn stored(double: &S3Double) -> Option<String> {
    double.object("media", "clip").map(|object| String::from_utf8(object.bytes.to_vec()).unwrap())
}

#[test]
fn a_request_or_an_answer_gets_lost() {
    let double = open();
    double.inject(Op::PutObject, 0, Fault::LostRequest);
    double.inject(Op::PutObject, 1, Fault::LostAnswer);
    assert!(create_only(&double, "first").whole().is_none());
    assert_eq!(stored(&double), None);
    assert!(create_only(&double, "second").whole().is_none());
    assert_eq!(stored(&double).as_deref(), Some("second"));
    assert_eq!(told(create_only(&double, "third")).status, 412);

    let log = double.log();
    assert_eq!(log.iter().map(|request| request.status).collect::<Vec<_>>(), [None, None, Some(412)]);
    assert_eq!(log[1].faults, [Fault::LostAnswer]);
    assert_eq!((log[2].code, log[2].header("if-none-match")), (Some("PreconditionFailed"), Some("*")));
}

#[test]
fn a_request_is_applied_after_the_client_has_given_up() {
    for heals in [false, true] {
        let double = open();
        double.inject(Op::PutObject, 0, Fault::AppliedLate);
        assert!(create_only(&double, "late").whole().is_none());
        for _ in 1..LATE_REQUESTS {
            assert_eq!(get(&double, "/media/clip").status, 404);
        }
        if heals {
            double.heal();
            assert_eq!(stored(&double).as_deref(), Some("late"));
        }
        assert_eq!(get(&double, "/media/clip").text(), "late");
    }
}

#[test]
fn the_answer_is_that_of_a_repeat_below_the_client() {
    let double = open();
    double.always(Op::PutObject, Fault::RepeatedBelow);
    double.always(Op::CompleteMultipartUpload, Fault::RepeatedBelow);
    assert_eq!(told(create_only(&double, "ours")).refusal(), (412, "PreconditionFailed"));
    assert_eq!(stored(&double).as_deref(), Some("ours"));

    let (id, [first, _]) = two_parts(&double, "other");
    let done = complete(&double, "other", &id, &[("if-none-match", "*")], &[(1, &first, "")]);
    assert_eq!(done.status, 412);
    assert_eq!(double.object("media", "other").unwrap().bytes, "0123");
}

#[test]
fn an_upload_is_unknown_once_it_is_completed() {
    let double = open();
    let (id, [first, _]) = two_parts(&double, "clip");
    double.inject(Op::CompleteMultipartUpload, 0, Fault::NoSuchUpload);
    let done = complete(&double, "clip", &id, &[], &[(1, &first, "")]);
    assert_eq!(done.refusal(), (404, "NoSuchUpload"));
    assert_eq!(stored(&double).as_deref(), Some("0123"));
}

#[test]
fn an_error_comes_with_200() {
    for applied in [false, true] {
        let double = open();
        let fault = Fault::ErrorInBody { applied };
        double.inject(Op::CompleteMultipartUpload, 0, fault);
        double.inject(Op::CopyObject, 0, fault);
        let (id, [first, _]) = two_parts(&double, "clip");
        let done = complete(&double, "clip", &id, &[], &[(1, &first, "")]);
        assert_eq!(done.refusal(), (200, "InternalError"));
        assert_eq!((stored(&double).is_some(), double.uploads("media").is_empty()), (applied, applied));

        put(&double, "/staging/a", "bytes");
        let copied = ask(&double, "PUT", "/media/copy", &[("x-amz-copy-source", "staging/a")], "");
        assert_eq!(copied.refusal(), (200, "InternalError"));
        assert_eq!(double.object("media", "copy").is_some(), applied);
    }
}

#[test]
fn the_server_refuses_and_does_nothing() {
    for (fault, refusal) in [
        (Fault::Conflict, (409, "ConditionalRequestConflict")),
        (Fault::SlowDown, (503, "SlowDown")),
        (Fault::InternalError, (500, "InternalError")),
        (Fault::AccessDenied, (403, "AccessDenied")),
        (Fault::ExpiredToken, (400, "ExpiredToken")),
    ] {
        let double = open();
        double.always_all(fault);
        assert_eq!(told(create_only(&double, "bytes")).refusal(), refusal);
        assert_eq!(get(&double, "/media/clip").refusal(), refusal);
        assert_eq!(stored(&double), None);
        double.heal();
        assert_eq!(told(create_only(&double, "bytes")).status, 200);
    }
}

#[test]
fn a_body_is_cut() {
    let double = open();
    put(&double, "/media/clip", "0123456789");
    double.inject(Op::GetObject, 0, Fault::CutAfter(4));
    let Answer::Cut(response, 4) = double.answer(request("GET", "/media/clip", &[], "")) else { panic!("not cut") };
    assert_eq!((response.status().as_u16(), &response.headers()["content-length"]), (200, &"10".parse().unwrap()));
    assert_eq!(double.bytes_out(), 4);
}

#[test]
fn a_plan_says_what_goes_wrong_and_may_look_around() {
    let double = open();
    let watched = double.clone();
    double.fail(move |request| {
        let exists = watched.object(&request.bucket, &request.key).is_some();
        (request.op == Op::PutObject && exists).then_some(Fault::Conflict)
    });
    assert_eq!(told(create_only(&double, "first")).status, 200);
    assert_eq!(told(create_only(&double, "second")).status, 409);
}

#[test]
fn the_log_can_begin_anew() {
    let double = open();
    put(&double, "/media/clip", "bytes");
    double.clear_log();
    assert_eq!((double.requests(Op::PutObject), double.bytes_in(), double.log().len()), (0, 0, 0));
    get(&double, "/media/clip");
    assert_eq!((double.bytes_out(), double.log()[0].number), (5, 1));
}
