//! Into an archive of another storage class, and back, with the links and the bytes looked at from outside.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use distribution_backends::{PresignSigner, S3Storage, SystemClock};
use distribution_core::{ArchiveMode, Clock, ErrorKind, Publisher, TargetName, Tier, Timestamp};
use distribution_testkit::checker::violations;
use distribution_testkit::{World, request};

use crate::curl::curl;
use crate::double::pattern;
use crate::server::Server;

/// More than one part.
const SIZE: usize = 17 << 20;
const HOUR: Duration = Duration::from_secs(3_600);
const CLASS: &str = "STANDARD_IA";

#[tokio::test(flavor = "multi_thread")]
async fn proof_there_and_back_on_the_double() {
    let (server, _double, _served) = Server::double().await;
    there_and_back("the double", &server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn proof_there_and_back_on_the_server() {
    let Some(server) = Server::named("DISTRIBUTION_TEST_S3") else { return };
    there_and_back("the server", &server).await;
}

/// So much later than it is.
struct Later(Duration);

impl Clock for Later {
    fn now(&self) -> Timestamp {
        SystemClock.now() + self.0
    }
}

async fn storage(server: &Server, prefix: &str) -> S3Storage {
    let config = server.config(server.bucket(), prefix, &server.host);
    let config = if prefix == "cold" { config.storage_class(CLASS) } else { config };
    S3Storage::open(config).await.unwrap()
}

async fn publisher(server: &Server, world: &World, later: Duration) -> Publisher {
    let mut builder = world.builder("host-1").clock(Arc::new(Later(later)));
    for (name, prefix) in [("default", "hot"), ("cold", "cold")] {
        let signer = PresignSigner::s3(server.config(server.bucket(), prefix, &server.host)).unwrap();
        let name = TargetName::parse(name).unwrap();
        builder = builder.target(name, Arc::new(storage(server, prefix).await), Arc::new(signer));
    }
    builder.archive(TargetName::default(), TargetName::parse("cold").unwrap()).build().unwrap()
}

async fn there_and_back(on: &str, server: &Server) {
    let (world, bytes) = (World::new(), pattern(SIZE, 7));
    world.stage("clip.mp4", bytes.clone());
    let now = publisher(server, &world, Duration::ZERO).await;
    let call = request("clip.mp4", &bytes);
    let record = now.publish(call.clone()).await.unwrap();
    let id = &record.audit_log_id;
    let asset = now.archive(id, ArchiveMode::FreeHot).await.unwrap().published.unwrap();
    assert_eq!((asset.tier, asset.replica_count), (Tier::Archived, 1));
    world.unstage("clip.mp4");

    let key = record.storage_location.as_str().rsplit_once("/hot/").unwrap().1.to_owned();
    let [hot, cold] = ["hot", "cold"].map(|prefix| format!("{}/{prefix}/{key}", server.bucket()));
    assert_eq!(server.head(&cold).get("x-amz-storage-class").map(String::as_str), Some(CLASS));
    assert_eq!(server.head(&hot).get("x-amz-storage-class"), None);
    assert!(server.get(&cold) == bytes);
    for error in [now.link(id, HOUR).await.unwrap_err(), now.publish(call.clone()).await.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Archived);
    }
    // The link that is out works.
    let (status, _, body) = curl(&[], record.public_url.expose());
    assert!(status == 200 && body == bytes);
    let clear = async |publisher: &Publisher| {
        let mut removed = 0;
        let mut pass = publisher.tidy(TimeDelta::zero());
        while let Some(left_over) = pass.next().await.unwrap() {
            removed += usize::from(left_over.to_string().starts_with("removed") && left_over.name == key);
        }
        removed
    };
    assert_eq!(clear(&now).await, 0, "its links have not ended");
    assert_eq!(clear(&publisher(server, &world, 72 * HOUR).await).await, 1);
    assert!(!server.get(&hot).starts_with(&bytes[..16]), "it is gone");

    let asset = now.restore(id).await.unwrap().published.unwrap();
    assert_eq!((asset.tier, asset.replica_count), (Tier::Hot, 2));
    assert!(asset.storage_location.as_str().ends_with("-r1.mp4"), "no key is used twice");
    let (status, headers, body) = curl(&[], now.publish(call).await.unwrap().public_url.expose());
    assert!(status == 200 && body == bytes, "{status} {headers:?}");
    let mut evidence = world.evidence();
    for prefix in ["hot", "cold"] {
        evidence = evidence.with_storage(&storage(server, prefix).await).await.unwrap();
    }
    assert_eq!(violations(&evidence), []);
    println!(
        "proof_there_and_back: {on}: {SIZE} bytes from STANDARD into {CLASS}, the hot copy removed when its link had \
         ended, and brought back from there; each copy proven, 0 violations"
    );
}
