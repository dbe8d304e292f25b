//! Object Lock: what is held is kept by the bucket, and a bucket that does not is found out before anything relies on it.

use std::sync::Arc;

use chrono::TimeDelta;
use distribution_backends::{Ability, PresignSigner, Probe, S3Config, S3Storage, SystemClock};
use distribution_core::{
    AuditLogId, Error, ErrorKind, HoldOn, LegalHold, Publisher, Reason, Spared, Storage as _, TargetName,
};
use distribution_testkit::s3::{Fault, Op};
use distribution_testkit::{World, request};

use crate::double::{BUCKET, Target, content, key, pattern};
use crate::server::Server;

const HEADER: &str = "x-amz-object-lock-legal-hold";
/// A bucket with Object Lock.
const VAULT: &str = "vault";

async fn start() -> Target {
    let target = Target::start().await;
    target.double.create_locking_bucket(VAULT);
    target
}

async fn open(target: &Target) -> Result<S3Storage, Error> {
    S3Storage::open(target.config(VAULT).object_lock(true)).await
}

/// What the bucket tells of the object.
fn told(target: &Target, name: &str) -> Option<String> {
    target.double.object(VAULT, &format!("mvp/{name}")).unwrap().headers.get(HEADER).cloned()
}

#[tokio::test]
async fn a_bucket_with_object_lock_is_found_and_asked() {
    let target = start().await;
    let storage = open(&target).await.unwrap();
    assert!(storage.probe().has(Ability::LegalHold) && storage.keeps_legal_holds());
    let left = target.double.hidden(VAULT).into_iter().filter(|(key, _)| key.contains("legal-hold"));
    assert_eq!(left.count(), 0, "the trial was destroyed");

    // What it was found to do can be kept.
    let kept: Probe = serde_json::from_str(&serde_json::to_string(storage.probe()).unwrap()).unwrap();
    target.double.clear_log();
    let storage = S3Storage::open_probed(target.config(VAULT).object_lock(true), kept).unwrap();
    assert_eq!(target.double.log().len(), 0);

    let clip = key("clip.mp4");
    storage.create(&clip, content(&pattern(1000, 1))).await.unwrap();
    let set = async |hold| storage.set_legal_hold(&clip, hold).await.unwrap();
    assert_eq!((set(LegalHold::Off).await, told(&target, "clip.mp4")), (Some(LegalHold::Off), None));
    assert_eq!(target.double.requests(Op::PutObjectLegalHold), 0, "what is so already is not asked for");
    assert_eq!((set(LegalHold::On).await, told(&target, "clip.mp4")), (Some(LegalHold::Off), Some("ON".into())));
    assert_eq!(storage.stat(&clip).await.unwrap().unwrap().legal_hold, LegalHold::On);
    assert_eq!((set(LegalHold::On).await, target.double.requests(Op::PutObjectLegalHold)), (Some(LegalHold::On), 1));
    assert_eq!((set(LegalHold::Off).await, told(&target, "clip.mp4")), (Some(LegalHold::On), Some("OFF".into())));
    assert_eq!(storage.set_legal_hold(&key("none.mp4"), LegalHold::On).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_put_over_a_held_object_leaves_it_held() {
    let target = start().await;
    let storage = open(&target).await.unwrap();
    storage.create(&key("clip.mp4"), content(&pattern(1000, 1))).await.unwrap();
    // Between the look and the request, too: the hold is on the version that was looked at.
    let intruder = target.double.clone();
    target.double.fail(move |request| {
        if request.op == Op::PutObjectLegalHold {
            intruder.plant(VAULT, "mvp/clip.mp4", "an intruder's bytes");
        }
        None
    });
    storage.set_legal_hold(&key("clip.mp4"), LegalHold::On).await.unwrap();
    assert_eq!(told(&target, "clip.mp4"), None);
    storage.remove(&key("clip.mp4")).await.unwrap();
    let hidden = target.double.hidden(VAULT);
    let held: Vec<_> = hidden.iter().filter(|(_, object)| object.headers.contains_key(HEADER)).collect();
    assert_eq!(held.len(), 1);
    assert!(held[0].1.bytes == pattern(1000, 1) && held[0].1.headers[HEADER] == "ON");
}

#[tokio::test]
async fn a_bucket_that_does_not_keep_what_is_held_is_refused() {
    type Case = (&'static str, &'static [(Op, Fault)], &'static str);
    let cases: [Case; 5] = [
        (BUCKET, &[], "it has no Object Lock"),
        (VAULT, &[(Op::PutObjectLegalHold, Fault::NotImplemented)], "the service has no Object Lock"),
        (VAULT, &[(Op::PutObjectLegalHold, Fault::ForgottenLegalHold)], "that was placed is not told again"),
        (VAULT, &[(Op::DeleteObject, Fault::IgnoredLegalHold)], "what is under a legal hold can be destroyed"),
        (BUCKET, &[(Op::PutObjectLegalHold, Fault::SlowDown)], ""),
    ];
    for (bucket, faults, fault) in cases {
        let target = start().await;
        for (op, fault) in faults {
            target.double.always(*op, *fault);
        }
        let error = S3Storage::open(target.config(bucket).object_lock(true)).await.unwrap_err();
        if fault.is_empty() {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            continue;
        }
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("object_lock")), "{error}");
        assert!(error.message().contains(fault) && error.message().contains("or leave this out"), "{error}");
        assert!(S3Storage::open(target.config(bucket)).await.is_ok(), "it can be published to without");
    }
    println!("proof: probe of Object Lock: 4 kinds of buckets that do not keep what is held found out of as many");
}

/// Keys that may not destroy a version prove nothing when they are refused; and no trial stays under a hold.
#[tokio::test]
async fn a_refusal_for_another_reason_is_no_proof() {
    let target = start().await;
    target.double.fail(|request| {
        let destroys = request.op == Op::DeleteObject && request.query.iter().any(|(name, _)| name == "versionId");
        destroys.then_some(Fault::AccessDenied)
    });
    let error = open(&target).await.unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("object_lock")), "{error}");
    assert!(error.message().contains("cannot be destroyed: allow s3:DeleteObjectVersion"), "{error}");
    let trials: Vec<_> =
        target.double.hidden(VAULT).into_iter().filter(|(key, _)| key.contains("legal-hold")).collect();
    assert!(trials.len() == 1 && trials[0].1.headers[HEADER] == "OFF", "{trials:?}");
}

#[tokio::test]
async fn nobody_relies_on_a_bucket_of_which_that_is_not_known() {
    let target = start().await;
    let usual = S3Storage::open(target.config(VAULT)).await.unwrap();
    assert!(!usual.keeps_legal_holds() && usual.probe().fault(Ability::LegalHold).is_none());
    let config = target.config(VAULT).object_lock(true);
    let error = S3Storage::open_probed(config, usual.probe().clone()).unwrap_err();
    assert!(error.message().contains("nobody has looked whether it can: probe again"), "{error}");
    usual.create(&key("clip.mp4"), content(&pattern(10, 1))).await.unwrap();
    let error = usual.set_legal_hold(&key("clip.mp4"), LegalHold::On).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("set `object_lock`"), "{error}");
    // That somebody else has it kept is seen all the same.
    target.double.damage(VAULT, "mvp/clip.mp4", |object| drop(object.headers.insert(HEADER.into(), "ON".into())));
    assert_eq!(usual.stat(&key("clip.mp4")).await.unwrap().unwrap().legal_hold, LegalHold::On);
}

#[tokio::test]
async fn what_fails_on_the_way_is_repeated_or_told() {
    let target = start().await;
    let storage = open(&target).await.unwrap();
    let clip = key("clip.mp4");
    storage.create(&clip, content(&pattern(1000, 1))).await.unwrap();
    for fault in [Fault::LostAnswer, Fault::LostRequest, Fault::InternalError, Fault::SlowDown] {
        target.double.inject(Op::PutObjectLegalHold, 0, fault);
        assert_eq!(storage.set_legal_hold(&clip, LegalHold::On).await.unwrap(), Some(LegalHold::Off), "{fault:?}");
        assert_eq!(told(&target, "clip.mp4").as_deref(), Some("ON"));
        storage.set_legal_hold(&clip, LegalHold::Off).await.unwrap();
    }
    target.double.always(Op::PutObjectLegalHold, Fault::AccessDenied);
    let error = storage.set_legal_hold(&clip, LegalHold::On).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.message().contains("set the legal hold of clip.mp4: the service answers 403 AccessDenied"),
        "{error}"
    );
}

/// Asks a server for a bucket with Object Lock.
pub(crate) fn vault(server: &Server) -> String {
    let bucket = format!("{}-{VAULT}", server.bucket());
    let made = server.curl(&["-X", "PUT", "-H", "x-amz-bucket-object-lock-enabled: true"], &bucket, b"");
    assert!(made.starts_with("HTTP/1.1 200") || made.contains("AlreadyOwnedByYou"), "{made}");
    bucket
}

fn publisher(world: &World, config: S3Config, storage: S3Storage) -> Publisher {
    let builder = world.builder("host-1").clock(Arc::new(SystemClock));
    let signer = PresignSigner::s3(config).unwrap();
    builder.target(TargetName::default(), Arc::new(storage), Arc::new(signer)).build().unwrap()
}

/// What is left over, with why it stays.
async fn tidy(publisher: &Publisher) -> Vec<String> {
    let (mut pass, mut found) = (publisher.tidy(TimeDelta::zero()), Vec::new());
    while let Some(left_over) = pass.next().await.unwrap() {
        found.push(left_over.to_string());
    }
    found
}

/// Published, held, and nobody destroys it who has the credentials; until it is released.
async fn held_and_released(on: &str, server: &Server, bucket: &str, storage: S3Storage) {
    let (world, why) = (World::new(), Reason::parse("a court asks for it").unwrap());
    let publisher = publisher(&world, server.config(bucket, "mvp", &server.host).object_lock(true), storage);
    let publish = async |name: &str, size| -> (AuditLogId, String) {
        let bytes = pattern(size, 7);
        world.stage(name, bytes.clone());
        let record = publisher.publish(request(name, &bytes)).await.unwrap();
        (record.audit_log_id, record.storage_location.as_str().strip_prefix("s3://").unwrap().to_owned())
    };
    let (id, path) = publish("small.mp4", 1000).await;
    let (_, large) = publish("large.mp4", 17 << 20).await;
    let version = server.head(&path)["x-amz-version-id"].clone();
    let destroy = || server.curl(&["-X", "DELETE"], &format!("{path}?versionId={version}"), b"");
    let held = |path: &str| server.head(path).get(HEADER).cloned().unwrap_or_default();
    let publication = HoldOn::Publication(id.clone());
    publisher.hold(&publication, &why).await.unwrap();
    assert_eq!((held(&path), held(&large)), ("ON".into(), String::new()));
    assert!(destroy().starts_with("HTTP/1.1 403"), "{}", destroy());

    publisher.retract(&id, &why).await.unwrap();
    let kept = tidy(&publisher).await;
    assert!(kept.len() == 1 && kept[0].contains(&Spared::Held { by: id.clone() }.to_string()), "{kept:?}");
    assert!(server.head(&path).contains_key(HEADER), "it is there");
    publisher.release(&publication, &why).await.unwrap();
    assert_eq!(held(&path), "OFF");
    let gone = tidy(&publisher).await;
    assert!(gone.len() == 1 && gone[0].starts_with("removed"), "{gone:?}");
    assert!(!server.head(&path).contains_key("etag"), "it is hidden");
    assert!(destroy().starts_with("HTTP/1.1 204"), "{}", destroy());
    println!("proof: Object Lock on {on}: held, refused to be destroyed, kept while taken back, released, tidied away");
}

/// The bucket, whatever it does not do atomically: nobody races for it.
pub(crate) async fn locking(config: S3Config) -> S3Storage {
    let probe = open(&start().await).await.unwrap().probe().clone();
    S3Storage::open_probed(config.clone(), Probe { target: config.place(), ..probe }).unwrap()
}

/// Ceph does not create if absent in a bucket with versions: of 16 writers of one key, 6 to all have won. So it is refused, and what it does with legal holds is shown with one writer.
#[tokio::test(flavor = "multi_thread")]
async fn proof_held_and_released_on_the_server() {
    let Some(server) = Server::named("DISTRIBUTION_TEST_S3") else { return };
    let bucket = vault(&server);
    let config = |bucket: &str, prefix| server.config(bucket, prefix, &server.host).object_lock(true);
    let refused = S3Storage::open(config(&bucket, "race")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(refused.message().contains("publishing there could overwrite"), "{refused}");
    let refused = S3Storage::open(config(server.bucket(), "no-lock")).await.unwrap_err();
    assert_eq!(refused.field(), Some("object_lock"), "{refused}");
    held_and_released("Ceph", &server, &bucket, locking(config(&bucket, "mvp")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn proof_held_and_released_on_another_server() {
    let Some(server) = Server::named("DISTRIBUTION_TEST_MOTO") else { return };
    let bucket = vault(&server);
    let storage = locking(server.config(&bucket, "mvp", &server.host).object_lock(true)).await;
    held_and_released("moto", &server, &bucket, storage).await;
}
