//! The doctor on a bucket, with links over HTTP: what a service does wrong is named, and nothing stays.

use std::sync::Arc;

use distribution_backends::{LinkProbe, PresignSigner, S3Config, S3Storage, SystemClock};
use distribution_core::{Check, Diagnosis, Health, Publisher, TargetName};
use distribution_testkit::World;
use distribution_testkit::s3::{Fault, Op};
use futures::future::join_all;

use crate::double::{BUCKET, Target};
use crate::server::Server;

fn publisher(storage: S3Storage, config: S3Config) -> Publisher {
    let signer = PresignSigner::s3(config).unwrap();
    let builder = World::new().builder("a").clock(Arc::new(SystemClock));
    builder.target(TargetName::default(), Arc::new(storage), Arc::new(signer)).build().unwrap()
}

fn ills(diagnosis: &Diagnosis) -> Vec<Check> {
    let ill = diagnosis.findings.iter().filter(|finding| matches!(finding.health, Health::Ill { .. }));
    ill.map(|finding| finding.check).collect()
}

#[tokio::test]
async fn proof_the_doctor_names_each_fault_of_a_service_and_leaves_nothing() {
    use Check::*;
    use Op::*;
    type Case = (&'static [(Op, Fault)], &'static [Check]);
    // Faults that come after the storage was opened, whose own probe would refuse some.
    let table: &[Case] = &[
        (&[], &[]),
        (&[(PutObject, Fault::IgnoredIfNoneMatch)], &[CreateOnly, ReadBack, Range]),
        (&[(CompleteMultipartUpload, Fault::IgnoredIfNoneMatch)], &[CreateOnlyLarge]),
        (&[(PutObject, Fault::AccessDenied), (CreateMultipartUpload, Fault::AccessDenied)], &[Create, CreateLarge]),
        (&[(CreateMultipartUpload, Fault::AccessDenied)], &[CreateLarge]),
        (&[(PutObject, Fault::StoredFlipped)], &[ReadBack]),
        (&[(HeadObject, Fault::AccessDenied)], &[ReadBack, Stat, Range, Link, CreateLarge]),
        (&[(GetObject, Fault::IgnoredRange)], &[Range, Link]),
        (&[(ListObjectsV2, Fault::StaleList)], &[List]),
        (&[(GetObject, Fault::IgnoredSignature)], &[LinkEnd, Privacy]),
        (&[(GetObject, Fault::FlippedBit)], &[ReadBack, Range]),
        (&[(DeleteObject, Fault::IgnoredDelete)], &[Remove]),
        (&[(DeleteObject, Fault::AccessDenied)], &[Remove]),
    ];
    let misnamed = join_all(table.iter().map(|(faults, named)| async move {
        let target = Target::start().await;
        let storage = target.open().await;
        for (op, fault) in *faults {
            target.double.always(*op, *fault);
        }
        let publisher = publisher(storage, target.config(BUCKET));
        let diagnosis = publisher.doctor(&LinkProbe::new().unwrap()).await;
        let may_leave = faults.iter().any(|(op, _)| *op == DeleteObject);
        assert_eq!(target.double.keys(BUCKET).is_empty(), !may_leave, "{faults:?}");
        assert!(target.double.uploads(BUCKET).is_empty(), "{faults:?}");
        (ills(&diagnosis) != *named).then(|| format!("{faults:?}, not {named:?}:\n{diagnosis}"))
    }));
    let misnamed: Vec<_> = misnamed.await.into_iter().flatten().collect();
    assert!(misnamed.is_empty(), "{}", misnamed.join("\n"));
    println!("proof: doctor on S3: {} kinds of unfaithful service named", table.len() - 1);
}

#[tokio::test]
async fn the_wrong_public_host_is_named() {
    let (target, other) = (Target::start().await, Target::start().await);
    let storage = target.open().await;
    let diagnosis = publisher(storage, other.config(BUCKET)).doctor(&LinkProbe::new().unwrap()).await;
    assert_eq!(ills(&diagnosis), [Check::Link], "{diagnosis}");
}

#[tokio::test]
async fn proof_a_real_server_is_well() {
    let Some(server) = Server::named("DISTRIBUTION_TEST_S3") else { return };
    let config = server.config(server.bucket(), "doctor", &server.host);
    let storage = S3Storage::open(config.clone()).await.unwrap();
    let diagnosis = publisher(storage, config).doctor(&LinkProbe::new().unwrap()).await;
    assert!(diagnosis.is_well(), "{diagnosis}");
    println!("proof: doctor on a real S3 server: {} findings, none ill", diagnosis.findings.len());
}
