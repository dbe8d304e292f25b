//! Golden vectors: ids and keys that must never change, on any machine. The ids were computed by a
//! second implementation (Python's hashlib) from the documented format.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

use distribution_core::{
    AuditLogId, Checksum, ConceptId, Identity, KeyParts, KeyTemplate, ObjectKey, StoragePrefix, TargetName,
};

#[test]
fn audit_log_ids_never_change() {
    let vectors = [
        ("default", "mvp/clip-e3b0c44298fc.mp4", &b""[..], Some("concept-7"), "dist_5k5615rxxzmaysk4wpdgk6dek4"),
        ("default", "mvp/clip-e3b0c44298fc.mp4", b"", None, "dist_r9cwnarj5vwxsmez64035gmhbw"),
        ("archive-eu", "mvp/2026/clip-e3b0c44298fc.mp4", b"", Some("concept-7"), "dist_6pvpnc8nxpj7a9yzvs7rbd7esm"),
        ("default", "clip-2687f86ed678.mp4", b"approved", Some("a"), "dist_q49a0xv4k1meeps1xn3t5zqzpr"),
    ];
    for (target, key, bytes, concept_id, expected) in vectors {
        let (target, key) = (TargetName::parse(target).unwrap(), ObjectKey::parse(key).unwrap());
        let concept_id = concept_id.map(|id| ConceptId::parse(id).unwrap());
        let identity =
            Identity { target: &target, key: &key, checksum: &Checksum::of(bytes), concept_id: concept_id.as_ref() };
        let id = AuditLogId::of(identity);
        assert_eq!(id.as_str(), expected);
        assert_eq!(AuditLogId::parse(expected).unwrap(), id);
    }
}

#[test]
fn keys_never_change() {
    let prefix = StoragePrefix::parse("mvp/").unwrap();
    let concept_id = ConceptId::parse("concept-7").unwrap();
    let vectors = [
        ("{prefix}{stem}-{sha256:12}.mp4", "clip", "mvp/clip-e3b0c44298fc.mp4"),
        ("{prefix}{stem}-{sha256:12}.mp4", "My Clip (final) v2", "mvp/My-Clip-final-v2-e3b0c44298fc.mp4"),
        ("{prefix}{stem}-{sha256:12}.mp4", "Été à Paris", "mvp/Ete-a-Paris-e3b0c44298fc.mp4"),
        ("{prefix}{stem}-{sha256:12}.mp4", "E\u{301}te\u{301} a\u{300} Paris", "mvp/Ete-a-Paris-e3b0c44298fc.mp4"),
        ("{prefix}{stem}-{sha256:12}.mp4", "映画", "mvp/asset-e3b0c44298fc.mp4"),
        ("{prefix}{stem}-{sha256:12}.mp4", "🎬🎬", "mvp/asset-e3b0c44298fc.mp4"),
        ("{prefix}{stem}-{sha256:12}.mp4", "...", "mvp/asset-e3b0c44298fc.mp4"),
        ("{prefix}{stem}-{sha256:12}.mp4", "a\0b\nc\\d/e", "mvp/a-b-c-d-e-e3b0c44298fc.mp4"),
        ("{prefix}{stem}-{sha256:12}.mp4", "CON", "mvp/CON-e3b0c44298fc.mp4"),
        ("{concept_id}/{title}.mp4", "clip", "concept-7/The-Clip.mp4"),
        ("v/{sha256:3}/{sha256:1}.bin", "clip", "v/e3b/e.bin"),
    ];
    for (template, stem, expected) in vectors {
        let parts = KeyParts {
            prefix: &prefix,
            stem,
            checksum: &Checksum::of(b""),
            concept_id: Some(&concept_id),
            title: Some("The Clip!"),
        };
        let key = KeyTemplate::parse(template).unwrap().render(parts).unwrap();
        assert_eq!(key.as_str(), expected, "{template} {stem:?}");
    }
}

#[test]
fn a_template_says_what_is_wrong_with_it() {
    assert_eq!(KeyTemplate::parse("{prefix}{stem}-{sha256:12}.mp4").unwrap(), KeyTemplate::default());
    for wrong in [
        "",
        "{",
        "{stem",
        "{nope}.mp4",
        "{sha256:0}",
        "{sha256:65}",
        "{sha256:x}",
        "/{stem}.mp4",
        "{stem}/",
        "a//b",
        "../{stem}",
        "{stem}.mp4\n",
        "{stem} .mp4",
        ".{stem}",
        "}{stem}",
    ] {
        let error = KeyTemplate::parse(wrong).unwrap_err();
        assert_eq!(error.field(), Some("key_template"), "{wrong:?}");
    }
    assert!(KeyTemplate::default().tells_bytes_apart());
    assert!(!KeyTemplate::parse("{prefix}{stem}.mp4").unwrap().tells_bytes_apart());
    assert!(!KeyTemplate::parse("{stem}-{sha256:8}.mp4").unwrap().tells_bytes_apart());
}

#[test]
fn a_template_that_needs_a_concept_says_so() {
    let parts = KeyParts {
        prefix: &StoragePrefix::default(),
        stem: "clip",
        checksum: &Checksum::of(b""),
        concept_id: None,
        title: None,
    };
    let error = KeyTemplate::parse("{concept_id}/{stem}.mp4").unwrap().render(parts).unwrap_err();
    assert_eq!(error.field(), Some("distribution_settings.metadata.concept_id"));
}
