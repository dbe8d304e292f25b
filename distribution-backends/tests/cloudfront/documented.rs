//! What a link is made of, against the examples of the Amazon CloudFront Developer Guide.

use distribution_backends::CloudFrontSigner;
use distribution_core::ErrorKind;
use serde_json::Value;

use crate::edge::{Edge, P256, RSA, Request, decode, parse};
use crate::{ID, at, link};

/// "Create a signed URL using a canned policy": its template and its date, January 1, 2013 10:00 am UTC.
#[test]
fn a_canned_policy_is_as_documented_and_openssl_accepts_its_signature() {
    for kind in [RSA, P256] {
        let edge = Edge::new(kind);
        let signed =
            link(&edge.signer(), "images/horizon.mp4", "2012-12-30T10:00:00Z", "2013-01-01T10:00:00Z").unwrap();
        assert_eq!(signed.expires_at, at("2013-01-01T10:00:00Z"));
        let (place, query) = signed.link.expose().split_once('?').unwrap();
        assert_eq!(place, "https://d111111abcdef8.cloudfront.net/images/horizon.mp4");
        let rest = query.strip_prefix("Expires=1357034400&Signature=").unwrap();
        let (signature, rest) = rest.split_once('&').unwrap();
        assert_eq!(rest, "Key-Pair-Id=K2JCJMDEHXQW5F&Hash-Algorithm=SHA256");
        assert!(signature.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_~".contains(&b)));

        let policy = format!(
            r#"{{"Statement":[{{"Resource":"{place}","Condition":{{"DateLessThan":{{"AWS:EpochTime":1357034400}}}}}}]}}"#
        );
        assert!(edge.openssl_accepts(&policy, signature));
    }
}

/// "Create a signed URL using a custom policy": its template, with the values of its last example.
#[test]
fn a_custom_policy_is_as_documented_and_openssl_accepts_its_signature() {
    let edge = Edge::new(RSA);
    let signer = edge.signer().not_before(at("2013-01-01T10:00:00Z")).only_from("192.0.2.10").unwrap();
    let signed = link(&signer, "training/orientation.mp4", "2013-01-01T09:00:00Z", "2013-01-02T10:00:00Z").unwrap();
    let (_, query) = signed.link.expose().split_once('?').unwrap();
    let names: Vec<_> = query.split('&').map(|field| field.split_once('=').unwrap().0).collect();
    assert_eq!(names, ["Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm"]);

    let (place, fields) = parse(signed.link.expose());
    let policy = String::from_utf8(decode(fields["Policy"]).unwrap()).unwrap();
    assert_eq!(
        policy,
        format!(
            "{{\"Statement\":[{{\"Resource\":\"{place}\",\"Condition\":{{\"DateLessThan\":{{\"AWS:EpochTime\":\
             1357120800}},\"DateGreaterThan\":{{\"AWS:EpochTime\":1357034400}},\"IpAddress\":{{\"AWS:SourceIp\":\
             \"192.0.2.10/32\"}}}}}}]}}"
        )
    );
    assert!(edge.openssl_accepts(&policy, fields["Signature"]));
}

/// The encoded policy of the page's example URL, decoded the way that ours are.
#[test]
fn the_documented_example_of_an_encoded_policy_decodes() {
    let example = "eyANCiAgICEXAMPLEW1lbnQiOiBbeyANCiAgICAgICJSZXNvdXJjZSI6Imh0dHA6Ly9kemJlc3FtN3VuMW0wLmNsb3VkZnJvbn\
                   QubmV0L2RlbW8ucGhwIiwgDQogICAgICAiQ29uZGl0aW9uIjp7IA0KICAgICAgICAgIklwQWRkcmVzcyI6eyJBV1M6U291cmNlSXA\
                   iOiIyMDcuMTcxLjE4MC4xMDEvMzIifSwNCiAgICAgICAgICJEYXRlR3JlYXRlclRoYW4iOnsiQVdTOkVwb2NoVGltZSI6MTI5Njg2\
                   MDE3Nn0sDQogICAgICAgICAiRGF0ZUxlc3NUaGFuIjp7IkFXUzpFcG9jaFRpbWUiOjEyOTY4NjAyMjZ9DQogICAgICB9IA0KICAgf\
                   V0gDQp9DQo_";
    // Its first line is made unreadable (EXAMPLE) by the page itself.
    let text = String::from_utf8_lossy(&decode(example).unwrap()).into_owned();
    let conditions = text.split_once("\"Condition\":").unwrap().1.rsplit_once("} \r\n   }]").unwrap().0;
    let theirs: Value = serde_json::from_str(&format!("{conditions}}}")).unwrap();

    let edge = Edge::new(P256);
    let signer = edge.signer().not_before(at("2011-02-04T22:56:16Z")).only_from("207.171.180.101/32").unwrap();
    let signed = link(&signer, "demo.mp4", "2011-02-04T22:56:00Z", "2011-02-04T22:57:06Z").unwrap();
    let ours: Value = serde_json::from_slice(&decode(parse(signed.link.expose()).1["Policy"]).unwrap()).unwrap();
    assert_eq!(ours["Statement"][0]["Condition"], theirs);
}

#[test]
fn a_custom_policy_limits_when_and_whence() {
    let edge = Edge::new(P256);
    let (now, end) = ("2026-01-02T00:00:00Z", "2026-01-05T00:00:00Z");
    let signer = edge.signer().not_before(at("2026-01-03T00:00:00.5Z")).only_from("192.0.2.0/24").unwrap();
    let signed = link(&signer, "clip.mp4", now, end).unwrap();
    let serves = |time: &str, from: [u8; 4]| {
        let request = Request { method: "GET", link: signed.link.expose(), from: from.into(), now: at(time) };
        edge.serves("clip.mp4", request)
    };
    assert!(serves("2026-01-03T00:00:02Z", [192, 0, 2, 255]));
    assert!(!serves("2026-01-03T00:00:02Z", [192, 0, 3, 0]));
    assert!(!serves("2026-01-03T00:00:00Z", [192, 0, 2, 255]), "rounded up");
    assert!(serves("2026-01-04T23:59:59Z", [192, 0, 2, 0]));
    assert!(!serves("2026-01-05T00:00:00Z", [192, 0, 2, 0]));

    let early = link(&signer, "clip.mp4", now, "2026-01-03T00:00:01Z").unwrap_err();
    assert_eq!(early.kind(), ErrorKind::Invalid);
    assert!(early.message().contains("would never work: links here begin at 2026-01-03 00:00:01 UTC"), "{early}");
}

#[test]
fn ranges_that_a_policy_cannot_have_are_refused() {
    let edge = Edge::new(P256);
    for range in
        ["", "192.0.2", "192.0.2.1/24", "192.0.2.0/33", "192.0.2.0/", "2001:db8::/32", "192.0.2.0/24,10.0.0.0/8"]
    {
        let error = edge.signer().only_from(range).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("viewers")), "{range}");
    }
    for range in ["0.0.0.0/0", "192.0.2.128/25", "192.0.2.1"] {
        assert!(edge.signer().only_from(range).is_ok(), "{range}");
    }
}

#[test]
fn the_end_is_a_whole_second_that_can_be_said() {
    let signer = Edge::new(P256).signer();
    let signed = link(&signer, "clip.mp4", "2026-01-02T00:00:00.25Z", "2026-01-02T01:00:00.75Z").unwrap();
    assert_eq!(signed.expires_at, at("2026-01-02T01:00:00Z"));
    assert!(signed.link.expose().contains("?Expires=1767315600&"));
    // 2147483647, the last second of 32 bits.
    assert!(link(&signer, "clip.mp4", "2038-01-19T00:00:00Z", "2038-01-19T03:14:07Z").is_ok());
    let late = link(&signer, "clip.mp4", "2038-01-19T00:00:00Z", "2038-01-19T03:14:08Z").unwrap_err();
    assert_eq!((late.kind(), late.field()), (ErrorKind::Invalid, Some("distribution_settings.url_expiry_hours")));
}

#[test]
fn a_base_is_https_and_may_have_a_path() {
    let edge = Edge::new(P256);
    let made = |base: &str| CloudFrontSigner::new(base, ID, &edge.private_key());
    let signer = made("HTTPS://Media.Example/mvp/").unwrap();
    assert_eq!(signer.base(), "https://media.example/mvp");
    let signed = link(&signer, "clip.mp4", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z").unwrap();
    assert!(signed.link.expose().starts_with("https://media.example/mvp/clip.mp4?Expires="));
    for base in ["http://media.example", "media.example", "https://u:hunter2@media.example", "https://media.example/*"]
    {
        let error = made(base).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("base_url")));
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}
