//! What a server says and does not do.

use distribution_testkit::s3::{Algorithm, Fault, Op, S3Double};

use crate::client::{Headers, ask, get, open, put, request, told};
use crate::multipart::{complete, two_parts};

const CREATE_ONLY: Headers<'_> = &[("if-none-match", "*")];

/// Creates `clip` where something is, in each of the three ways. Who was told that it did?
fn overwritten(double: &S3Double) -> [bool; 3] {
    put(double, "/staging/a", "copied");
    put(double, "/media/clip", "first");
    let by_put = ask(double, "PUT", "/media/clip", CREATE_ONLY, "put").status == 200;
    let (id, [first, _]) = two_parts(double, "clip");
    let by_parts = complete(double, "clip", &id, CREATE_ONLY, &[(1, &first, "")]).status == 200;
    let copy = [CREATE_ONLY, &[("x-amz-copy-source", "staging/a")]].concat();
    let by_copy = ask(double, "PUT", "/media/clip", &copy, "").status == 200;
    [by_put, by_parts, by_copy]
}

#[test]
fn conditions_are_ignored_by_one_road_and_not_by_others() {
    assert_eq!(overwritten(&open()), [false; 3]);
    for (n, op) in [Op::PutObject, Op::CompleteMultipartUpload, Op::CopyObject].into_iter().enumerate() {
        let double = open();
        // The first put makes the object.
        double.always(op, Fault::IgnoredIfNoneMatch);
        assert_eq!(overwritten(&double), [n == 0, n == 1, n == 2]);
    }
}

#[test]
fn a_racy_check_is_right_for_one_and_wrong_for_two_at_once() {
    let put = |double: &S3Double, body| double.begin(request("PUT", "/media/clip", CREATE_ONLY, body));
    for racy in [false, true] {
        let double = open();
        if racy {
            double.always(Op::PutObject, Fault::RacyConditions);
        }
        let (first, second) = (put(&double, "first"), put(&double, "second"));
        assert_eq!(first.is_racy(), racy);
        let statuses = [told(second.finish()).status, told(first.finish()).status];
        assert_eq!(statuses, if racy { [200, 200] } else { [200, 412] });
        assert_eq!(get(&double, "/media/clip").text(), if racy { "first" } else { "second" });
        // Nobody else is there: the check holds.
        assert_eq!(told(put(&double, "third").finish()).status, 412);
    }
}

#[test]
fn checksums_are_not_what_they_seem() {
    let wrong = Algorithm::Sha256.of(b"other bytes");
    let head = |double: &S3Double| {
        let told = ask(double, "HEAD", "/media/clip", &[("x-amz-checksum-mode", "ENABLED")], "");
        (told.header("x-amz-checksum-sha256").to_owned(), told.header("x-amz-checksum-type").to_owned())
    };
    let sent = |double: &S3Double, value: &str| {
        ask(double, "PUT", "/media/clip", &[("x-amz-checksum-sha256", value)], "bytes").status
    };
    let double = open();
    double.inject(Op::PutObject, 0, Fault::ChecksumUnchecked);
    assert_eq!((sent(&double, &wrong), head(&double)), (200, (String::new(), String::new())));
    double.inject(Op::PutObject, 0, Fault::ChecksumEchoed);
    assert_eq!((sent(&double, &wrong), head(&double)), (200, (wrong.clone(), "FULL_OBJECT".to_owned())));
    double.inject(Op::PutObject, 0, Fault::ChecksumComposite);
    assert_eq!(sent(&double, &Algorithm::Sha256.of(b"bytes")), 200);
    let (value, kind) = head(&double);
    assert!(value.ends_with("-1") && kind == "COMPOSITE", "{value} {kind}");

    let double = open();
    double.inject(Op::PutObject, 0, Fault::RefusedButStored);
    assert_eq!(sent(&double, &wrong), 400);
    assert_eq!(get(&double, "/media/clip").text(), "bytes");
}

#[test]
fn reads_are_not_what_was_asked_for() {
    let double = open();
    put(&double, "/media/clip", "0123456789");
    double.inject(Op::GetObject, 0, Fault::IgnoredRange);
    let ranged = ask(&double, "GET", "/media/clip", &[("range", "bytes=2-3")], "");
    assert_eq!((ranged.status, ranged.text(), ranged.header("content-range")), (200, "0123456789", ""));
    double.inject(Op::GetObject, 0, Fault::IgnoredIfMatch);
    assert_eq!(ask(&double, "GET", "/media/clip", &[("if-match", "\"other\"")], "").status, 200);
    assert_eq!(ask(&double, "GET", "/media/clip", &[("if-match", "\"other\"")], "").status, 412);

    double.inject(Op::GetObject, 0, Fault::StaleRead);
    double.inject(Op::HeadObject, 0, Fault::StaleRead);
    put(&double, "/media/new", "bytes");
    assert_eq!(ask(&double, "HEAD", "/media/new", &[], "").status, 404);
    assert_eq!(get(&double, "/media/new").status, 404);
    assert_eq!(get(&double, "/media/new").status, 200);
}

#[test]
fn what_is_deleted_is_still_there() {
    let double = open();
    put(&double, "/media/clip", "bytes");
    double.inject(Op::DeleteObject, 0, Fault::IgnoredDelete);
    for there in [true, false] {
        assert_eq!(ask(&double, "DELETE", "/media/clip", &[], "").status, 204);
        assert_eq!(double.object("media", "clip").is_some(), there);
    }
}

#[test]
fn what_an_object_is_stored_with_is_not_what_it_is_served_with() {
    let sent: [(&str, &str); 2] = [("content-type", "video/mp4"), ("x-amz-meta-sha256", "abc")];
    let served = |lie: Option<(Op, Fault)>| {
        let double = open();
        if let Some((op, fault)) = lie {
            double.inject(op, 0, fault);
        }
        assert_eq!(ask(&double, "PUT", "/media/clip", &sent, "bytes").status, 200);
        let got = get(&double, "/media/clip?response-content-type=video%2Fmp4");
        (got.header("content-type").to_owned(), got.header("x-amz-meta-sha256").to_owned())
    };
    let (right, other) = ("video/mp4".to_owned(), "binary/octet-stream".to_owned());
    assert_eq!(served(None), (right.clone(), "abc".to_owned()));
    assert_eq!(served(Some((Op::PutObject, Fault::DroppedMetadata))), (right, String::new()));
    assert_eq!(served(Some((Op::GetObject, Fault::OtherContentType))), (other, "abc".to_owned()));
}
