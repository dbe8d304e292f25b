//! The key file: made once, whole, private, and the same for everybody.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Barrier;
use std::thread;

use distribution_backends::{HmacKey, HmacSigner};
use distribution_core::{ErrorKind, LinkRequest, ObjectKey, Timestamp, UrlSigner};

/// A link under the key: equal for equal keys only.
fn link(key: HmacKey) -> String {
    let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
    let wanted =
        LinkRequest { key: ObjectKey::parse("clip.mp4").unwrap(), expires_at: now + chrono::TimeDelta::hours(1) };
    let signer = HmacSigner::new("https://media.example", key).unwrap();
    futures::executor::block_on(signer.sign(&wanted, now)).unwrap().link.expose().to_owned()
}

fn write(path: &Path, text: impl AsRef<[u8]>, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_key_is_made_once_and_is_private() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("link.key");
    let made = HmacKey::load_or_create(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with(&format!("{}:", made.id())) && text.ends_with('\n') && text.lines().count() == 1);

    assert_eq!(link(made), link(HmacKey::load_or_create(&path).unwrap()));
    let other = HmacKey::load_or_create(dir.path().join("other.key")).unwrap();
    assert_ne!(link(HmacKey::load_or_create(&path).unwrap()), link(other));
}

#[test]
fn all_who_make_it_at_once_get_the_same_key() {
    let dir = tempfile::tempdir().unwrap();
    let barrier = Barrier::new(16);
    for round in 0..20 {
        let path = dir.path().join(format!("{round}.key"));
        let links: Vec<String> = thread::scope(|scope| {
            let make = || {
                barrier.wait();
                link(HmacKey::load_or_create(&path).unwrap())
            };
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(make)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(links.windows(2).all(|pair| pair[0] == pair[1]), "{links:?}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 20);
}

#[test]
fn a_file_made_by_hand_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("link.key");
    let secret = data_encoding::BASE64URL_NOPAD.encode(&[7; 32]);
    let expected = link(HmacKey::new("2026-01", [7; 32]).unwrap());
    for (text, mode) in [(format!("2026-01:{secret}\n"), 0o600), (format!("2026-01:{secret}"), 0o440)] {
        write(&path, &text, 0o600);
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        assert_eq!(link(HmacKey::load_or_create(&path).unwrap()), expected);
        fs::remove_file(&path).unwrap();
    }
    // Mounted secrets are symbolic links.
    write(&dir.path().join("data"), format!("2026-01:{secret}\n"), 0o600);
    symlink("data", &path).unwrap();
    assert_eq!(link(HmacKey::load_or_create(&path).unwrap()), expected);
}

#[test]
fn a_file_open_to_others_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("link.key");
    HmacKey::load_or_create(&path).unwrap();
    for mode in [0o644, 0o604, 0o602, 0o620, 0o660, 0o777] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let error = HmacKey::load_or_create(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{mode:o}");
        assert!(error.message().contains("chmod 600"), "{error}");
    }
}

#[test]
fn a_file_with_other_content_is_refused_and_kept_and_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("link.key");
    let secret = data_encoding::BASE64URL_NOPAD.encode(b"CANARY-0123456789-0123456789-012");
    let short = data_encoding::BASE64URL_NOPAD.encode(&[7; 31]);
    for text in [
        String::new(),
        "\n".into(),
        secret.clone(),
        format!("k:{secret}\n\n"),
        format!("k:{secret}\nk2:{secret}\n"),
        format!("k:{secret}\r\n"),
        format!("k: {secret}\n"),
        format!(" k:{secret}\n"),
        format!("k:{secret}=\n"),
        format!("k.k:{secret}\n"),
        format!(":{secret}\n"),
        format!("k:{short}\n"),
        format!("k:{}\n", secret.repeat(100)),
    ] {
        write(&path, &text, 0o600);
        let error = HmacKey::load_or_create(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{text}");
        assert!(!format!("{error} {error:?}").contains(&secret[..8]), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    write(&path, b"k:\xff\xff", 0o600);
    assert_eq!(HmacKey::load_or_create(&path).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn what_cannot_be_read_or_made_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let error = HmacKey::load_or_create(dir.path().join("missing/link.key")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(HmacKey::load_or_create(dir.path()).unwrap_err().kind(), ErrorKind::Invalid);
    assert!(HmacKey::load_or_create("").is_err());
    assert!(HmacKey::load_or_create("..").is_err());
    // A link that leads nowhere is not replaced.
    let path = dir.path().join("link.key");
    symlink("nowhere", &path).unwrap();
    assert_eq!(HmacKey::load_or_create(&path).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}
