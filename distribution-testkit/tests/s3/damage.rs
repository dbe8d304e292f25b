//! Bytes that are not what was sent.

use distribution_testkit::s3::{Algorithm, Fault, Op};

use crate::client::{ask, get, open, put};
use crate::multipart::{complete, two_parts};

#[test]
fn one_bit_flips_on_the_way() {
    let double = open();
    put(&double, "/media/clip", "0123456789");
    double.inject(Op::GetObject, 0, Fault::FlippedBit);
    assert_eq!(get(&double, "/media/clip").text(), "0123446789");
    assert_eq!(get(&double, "/media/clip").text(), "0123456789");
}

#[test]
fn other_bytes_are_stored_than_were_sent() {
    let sha256 = Algorithm::Sha256.of(b"0123456789");
    for (fault, expected) in [
        (Fault::StoredFlipped, &b"0123446789"[..]),
        (Fault::StoredTruncated, b"01234"),
        (Fault::StoredSwapped, &b"0123456789".map(|byte| !byte)),
    ] {
        let double = open();
        double.always(Op::PutObject, fault);
        let sent = ask(&double, "PUT", "/media/clip", &[("x-amz-checksum-sha256", &sha256)], "0123456789");
        assert_eq!(sent.status, 200);
        let object = double.object("media", "clip").unwrap();
        assert_eq!((&*object.bytes, &*object.etag), (expected, sent.header("etag")));
        let told = ask(&double, "HEAD", "/media/clip", &[("x-amz-checksum-mode", "ENABLED")], "");
        assert_eq!(told.header("x-amz-checksum-sha256"), sha256, "the checksum is that of what was sent");
    }
}

#[test]
fn a_completed_upload_is_damaged_too() {
    let double = open();
    double.always(Op::CompleteMultipartUpload, Fault::StoredFlipped);
    let (id, [first, second]) = two_parts(&double, "clip");
    assert_eq!(complete(&double, "clip", &id, &[], &[(1, &first, ""), (7, &second, "")]).status, 200);
    assert_eq!(get(&double, "/media/clip").text(), "012245");
}

#[test]
fn an_object_rots_or_is_replaced() {
    let double = open();
    let etag = put(&double, "/media/clip", "0123456789").header("etag").to_owned();
    assert!(double.damage("media", "clip", |object| object.bytes = object.bytes.slice(..3)));
    let read = || ask(&double, "GET", "/media/clip", &[("if-match", &etag)], "");
    assert_eq!(read().text(), "012", "no ETag tells of rot");
    double.damage("media", "clip", |object| object.etag = "\"another\"".to_owned());
    assert_eq!(read().status, 412);
    assert!(!double.damage("media", "none", |_| ()));

    assert!(double.plant("media", "clip", "other file") && !double.plant("none", "clip", ""));
    let told = get(&double, "/media/clip");
    assert_eq!((told.text(), told.header("content-type")), ("other file", "binary/octet-stream"));
    assert_eq!(told.header("etag"), put(&double, "/media/same", "other file").header("etag"));
}
