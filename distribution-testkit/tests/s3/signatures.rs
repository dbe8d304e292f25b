//! Who may do what, and until when.

use chrono::TimeDelta;
use distribution_core::Timestamp;
use distribution_testkit::s3::{Credentials, Fault, Op, S3Double};

use crate::client::{Headers, Signer, Told, ask, get, request, sha256_hex, told};

const ID: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

fn double() -> S3Double {
    let double = S3Double::new([Credentials::new(ID, SECRET)]);
    double.create_bucket("media");
    double
}

fn signer(double: &S3Double) -> Signer<'static> {
    Signer { id: ID, secret: SECRET, region: "us-east-1", at: double.now() }
}

fn put(double: &S3Double, signer: &Signer<'_>, headers: Headers<'_>) -> Told {
    told(double.answer(signer.signed("PUT", "/media/clip", headers, "bytes")))
}

/// The examples of "Signature Calculations for the Authorization Header" and "Authenticating Requests:
/// Using Query Parameters" in the API reference.
#[test]
fn the_examples_of_the_reference() {
    let double = double();
    double.create_bucket("examplebucket");
    double.set_time("2013-05-24T00:00:00Z".parse().unwrap());
    let scope = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request";
    let sign = |headers: &str, signature: &str| {
        format!("AWS4-HMAC-SHA256 Credential={scope},SignedHeaders={headers},Signature={signature}")
    };
    let empty = sha256_hex(b"");
    let base = [("host", "examplebucket.s3.amazonaws.com"), ("x-amz-date", "20130524T000000Z")];

    let hash = sha256_hex(b"Welcome to Amazon S3.");
    let authorization = sign(
        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    );
    let headers = [
        &base[..],
        &[
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("x-amz-content-sha256", &*hash),
            ("authorization", &*authorization),
        ],
    ]
    .concat();
    let stored = ask(&double, "PUT", "/test%24file.text", &headers, "Welcome to Amazon S3.");
    assert_eq!(stored.status, 200, "{stored:?}");
    assert_eq!(double.keys("examplebucket"), ["test$file.text"]);

    // The object isn't there, or the operation isn't: the signature is right.
    let cases = [
        (
            "/test.txt",
            "host;range;x-amz-content-sha256;x-amz-date",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            (404, "NoSuchKey"),
        ),
        (
            "/?lifecycle",
            "host;x-amz-content-sha256;x-amz-date",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            (501, "NotImplemented"),
        ),
        (
            "/?max-keys=2&prefix=J",
            "host;x-amz-content-sha256;x-amz-date",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            (501, "NotImplemented"),
        ),
    ];
    for (path, signed, signature, expected) in cases {
        let authorization = sign(signed, signature);
        let headers = [
            &base[..],
            &[("range", "bytes=0-9"), ("x-amz-content-sha256", &*empty), ("authorization", &*authorization)],
        ]
        .concat();
        assert_eq!(ask(&double, "GET", path, &headers, "").refusal(), expected);
    }
    let link = "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
        &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
        &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
        &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
    assert_eq!(get(&double, link).refusal(), (404, "NoSuchKey"));
}

#[test]
fn only_the_right_signature_counts() {
    let double = double();
    let good = signer(&double);
    assert_eq!(ask(&double, "PUT", "/media/clip", &[], "bytes").refusal(), (403, "AccessDenied"));
    let wrong_secret = Signer { secret: "another", ..signer(&double) };
    assert_eq!(put(&double, &wrong_secret, &[]).refusal(), (403, "SignatureDoesNotMatch"));
    let stranger = Signer { id: "STRANGER", ..signer(&double) };
    assert_eq!(put(&double, &stranger, &[]).refusal(), (403, "InvalidAccessKeyId"));
    let elsewhere = put(&double, &Signer { region: "eu-west-1", ..signer(&double) }, &[]);
    assert_eq!(elsewhere.refusal(), (400, "AuthorizationHeaderMalformed"));
    assert_eq!(elsewhere.element("Region"), "us-east-1");
    assert!(double.keys("media").is_empty());

    assert_eq!(put(&double, &good, &[("if-none-match", "*")]).status, 200);
    let signed = || good.signed("GET", "/media/clip", &[("if-match", "\"x\"")], "");
    let mut changed = signed();
    changed.headers_mut().insert("if-match", "\"y\"".parse().unwrap());
    let mut moved = signed();
    *moved.uri_mut() = "/media/clip2".parse().unwrap();
    let mut asked = signed();
    *asked.uri_mut() = "/media/clip?response-expires=x".parse().unwrap();
    let mut other = signed();
    *other.method_mut() = http::Method::HEAD;
    let mut hosted = signed();
    hosted.headers_mut().insert("host", "s3.test:80".parse().unwrap());
    for request in [changed, moved, asked, other, hosted] {
        assert_eq!(told(double.answer(request)).status, 403);
    }
    assert_eq!(told(double.answer(signed())).refusal(), (412, "PreconditionFailed"));
}

#[test]
fn what_changes_the_meaning_has_to_be_signed() {
    let double = double();
    let good = signer(&double);
    for (name, value) in [("x-amz-meta-a", "b"), ("content-type", "video/mp4"), ("x-amz-storage-class", "GLACIER")] {
        let mut request = good.signed("PUT", "/media/clip", &[], "bytes");
        request.headers_mut().insert(name, value.parse().unwrap());
        let refused = told(double.answer(request));
        assert_eq!(refused.refusal(), (403, "AccessDenied"));
        assert_eq!(refused.element("HeadersNotSigned"), name);
    }
    let mut unhashed = good.signed("PUT", "/media/clip", &[], "bytes");
    unhashed.headers_mut().remove("x-amz-content-sha256");
    assert_eq!(told(double.answer(unhashed)).refusal(), (400, "InvalidRequest"));
}

#[test]
fn the_payload_is_what_was_signed_or_nothing_is_stored() {
    let double = double();
    let good = signer(&double);
    let mut request = good.signed("PUT", "/media/clip", &[], "bytes");
    *request.body_mut() = "bytez".into();
    assert_eq!(told(double.answer(request.clone())).refusal(), (400, "XAmzContentSHA256Mismatch"));
    assert!(double.keys("media").is_empty());
    assert_eq!(put(&double, &good, &[("x-amz-content-sha256", "UNSIGNED-PAYLOAD")]).status, 200);
    assert_eq!(put(&double, &good, &[("x-amz-content-sha256", "5feceb66")]).refusal(), (400, "InvalidArgument"));

    // Not only that of an object.
    let mut created = good.signed("PUT", "/other", &[], "");
    *created.body_mut() = "x".into();
    assert_eq!(told(double.answer(created)).refusal(), (400, "XAmzContentSHA256Mismatch"));

    double.inject(Op::PutObject, 0, Fault::IgnoredPayloadHash);
    assert_eq!(told(double.answer(request.clone())).status, 200);
    assert_eq!(double.object("media", "clip").unwrap().bytes, "bytez");
    double.damage("media", "clip", |object| object.bytes = "old".into());
    double.inject(Op::PutObject, 0, Fault::RefusedButStored);
    assert_eq!(told(double.answer(request)).status, 400);
    assert_eq!(double.object("media", "clip").unwrap().bytes, "bytez");
}

#[test]
fn clocks_may_differ_by_fifteen_minutes() {
    let double = double();
    let good = signer(&double);
    for (seconds, status) in [(900, 200), (901, 403), (-900, 200), (-901, 403)] {
        double.skew(TimeDelta::seconds(seconds));
        let answer = put(&double, &good, &[]);
        assert_eq!(answer.status, status, "{seconds}");
        if status == 403 {
            assert_eq!(answer.element("Code"), "RequestTimeTooSkewed");
        }
    }
    double.skew(TimeDelta::seconds(600));
    assert_eq!(get(&double, "/").header("date"), "Thu, 01 Jan 2026 00:10:00 GMT");
}

#[test]
fn temporary_credentials_need_their_token() {
    let temporary = Credentials { session_token: Some("token".into()), ..Credentials::new(ID, SECRET) };
    let double = S3Double::new([temporary.clone()]);
    double.create_bucket("media");
    let good = signer(&double);
    assert_eq!(put(&double, &good, &[]).refusal(), (400, "InvalidToken"));
    assert_eq!(put(&double, &good, &[("x-amz-security-token", "other")]).refusal(), (400, "InvalidToken"));
    assert_eq!(put(&double, &good, &[("x-amz-security-token", "token")]).status, 200);
    assert_eq!(get(&double, &good.presigned("/media/clip", "60", "")).refusal(), (400, "InvalidToken"));
    let link = good.presigned("/media/clip", "60", "&X-Amz-Security-Token=token");
    assert_eq!(get(&double, &link).text(), "bytes");
    assert!(!format!("{temporary:?}").contains("token\"") && !format!("{temporary:?}").contains(SECRET));
}

#[test]
fn a_presigned_link_ends_when_it_says() {
    let double = double();
    let good = signer(&double);
    put(&double, &good, &[("content-type", "video/mp4")]);
    let start: Timestamp = double.now();
    let at = |seconds: i64| double.set_time(start + TimeDelta::seconds(seconds));
    let link = good.presigned("/media/clip", "60", "&response-content-type=text%2Fplain");
    let fetched = get(&double, &link);
    assert_eq!((fetched.status, fetched.header("content-type"), fetched.text()), (200, "text/plain", "bytes"));
    let range = ask(&double, "GET", &link, &[("range", "bytes=1-2")], "");
    assert_eq!((range.status, range.text()), (206, "yt"));

    for method in ["PUT", "HEAD", "DELETE"] {
        assert_eq!(ask(&double, method, &link, &[], "").status, 403);
    }
    at(59);
    assert_eq!(get(&double, &link).status, 200);
    at(60);
    let expired = get(&double, &link);
    assert_eq!(expired.refusal(), (403, "AccessDenied"));
    assert_eq!(expired.element("Message"), "Request has expired");
    at(-901);
    assert_eq!(get(&double, &link).refusal(), (403, "AccessDenied"));
    double.always(Op::GetObject, Fault::IgnoredSignature);
    at(86_400);
    assert_eq!(get(&double, &link).status, 200);
    double.heal();
    double.always(Op::GetObject, Fault::IgnoredExpiry);
    assert_eq!(get(&double, &link).status, 200);
    assert_eq!(get(&double, link.split('?').next().unwrap()).status, 403, "its signature is looked at");
    double.heal();
    double.always(Op::GetObject, Fault::EarlyExpiry);
    for (second, status) in [(29, 200), (30, 403)] {
        at(second);
        assert_eq!(get(&double, &link).status, status, "{second}");
    }
    double.heal();
    at(0);
    for (expires, status) in [("604800", 200), ("604801", 400), ("-1", 400), ("x", 400), ("", 400)] {
        assert_eq!(get(&double, &good.presigned("/media/clip", expires, "")).status, status, "{expires}");
    }
}

#[test]
fn no_character_of_a_link_may_change() {
    let double = double();
    let good = signer(&double);
    put(&double, &good, &[]);
    let link = good.presigned("/media/clip", "60", "&response-content-type=text%2Fplain");
    let start = "http://s3.test/".len();
    for at in start..link.len() {
        let mut changed = link.clone().into_bytes();
        changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
        let changed = String::from_utf8(changed).unwrap();
        let Ok(uri) = changed.parse::<http::Uri>() else { continue };
        let answer = told(double.answer(request("GET", &uri.to_string(), &[], "")));
        assert!(matches!(answer.status, 400..=499), "{changed}: {answer:?}");
    }
    assert_eq!(get(&double, &link).status, 200);
    assert_eq!(get(&double, &format!("{link}&response-expires=x")).status, 403);
}

#[test]
fn what_is_malformed_is_told_apart() {
    let double = double();
    let good = signer(&double);
    let header = |change: fn(String) -> String| {
        let mut request = good.signed("GET", "/media/clip", &[], "");
        let authorization = request.headers()["authorization"].to_str().unwrap().to_owned();
        request.headers_mut().insert("authorization", change(authorization).parse().unwrap());
        told(double.answer(request))
    };
    let malformed = (400, "AuthorizationHeaderMalformed");
    assert_eq!(header(|text| text.replace("AWS4-HMAC", "AWS5-HMAC")).refusal(), malformed);
    assert_eq!(header(|text| text.replace("Signature=", "Sig=")).refusal(), malformed);
    assert_eq!(header(|text| text.replace("aws4_request", "aws5_request")).refusal(), malformed);
    assert_eq!(header(|text| text.replace("/20260101/", "/20260102/")).refusal(), malformed);
    assert_eq!(header(|text| text.replace("host;", "")).refusal(), (403, "AccessDenied"));
    let disordered = header(|text| text.replace("x-amz-content-sha256;x-amz-date", "x-amz-date;x-amz-content-sha256"));
    assert_eq!(disordered.element("Message"), "The signed headers are not in order.");
    assert_eq!(header(|text| text.replace("Signature=", "Signature=00")).refusal(), (403, "SignatureDoesNotMatch"));
    assert_eq!(header(|text| text.replace(',', " , ")).refusal(), (404, "NoSuchKey"), "spaces do not matter");

    let mut undated = good.signed("GET", "/media/clip", &[], "");
    undated.headers_mut().insert("x-amz-date", "today".parse().unwrap());
    assert_eq!(told(double.answer(undated)).refusal(), (403, "AccessDenied"));
    let streamed =
        good.signed("PUT", "/media/clip", &[("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")], "");
    assert_eq!(told(double.answer(streamed)).refusal(), (501, "NotImplemented"));

    let link = good.presigned("/media/clip", "60", "");
    let malformed = (400, "AuthorizationQueryParametersError");
    for name in ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders"] {
        assert_eq!(get(&double, &link.replace(&format!("X-Amz-{name}="), "x-id=")).refusal(), malformed, "{name}");
    }
    let twice = [("authorization", "AWS4-HMAC-SHA256 Credential=x")];
    assert_eq!(ask(&double, "GET", &link, &twice, "").refusal(), (400, "InvalidArgument"));
    let far = format!("{}99991231T235959Z", "X-Amz-Date=");
    let date = format!("X-Amz-Date={}", double.now().format("%Y%m%dT%H%M%SZ"));
    assert_eq!(get(&double, &link.replace(&date, &far)).refusal(), malformed);
}
