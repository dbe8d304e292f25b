//! A configuration opens a publisher that publishes.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use distribution_backends::Config;
use distribution_core::{Alert, AlertSink, Checksum, ErrorKind, PublishRequest};

use super::{RECORDS, STAGING, TARGET, site};

pub(crate) fn request(url: &str, bytes: &[u8]) -> PublishRequest {
    let json = format!(
        r#"{{"final_edit": {{"video_url": "{url}", "duration_seconds": 1.0, "checksum": "{}"}},
            "qc_report": {{"status": "pass"}}}}"#,
        Checksum::of(bytes)
    );
    PublishRequest::from_json(json.as_bytes()).unwrap()
}

fn config(folder: &Path) -> Config {
    Config::parse(&format!("{TARGET}{STAGING}{RECORDS}"), folder).unwrap()
}

#[tokio::test]
async fn it_publishes_and_its_parts_serve_the_link() {
    let folder = site();
    fs::write(folder.path().join("staging/clip.mp4"), b"bytes").unwrap();
    let opened = config(folder.path()).open().await.unwrap();
    let record = opened.publisher.publish(request("clip.mp4", b"bytes")).await.unwrap();
    let location = format!("file://{}/objects/clip-", fs::canonicalize(folder.path()).unwrap().display());
    assert!(record.storage_location.as_str().starts_with(&location), "{}", record.storage_location);

    let [download] = opened.downloads.as_slice() else { panic!("one target has a route") };
    assert_eq!((download.target.as_str(), download.signer.base()), ("media", "https://media.example/files"));
    let link = record.public_url.expose().strip_prefix("https://media.example/files/").unwrap().to_owned();
    let (key, query) = link.split_once('?').unwrap();
    let grant = download.signer.verify("GET", key, query, record.published_at).await.unwrap();
    assert_eq!(download.storage.stat(&grant.key).await.unwrap().unwrap().size, 5);

    // The next process has the same records and the same key.
    let again = config(folder.path()).open().await.unwrap();
    assert_eq!(again.publisher.publish(request("clip.mp4", b"bytes")).await.unwrap(), record);
}

#[tokio::test]
async fn plain_paths_are_below_the_default_root_and_urls_below_any() {
    let folder = site();
    let more = folder.path().join("more");
    fs::create_dir(&more).unwrap();
    fs::write(more.join("a.mp4"), b"a").unwrap();
    fs::write(folder.path().join("staging/b.mp4"), b"b").unwrap();
    let text = format!(
        "[defaults]\nstaging = \"more\"\nlease_secs = 5\n{TARGET}{STAGING}[staging.more]\nroot = \"file://{}\"\n{RECORDS}",
        more.display()
    );
    let publisher = Config::parse(&text, folder.path()).unwrap().open().await.unwrap().publisher;
    publisher.publish(request("a.mp4", b"a")).await.unwrap();
    let below_another = format!("file://{}/staging/b.mp4", folder.path().display());
    publisher.publish(request(&below_another, b"b")).await.unwrap();
    let outside = publisher.publish(request("file:///etc/passwd", b"")).await.unwrap_err();
    assert_eq!(outside.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn what_is_missing_on_this_machine_is_named_by_its_key() {
    let cases = [("objects", "targets.media.storage: ", "(line 3)"), ("staging", "staging.edits.root: ", "(line 6)")];
    for (gone, key, line) in cases {
        let folder = site();
        fs::remove_dir(folder.path().join(gone)).unwrap();
        let error = config(folder.path()).open().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let text = error.to_string();
        assert!(text.starts_with(key) && text.ends_with(line) && text.contains(gone), "{text}");
    }
    let folder = site();
    fs::create_dir(folder.path().join("records.db")).unwrap();
    let error = config(folder.path()).open().await.unwrap_err();
    assert!(error.to_string().starts_with("metadata.uri: the database path "), "{error}");
    fs::remove_dir(folder.path().join("records.db")).unwrap();
    fs::write(folder.path().join("audit.jsonl"), "no entry\n").unwrap();
    let error = config(folder.path()).open().await.unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Corrupt, Some("audit.jsonl")));
}

#[derive(Default)]
struct Kept(Mutex<Vec<Alert>>);

impl AlertSink for Kept {
    fn raise(&self, alert: Alert) {
        self.0.lock().unwrap().push(alert);
    }
}

#[tokio::test]
async fn a_host_puts_its_own_parts_in() {
    let folder = site();
    let kept = Arc::new(Kept::default());
    let opened =
        config(folder.path()).open_with(|builder| builder.alerts(kept.clone()).holder("host-1")).await.unwrap();
    let missing = opened.publisher.publish(request("absent.mp4", b"")).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Rejected);
    assert_eq!(kept.0.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn the_defaults_are_the_publishers() {
    let folder = site();
    fs::write(folder.path().join("staging/clip.mp4"), b"bytes").unwrap();
    let defaults = "[defaults]\nstorage_prefix = \"mvp/\"\nkey_template = \"{prefix}{sha256:16}.mp4\"\n\
                    url_expiry_hours = 5\nqc_checksum_required = true\n";
    let text = format!("{defaults}{TARGET}{STAGING}{RECORDS}");
    let publisher = Config::parse(&text, folder.path()).unwrap().open().await.unwrap().publisher;
    let mut request = request("clip.mp4", b"bytes");
    let refused = publisher.publish(request.clone()).await.unwrap_err();
    assert_eq!((refused.kind(), refused.field()), (ErrorKind::Refused, Some("qc_report.checksum")));
    request.qc_report.checksum = Some(Checksum::of(b"bytes"));
    let record = publisher.publish(request).await.unwrap();
    let hex = Checksum::of(b"bytes").to_string();
    let name = format!("/objects/mvp/{}.mp4", &hex["sha256:".len()..][..16]);
    assert!(record.storage_location.as_str().ends_with(&name), "{}", record.storage_location);
    let hours = (record.expires_at.unwrap() - record.published_at).num_minutes();
    assert!((299..=300).contains(&hours), "{hours}");
}

#[test]
fn opening_can_be_spawned() {
    fn is_send<T: Send>(_: &T) {}
    let folder = site();
    is_send(&config(folder.path()).open());
}

#[cfg(feature = "serve")]
#[tokio::test]
async fn routes_that_differ_in_their_host_only_are_left_to_the_host() {
    let folder = site();
    fs::create_dir(folder.path().join("second")).unwrap();
    let second = |base: &str| {
        let text = format!(
            "[defaults]\ntarget = \"media\"\n{TARGET}[targets.second]\nstorage = \"second\"\n[targets.second.links]\n\
             kind = \"hmac\"\nbase_url = \"{base}\"\nkey_file = \"second.key\"\n{STAGING}{RECORDS}"
        );
        Config::parse(&text, folder.path()).unwrap()
    };
    let apart = second("https://media.example/second").open().await.unwrap();
    assert!(apart.router().unwrap().is_some());
    let at_another_host = second("https://second.example/files").open().await.unwrap();
    let error = at_another_host.router().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(
        error.to_string(),
        "the download routes of the targets `media` and `second` differ in their host only: serve each by itself"
    );
}
