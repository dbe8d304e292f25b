//! Hostile text from requests: it becomes a safe key, or `Invalid`; never anything else.
//!
//! 500 cases a test; with `PROOF=ci` 20,000 (seven tests: 140,000), with `PROOF=long` a million.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

use distribution_core::{
    AuditLogId, Checksum, ConceptId, ErrorKind, Identity, KeyParts, KeyTemplate, ObjectKey, PublishRequest,
    StoragePrefix, TargetName, VideoUrl,
};
use distribution_testkit::Budget;
use proptest::prelude::*;

fn config() -> ProptestConfig {
    let cases = Budget::chosen().pick(500, 20_000, 1_000_000);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Text that others fell for, glued together with ordinary text.
fn hostile() -> impl Strategy<Value = String> {
    let traps = prop::sample::select(vec![
        "..",
        ".",
        "/",
        "//",
        "\\",
        "\0",
        "\n",
        "\r\n",
        "%2e%2e",
        "%2F",
        "%00",
        "~",
        "$HOME",
        "CON",
        "nul",
        "aux.mp4",
        "é",
        "e\u{301}",
        "\u{202e}",
        "\u{a0}",
        "\u{200b}",
        "\u{feff}",
        "🎬",
        "ﬁ",
        "Å",
        "\u{212b}",
        " ",
        "\t",
        ".stage-00",
        "-r1",
        "{sha256}",
        "{prefix}",
        "{",
        "}",
        "..mp4",
        ".mp4",
        "a/../../b",
        "journal/000000.json",
        "C:",
        ":",
        "*",
        "?",
        "\u{1b}[31m",
        "'",
        "\"",
        ";",
        "--",
        "a",
        "Z",
        "0",
        "_",
        "-",
        ".",
    ]);
    let long =
        prop_oneof![Just("x".repeat(300)), Just("é".repeat(200)), Just("a/".repeat(600)), Just(" ".repeat(4096))];
    let piece = prop_oneof![
        6 => traps.prop_map(str::to_owned),
        3 => "[a-zA-Z0-9._/-]{0,12}",
        2 => "\\PC{0,6}",
        1 => any::<String>(),
        1 => long,
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// The grammar of DESIGN §2, written a second time.
fn is_safe(key: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    key.len() <= 900
        && key.split('/').all(|segment| {
            segment.len() <= 255 && segment.starts_with(word) && segment.chars().all(|c| word(c) || c == '.')
        })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_key_is_safe_or_invalid(text in hostile()) {
        match ObjectKey::parse(text.clone()) {
            Ok(key) => prop_assert!(is_safe(key.as_str()) && key.as_str() == text),
            Err(error) => prop_assert!(!is_safe(&text) && error.kind() == ErrorKind::Invalid),
        }
    }

    #[test]
    fn a_rendered_key_is_safe_and_keeps_its_prefix(stem in hostile(), prefix in hostile(), title in hostile()) {
        let prefix = StoragePrefix::parse(prefix).unwrap_or_default();
        for template in ["{prefix}{stem}-{sha256:12}.mp4", "{prefix}{title}.mp4", "{prefix}{stem}/{title}/{sha256}.mp4"] {
            let parts = KeyParts {
                prefix: &prefix, stem: &stem, checksum: &Checksum::of(b"x"), concept_id: None, title: Some(&title),
            };
            match KeyTemplate::parse(template).unwrap().render(parts) {
                Ok(key) => {
                    prop_assert!(is_safe(key.as_str()), "{key}");
                    prop_assert!(key.as_str().starts_with(prefix.as_str()));
                }
                Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Invalid),
            }
        }
    }

    #[test]
    fn a_prefix_or_concept_is_taken_as_it_is_or_not_at_all(text in hostile()) {
        if let Ok(prefix) = StoragePrefix::parse(text.clone()) {
            prop_assert_eq!(prefix.as_str(), &text);
            prop_assert!(text.is_empty() || text.strip_suffix('/').is_some_and(is_safe));
        }
        if let Ok(concept_id) = ConceptId::parse(text.clone()) {
            prop_assert_eq!(concept_id.as_str(), &text);
            prop_assert!(is_safe(&text) && !text.contains('/'));
        }
    }

    #[test]
    fn a_query_before_a_scheme_is_refused_or_not_shown(start in "[a-z/.]{0,8}", secret in "[A-Z0-9]{8}", end in "[a-z/.?#]{0,8}") {
        for text in [format!("{start}?s={secret}://{end}"), format!("{start}?s={secret}&next=https://host/{end}")] {
            if let Ok(url) = VideoUrl::parse(text) {
                let shown = format!("{url} {url:?} {:?} {:?}", url.redacted().expose(), url.scheme());
                prop_assert!(!shown.contains(&secret));
            }
        }
    }

    #[test]
    fn a_url_shows_no_query_and_no_user(name in "[a-z]{1,8}", path in "[a-z/.]{0,12}", secret in "[A-Z0-9]{8}") {
        for url in [
            format!("https://{secret}:{secret}@{name}.example/{path}"),
            format!("https://{secret}@{name}.example/{path}"),
            format!("s3://{secret}:{secret}/{secret}@{name}/{path}"),
            format!("{path}?X-Signature={secret}"),
        ] {
            let error = VideoUrl::parse(url).unwrap_err();
            prop_assert!(!error.to_string().contains(&secret));
        }
        let url = VideoUrl::parse(format!("https://{name}.example:443/{path}?X-Signature={secret}#{secret}")).unwrap();
        let shown = format!("{url} {url:?}");
        prop_assert!(!shown.contains(&secret));
        prop_assert_eq!(url.redacted().redacted(), url.redacted());
    }

    #[test]
    fn a_request_is_parsed_or_invalid(
        url in hostile(), prefix in hostile(), concept in hostile(), title in hostile(), tag in hostile(), status in hostile(),
    ) {
        let json = serde_json::json!({
            "final_edit": { "video_url": url, "duration_seconds": 1, "checksum": Checksum::of(b"") },
            "qc_report": { "status": status },
            "distribution_settings": {
                "storage_prefix": prefix,
                "metadata": { "title": title, "concept_id": concept, "tags": [tag] },
            },
        });
        match PublishRequest::from_json(json.to_string().as_bytes()) {
            Ok(request) => {
                let again = serde_json::to_vec(&request).unwrap();
                prop_assert_eq!(PublishRequest::from_json(&again).unwrap(), request);
            }
            Err(error) => {
                prop_assert_eq!(error.kind(), ErrorKind::Invalid);
                prop_assert!(error.field().is_some_and(|field| field.contains('.')), "{}", error);
                prop_assert!(!error.to_string().contains(char::is_control));
            }
        }
    }

    #[test]
    fn different_identities_have_different_ids(a in "[a-z]{1,3}", b in "[a-z]{1,3}", c in "[a-z]{1,3}", d in "[a-z]{1,3}") {
        let id = |target: &str, key: &str| {
            let (target, key) = (TargetName::parse(target).unwrap(), ObjectKey::parse(key).unwrap());
            AuditLogId::of(Identity { target: &target, key: &key, checksum: &Checksum::of(b""), concept_id: None })
        };
        prop_assert_eq!((&a, &b) == (&c, &d), id(&a, &b) == id(&c, &d));
        prop_assert_eq!(a.is_empty(), id(&a, &b) == id(&format!("{a}{b}"), &b));
    }
}

#[test]
fn arbitrary_bytes_as_a_request_never_panic() {
    let config = config();
    proptest!(config, |(bytes in prop::collection::vec(any::<u8>(), 0..200))| {
        let error = PublishRequest::from_json(&bytes).unwrap_err();
        prop_assert_eq!(error.kind(), ErrorKind::Invalid);
    });
}
