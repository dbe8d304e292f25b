//! Copies on other targets, from a configuration.

use std::fs;
use std::path::Path;

use distribution_backends::Config;
use distribution_core::{ArchiveMode, ErrorKind, Role, TargetName, Tier};

use super::opening::request;
use super::{RECORDS, STAGING, TARGET, refusal, site};

fn target(name: &str, storage: &str) -> String {
    let base = format!("https://media.example/{name}");
    format!(
        "[targets.{name}]\nstorage = \"{storage}\"\n\
         links = {{ kind = \"hmac\", base_url = \"{base}\", key_file = \"link.key\" }}\n"
    )
}

fn text(replicated: &str) -> String {
    let (eu, us) = (target("eu", "eu"), target("us", "us"));
    format!("[defaults]\ntarget = \"media\"\n{TARGET}{replicated}\n{eu}{us}{STAGING}{RECORDS}")
}

fn config(text: &str, folder: &Path) -> Config {
    for name in ["eu", "us"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    fs::write(folder.join("staging/clip.mp4"), b"bytes").unwrap();
    Config::parse(text, folder).unwrap()
}

#[tokio::test]
async fn copies_are_made_and_counted() {
    let folder = site();
    let opened = config(&text("replicas = [\"eu\", \"us\"]\nquorum = 2"), folder.path()).open().await.unwrap();
    let record = opened.publisher.publish(request("clip.mp4", b"bytes")).await.unwrap();
    assert!(record.replica_count >= 2);
    assert_eq!(opened.publisher.recover().await.unwrap().failed, 0);
    let asset = opened.publisher.record(&record.audit_log_id).await.unwrap().unwrap().published.unwrap();
    assert_eq!(asset.replica_count, 3);
    for (replica, name) in asset.replicas.iter().zip(["eu", "us"]) {
        assert_eq!(replica.storage_target, TargetName::parse(name).unwrap());
        let location = replica.storage_location.as_ref().unwrap().as_str();
        assert_eq!(fs::read(location.strip_prefix("file://").unwrap()).unwrap(), b"bytes");
    }
    // The links are of whichever copy is there.
    fs::remove_file(record.storage_location.as_str().strip_prefix("file://").unwrap()).unwrap();
    let link = opened.publisher.link(&record.audit_log_id, std::time::Duration::from_secs(60)).await.unwrap();
    assert!(link.link.expose().starts_with("https://media.example/eu/"));
    let scrub = opened.publisher.scrub(None, u64::MAX).await.unwrap();
    assert_eq!((scrub.sound, scrub.lost, scrub.repaired, scrub.failed), (2, 1, 1, 0), "{scrub:?}");
}

#[test]
fn what_cannot_be_is_said_with_its_key() {
    for (replicated, expected) in [
        (
            "replicas = [\"moon\"]",
            "targets.media.replicas: names what is no target: there are `eu`, `media`, `us` (line 7)",
        ),
        ("replicas = []", "targets.media.replicas: names no other target: leave it out, and `quorum` with it (line 7)"),
        (
            "replicas = [\"media\"]",
            "targets.media.replicas: names `media` twice: each copy is on another target (line 7)",
        ),
        (
            "replicas = [\"eu\", \"eu\"]",
            "targets.media.replicas: names `eu` twice: each copy is on another target (line 7)",
        ),
        ("replicas = [\"eu\"]\nquorum = 3", "targets.media.quorum: must be 1 to 2, not 3 (line 8)"),
    ] {
        assert_eq!(refusal(&text(replicated)), expected);
    }
    let same = text("replicas = [\"near\"]") + &target("near", "objects/near");
    assert_eq!(
        refusal(&same),
        "targets.media.replicas: `near` shares the storage of another copy: that is no copy (line 7)"
    );
    let open =
        "[targets.open]\nstorage = \"open\"\nlinks = { kind = \"public\", base_url = \"https://cdn.example\" }\n";
    let mixed = text("replicas = [\"open\"]") + open;
    assert_eq!(
        refusal(&mixed),
        "targets.media.replicas: `open` is public and `media` is not, or the other way round (line 7)"
    );
}

#[cfg(feature = "s3")]
#[tokio::test]
async fn a_bucket_that_is_down_when_it_is_opened_is_no_reason_not_to_publish() {
    let folder = site();
    // Nobody listens there.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let far = format!(
        "[targets.far]\nstorage = \"s3://bucket/mvp?region=us-east-1&endpoint=http%3A%2F%2F127.0.0.1%3A{port}\"\n\
         credentials = {{ access_key_id = {{ file = \"id\" }}, secret_access_key = {{ file = \"id\" }} }}\n"
    );
    fs::write(folder.path().join("id"), "AKIAIOSFODNN7EXAMPLE").unwrap();
    let text = text("replicas = [\"far\", \"eu\"]\nquorum = 2") + &far;
    let publisher = config(&text, folder.path()).open().await.unwrap().publisher;
    let record = publisher.publish(request("clip.mp4", b"bytes")).await.unwrap();
    assert_eq!(record.replica_count, 2);
    let recovery = publisher.recover().await.unwrap();
    assert_eq!((recovery.settled, recovery.failed), (0, 1));
    let message = recovery.failures[0].1.to_string();
    assert!(message.contains("2 of 3 copies are proven"), "{message}");
}

#[tokio::test]
async fn what_is_archived_is_copied_freed_and_brought_back() {
    let folder = site();
    let opened = config(&text("archive = \"eu\""), folder.path()).open().await.unwrap();
    let record = opened.publisher.publish(request("clip.mp4", b"bytes")).await.unwrap();
    let id = &record.audit_log_id;
    let asset = opened.publisher.archive(id, ArchiveMode::FreeHot).await.unwrap().published.unwrap();
    assert_eq!((asset.tier, asset.replica_count, asset.replicas[0].role), (Tier::Archived, 1, Role::Archive));
    let place = asset.replicas[0].storage_location.as_ref().unwrap().as_str().strip_prefix("file://").unwrap();
    assert_eq!(fs::read(place).unwrap(), b"bytes");
    let error = opened.publisher.publish(request("clip.mp4", b"bytes")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Archived);
    fs::remove_file(folder.path().join("staging/clip.mp4")).unwrap();
    fs::remove_file(record.storage_location.as_str().strip_prefix("file://").unwrap()).unwrap();
    opened.publisher.restore(id).await.unwrap();
    let link = opened.publisher.link(id, std::time::Duration::from_secs(60)).await.unwrap();
    assert!(link.link.expose().starts_with("https://media.example/files/"), "{}", link.link.expose());
}

#[test]
fn an_archive_that_cannot_be_is_said_with_its_key() {
    for (archive, expected) in [
        (
            "archive = \"moon\"",
            "targets.media.archive: names what is no target: there are `eu`, `media`, `us` (line 7)",
        ),
        (
            "archive = \"media\"",
            "targets.media.archive: `media` has a copy already: the archive is another target (line 7)",
        ),
        (
            "replicas = [\"eu\"]\narchive = \"eu\"",
            "targets.media.archive: `eu` has a copy already: the archive is another target (line 8)",
        ),
    ] {
        assert_eq!(refusal(&text(archive)), expected);
    }
    let same = text("archive = \"near\"") + &target("near", "objects/near");
    assert_eq!(
        refusal(&same),
        "targets.media.archive: `near` shares the storage of another copy: that is no copy (line 7)"
    );
}
