//! The doctor on a bucket, with links over HTTP: what a service does wrong is named, and nothing stays.

use std::sync::Arc;

use chrono::TimeDelta;
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

/// What is done to a service after the storage was opened, whose own probe would refuse some of it.
#[derive(Clone, Copy, Debug)]
enum Defect {
    Faults(&'static [(Op, Fault)]),
    /// The service's clock is ahead by so many minutes.
    Ahead(i64),
    /// Links lead to another service.
    OtherHost,
}

use Check::*;
use Defect::*;
use Op::*;

/// Each way in which a service is known to deceive, by name, and what of the doctor finds it. Where it finds more than
/// one thing, each is true.
const DEFECTS: [(&str, Defect, &[Check]); 13] = [
    (
        "ignores If-None-Match on put",
        Faults(&[(PutObject, Fault::IgnoredIfNoneMatch)]),
        &[CreateOnly, ReadBack, Range, ObjectMetadata],
    ),
    (
        "ignores If-None-Match on multipart",
        Faults(&[(CompleteMultipartUpload, Fault::IgnoredIfNoneMatch)]),
        &[CreateOnlyLarge],
    ),
    ("presigned links die early", Faults(&[(GetObject, Fault::EarlyExpiry)]), &[LinkLife]),
    ("presigned links never expire", Faults(&[(GetObject, Fault::IgnoredExpiry)]), &[LinkEnd]),
    ("knows no ranges", Faults(&[(GetObject, Fault::IgnoredRange)]), &[Range, Link]),
    ("serves the wrong content type", Faults(&[(GetObject, Fault::OtherContentType)]), &[Link]),
    (
        "refuses HEAD with 403",
        Faults(&[(HeadObject, Fault::AccessDenied)]),
        &[ReadBack, Stat, Range, Link, CreateLarge],
    ),
    // S3 refuses every request then; what is said of each is to set the clock.
    ("clock is 20 minutes ahead", Ahead(20), &[Create, CreateLarge, Remove]),
    ("lists are stale", Faults(&[(ListObjectsV2, Fault::StaleList)]), &[List]),
    (
        "is read-only",
        Faults(&[(PutObject, Fault::AccessDenied), (CreateMultipartUpload, Fault::AccessDenied)]),
        &[Create, CreateLarge],
    ),
    ("denies deletes", Faults(&[(DeleteObject, Fault::AccessDenied)]), &[Remove]),
    ("drops metadata", Faults(&[(PutObject, Fault::DroppedMetadata)]), &[ObjectMetadata]),
    ("links have the wrong public host", OtherHost, &[Link]),
];

const OTHERS: [(&str, Defect, &[Check]); 8] = [
    ("is well", Faults(&[]), &[]),
    ("a clock that is 10 minutes ahead", Ahead(10), &[Clock]),
    ("large uploads are denied", Faults(&[(CreateMultipartUpload, Fault::AccessDenied)]), &[CreateLarge]),
    ("stores another bit", Faults(&[(PutObject, Fault::StoredFlipped)]), &[ReadBack]),
    ("looks at no signature", Faults(&[(GetObject, Fault::IgnoredSignature)]), &[LinkEnd, Privacy]),
    ("reads another bit", Faults(&[(GetObject, Fault::FlippedBit)]), &[ReadBack, Range]),
    ("keeps what was removed", Faults(&[(DeleteObject, Fault::IgnoredDelete)]), &[Remove]),
    ("links cannot be fetched", Faults(&[(GetObject, Fault::AccessDenied)]), &[ReadBack, Range, Link]),
];

async fn examined(defect: Defect) -> (Target, Diagnosis) {
    let (target, other) = (Target::start().await, Target::start().await);
    let storage = target.open().await;
    let mut links = target.config(BUCKET);
    match defect {
        Faults(faults) => faults.iter().for_each(|(op, fault)| target.double.always(*op, *fault)),
        Ahead(minutes) => target.double.skew(TimeDelta::minutes(minutes)),
        OtherHost => links = other.config(BUCKET),
    }
    let diagnosis = publisher(storage, links).doctor(&LinkProbe::new().unwrap()).await;
    (target, diagnosis)
}

/// The defects that are not named as they should be.
async fn misnamed(table: &[(&str, Defect, &[Check])]) -> Vec<String> {
    let wrong = join_all(table.iter().map(|(name, defect, named)| async move {
        let (target, diagnosis) = examined(*defect).await;
        let keys = target.double.keys(BUCKET);
        let uploads = target.double.uploads(BUCKET);
        // What cannot be removed is told, with its place; nothing else stays.
        let told = ill(&diagnosis, Remove).is_some_and(|problem| keys.iter().any(|key| problem.contains(key)));
        let is_clean = uploads.is_empty() && (keys.is_empty() || told);
        let is_right = ills(&diagnosis) == *named && is_clean;
        (!is_right).then(|| format!("{name}, not {named:?}, {keys:?} stay, {} uploads:\n{diagnosis}", uploads.len()))
    }));
    wrong.await.into_iter().flatten().collect()
}

fn ill(diagnosis: &Diagnosis, check: Check) -> Option<String> {
    diagnosis.findings.iter().find(|finding| finding.check == check).and_then(|finding| match &finding.health {
        Health::Ill { problem } => Some(problem.clone()),
        _ => None,
    })
}

#[tokio::test]
async fn proof_the_doctor_names_the_13_known_defects_of_services_and_leaves_nothing() {
    let misnamed = misnamed(&DEFECTS).await;
    assert!(misnamed.is_empty(), "{}", misnamed.join("\n"));
    for (name, _, checks) in DEFECTS {
        let checks: Vec<&str> = checks.iter().map(|check| check.as_str()).collect();
        println!("{name}: {}", checks.join(", "));
    }
    println!(
        "proof: doctor on S3: {} known defects of services, each named; nothing left but what cannot be removed, which is told",
        DEFECTS.len()
    );
}

#[tokio::test]
async fn proof_the_doctor_names_other_faults_and_no_false_ones() {
    let misnamed = misnamed(&OTHERS).await;
    assert!(misnamed.is_empty(), "{}", misnamed.join("\n"));
    println!("proof: doctor on S3: {} other faults named, none where there is none", OTHERS.len() - 1);
}

#[tokio::test]
async fn what_a_refused_clock_is_told_with_is_what_to_do_about_it() {
    let (_, diagnosis) = examined(Ahead(20)).await;
    let problem = ill(&diagnosis, Create).unwrap();
    assert!(problem.contains("set this machine's clock"), "{problem}");
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
