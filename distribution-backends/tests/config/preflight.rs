//! `[preflight]`: staged files are looked into, and judged as it says.

use std::fs;

use distribution_backends::Config;
use distribution_core::{AuditLogId, Error, ErrorKind, Preflight, Publisher};

use super::opening::request;
use super::{RECORDS, STAGING, TARGET, parse, refusal, site};

/// An MP4 of 4 seconds.
const CLIP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/staging/clip.mp4");

/// What becomes of a clip of which the request says that it plays for a second, and of what is no video.
async fn outcomes(preflight: &str) -> [Result<Option<Preflight>, Error>; 2] {
    let (folder, clip) = (site(), fs::read(CLIP).unwrap());
    fs::write(folder.path().join("staging/clip.mp4"), &clip).unwrap();
    fs::write(folder.path().join("staging/text.mp4"), b"no video").unwrap();
    let config = Config::parse(&format!("{TARGET}{STAGING}{preflight}{RECORDS}"), folder.path()).unwrap();
    let publisher = config.open().await.unwrap().publisher;
    [published(&publisher, "clip.mp4", &clip).await, published(&publisher, "text.mp4", b"no video").await]
}

async fn published(publisher: &Publisher, url: &str, bytes: &[u8]) -> Result<Option<Preflight>, Error> {
    let id: AuditLogId = publisher.publish(request(url, bytes)).await?.audit_log_id;
    let asset = publisher.record(&id).await?.unwrap();
    Ok(asset.published.unwrap().preflight)
}

#[tokio::test]
async fn it_is_asked_for_or_not_done() {
    assert_eq!(outcomes("").await.map(|outcome| outcome.unwrap()), [None, None]);

    let [clip, text] = outcomes("[preflight]\n").await;
    let clip = clip.unwrap().unwrap();
    assert_eq!(clip.facts.tracks[0].kind, "video");
    assert!(clip.warnings.iter().any(|warning| warning.contains("and not 1.000")), "{clip:?}");
    assert_eq!(text.unwrap_err().kind(), ErrorKind::Rejected);

    let [clip, text] = outcomes("[preflight]\nmp4 = \"warn\"\nduration = \"refuse\"\n").await;
    assert_eq!(clip.unwrap_err().kind(), ErrorKind::Rejected);
    let text = text.unwrap().unwrap();
    assert_eq!(text.warnings, ["it is no MP4, it does not begin with a `ftyp` box: stage the finished MP4".to_owned()]);

    let tolerant = "[preflight]\nmp4 = \"off\"\nduration = \"refuse\"\nduration_tolerance_ms = 3600000\n";
    assert!(outcomes(tolerant).await.iter().all(Result::is_ok));
}

#[test]
fn what_it_cannot_be_is_told() {
    let refused = |keys: &str| refusal(&format!("{TARGET}{STAGING}[preflight]\n{keys}\n{RECORDS}"));
    assert!(refused("faststart = \"no\"").starts_with("preflight.faststart: "), "{}", refused("faststart = \"no\""));
    assert_eq!(
        refused("duration_tolerance_ms = -1"),
        "preflight.duration_tolerance_ms: must be 0 to 3600000, not -1 (line 8)"
    );
    assert!(refused("moov = \"warn\"").contains("there are `mp4`, `complete`, `duration`,"));
    assert!(parse(&format!("{TARGET}{STAGING}[preflight]\ncomplete = \"off\"\n{RECORDS}")).is_ok());
}
