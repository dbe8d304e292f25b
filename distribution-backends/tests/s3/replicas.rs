//! Copies in a second bucket: what they are served with, links to them, and what a scrub finds.

use std::sync::Arc;
use std::time::Duration;

use distribution_backends::{PresignSigner, S3Storage, SystemClock};
use distribution_core::{Publisher, Replication, TargetName};
use distribution_testkit::{World, request};

use crate::curl::curl;
use crate::double::pattern;
use crate::server::Server;

/// More than one part.
const SIZE: usize = 17 << 20;
const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test(flavor = "multi_thread")]
async fn proof_copies_in_two_buckets_of_the_double() {
    let (server, _double, _served) = Server::double().await;
    copies("the double", &server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn proof_copies_in_two_buckets_of_the_server() {
    let Some(server) = Server::named("DISTRIBUTION_TEST_S3") else { return };
    copies("the server", &server).await;
}

async fn publisher(server: &Server, world: &World) -> Publisher {
    let copy = TargetName::parse("copy").unwrap();
    let replication = Replication { targets: vec![copy.clone()], quorum: 2 };
    let mut builder = world.builder("host-1").clock(Arc::new(SystemClock));
    for (name, prefix) in [(TargetName::default(), "own"), (copy, "copy")] {
        let config = server.config(server.bucket(), prefix, &server.host);
        let signer = PresignSigner::s3(config.clone()).unwrap();
        builder = builder.target(name, Arc::new(S3Storage::open(config).await.unwrap()), Arc::new(signer));
    }
    builder.replicate(TargetName::default(), replication).build().unwrap()
}

async fn copies(on: &str, server: &Server) {
    let (world, bytes) = (World::new(), pattern(SIZE, 7));
    world.stage("clip.mp4", bytes.clone());
    let publisher = publisher(server, &world).await;
    let record = publisher.publish(request("clip.mp4", &bytes)).await.unwrap();
    assert_eq!(record.replica_count, 2);
    world.unstage("clip.mp4");

    let bucket = server.bucket();
    let key = record.storage_location.as_str().rsplit_once("/own/").unwrap().1.to_owned();
    let [own, copy] = ["own", "copy"].map(|prefix| format!("{bucket}/{prefix}/{key}"));
    let served = |path: &str| {
        let mut head = server.head(path);
        let told = |name: &str| name.starts_with("x-amz-meta-") || name.starts_with("c") || name == "content-type";
        head.retain(|name, _| told(name) && name != "connection");
        head
    };
    assert!(served(&own).contains_key("x-amz-meta-sha256"), "{:?}", served(&own));
    assert_eq!(served(&own), served(&copy), "the content headers are the same on every copy");
    assert!(server.get(&copy) == bytes);

    // Without its own object, links lead to the copy.
    server.curl(&["-X", "DELETE"], &own, b"");
    let link = publisher.link(&record.audit_log_id, HOUR).await.unwrap();
    assert!(link.link.expose().contains("/copy/"));
    let (status, _, body) = curl(&[], link.link.expose());
    assert!(status == 200 && body == bytes);
    let scrub = publisher.scrub(None, u64::MAX).await.unwrap();
    assert_eq!((scrub.sound, scrub.lost, scrub.repaired, scrub.failed), (1, 1, 1, 0), "{scrub:?}");
    let link = publisher.link(&record.audit_log_id, HOUR).await.unwrap();
    assert!(link.link.expose().contains("/own/") && link.link.expose().contains("-r1.mp4"));
    let (status, _, body) = curl(&[], link.link.expose());
    assert!(status == 200 && body == bytes);

    // A copy that rots is found, though it has the same size, and made anew.
    let mut rotten = bytes.to_vec();
    rotten[SIZE / 2] ^= 1;
    let headers = distribution_core::ContentHeaders {
        content_type: "video/mp4".to_owned(),
        content_disposition: "inline".to_owned(),
        cache_control: "private".to_owned(),
        user_metadata: [].into(),
    };
    assert!(server.put(&copy, &headers, &rotten));
    let scrub = publisher.scrub(None, u64::MAX).await.unwrap();
    assert_eq!((scrub.sound, scrub.lost, scrub.repaired, scrub.failed), (1, 1, 1, 0), "{scrub:?}");
    assert!(server.get(&copy.replace(".mp4", "-r1.mp4")) == bytes);
    let scrub = publisher.scrub(None, u64::MAX).await.unwrap();
    assert_eq!((scrub.sound, scrub.lost, scrub.bytes), (2, 0, 2 * SIZE as u64));
    println!(
        "proof_copies_on_s3: {on}: an object of {SIZE} bytes in two buckets, served alike; one lost and one rotten copy \
         found and made anew"
    );
}
