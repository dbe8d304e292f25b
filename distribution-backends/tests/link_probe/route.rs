//! Links of the download route, tried through a real listener.

use std::sync::Arc;

use axum::Router;
use chrono::{SubsecRound as _, TimeDelta};
use distribution_backends::{HmacKey, HmacSigner, LocalDisk, Probed, SystemClock, serve};
use distribution_core::{Check, Clock as _, ErrorKind, Finding, Health, LinkRequest, TargetName, UrlSigner as _};
use distribution_testkit::World;
use tokio::net::TcpListener;

use crate::{Disk, key, probe};

#[tokio::test]
async fn the_download_route_serves_what_a_probe_asks_for() {
    let disk = Disk::of(1 << 20);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/files", listener.local_addr().unwrap());
    let signer = |secret: u8| {
        let key = HmacKey::new("k1", [secret; 32]).unwrap();
        Arc::new(HmacSigner::new(&base, key).unwrap())
    };
    let route = serve::router(Arc::new(disk.storage()), signer(7), Arc::new(SystemClock));
    let router = Router::new().nest_service("/files", route);
    tokio::spawn(async move { axum::serve(listener, router).await });

    let now = SystemClock.now();
    let wanted = LinkRequest { key: key(), expires_at: now.trunc_subsecs(0) + TimeDelta::hours(1) };
    let probed = |secret: u8| Probed::new(signer(secret), Arc::new(disk.storage()), probe());
    probed(7).sign(&wanted, now).await.unwrap();
    let error = probed(8).sign(&wanted, now).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("is refused (HTTP 403)"), "another key: {error}");

    let other = Disk::of(1 << 20 | 1);
    let mixed = Probed::new(signer(7), Arc::new(other.storage()), probe());
    let error = mixed.sign(&wanted, now).await.unwrap_err();
    assert!(
        error.to_string().contains("leads to an object of 1048576 bytes, and the stored one has 1048577"),
        "{error}"
    );
}

#[tokio::test]
async fn the_doctor_does_not_call_metadata_well_of_which_the_route_tells_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Arc::new(LocalDisk::open(folder.path()).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/files", listener.local_addr().unwrap());
    let signer = Arc::new(HmacSigner::new(&base, HmacKey::new("k1", [7; 32]).unwrap()).unwrap());
    let router =
        Router::new().nest_service("/files", serve::router(storage.clone(), signer.clone(), Arc::new(SystemClock)));
    tokio::spawn(async move { axum::serve(listener, router).await });

    let builder = World::new().builder("a").clock(Arc::new(SystemClock));
    let publisher = builder.target(TargetName::default(), storage, signer).build().unwrap();
    let diagnosis = publisher.doctor(&probe()).await;
    assert!(diagnosis.is_well(), "{diagnosis}");
    let health = |check| {
        let found = diagnosis.findings.iter().find(|finding| finding.check == check);
        found.map(|Finding { health, .. }| health.clone()).unwrap()
    };
    assert_eq!([Check::Link, Check::LinkLife, Check::LinkEnd].map(health), [Health::Well, Health::Well, Health::Well]);
    assert!(matches!(health(Check::ObjectMetadata), Health::Unknown { reason } if reason.contains("do not tell")));
}
