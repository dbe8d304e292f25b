//! Targets in Azure and Google, from `distribution.toml`.

use std::fs;
use std::path::Path;

use distribution_backends::Config;
use distribution_core::{Checksum, ErrorKind, PublishRequest};

use crate::azurite::Server;

const REST: &str = "[staging.edits]\nroot = \"staging\"\n[metadata]\nuri = \"sqlite:records.db\"\n\
                    [audit]\njsonl = \"audit.jsonl\"\n";

fn config(folder: &Path, target: &str) -> Config {
    Config::parse(&format!("[targets.media]\n{target}{REST}"), folder).unwrap()
}

fn site() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("staging")).unwrap();
    fs::write(folder.path().join("staging/clip.mp4"), b"bytes").unwrap();
    folder
}

#[test]
fn a_target_in_azure_with_its_key_in_a_file_publishes() {
    let Some(server) = Server::find("a configured target in Azure") else { return };
    let folder = site();
    crate::runtime().block_on(async {
        let uri = server.uri(&server.container().await);
        let target = format!("storage = \"{uri}\"\ncredentials = {{ account_key = {{ file = \"account.key\" }} }}\n");
        fs::write(folder.path().join("account.key"), format!("{}\n", server.key)).unwrap();
        let opened = config(folder.path(), &target).open().await.unwrap();
        assert!(opened.downloads.is_empty(), "Azure serves its links itself");
        let json = format!(
            r#"{{"final_edit": {{"video_url": "clip.mp4", "duration_seconds": 1.0, "checksum": "{}"}},
                "qc_report": {{"status": "pass"}}}}"#,
            Checksum::of(b"bytes")
        );
        let request = PublishRequest::from_json(json.as_bytes()).unwrap();
        let record = opened.publisher.publish(request).await.unwrap();
        assert!(record.public_url.expose().contains("sig="));

        // A key that is no key of this account, and one that is none at all.
        fs::write(folder.path().join("account.key"), format!("{}==", "A".repeat(86))).unwrap();
        let refused = config(folder.path(), &target).open().await.unwrap_err();
        assert_eq!((refused.kind(), refused.field()), (ErrorKind::Unavailable, Some("targets.media.storage")));
        fs::write(folder.path().join("account.key"), "hunter2!").unwrap();
        let wrong = config(folder.path(), &target).open().await.unwrap_err();
        assert_eq!(wrong.kind(), ErrorKind::Invalid);
        assert!(!format!("{wrong} {wrong:?}").contains("hunter2"), "{wrong}");
    });
}

/// The emulator at hand keeps no preconditions, so nothing could be published there safely.
#[cfg(feature = "gcs")]
#[test]
fn a_bucket_that_overwrites_is_refused_by_its_key() {
    let Ok(text) = std::env::var("DISTRIBUTION_TEST_GCS") else {
        println!("NOT RUN: a configured bucket that overwrites: DISTRIBUTION_TEST_GCS names no server");
        assert!(std::env::var_os("CI").is_none(), "DISTRIBUTION_TEST_GCS must name a server in CI");
        return;
    };
    let (endpoint, bucket) = text.split_once(' ').unwrap();
    let endpoint = endpoint.replace(':', "%3A").replace('/', "%2F");
    let target = format!(
        "storage = \"gs://{bucket}/configured-{}?anonymous=true&endpoint={endpoint}\"\n\
         links = {{ kind = \"hmac\", base_url = \"https://media.example\", key_file = \"link.key\" }}\n",
        std::process::id()
    );
    let folder = site();
    let error = crate::runtime().block_on(config(folder.path(), &target).open()).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Unsupported, Some("targets.media.storage")));
    assert!(
        error.message().starts_with("cannot be published to: ") && error.message().ends_with("(line 2)"),
        "{error}"
    );
}
