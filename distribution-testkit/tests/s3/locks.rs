//! Object Lock: versions, and legal holds on them.

use data_encoding::BASE64;
use distribution_testkit::s3::{Fault, Op, S3Double};
use md5::{Digest as _, Md5};

use crate::client::{Told, ask, open, put};

const HOLD: &str = "x-amz-object-lock-legal-hold";
const VERSION: &str = "x-amz-version-id";

fn locking() -> S3Double {
    let double = open();
    double.create_locking_bucket("vault");
    double
}

fn body(status: &str) -> String {
    format!("<LegalHold xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>{status}</Status></LegalHold>")
}

fn hold(double: &S3Double, path: &str, status: &str) -> Told {
    let body = body(status);
    let md5 = BASE64.encode(&Md5::digest(body.as_bytes()));
    ask(double, "PUT", path, &[("content-md5", &md5)], &body)
}

fn told(double: &S3Double, path: &str) -> (String, String) {
    let head = ask(double, "HEAD", path, &[], "");
    (head.header(HOLD).to_owned(), head.header(VERSION).to_owned())
}

#[test]
fn what_is_under_a_legal_hold_is_not_destroyed() {
    let double = locking();
    put(&double, "/vault/clip", "bytes");
    let (none, version) = told(&double, "/vault/clip");
    assert_eq!((none.as_str(), version.is_empty()), ("", false));
    let destroy = format!("/vault/clip?versionId={version}");
    for (status, deleted) in [("ON", 403), ("OFF", 204)] {
        assert_eq!(hold(&double, "/vault/clip?legal-hold", status).status, 200);
        assert_eq!(told(&double, "/vault/clip"), (status.to_owned(), version.clone()));
        assert_eq!(ask(&double, "DELETE", &destroy, &[], "").status, deleted);
    }
    assert_eq!((double.keys("vault").len(), double.hidden("vault").len()), (0, 0));
    assert_eq!(ask(&double, "DELETE", &destroy, &[], "").status, 204, "once more");
}

#[test]
fn what_is_deleted_or_replaced_stays_as_a_version() {
    let double = locking();
    put(&double, "/vault/clip", "one");
    let (_, one) = told(&double, "/vault/clip");
    assert_eq!(hold(&double, "/vault/clip?legal-hold", "ON").status, 200);
    put(&double, "/vault/clip", "two");
    let (none, two) = told(&double, "/vault/clip");
    assert!(none.is_empty() && two != one, "a hold is on one version");
    assert_eq!(ask(&double, "DELETE", "/vault/clip", &[], "").status, 204);
    assert_eq!(ask(&double, "HEAD", "/vault/clip", &[], "").status, 404);
    let hidden: Vec<_> = double.hidden("vault").into_iter().map(|(key, object)| (key, object.bytes)).collect();
    assert_eq!(hidden, [("clip".to_owned(), "one".into()), ("clip".to_owned(), "two".into())]);
    assert_eq!(ask(&double, "PUT", "/vault/clip", &[("if-none-match", "*")], "three").status, 200, "nothing is seen");

    let path = |version: &str| format!("/vault/clip?versionId={version}");
    assert_eq!(ask(&double, "DELETE", &path(&one), &[], "").refusal(), (403, "AccessDenied"));
    assert_eq!(ask(&double, "DELETE", &path(&two), &[], "").status, 204);
    assert_eq!(hold(&double, &format!("/vault/clip?legal-hold&versionId={one}"), "OFF").status, 200);
    assert_eq!(ask(&double, "DELETE", &path(&one), &[], "").status, 204);
    assert_eq!((double.hidden("vault").len(), double.keys("vault").len()), (0, 1));

    // A copy is a version of its own, and a bucket without them keeps nothing.
    assert_eq!(hold(&double, "/vault/clip?legal-hold", "ON").status, 200);
    assert_eq!(ask(&double, "PUT", "/vault/copy", &[("x-amz-copy-source", "vault/clip")], "").status, 200);
    assert_eq!(told(&double, "/vault/copy").0, "");
    put(&double, "/media/clip", "one");
    assert_eq!(ask(&double, "DELETE", "/media/clip", &[], "").status, 204);
    assert_eq!(double.hidden("media").len(), 0);
}

#[test]
fn a_legal_hold_that_cannot_be_set_is_refused() {
    let double = locking();
    for path in ["/vault/clip", "/media/clip"] {
        put(&double, path, "bytes");
    }
    assert_eq!(hold(&double, "/media/clip?legal-hold", "ON").refusal(), (400, "InvalidRequest"));
    assert_eq!(hold(&double, "/vault/none?legal-hold", "ON").refusal(), (404, "NoSuchKey"));
    assert_eq!(hold(&double, "/vault/clip?legal-hold&versionId=none", "ON").refusal(), (404, "NoSuchKey"));
    assert_eq!(hold(&double, "/vault/clip?legal-hold", "on").refusal(), (400, "MalformedXML"));
    let without = ask(&double, "PUT", "/vault/clip?legal-hold", &[], &body("ON"));
    assert_eq!(without.refusal(), (400, "InvalidRequest"), "it asks for a checksum");
    let wrong = [("x-amz-checksum-crc32", "AAAAAA==")];
    assert_eq!(ask(&double, "PUT", "/vault/clip?legal-hold", &wrong, &body("ON")).refusal(), (400, "BadDigest"));
    assert_eq!(told(&double, "/vault/clip").0, "");
    let get = ask(&double, "GET", "/vault/clip?versionId=1", &[], "");
    assert_eq!(get.refusal(), (501, "NotImplemented"), "nothing is left out in silence");
}

#[test]
fn a_service_can_be_had_that_only_says_that_it_holds() {
    let double = locking();
    put(&double, "/vault/clip", "bytes");
    double.inject(Op::PutObjectLegalHold, 0, Fault::ForgottenLegalHold);
    assert_eq!(hold(&double, "/vault/clip?legal-hold", "ON").status, 200);
    let (none, version) = told(&double, "/vault/clip");
    assert_eq!(none, "");
    assert_eq!(hold(&double, "/vault/clip?legal-hold", "ON").status, 200);
    double.inject(Op::DeleteObject, 0, Fault::IgnoredLegalHold);
    assert_eq!(ask(&double, "DELETE", &format!("/vault/clip?versionId={version}"), &[], "").status, 204);
    assert_eq!((double.keys("vault").len(), double.hidden("vault").len()), (0, 0));
}
