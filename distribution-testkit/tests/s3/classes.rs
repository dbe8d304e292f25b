//! Storage classes, and what must be restored before it can be read.

use chrono::TimeDelta;
use distribution_testkit::s3::S3Double;

use crate::client::{ask, get, open, put};

const CLASS: &str = "x-amz-storage-class";

fn class(double: &S3Double, path: &str) -> String {
    ask(double, "HEAD", path, &[], "").header(CLASS).to_owned()
}

#[test]
fn a_class_is_kept_and_told_unless_it_is_the_usual_one() {
    let double = open();
    for (asked, told) in [("STANDARD", ""), ("STANDARD_IA", "STANDARD_IA"), ("GLACIER", "GLACIER")] {
        assert_eq!(ask(&double, "PUT", "/media/clip", &[(CLASS, asked)], "bytes").status, 200);
        assert_eq!(class(&double, "/media/clip"), told);
        let list = get(&double, "/media?list-type=2");
        assert_eq!(list.element("StorageClass"), asked);
    }
    let made = ask(&double, "POST", "/media/upload?uploads", &[(CLASS, "ONEZONE_IA")], "");
    let id = made.element("UploadId").to_owned();
    let part = ask(&double, "PUT", &format!("/media/upload?partNumber=1&uploadId={id}"), &[], "bytes");
    let part = format!("<Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part>", part.header("etag"));
    let body = format!("<CompleteMultipartUpload>{part}</CompleteMultipartUpload>");
    assert_eq!(ask(&double, "POST", &format!("/media/upload?uploadId={id}"), &[], &body).status, 200);
    assert_eq!(class(&double, "/media/upload"), "ONEZONE_IA");
}

#[test]
fn a_copy_has_the_class_that_it_asks_for_and_not_that_of_its_source() {
    let double = open();
    put(&double, "/media/clip", "bytes");
    assert!(double.transition("media", "clip", "GLACIER_IR"));
    for directive in ["COPY", "REPLACE"] {
        let headers = [("x-amz-copy-source", "media/clip"), ("x-amz-metadata-directive", directive)];
        assert_eq!(ask(&double, "PUT", "/media/copy", &headers, "").status, 200);
        assert_eq!(class(&double, "/media/copy"), "");
        let headers = [headers[0], headers[1], (CLASS, "STANDARD_IA")];
        assert_eq!(ask(&double, "PUT", "/media/copy", &headers, "").status, 200);
        assert_eq!(class(&double, "/media/copy"), "STANDARD_IA");
    }
}

#[test]
fn a_class_that_there_is_not_is_refused() {
    let double = open();
    put(&double, "/media/clip", "bytes");
    for unknown in ["NONSENSE", "standard_ia", "EXPRESS_ONEZONE", ""] {
        for (method, path) in [("PUT", "/media/a"), ("POST", "/media/a?uploads")] {
            let refused = ask(&double, method, path, &[(CLASS, unknown)], "");
            assert_eq!(refused.refusal(), (400, "InvalidStorageClass"), "{method} {unknown}");
        }
        let copy = ask(&double, "PUT", "/media/a", &[(CLASS, unknown), ("x-amz-copy-source", "media/clip")], "");
        assert_eq!(copy.refusal(), (400, "InvalidStorageClass"));
        assert!(!double.transition("media", "clip", unknown));
    }
    assert_eq!((double.keys("media"), double.uploads("media").len()), (vec!["clip".to_owned()], 0));
}

#[test]
fn what_is_archived_is_told_but_not_read_until_it_is_restored() {
    let double = open();
    put(&double, "/media/clip", "bytes");
    let before = double.object("media", "clip").unwrap();
    let upload = ask(&double, "POST", "/media/copy?uploads", &[], "").element("UploadId").to_owned();
    let part = format!("/media/copy?partNumber=1&uploadId={upload}");
    let copied = |path: &str| ask(&double, "PUT", path, &[("x-amz-copy-source", "media/clip")], "");
    for archive in ["GLACIER", "DEEP_ARCHIVE"] {
        assert!(double.transition("media", "clip", archive));
        let head = ask(&double, "HEAD", "/media/clip", &[], "");
        assert_eq!((head.status, head.header(CLASS), head.header("content-length")), (200, archive, "5"));
        assert_eq!((head.header("etag"), head.header("x-amz-restore")), (&*before.etag, ""));
        for headers in [&[][..], &[("range", "bytes=0-1")]] {
            let refused = ask(&double, "GET", "/media/clip", headers, "");
            assert_eq!(refused.refusal(), (403, "InvalidObjectState"));
            assert_eq!(refused.element("StorageClass"), archive);
        }
        assert_eq!(copied("/media/copy").refusal(), (403, "ObjectNotInActiveTierError"));
        assert_eq!(copied(&part).refusal(), (403, "InvalidObjectState"));

        assert!(double.restore("media", "clip", double.now() + TimeDelta::days(1)));
        let told = get(&double, "/media/clip");
        assert_eq!((told.text(), told.header(CLASS)), ("bytes", archive));
        let restored = "ongoing-request=\"false\", expiry-date=\"Fri, 02 Jan 2026 00:00:00 GMT\"";
        assert_eq!(told.header("x-amz-restore"), restored);
        assert_eq!((copied("/media/copy").status, copied(&part).status), (200, 200));
        assert_eq!(
            (class(&double, "/media/copy"), get(&double, "/media/copy").header("x-amz-restore")),
            (String::new(), "")
        );
    }
    assert!(double.transition("media", "clip", "STANDARD"));
    assert_eq!(double.object("media", "clip").unwrap(), before);
    assert!(!double.restore("media", "clip", double.now()) && !double.restore("media", "none", double.now()));
    assert!(!double.transition("media", "none", "GLACIER"));
}

#[test]
fn what_is_tiered_by_use_is_archived_in_some_tiers() {
    let double = open();
    put(&double, "/media/clip", "bytes");
    assert!(double.transition("media", "clip", "INTELLIGENT_TIERING"));
    assert_eq!(get(&double, "/media/clip").text(), "bytes");
    let tier = ("x-amz-archive-status".to_owned(), "ARCHIVE_ACCESS".to_owned());
    double.damage("media", "clip", |object| object.headers.extend([tier]));
    assert_eq!(get(&double, "/media/clip").refusal(), (403, "InvalidObjectState"));
    assert_eq!(ask(&double, "HEAD", "/media/clip", &[], "").header("x-amz-archive-status"), "ARCHIVE_ACCESS");
}
