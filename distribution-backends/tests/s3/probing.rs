//! What a service does not really do is found out, and not used.

use chrono::Utc;
use distribution_backends::{Ability, PresignSigner, Probe, S3Config, S3Storage};
use distribution_core::{CreateOutcome, ErrorKind, Storage as _};
use distribution_testkit::s3::{Fault, Op};
use futures::future::join_all;

use crate::double::{BUCKET, LARGE, Target, content, key, pattern};
use crate::server::Server;

const ALL: [Ability; 9] = [
    Ability::CreateByPut,
    Ability::CreateByUpload,
    Ability::CreateByPartCopy,
    Ability::CreateByCopy,
    Ability::ChecksumOnPut,
    Ability::ReadAfterWrite,
    Ability::RangeRead,
    Ability::ListAfterWrite,
    Ability::Remove,
];

fn lacks(probe: &Probe) -> Vec<Ability> {
    ALL.into_iter().filter(|ability| !probe.has(*ability)).collect()
}

#[tokio::test]
async fn a_service_that_does_everything_is_found_to() {
    let target = Target::start().await;
    let storage = target.open_as(|config| config).await;
    assert_eq!(lacks(storage.probe()), [], "{}", storage.probe());
    // It can be kept, and then asks nothing.
    let kept = serde_json::to_string(storage.probe()).unwrap();
    target.double.clear_log();
    S3Storage::open_probed(target.config(BUCKET), serde_json::from_str(&kept).unwrap()).unwrap();
    assert_eq!(target.double.log().len(), 0);
    // It says nothing of another bucket, or another service.
    let error = S3Storage::open_probed(target.config("staging"), storage.probe().clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

#[tokio::test]
async fn proof_each_fault_of_a_service_is_found() {
    use Ability::*;
    use Op::*;
    type Case = (&'static [(Op, Fault)], &'static [Ability]);
    let table: &[Case] = &[
        (&[(CopyObject, Fault::IgnoredIfNoneMatch)], &[CreateByCopy]),
        (&[(CopyObject, Fault::IgnoredSourceIfMatch)], &[CreateByCopy]),
        (&[(CopyObject, Fault::RacyConditions)], &[CreateByCopy]),
        (&[(CopyObject, Fault::ChecksumUnchecked)], &[CreateByCopy]),
        (&[(CopyObject, Fault::ChecksumComposite)], &[CreateByCopy]),
        (&[(CopyObject, Fault::AccessDenied)], &[CreateByCopy]),
        (&[(PutObject, Fault::IgnoredIfNoneMatch)], &[CreateByPut, ChecksumOnPut]),
        (&[(PutObject, Fault::RacyConditions)], &[CreateByPut, ChecksumOnPut]),
        (&[(PutObject, Fault::ChecksumUnchecked), (PutObject, Fault::IgnoredPayloadHash)], &[ChecksumOnPut]),
        (&[(PutObject, Fault::ChecksumEchoed), (PutObject, Fault::IgnoredPayloadHash)], &[ChecksumOnPut]),
        (&[(PutObject, Fault::ChecksumComposite)], &[ChecksumOnPut]),
        (&[(PutObject, Fault::RefusedButStored)], &[ChecksumOnPut]),
        (&[(CompleteMultipartUpload, Fault::IgnoredIfNoneMatch)], &[CreateByUpload, CreateByPartCopy, CreateByCopy]),
        (&[(CompleteMultipartUpload, Fault::RacyConditions)], &[CreateByUpload, CreateByPartCopy, CreateByCopy]),
        (&[(UploadPartCopy, Fault::AccessDenied)], &[CreateByPartCopy]),
        (&[(ListObjectsV2, Fault::StaleList)], &[ListAfterWrite]),
    ];
    join_all(table.iter().map(|(faults, lacking)| async move {
        let target = Target::start().await;
        for (op, fault) in *faults {
            target.double.always(*op, *fault);
        }
        let storage = S3Storage::open(target.config(BUCKET)).await.unwrap();
        assert_eq!(lacks(storage.probe()), *lacking, "{faults:?}\n{}", storage.probe());
    }))
    .await;
    println!("proof: probe of S3: {} kinds of unfaithful service found out of as many", table.len());
}

/// A request that fails for another reason is not a checksum that was refused.
#[tokio::test]
async fn a_passing_fault_acquits_nobody() {
    let target = Target::start().await;
    target.double.always(Op::PutObject, Fault::ChecksumEchoed);
    target.double.always(Op::PutObject, Fault::IgnoredPayloadHash);
    target.double.fail(|request| {
        let is_first = request.op == Op::PutObject && request.key.ends_with("/checksum");
        is_first.then_some(Fault::SlowDown)
    });
    match S3Storage::open(target.config(BUCKET)).await {
        Ok(storage) => assert!(!storage.probe().has(Ability::ChecksumOnPut), "{}", storage.probe()),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
    }
}

#[tokio::test]
async fn a_service_that_overwrites_is_refused() {
    for fault in [Fault::IgnoredIfNoneMatch, Fault::RacyConditions] {
        let target = Target::start().await;
        target.double.always_all(fault);
        let error = S3Storage::open(target.config(BUCKET)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("could overwrite"), "{error}");
    }
}

#[tokio::test]
async fn with_unsafe_puts_everything_is_uploaded_in_parts() {
    let target = Target::start().await;
    target.double.always(Op::PutObject, Fault::IgnoredIfNoneMatch);
    let storage = target.open_as(|config| config).await;
    let bytes = pattern(1000, 1);
    assert!(matches!(storage.create(&key("a.mp4"), content(&bytes)).await.unwrap(), CreateOutcome::Created { .. }));
    let again = storage.create(&key("a.mp4"), content(&pattern(1000, 2))).await.unwrap();
    assert_eq!((again, target.stored("a.mp4")), (CreateOutcome::AlreadyExists, Some(bytes)));
    assert_eq!(target.double.requests(Op::PutObject), 0);
}

#[tokio::test]
async fn with_unsafe_uploads_only_small_objects_are_stored() {
    let target = Target::start().await;
    target.double.always(Op::CompleteMultipartUpload, Fault::IgnoredIfNoneMatch);
    let storage = target.open_as(|config| config).await;
    let small = storage.create(&key("a.mp4"), content(&pattern(1000, 1))).await.unwrap();
    assert!(matches!(small, CreateOutcome::Created { .. }));
    let error = storage.create(&key("b.mp4"), content(&pattern(LARGE, 1))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(target.double.uploads(BUCKET).is_empty() && target.stored("b.mp4").is_none());
}

#[tokio::test]
async fn wrong_credentials_and_buckets_say_what_to_do() {
    let target = Target::start().await;
    for (config, says) in [
        (target.config(BUCKET).keys("id", "wrong"), "check the credentials"),
        (target.config(BUCKET).keys("nobody", "canary-s3-secret"), "check the credentials"),
        (target.config("absent"), "create the bucket"),
    ] {
        let error = S3Storage::open(config).await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    target.double.skew(chrono::TimeDelta::hours(1));
    let error = S3Storage::open(target.config(BUCKET)).await.unwrap_err();
    assert!(error.to_string().contains("clock"), "{error}");
}

/// moto checks first and then completes, and checks no payload: it is refused what it does not do.
#[tokio::test]
async fn proof_the_probe_on_real_servers() {
    for (variable, safe) in [("DISTRIBUTION_TEST_S3", true), ("DISTRIBUTION_TEST_MOTO", false)] {
        let Some(server) = Server::named(variable) else { continue };
        let config = server.config(server.bucket(), "probe", &server.host);
        match S3Storage::open(config).await {
            Ok(storage) => {
                let (probe, upload) = (storage.probe(), Ability::CreateByUpload);
                assert!(!safe || probe.has(upload) && probe.has(Ability::CreateByPut), "{probe}");
                assert!(!probe.has(Ability::CreateByCopy), "no server here honours it: {probe}");
                let lacking: Vec<_> = lacks(probe).into_iter().map(Ability::as_str).collect();
                println!("proof: probe of the server in {variable}: lacks {}", lacking.join(", "));
            }
            Err(error) => {
                assert!(!safe && error.kind() == ErrorKind::Unsupported, "{variable}: {error}");
                println!("proof: probe of the server in {variable}: refused");
            }
        }
    }
}

/// A host spawns these on its runtime.
#[test]
fn what_is_awaited_can_be_spawned() {
    fn spawns(_: impl Future + Send) {}
    let config = S3Config::from_uri("s3://media?endpoint=http://127.0.0.1:1").unwrap();
    spawns(S3Storage::open(config.clone()));
    let (storage, signer) = (S3Storage::open_probed(config.clone(), Probe::default()), PresignSigner::s3(config));
    drop(signer);
    if let Ok(storage) = storage {
        spawns(Probe::of(&storage, None, Utc::now()));
        spawns(storage.unfinished(Utc::now(), 1));
    }
}
