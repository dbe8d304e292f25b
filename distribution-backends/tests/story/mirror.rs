//! Records that are given to Story as their audit trail is delivered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use distribution_backends::{MirrorTo, StoryContract, StoryMirror};
use distribution_core::{ErrorKind, PublishRequest, Publisher, QcReport, Record, Row, TargetName};
use distribution_testkit::story::StoryServer;
use distribution_testkit::{MemoryMetadata, World, request};

use crate::server::{Fate, Http, Story};

const VIDEO: &[u8] = b"approved bytes";

struct Site {
    world: World,
    story: Story,
    server: StoryServer,
    _http: Http,
    mirror: StoryMirror,
}

impl Site {
    async fn new(change: impl FnOnce(Story) -> Story) -> Self {
        let world = World::new();
        world.stage("clip.mp4", VIDEO);
        let server = StoryServer::new(Arc::new(MemoryMetadata::new(&World::new()))).without_revision();
        let story = change(Story::new(server.clone()));
        let http = Http::serve(&story).await;
        let config = http.config().call_timeout(Duration::from_millis(500)).unwrap();
        let mirror = StoryMirror::open(config, StoryContract::default()).await.unwrap();
        Self { world, story, server, _http: http, mirror }
    }

    fn publisher(&self, holder: &str) -> Publisher {
        let parts = self.world.parts(&TargetName::default());
        let audit = MirrorTo::new(parts.audit, parts.metadata, self.mirror.clone());
        self.world.builder(holder).audit(Arc::new(audit)).build().unwrap()
    }

    /// What the mirror holds of the one publication: revision, settled and body.
    async fn held(&self) -> Option<(u64, bool, String)> {
        let id = self.world.rows()[0].id.clone();
        let arguments = serde_json::json!({"collection": "publications", "id": id.as_str()});
        let answer = self.server.answer("get", arguments.as_object().unwrap()).await;
        let document = &answer.structured_content.unwrap()["document"];
        let text = |field: &str| document[field].as_str().unwrap().to_owned();
        (!document.is_null())
            .then(|| (document["revision"].as_u64().unwrap(), document["settled"] == true, text("body")))
    }

    /// That the mirror holds what the authority does.
    async fn assert_final(&self) {
        let row: Row = self.world.rows().remove(0);
        let (revision, settled, body) = self.held().await.expect("a document");
        assert!(settled && row.index.settled, "{body}");
        assert_eq!(body.as_bytes(), row.body, "the final record");
        // The authority has also noted the delivery.
        assert_eq!(revision + 1, row.revision);
        let decoded = Record::decode(&Row { revision, body: body.into(), ..row }).unwrap();
        assert!(decoded.trail.waiting.is_empty());
    }
}

fn ask() -> PublishRequest {
    request("clip.mp4", VIDEO)
}

#[tokio::test]
async fn the_mirror_holds_the_final_record_before_the_link_is_given() {
    let site = Site::new(|story| story).await;
    let record = site.publisher("host-1").publish(ask()).await.unwrap();
    site.assert_final().await;
    let calls = site.story.calls();
    let repeated = site.publisher("host-2").publish(ask()).await.unwrap();
    assert_eq!(repeated.audit_log_id, record.audit_log_id);
    assert_eq!(site.story.calls(), calls, "nothing new to tell");
    site.assert_final().await;
}

#[tokio::test]
async fn a_fault_of_the_mirror_at_any_call_is_made_good_by_a_repeat() {
    for fate in [Fate::LostRequest, Fate::LostAnswer, Fate::Error(rmcp::ErrorData::internal_error("no", None))] {
        for at in 0..4 {
            let site = Site::new(|story| story).await;
            let (n, fate) = (AtomicUsize::new(0), fate.clone());
            site.story
                .fate(move |_| if n.fetch_add(1, Ordering::SeqCst) == at { fate.clone() } else { Fate::Answered });
            let publisher = site.publisher("host-1");
            if let Err(error) = publisher.publish(ask()).await {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                publisher.publish(ask()).await.unwrap();
            }
            site.assert_final().await;
            let trail: Vec<_> = site.world.audit().into_iter().map(|entry| entry.id.sequence).collect();
            assert_eq!(trail, (0..trail.len() as u64).collect::<Vec<_>>(), "gapless, each once");
        }
    }
}

#[tokio::test]
async fn while_the_mirror_is_down_no_call_ends_and_recovery_finishes() {
    let site = Site::new(|story| story).await;
    site.story.fate(|tool| if tool == "put" { Fate::LostRequest } else { Fate::Answered });
    let error = site.publisher("host-1").publish(ask()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("did not reach the Story server http://127.0.0.1"), "{error}");
    assert_eq!(site.held().await, None);
    assert_eq!(site.world.objects().len(), 1, "stored and proven all the same");

    site.story.heal();
    let recovery = site.publisher("host-2").recover().await.unwrap();
    assert_eq!((recovery.settled, recovery.failed), (1, 0), "{recovery:?}");
    site.assert_final().await;
}

#[tokio::test]
async fn a_newer_document_is_left_alone_where_it_can_be_read() {
    for has_get in [true, false] {
        let site =
            Site::new(|story| story.with_tools(|tools| tools.retain(|tool| has_get || tool.name != "get"))).await;
        site.publisher("host-1").publish(ask()).await.unwrap();
        site.assert_final().await;
        let row = site.world.rows().remove(0);
        let newer = serde_json::json!({
            "collection": "publications", "id": row.id.as_str(), "revision": 1_000, "concept_id": null,
            "checksum": row.index.checksum.to_string(), "tags": [], "state": "published", "settled": true,
            "claimed_at": row.index.claimed_at.timestamp_micros(), "body": "newer", "body_encoding": "text",
        });
        site.server.answer("put", newer.as_object().unwrap()).await;
        // The other host of a race, which delivers what it read before.
        let parts = site.world.parts(&TargetName::default());
        let audit = MirrorTo::new(parts.audit, parts.metadata, site.mirror.clone());
        distribution_core::AuditSink::append(&audit, &site.world.audit()).await.unwrap();
        assert_eq!(site.held().await.unwrap().2 == "newer", has_get);
    }
}

#[tokio::test]
async fn a_refusal_has_no_record_to_mirror() {
    let site = Site::new(|story| story).await;
    let refused = PublishRequest { qc_report: QcReport { status: "fail".into(), ..QcReport::pass() }, ..ask() };
    let error = site.publisher("host-1").publish(refused).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(site.world.audit().len(), 1);
    assert_eq!(site.story.calls(), 0);
}
