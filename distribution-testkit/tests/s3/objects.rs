//! PutObject, GetObject, HeadObject, DeleteObject(s).

use data_encoding::BASE64;
use distribution_testkit::s3::{Algorithm, Op};
use md5::Md5;
use sha2::{Digest as _, Sha256};

use crate::client::{ask, get, open, put};

#[test]
fn an_object_comes_back_as_it_was_put() {
    let double = open();
    let headers = [
        ("content-type", "video/mp4"),
        ("content-disposition", "attachment; filename=\"a.mp4\""),
        ("cache-control", "immutable"),
        ("x-amz-meta-sha256", "abc"),
        ("x-amz-meta-Audit", "dist_1"),
    ];
    let stored = ask(&double, "PUT", "/media/mvp/a%20%2B%C3%BC.mp4", &headers, "bytes");
    assert_eq!((stored.status, stored.header("etag")), (200, "\"4b3a6218bb3e3a7303e8a171a60fcf92\""));
    assert_eq!(double.keys("media"), ["mvp/a +ü.mp4"]);

    let told = get(&double, "/media/mvp/a%20%2B%C3%BC.mp4");
    assert_eq!((told.status, told.text()), (200, "bytes"));
    for (name, value) in headers {
        assert_eq!(told.header(name), value);
    }
    assert_eq!(told.header("last-modified"), "Thu, 01 Jan 2026 00:00:00 GMT");
    let head = ask(&double, "HEAD", "/media/mvp/a%20%2B%C3%BC.mp4", &[], "");
    assert_eq!((head.status, head.header("content-length"), head.text()), (200, "5", ""));
    // The same bucket under a host of its own.
    let hosted = ask(&double, "GET", "/mvp/a%20%2B%C3%BC.mp4", &[("host", "media.localhost:9000")], "");
    assert_eq!(hosted.text(), "bytes");
    assert_eq!((double.bytes_in(), double.bytes_out()), (5, 10));
}

#[test]
fn what_is_not_there_is_named() {
    let double = open();
    assert_eq!(get(&double, "/media/none").refusal(), (404, "NoSuchKey"));
    assert_eq!(get(&double, "/none/none").refusal(), (404, "NoSuchBucket"));
    assert_eq!(ask(&double, "PUT", "/none/none", &[], "x").refusal(), (404, "NoSuchBucket"));
    let head = ask(&double, "HEAD", "/media/none", &[], "");
    assert_eq!((head.status, head.text()), (404, ""));
    assert_eq!(ask(&double, "HEAD", "/media", &[], "").status, 200);
    assert_eq!(ask(&double, "HEAD", "/none", &[], "").status, 404);
    assert_eq!(ask(&double, "PUT", "/fresh", &[], "").status, 200);
    assert_eq!(ask(&double, "PUT", "/fresh", &[], "").refusal(), (409, "BucketAlreadyOwnedByYou"));
}

#[test]
fn what_is_not_understood_is_refused() {
    let double = open();
    for (method, path, header) in [
        ("GET", "/media/clip?acl", ("accept", "*/*")),
        ("GET", "/media?versions", ("accept", "*/*")),
        ("PATCH", "/media/clip", ("accept", "*/*")),
        ("PUT", "/media/clip", ("x-amz-server-side-encryption", "AES256")),
        ("PUT", "/media/clip", ("x-amz-acl", "public-read")),
        ("PUT", "/media/clip", ("if-none-match", "\"abc\"")),
        ("GET", "/media/clip", ("if-modified-since", "Thu, 01 Jan 2026 00:00:00 GMT")),
    ] {
        let refused = ask(&double, method, path, &[header], "");
        assert_eq!(refused.refusal(), (501, "NotImplemented"), "{method} {path} {header:?}");
    }
    for (header, code) in [
        (("transfer-encoding", "chunked"), (411, "MissingContentLength")),
        (("content-length", "9"), (400, "IncompleteBody")),
        (("x-amz-meta-long", &*"x".repeat(2049)), (400, "MetadataTooLarge")),
    ] {
        assert_eq!(ask(&double, "PUT", "/media/clip", &[header], "bytes").refusal(), code);
    }
    let long = format!("/media/{}", "x".repeat(1025));
    assert_eq!(ask(&double, "PUT", &long, &[], "").refusal(), (400, "KeyTooLongError"));
    assert_eq!(ask(&double, "PUT", "/media/clip", &[], &"x".repeat(65)).refusal(), (400, "EntityTooLarge"));
    assert!(double.keys("media").is_empty());
}

#[test]
fn writes_have_conditions() {
    let double = open();
    let create = |body| ask(&double, "PUT", "/media/clip", &[("if-none-match", "*")], body);
    let etag = create("first").header("etag").to_owned();
    assert_eq!(create("second").refusal(), (412, "PreconditionFailed"));
    let replace = |path, etag: &str| ask(&double, "PUT", path, &[("if-match", etag)], "third").refusal().0;
    assert_eq!(replace("/media/clip", "\"other\""), 412);
    assert_eq!(replace("/media/none", &etag), 404);
    assert_eq!(get(&double, "/media/clip").text(), "first");
    assert_eq!(replace("/media/clip", &etag), 200);
    assert_eq!(get(&double, "/media/clip").text(), "third");
}

#[test]
fn reads_have_conditions_and_ranges() {
    let double = open();
    let etag = put(&double, "/media/clip", "0123456789").header("etag").to_owned();
    let read = |name: &str, value: &str| ask(&double, "GET", "/media/clip", &[(name, value)], "");
    assert_eq!(read("if-match", &etag).status, 200);
    assert_eq!(read("if-match", etag.trim_matches('"')).status, 200);
    assert_eq!(read("if-match", "\"other\"").refusal(), (412, "PreconditionFailed"));
    assert_eq!(read("if-none-match", &etag).status, 304);

    for (range, part, told) in [
        ("bytes=0-0", "0", "bytes 0-0/10"),
        ("bytes=3-5", "345", "bytes 3-5/10"),
        ("bytes=8-", "89", "bytes 8-9/10"),
        ("bytes=8-99", "89", "bytes 8-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=-99", "0123456789", "bytes 0-9/10"),
    ] {
        let answer = read("range", range);
        assert_eq!((answer.status, answer.text(), answer.header("content-range")), (206, part, told));
        let head = ask(&double, "HEAD", "/media/clip", &[("range", range)], "");
        assert_eq!((head.status, head.header("content-length")), (206, &*part.len().to_string()));
    }
    for range in ["bytes=10-", "bytes=-0", "bytes=10-11"] {
        let answer = read("range", range);
        assert_eq!(answer.refusal(), (416, "InvalidRange"), "{range}");
        assert_eq!(answer.header("content-range"), "bytes */10");
    }
    for range in ["bytes=5-3", "bytes=a-b", "bytes=0-1,3-4", "lines=1-2", "bytes=--3"] {
        assert_eq!(read("range", range).text(), "0123456789", "{range}");
    }
    put(&double, "/media/empty", "");
    assert_eq!(ask(&double, "GET", "/media/empty", &[("range", "bytes=0-")], "").status, 416);
}

#[test]
fn checksums_are_checked_and_told() {
    let double = open();
    let sha256 = BASE64.encode(&Sha256::digest("bytes"));
    let md5 = BASE64.encode(&Md5::digest("bytes"));
    let put = |headers: &[(&str, &str)], body: &str| ask(&double, "PUT", "/media/clip", headers, body);
    for header in [("x-amz-checksum-sha256", &*sha256), ("content-md5", &*md5)] {
        assert_eq!(put(&[header], "bytez").refusal(), (400, "BadDigest"));
    }
    assert_eq!(put(&[("content-md5", "x")], "bytes").refusal(), (400, "InvalidDigest"));
    assert_eq!(put(&[("x-amz-sdk-checksum-algorithm", "SHA256")], "bytes").refusal(), (400, "InvalidRequest"));
    let two = [("x-amz-checksum-sha256", &*sha256), ("x-amz-checksum-crc32", "AAAAAA==")];
    assert_eq!(put(&two, "bytes").refusal(), (400, "InvalidRequest"));
    assert!(double.keys("media").is_empty());

    let both =
        [("x-amz-checksum-sha256", &*sha256), ("x-amz-sdk-checksum-algorithm", "SHA256"), ("content-md5", &*md5)];
    assert_eq!(put(&both, "bytes").header("x-amz-checksum-sha256"), sha256);
    let head = |headers: &[(&str, &str)]| ask(&double, "HEAD", "/media/clip", headers, "");
    assert_eq!(head(&[]).header("x-amz-checksum-sha256"), "");
    let told = head(&[("x-amz-checksum-mode", "ENABLED")]);
    assert_eq!((told.header("x-amz-checksum-sha256"), told.header("x-amz-checksum-type")), (&*sha256, "FULL_OBJECT"));
}

#[test]
fn the_algorithms_are_the_known_ones() {
    // "check" in the catalogue of parametrised CRC algorithms: of the nine digits.
    for (algorithm, hex) in
        [(Algorithm::Crc32, "cbf43926"), (Algorithm::Crc32c, "e3069283"), (Algorithm::Crc64Nvme, "ae8b14860a799888")]
    {
        let expected = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
        assert_eq!(algorithm.of(b"123456789"), BASE64.encode(&expected), "{}", algorithm.name());
    }
}

#[test]
fn objects_are_deleted_one_by_one_or_together() {
    let double = open();
    let etag = put(&double, "/media/a", "x").header("etag").to_owned();
    for key in ["b", "c"] {
        put(&double, &format!("/media/{key}"), "x");
    }
    let delete = |headers: &[(&str, &str)]| ask(&double, "DELETE", "/media/a", headers, "").status;
    assert_eq!(delete(&[("if-match", "\"other\"")]), 412);
    assert_eq!(delete(&[("if-match", &etag)]), 204);
    assert_eq!(delete(&[]), 204, "what is gone is gone");

    let body = "<Delete><Object><Key>b</Key></Object><Object><Key>c</Key><ETag>other</ETag></Object></Delete>";
    let md5 = BASE64.encode(&Md5::digest(body));
    let path = "/media/?delete";
    assert_eq!(ask(&double, "POST", path, &[], body).refusal(), (400, "InvalidRequest"));
    let other = ask(&double, "POST", path, &[("content-md5", &md5)], &body.replace(">b<", ">c<"));
    assert_eq!(other.refusal(), (400, "BadDigest"));
    let told = ask(&double, "POST", path, &[("content-md5", &md5)], body);
    assert_eq!((told.element("Deleted"), told.element("Code")), ("<Key>b</Key>", "PreconditionFailed"));
    assert_eq!(double.keys("media"), ["c"]);
    let nonsense = BASE64.encode(&Md5::digest("<Delete>"));
    assert_eq!(ask(&double, "POST", path, &[("content-md5", &nonsense)], "<Delete>").refusal(), (400, "MalformedXML"));
    assert_eq!(double.requests(Op::DeleteObjects), 4);
}
