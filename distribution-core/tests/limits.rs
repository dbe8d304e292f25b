//! Every limit from both sides: what just fits is taken, what is one too many is refused.

#![allow(clippy::unwrap_used, reason = "tests")]

use distribution_core::{
    AuditLogId, Checksum, ConceptId, ErrorKind, KeyParts, KeyTemplate, ObjectKey, Policy, StoragePrefix, TargetName,
};
use distribution_testkit::{Fault, Op, World, request};
use futures::executor::block_on;

#[test]
fn keys_have_at_most_900_bytes_and_their_segments_255() {
    let segment = "s".repeat(255);
    let longest = format!("{segment}/{segment}/{segment}/{}", "t".repeat(900 - 3 * 256));
    assert_eq!(longest.len(), 900);
    assert_eq!(ObjectKey::parse(&longest).unwrap().file_name(), "t".repeat(132));
    for wrong in [format!("{longest}t"), format!("s{segment}"), format!("a/s{segment}/b")] {
        assert_eq!(ObjectKey::parse(&wrong).unwrap_err().kind(), ErrorKind::Invalid, "{} bytes", wrong.len());
    }
    assert!(StoragePrefix::parse(format!("{segment}/")).is_ok());
    assert!(StoragePrefix::parse(format!("s{segment}/")).is_err());
    assert_eq!(ObjectKey::parse("clip.mp4").unwrap().file_name(), "clip.mp4");
}

#[test]
fn names_have_their_letters_and_lengths() {
    for (name, sound) in [
        ("a", true),
        ("0-a_b", true),
        (&*"a".repeat(64), true),
        (&*"a".repeat(65), false),
        ("", false),
        ("_a", false),
        ("-a", false),
        ("A", false),
        ("aB", false),
        ("a.b", false),
        ("a b", false),
    ] {
        assert_eq!(TargetName::parse(name).is_ok(), sound, "{name:?}");
    }
    assert!(ConceptId::parse("c".repeat(128)).is_ok());
    assert!(ConceptId::parse("c".repeat(129)).is_err());
}

#[test]
fn an_audit_log_id_is_dist_and_26_characters_of_base32() {
    let sound = "dist_5k5615rxxzmaysk4wpdgk6dek4";
    assert_eq!(AuditLogId::parse(sound).unwrap().as_str(), sound);
    for wrong in
        ["", "dist_", "5k5615rxxzmaysk4wpdgk6dek4", "dist_5k5615rxxzmaysk4wpdgk6dek", "dist_5k5615rxxzmaysk4wpdgk6deku"]
    {
        assert_eq!(AuditLogId::parse(wrong).unwrap_err().kind(), ErrorKind::Invalid, "{wrong}");
    }
    assert!(AuditLogId::parse(format!("{sound}aaaaaaaa")).is_err());
    assert!(AuditLogId::parse(sound.to_uppercase()).is_err());
}

#[test]
fn a_slug_is_cut_to_100_bytes() {
    for (letters, kept) in [(99, 99), (100, 100), (101, 100)] {
        let (world, name) = (World::new(), format!("{}.mp4", "s".repeat(letters)));
        world.stage(&*name, "approved");
        let record = block_on(world.publisher("a").publish(request(&name, b"approved"))).unwrap();
        let key = record.storage_location.as_str().rsplit('/').next().unwrap();
        assert_eq!(key.len(), kept + "-2687f86ed678.mp4".len(), "{key}");
    }
}

/// The place of a retry's mark: before the extension, never in a folder, never in front of all.
#[test]
fn the_next_attempt_has_its_number_before_the_extension() {
    for (template, prefix, second) in [
        ("{prefix}{sha256:12}.mp4", "", "2687f86ed678-r1.mp4"),
        ("{prefix}{sha256:12}.mp4", "v1.2/", "v1.2/2687f86ed678-r1.mp4"),
        ("{prefix}{sha256:12}", "v1.2/", "v1.2/2687f86ed678-r1"),
        ("{prefix}{sha256:12}", "", "2687f86ed678-r1"),
        ("{prefix}{sha256:12}.tar.gz", "a/b/", "a/b/2687f86ed678.tar-r1.gz"),
    ] {
        let world = World::new();
        world.stage("clip.mp4", "approved");
        let first = std::sync::atomic::AtomicBool::new(true);
        world.fail(move |effect| {
            let first = effect.op == Op::StorageCreate && first.swap(false, std::sync::atomic::Ordering::Relaxed);
            first.then_some(Fault::Corrupt)
        });
        let policy = Policy { key_template: KeyTemplate::parse(template).unwrap(), ..Policy::default() };
        let mut request = request("clip.mp4", b"approved");
        request.distribution_settings.storage_prefix = Some(StoragePrefix::parse(prefix).unwrap());
        block_on(world.builder("a").policy(policy).build().unwrap().publish(request)).unwrap();
        assert!(world.object("default", second).is_some(), "{template}: {:?}", world.objects().keys());
    }
}

#[test]
fn a_key_leaves_room_for_the_number_of_its_last_attempt() {
    let room = "-r9999".len();
    let checksum = Checksum::of(b"");
    let render = |template: &str, prefix: String| {
        let prefix = StoragePrefix::parse(prefix).unwrap();
        let parts = KeyParts { prefix: &prefix, stem: "clip", checksum: &checksum, concept_id: None, title: None };
        KeyTemplate::parse(template).unwrap().render(parts)
    };
    let folders = format!("{0}/{0}/{0}/", "s".repeat(200));
    for (longer, sound) in [(0, true), (1, false)] {
        let prefix = format!("{folders}{}/", "t".repeat(900 - room - 603 - 1 - 64 + longer));
        let key = render("{prefix}{sha256}", prefix);
        assert_eq!(key.as_ref().map(|key| key.as_str().len()).ok(), sound.then_some(900 - room), "{key:?}");

        let text = "n".repeat(255 - room - 64 + longer);
        let key = render("{prefix}{sha256}", "a/".to_owned()).unwrap();
        assert_eq!(key.as_str(), format!("a/{}", checksum.hex()));
        let template = format!("{text}{{sha256}}");
        assert_eq!(KeyTemplate::parse(&template).is_ok(), sound, "{longer}");
    }
}
