//! CopyObject and UploadPartCopy.

use distribution_testkit::s3::{Algorithm, Fault, Op, S3Double};

use crate::client::{Headers, Told, ask, get, open, put};
use crate::multipart::{complete, create, part};

fn staged() -> (S3Double, String) {
    let double = open();
    let headers = [("content-type", "video/mp4"), ("x-amz-meta-a", "b")];
    let told = ask(&double, "PUT", "/staging/a%20b.mp4", &headers, "0123456789");
    (double, told.header("etag").to_owned())
}

fn copy(double: &S3Double, headers: Headers<'_>) -> Told {
    let headers = [&[("x-amz-copy-source", "staging/a%20b.mp4")], headers].concat();
    ask(double, "PUT", "/media/clip", &headers, "")
}

#[test]
fn an_object_is_copied_between_buckets() {
    let (double, etag) = staged();
    let told = copy(&double, &[("x-amz-copy-source-if-match", &etag)]);
    assert_eq!((told.status, told.element("ETag").replace("&quot;", "\"")), (200, etag));
    let object = double.object("media", "clip").unwrap();
    assert_eq!((&*object.bytes, &*object.headers["content-type"]), (&b"0123456789"[..], "video/mp4"));
    assert_eq!(object.metadata["a"], "b");

    copy(&double, &[("x-amz-metadata-directive", "REPLACE"), ("content-type", "text/plain")]);
    let object = double.object("media", "clip").unwrap();
    assert_eq!((&*object.headers["content-type"], object.metadata.len()), ("text/plain", 0));
    assert_eq!((double.bytes_in(), double.bytes_out()), (10, 0), "no byte of the copies went over the wire");
}

#[test]
fn a_copy_has_conditions_on_both_sides() {
    let (double, _) = staged();
    let wrong = copy(&double, &[("x-amz-copy-source-if-match", "\"other\"")]);
    assert_eq!(wrong.refusal(), (412, "PreconditionFailed"));
    let create_only = [("if-none-match", "*")];
    assert_eq!(copy(&double, &create_only).status, 200);
    assert_eq!(copy(&double, &create_only).refusal(), (412, "PreconditionFailed"));

    let from = |source: &str| ask(&double, "PUT", "/media/other", &[("x-amz-copy-source", source)], "").refusal().0;
    for (source, status) in [
        ("/staging/a%20b.mp4", 200),
        ("staging/none", 404),
        ("none/none", 404),
        ("staging", 400),
        ("/media/other", 400),
        ("staging/a%20b.mp4?versionId=1", 501),
    ] {
        assert_eq!(from(source), status, "{source}");
    }
    double.damage("staging", "a b.mp4", |object| object.bytes = vec![0; 65].into());
    assert_eq!(copy(&double, &[]).refusal(), (400, "InvalidRequest"), "too large for one copy");
}

#[test]
fn the_checksum_of_a_copy_is_computed() {
    let (double, _) = staged();
    let asked = [("x-amz-checksum-algorithm", "SHA256")];
    let told = copy(&double, &asked);
    assert_eq!(told.element("ChecksumSHA256"), Algorithm::Sha256.of(b"0123456789"));
    assert_eq!(told.element("ChecksumType"), "FULL_OBJECT");
    // Also where the source's own says something else.
    let sha256 = Algorithm::Sha256.of(b"bytes");
    ask(&double, "PUT", "/staging/a%20b.mp4", &[("x-amz-checksum-sha256", &sha256)], "bytes");
    double.damage("staging", "a b.mp4", |object| object.bytes = "rot!!".into());
    assert_eq!(copy(&double, &[]).element("ChecksumSHA256"), Algorithm::Sha256.of(b"rot!!"));

    double.inject(Op::CopyObject, 0, Fault::ChecksumEchoed);
    assert_eq!(copy(&double, &asked).element("ChecksumSHA256"), sha256);
    double.inject(Op::CopyObject, 0, Fault::ChecksumUnchecked);
    assert_eq!(copy(&double, &asked).element("ChecksumSHA256"), "");
    double.inject(Op::CopyObject, 0, Fault::ChecksumComposite);
    let composite = copy(&double, &asked);
    assert!(composite.element("ChecksumSHA256").ends_with("-1"), "{composite:?}");
    let head = ask(&double, "HEAD", "/media/clip", &[("x-amz-checksum-mode", "ENABLED")], "");
    assert_eq!(head.header("x-amz-checksum-type"), "COMPOSITE");
}

#[test]
fn an_upload_is_filled_from_an_object() {
    let (double, etag) = staged();
    let id = create(&double, "clip", &[("content-type", "video/mp4")]);
    let fill = |number: usize, range: &str, etag: &str| {
        let source = ("x-amz-copy-source", "staging/a%20b.mp4");
        let headers = [source, ("x-amz-copy-source-if-match", etag), ("x-amz-copy-source-range", range)];
        part(&double, "clip", &id, number, &headers, "")
    };
    for range in ["bytes=4-10", "bytes=5-4", "bytes=4-", "4-5"] {
        assert_eq!(fill(1, range, &etag).refusal(), (400, "InvalidArgument"), "{range}");
    }
    assert_eq!(fill(1, "bytes=0-5", "\"other\"").refusal(), (412, "PreconditionFailed"));
    let parts = [(1, "bytes=0-5"), (2, "bytes=6-9")].map(|(n, range)| {
        let told = fill(n, range, &etag);
        (n, told.element("ETag").replace("&quot;", "\""))
    });
    let parts: Vec<_> = parts.iter().map(|(n, etag)| (*n, &**etag, "")).collect();
    assert_eq!(complete(&double, "clip", &id, &[("if-none-match", "*")], &parts).status, 200);
    assert_eq!(get(&double, "/media/clip").text(), "0123456789");
    assert_eq!((double.bytes_in(), double.requests(Op::UploadPartCopy)), (10, 7));
}

#[test]
fn a_server_may_ignore_what_pins_the_source() {
    let (double, _) = staged();
    double.always(Op::CopyObject, Fault::IgnoredSourceIfMatch);
    double.always(Op::UploadPartCopy, Fault::IgnoredSourceIfMatch);
    double.always(Op::UploadPartCopy, Fault::IgnoredRange);
    put(&double, "/staging/a%20b.mp4", "other file");
    let pin = ("x-amz-copy-source-if-match", "\"old\"");
    assert_eq!(copy(&double, &[pin]).status, 200);
    let id = create(&double, "clip", &[]);
    let source = ("x-amz-copy-source", "staging/a%20b.mp4");
    let told = part(&double, "clip", &id, 1, &[source, pin, ("x-amz-copy-source-range", "bytes=0-1")], "");
    assert_eq!(told.status, 200);
    assert_eq!(double.uploads("media")[0].parts[&1].bytes, "other file");
}
