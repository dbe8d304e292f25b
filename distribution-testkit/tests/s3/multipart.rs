//! Multipart uploads.

use data_encoding::BASE64;
use distribution_testkit::s3::{Algorithm, Fault, Op, S3Double};
use sha2::{Digest as _, Sha256};

use crate::client::{Headers, Told, ask, get, open, put};

/// The id of a new upload.
pub(crate) fn create(double: &S3Double, key: &str, headers: Headers<'_>) -> String {
    let told = ask(double, "POST", &format!("/media/{key}?uploads"), headers, "");
    assert_eq!((told.status, told.element("Key")), (200, key), "{told:?}");
    told.element("UploadId").to_owned()
}

pub(crate) fn part(double: &S3Double, key: &str, id: &str, number: usize, headers: Headers<'_>, body: &str) -> Told {
    ask(double, "PUT", &format!("/media/{key}?partNumber={number}&uploadId={id}"), headers, body)
}

/// The completion with these parts, each with further elements.
pub(crate) fn complete(
    double: &S3Double,
    key: &str,
    id: &str,
    headers: Headers<'_>,
    parts: &[(usize, &str, &str)],
) -> Told {
    let parts = parts.iter().map(|(number, etag, more)| {
        format!("<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag>{more}</Part>", etag.replace('"', "&quot;"))
    });
    let body = format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", parts.collect::<String>());
    ask(double, "POST", &format!("/media/{key}?uploadId={id}"), headers, &body)
}

/// An upload of two parts, and their ETags.
pub(crate) fn two_parts(double: &S3Double, key: &str) -> (String, [String; 2]) {
    let id = create(double, key, &[("content-type", "video/mp4"), ("x-amz-meta-a", "b")]);
    let etags =
        [(1, "0123"), (7, "45")].map(|(n, body)| part(double, key, &id, n, &[], body).header("etag").to_owned());
    (id, etags)
}

#[test]
fn parts_become_an_object_at_once() {
    let double = open();
    let (id, [first, second]) = two_parts(&double, "clip");
    assert_eq!(get(&double, "/media/clip").status, 404);
    let told = complete(&double, "clip", &id, &[], &[(1, &first, ""), (7, &second, "")]);
    assert_eq!((told.status, told.element("ETag")), (200, "&quot;95a1ece4976954855fbe6e74c5055ed7-2&quot;"));

    let object = double.object("media", "clip").unwrap();
    assert_eq!((&*object.bytes, &*object.headers["content-type"]), (&b"012345"[..], "video/mp4"));
    assert_eq!((object.metadata["a"].as_str(), double.uploads("media").len()), ("b", 0));
    assert_eq!((double.bytes_in(), double.bytes_out()), (6, 0));
}

#[test]
fn a_completion_names_the_parts_that_are_there() {
    let double = open();
    let (id, [first, second]) = two_parts(&double, "clip");
    for (parts, code) in [
        (vec![], "MalformedXML"),
        (vec![(7, &*second, ""), (1, &*first, "")], "InvalidPartOrder"),
        (vec![(1, &*first, ""), (1, &*first, "")], "InvalidPart"),
        (vec![(1, &*second, "")], "InvalidPart"),
        (vec![(1, "*", "")], "InvalidPart"),
        (vec![(2, &*first, "")], "InvalidPart"),
    ] {
        assert_eq!(complete(&double, "clip", &id, &[], &parts).refusal(), (400, code), "{parts:?}");
    }
    let short = part(&double, "clip", &id, 1, &[], "012").header("etag").to_owned();
    let parts = [(1, &*short, ""), (7, &*second, "")];
    assert_eq!(complete(&double, "clip", &id, &[], &parts).refusal(), (400, "EntityTooSmall"));
    let size = [("x-amz-mp-object-size", "3")];
    assert_eq!(complete(&double, "clip", &id, &size, &[(7, &second, "")]).refusal(), (400, "InvalidRequest"));
    for number in ["0", "10001", "x"] {
        let path = format!("/media/clip?partNumber={number}&uploadId={id}");
        assert_eq!(ask(&double, "PUT", &path, &[], "x").refusal(), (400, "InvalidArgument"));
    }
    assert_eq!((double.keys("media").len(), double.uploads("media").len()), (0, 1));
    // One part may be short, and one may be left out.
    assert_eq!(complete(&double, "clip", &id, &[], &[(7, &second, "")]).status, 200);
    assert_eq!(get(&double, "/media/clip").text(), "45");
}

#[test]
fn a_completion_is_conditional_and_can_be_repeated() {
    let double = open();
    let (id, [first, second]) = two_parts(&double, "clip");
    let parts = [(1, &*first, ""), (7, &*second, "")];
    put(&double, "/media/clip", "another");
    let create_only = [("if-none-match", "*")];
    assert_eq!(complete(&double, "clip", &id, &create_only, &parts).refusal(), (412, "PreconditionFailed"));
    assert_eq!(double.uploads("media").len(), 1, "the upload is still there");
    ask(&double, "DELETE", "/media/clip", &[], "");
    assert_eq!(complete(&double, "clip", &id, &create_only, &parts).status, 200);

    assert_eq!(complete(&double, "clip", &id, &create_only, &parts).status, 412);
    assert_eq!(complete(&double, "clip", &id, &[], &parts).status, 200);
    double.always(Op::CompleteMultipartUpload, Fault::ForgottenUpload);
    assert_eq!(complete(&double, "clip", &id, &[], &parts).refusal(), (404, "NoSuchUpload"));
    assert_eq!(part(&double, "clip", &id, 1, &[], "x").refusal(), (404, "NoSuchUpload"));
}

#[test]
fn an_abort_leaves_nothing() {
    let double = open();
    let (id, [first, _]) = two_parts(&double, "clip");
    let path = format!("/media/clip?uploadId={id}");
    assert_eq!(ask(&double, "DELETE", &format!("/media/other?uploadId={id}"), &[], "").status, 404);
    assert_eq!(ask(&double, "DELETE", &path, &[], "").status, 204);
    assert_eq!(ask(&double, "DELETE", &path, &[], "").refusal(), (404, "NoSuchUpload"));
    assert_eq!(complete(&double, "clip", &id, &[], &[(1, &first, "")]).refusal(), (404, "NoSuchUpload"));
    assert!(double.uploads("media").is_empty() && double.keys("media").is_empty());
}

#[test]
fn a_sha256_of_parts_is_never_that_of_the_object() {
    let double = open();
    let algorithm = ("x-amz-checksum-algorithm", "SHA256");
    let full = ask(&double, "POST", "/media/clip?uploads", &[algorithm, ("x-amz-checksum-type", "FULL_OBJECT")], "");
    assert_eq!(full.refusal(), (400, "InvalidRequest"));

    let id = create(&double, "clip", &[algorithm]);
    let sha256 = BASE64.encode(&Sha256::digest("0123"));
    assert_eq!(part(&double, "clip", &id, 1, &[], "0123").refusal(), (400, "InvalidRequest"));
    assert_eq!(part(&double, "clip", &id, 1, &[("x-amz-checksum-sha256", &sha256)], "0124").refusal().1, "BadDigest");
    let told = part(&double, "clip", &id, 1, &[("x-amz-checksum-sha256", &sha256)], "0123");
    let etag = told.header("etag");
    assert_eq!(complete(&double, "clip", &id, &[], &[(1, etag, "")]).refusal(), (400, "InvalidRequest"));
    let wrong = "<ChecksumSHA256>x</ChecksumSHA256>";
    assert_eq!(complete(&double, "clip", &id, &[], &[(1, etag, wrong)]).refusal(), (400, "InvalidPart"));
    let right = format!("<ChecksumSHA256>{sha256}</ChecksumSHA256>");
    let done = complete(&double, "clip", &id, &[], &[(1, etag, &right)]);
    let of_parts = format!("{}-1", BASE64.encode(&Sha256::digest(Sha256::digest("0123"))));
    assert_eq!((done.element("ChecksumSHA256"), done.element("ChecksumType")), (&*of_parts, "COMPOSITE"));
}

#[test]
fn a_crc_can_be_that_of_the_object() {
    let double = open();
    let id = create(&double, "clip", &[("x-amz-checksum-algorithm", "CRC64NVME")]);
    let etags = [(1, "01234"), (2, "56789")].map(|(n, body)| {
        let told = part(&double, "clip", &id, n, &[], body);
        assert_eq!(told.header("x-amz-checksum-crc64nvme"), Algorithm::Crc64Nvme.of(body.as_bytes()));
        told.header("etag").to_owned()
    });
    let parts = [(1, &*etags[0], ""), (2, &*etags[1], "")];
    let wrong = [("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=")];
    assert_eq!(complete(&double, "clip", &id, &wrong, &parts).refusal(), (400, "BadDigest"));
    let done = complete(&double, "clip", &id, &[], &parts);
    assert_eq!(done.element("ChecksumCRC64NVME"), Algorithm::Crc64Nvme.of(b"0123456789"));
    assert_eq!(done.element("ChecksumType"), "FULL_OBJECT");

    let plain = create(&double, "plain", &[]);
    let sha256 = Algorithm::Sha256.of(b"x");
    let undeclared = part(&double, "plain", &plain, 1, &[("x-amz-checksum-sha256", &sha256)], "x");
    assert_eq!(undeclared.refusal(), (400, "InvalidRequest"));
}
