//! Storage classes: objects are created in the one that was asked for, and what a lifecycle rule has moved to an archive
//! is known as that.

use bytes::Bytes;
use chrono::{SubsecRound as _, TimeDelta, Utc};
use distribution_backends::{Probe, S3Config, S3Files, S3Storage};
use distribution_core::{
    Body, CreateOutcome, Error, ErrorKind, Meter, ObjectStat, Source as _, Staging as _, Storage, VideoUrl,
};
use distribution_testkit::s3::Op;
use futures::TryStreamExt as _;

use crate::double::{BUCKET, LARGE, Target, content, digest_of, key, pattern};
use crate::server::Server;

const CLASS: &str = "STANDARD_IA";
const HEADER: &str = "x-amz-storage-class";
const RESTORE: &[u8] =
    b"<RestoreRequest xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Days>1</Days></RestoreRequest>";

fn known(config: S3Config, probe: &Probe) -> S3Storage {
    let probe = Probe { target: config.place(), ..probe.clone() };
    S3Storage::open_probed(config, probe).unwrap()
}

async fn read(storage: &S3Storage, name: &str) -> Result<Vec<u8>, Error> {
    let bytes = storage.open(&key(name), 0..u64::MAX).await?.unwrap();
    Ok(bytes.try_collect::<Vec<_>>().await?.concat())
}

async fn stat(storage: &S3Storage, name: &str) -> ObjectStat {
    storage.stat(&key(name)).await.unwrap().unwrap()
}

/// Nothing reads it, and all say why and what to do.
async fn assert_archived(storage: &S3Storage, name: &str) {
    let digest = storage.digest(&key(name), &Meter::default()).await.unwrap_err();
    let whole = storage.open(&key(name), 0..u64::MAX).await.err().unwrap();
    let some = storage.open(&key(name), 1..3).await.err().unwrap();
    for error in [digest, whole, some] {
        assert_eq!(error.kind(), ErrorKind::Archived, "{error}");
        assert!(error.message().contains(name) && error.message().contains("restored"), "{error}");
    }
}

#[tokio::test]
async fn objects_are_created_in_the_class_that_was_asked_for_on_every_road() {
    let target = Target::start().await;
    let storage = target.open_as(|config| config.storage_class(CLASS).attested(true)).await;
    let in_parts = known(target.config(BUCKET).storage_class(CLASS), storage.probe());
    let usual = known(target.config(BUCKET), storage.probe());
    let (small, large) = (pattern(1000, 1), pattern(LARGE, 2));
    for (road, storage, bytes, copies, op) in [
        ("put", &storage, &small, false, Op::PutObject),
        ("upload", &storage, &large, false, Op::CreateMultipartUpload),
        ("copy", &storage, &small, true, Op::CopyObject),
        ("copy-of-parts", &in_parts, &small, true, Op::CreateMultipartUpload),
    ] {
        for (storage, class) in [(storage, Some(CLASS)), (&usual, None)] {
            let name = format!("{road}-{}.mp4", class.is_some());
            let content = if copies { target.staged(bytes).await } else { content(bytes) };
            target.double.clear_log();
            let outcome = storage.create(&key(&name), content).await.unwrap();
            assert!(matches!(outcome, CreateOutcome::Created { .. }), "{road}: {outcome:?}");
            let log = target.double.log();
            if class.is_some() {
                assert!(
                    log.iter().any(|request| request.op == op && request.header(HEADER) == class),
                    "{road}: {log:?}"
                );
            }
            let object = target.double.object(BUCKET, &format!("mvp/{name}")).unwrap();
            assert_eq!((object.headers.get(HEADER).map(String::as_str), &object.bytes), (class, bytes), "{road}");
            assert!(!stat(storage, &name).await.is_archived);
            assert_eq!(storage.digest(&key(&name), &Meter::default()).await.unwrap(), Some(digest_of(bytes)));
        }
    }
}

#[tokio::test]
async fn a_class_that_cannot_be_read_back_is_refused_before_anything_is_asked() {
    let target = Target::start().await;
    let usual = target.open().await;
    for class in ["GLACIER", "DEEP_ARCHIVE", "glacier", "", "STANDARD\r\nx-amz-acl: public-read"] {
        let config = || target.config(BUCKET).storage_class(class);
        let opened = [S3Storage::open(config()).await, S3Storage::open_probed(config(), usual.probe().clone())];
        for error in opened.map(Result::unwrap_err) {
            assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("storage_class")), "{error}");
        }
    }
    let error = S3Storage::open(target.config(BUCKET).storage_class("GLACIER")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "storage_class: cannot be GLACIER: what is written there cannot be read back, so it cannot be proven; choose a \
         class that can be read at once, such as STANDARD_IA or GLACIER_IR, and let a lifecycle rule of the bucket move \
         the objects later"
    );
    assert_eq!(target.double.log().len(), 0);
}

#[tokio::test]
async fn a_class_that_the_service_has_not_is_told_when_it_is_opened() {
    let target = Target::start().await;
    let error = S3Storage::open(target.config(BUCKET).storage_class("LUKEWARM")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("it has no such storage class: correct the target's"), "{error}");
}

#[tokio::test]
async fn what_was_moved_to_an_archive_is_known_and_read_again_once_it_is_restored() {
    let target = Target::start().await;
    let storage = target.open().await;
    for (name, bytes) in [("small.mp4", pattern(1000, 1)), ("large.mp4", pattern(LARGE, 1))] {
        let path = format!("mvp/{name}");
        storage.create(&key(name), content(&bytes)).await.unwrap();
        let before = stat(&storage, name).await;
        let object = target.double.object(BUCKET, &path).unwrap();
        assert_eq!(before.etag.as_deref(), Some(object.etag.trim_matches('"')));
        assert_eq!(before.modified, Some(object.modified.trunc_subsecs(0)));
        assert_eq!((before.size, before.is_archived), (bytes.len() as u64, false));
        for archive in ["GLACIER", "DEEP_ARCHIVE"] {
            assert!(target.double.transition(BUCKET, &path, archive));
            assert_eq!(stat(&storage, name).await, ObjectStat { is_archived: true, ..before.clone() });
            assert_archived(&storage, name).await;
            // It is there: nothing is created in its place.
            let outcome = storage.create(&key(name), content(&bytes)).await.unwrap();
            assert_eq!(outcome, CreateOutcome::AlreadyExists);
            assert_eq!(storage.list("", None, 9).await.unwrap().last(), Some(&key(name)));

            let ongoing = ("x-amz-restore".to_owned(), "ongoing-request=\"true\"".to_owned());
            target.double.damage(BUCKET, &path, |object| object.headers.extend([ongoing]));
            assert!(stat(&storage, name).await.is_archived);
            assert!(target.double.restore(BUCKET, &path, Utc::now() + TimeDelta::days(1)));
            assert_eq!(stat(&storage, name).await, before);
            assert_eq!(storage.digest(&key(name), &Meter::default()).await.unwrap(), Some(digest_of(&bytes)));
            assert_eq!(read(&storage, name).await.unwrap(), bytes);
        }
        assert!(target.double.transition(BUCKET, &path, "GLACIER_IR"));
        assert_eq!(stat(&storage, name).await, before);
        assert_eq!(read(&storage, name).await.unwrap(), bytes);
        // An archive does not keep it from being removed.
        assert!(target.double.transition(BUCKET, &path, "GLACIER"));
        storage.remove(&key(name)).await.unwrap();
        assert_eq!(storage.stat(&key(name)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn what_is_tiered_by_use_is_archived_in_some_tiers() {
    let target = Target::start().await;
    let storage = target.open_as(|config| config.storage_class("INTELLIGENT_TIERING")).await;
    storage.create(&key("a.mp4"), content(&pattern(1000, 1))).await.unwrap();
    assert!(!stat(&storage, "a.mp4").await.is_archived);
    let tier = ("x-amz-archive-status".to_owned(), "ARCHIVE_ACCESS".to_owned());
    target.double.damage(BUCKET, "mvp/a.mp4", |object| object.headers.extend([tier]));
    assert!(stat(&storage, "a.mp4").await.is_archived);
    assert_archived(&storage, "a.mp4").await;
}

#[tokio::test]
async fn a_staged_object_in_an_archive_is_neither_copied_nor_read() {
    for attests in [false, true] {
        let target = Target::start().await;
        let storage = target.open_as(|config| config.attested(attests)).await;
        let bytes = pattern(LARGE, 1);
        let staged = target.staged(&bytes).await;
        assert!(target.double.transition("staging", "mvp/clip.mp4", "GLACIER"));
        let error = storage.create(&key("a.mp4"), staged).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Archived, "{error}");
        assert!(error.message().contains("mvp/clip.mp4") && error.message().contains("RestoreObject"), "{error}");
        assert_eq!((target.double.requests(Op::GetObject), target.stored("a.mp4")), (0, None));
        assert!(target.double.uploads(BUCKET).is_empty());

        let (files, url) = (S3Files::open(target.config("staging")).unwrap(), "s3://staging/mvp/clip.mp4");
        let opened = files.open(&VideoUrl::parse(url).unwrap()).await.unwrap().unwrap();
        let Body::Object { bytes: taken, .. } = opened.body else { panic!() };
        let [file] = files.list().try_collect::<Vec<_>>().await.unwrap().try_into().unwrap();
        let errors = [
            taken.try_collect::<Vec<Bytes>>().await.unwrap_err(),
            opened.ranges.unwrap().read(0..8).await.unwrap_err(),
            files.digest(&file).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::Archived, "{error}");
        }
        assert!(target.double.restore("staging", "mvp/clip.mp4", Utc::now()));
        assert_eq!(files.digest(&file).await.unwrap(), Some(digest_of(&bytes)));
    }
}

/// `.ci/servers` gives Ceph a second class. It answers `InvalidArgument` to one that it has not.
#[tokio::test]
async fn proof_a_real_server_creates_objects_in_the_class_that_was_asked_for() {
    let Some(server) = Server::named("DISTRIBUTION_TEST_S3") else { return };
    let config = server.config(server.bucket(), "classes", &server.host);
    let storage = S3Storage::open(config.clone().storage_class(CLASS)).await.unwrap();
    for (name, bytes) in [("put.mp4", pattern(1000, 1)), ("upload.mp4", pattern(LARGE, 1))] {
        storage.create(&key(name), content(&bytes)).await.unwrap();
        let path = format!("{}/classes/{name}", server.bucket());
        assert_eq!(server.head(&path).get(HEADER).map(String::as_str), Some(CLASS), "{name}");
        let found = stat(&storage, name).await;
        assert_eq!((found.size, found.is_archived), (bytes.len() as u64, false));
        assert_eq!(storage.digest(&key(name), &Meter::default()).await.unwrap(), Some(digest_of(&bytes)));
    }
    S3Storage::open(config.storage_class("LUKEWARM")).await.unwrap_err();
    println!("proof: storage class on Ceph: a PUT and an upload are in {CLASS}, and read back");
}

/// moto archives what is put in an archive's class, and restores at once. It refuses to copy an archived object, but not
/// to copy parts of one.
#[tokio::test]
async fn proof_a_real_server_tells_what_is_archived_and_what_is_restored() {
    let Some(server) = Server::named("DISTRIBUTION_TEST_MOTO") else { return };
    // What it does not do atomically is of no matter here.
    let probe = Target::start().await.open().await.probe().clone();
    let storage = known(server.config(server.bucket(), "classes", &server.host), &probe);
    for archive in ["GLACIER", "DEEP_ARCHIVE"] {
        let (name, bytes) = (format!("{archive}.mp4"), pattern(1000, 1));
        let path = format!("{}/classes/{name}", server.bucket());
        let class = format!("{HEADER}: {archive}");
        let put = ["-X", "PUT", "-H", "content-type: video/mp4", "-H", &class, "--data-binary", "@-"];
        assert!(server.curl(&put, &path, &bytes).starts_with("HTTP/1.1 200"));
        let found = stat(&storage, &name).await;
        assert_eq!((found.size, found.is_archived), (1000, true));
        assert_archived(&storage, &name).await;

        let restore = ["-X", "POST", "-H", "content-type: application/xml", "--data-binary", "@-"];
        let restored = server.curl(&restore, &format!("{path}?restore"), RESTORE);
        assert!(restored.starts_with("HTTP/1.1 202"), "{restored}");
        assert_eq!(stat(&storage, &name).await, ObjectStat { is_archived: false, ..found });
        assert_eq!(storage.digest(&key(&name), &Meter::default()).await.unwrap(), Some(digest_of(&bytes)));
        assert_eq!(read(&storage, &name).await.unwrap(), bytes);
    }
    println!("proof: archives on moto: told by HEAD, refused to be read, and read once restored");
}

#[cfg(all(feature = "config", feature = "sqlite"))]
#[tokio::test]
async fn the_class_of_a_configuration_is_that_of_its_target() {
    let target = Target::start().await;
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("id", "id"), ("secret", "canary-s3-secret")] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    std::fs::create_dir(folder.path().join("staging")).unwrap();
    let text = format!(
        "[targets.media]\nstorage = \"s3://{BUCKET}/mvp?endpoint={}\"\nstorage_class = \"{CLASS}\"\n\
         credentials = {{ access_key_id = {{ file = \"id\" }}, secret_access_key = {{ file = \"secret\" }} }}\n\
         [staging.edits]\nroot = \"staging\"\n[metadata]\nuri = \"sqlite:r.db\"\n[audit]\njsonl = \"a.jsonl\"\n",
        target.endpoint()
    );
    let config = distribution_backends::Config::parse(&text, folder.path()).unwrap();
    let stores = config.stores().await.unwrap();
    let storage = stores.targets.values().next().unwrap();
    storage.create(&key("a.mp4"), content(&pattern(1000, 1))).await.unwrap();
    assert_eq!(target.double.object(BUCKET, "mvp/a.mp4").unwrap().headers[HEADER], CLASS);
}
