//! A bucket of S3: its keys, a session token, presigned links, and what comes of wrong keys.

use std::fs;
use std::process::Command;
use std::sync::Arc;

use chrono::{SubsecRound as _, TimeDelta};
use distribution_backends::{Config, Opened, PresignSigner, S3Config, S3Files, S3Storage, SystemClock};
use distribution_core::{
    Clock as _, Error, LinkRequest, ObjectKey, Source as _, Storage as _, UrlSigner as _, VideoUrl,
};
use distribution_testkit::request;
use distribution_testkit::s3::{Credentials, Fault, Op, S3Double};
use tempfile::TempDir;

use crate::canary::{Secrets, canary};
use crate::s3_server::S3Server;
use crate::told::Told;
use crate::{VIDEO, use_all};

/// What begins an `Authorization` header, which nothing logs.
const AUTHORIZATION: &str = "SHA256 Credential=";

async fn serve(credentials: Credentials) -> (S3Double, S3Server) {
    let double = S3Double::new([credentials]).with_clock(Arc::new(SystemClock));
    double.create_bucket("media");
    double.create_bucket("staging");
    double.plant("staging", "edits/clip.mp4", VIDEO);
    let server = S3Server::start(double.clone()).await;
    (double, server)
}

/// A site whose keys are of these names.
fn site(endpoint: &str, id: &str, secret: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("id"), canary(id)).unwrap();
    fs::write(folder.path().join("secret"), canary(secret)).unwrap();
    let keys = "access_key_id = { file = \"id\" }\nsecret_access_key = { file = \"secret\" }\n";
    let text = format!(
        "[targets.media]\nstorage = \"s3://media/mvp?endpoint={endpoint}\"\n[targets.media.credentials]\n{keys}\
         [staging.edits]\nroot = \"s3://staging/edits?endpoint={endpoint}\"\n[staging.edits.credentials]\n{keys}\
         [metadata]\nuri = \"sqlite:records.db\"\n[audit]\njsonl = \"audit.jsonl\"\n"
    );
    fs::write(folder.path().join("distribution.toml"), text).unwrap();
    folder
}

async fn open(folder: &TempDir, told: &mut Told) -> Result<Opened, Error> {
    let config = Config::load(folder.path().join("distribution.toml")).unwrap();
    told.debug(&config);
    let alerts = told.alerts();
    config.open_with(|builder| builder.alerts(alerts)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_is_published_to_without_a_word_of_its_keys() {
    let mut told = Told::new();
    let mut secrets = Secrets::of(&["s3 id", "s3 secret"]).and("authorization", AUTHORIZATION);
    let (double, server) = serve(Credentials::new(canary("s3 id"), canary("s3 secret"))).await;
    let folder = site(server.endpoint(), "s3 id", "s3 secret");
    let opened = open(&folder, &mut told).await.unwrap();
    told.debug(&opened);
    let record = use_all(&opened.publisher, "clip.mp4", &mut told, &mut secrets).await;
    told.refusal(opened.publisher.revoke_links(&record.audit_log_id).await);

    // Whatever the service says, and whatever it does not.
    for (n, fault) in [Fault::AccessDenied, Fault::InternalError, Fault::LostRequest].into_iter().enumerate() {
        let (name, video) = (format!("{n}.mp4"), format!("video {n}"));
        double.plant("staging", &format!("edits/{name}"), video.clone());
        double.always_all(fault);
        told.refusal(opened.publisher.publish(request(&name, video.as_bytes())).await);
        double.heal();
        double.always(Op::PutObject, fault);
        double.always(Op::CopyObject, fault);
        double.always(Op::CreateMultipartUpload, fault);
        told.refusal(opened.publisher.publish(request(&name, video.as_bytes())).await);
        double.heal();
    }
    drop(server);
    told.refusal(opened.publisher.publish(request("more.mp4", VIDEO)).await);
    told.folder(folder.path(), &["id", "secret"]);
    told.holds_none_of(&secrets, &["reqsign_core", "reqwest", "distribution_core"]);
}

#[tokio::test]
async fn a_service_that_refuses_the_keys_is_told_without_them() {
    let mut told = Told::new();
    let secrets = Secrets::of(&["right id", "right secret", "wrong id", "wrong secret"])
        .and("authorization", AUTHORIZATION)
        .and("uri", canary("uri"));
    let (_double, server) = serve(Credentials::new(canary("right id"), canary("right secret"))).await;
    for (id, secret) in [("right id", "wrong secret"), ("wrong id", "right secret")] {
        let refused = open(&site(server.endpoint(), id, secret), &mut told).await;
        told.refusal(refused);
    }
    let unreached = open(&site("http://127.0.0.1:1", "right id", "right secret"), &mut told).await;
    told.refusal(unreached);
    let secret = canary("uri");
    for uri in [
        format!("s3://media?endpoint=http://u:{secret}@host"),
        format!("s3://{secret}:x@media"),
        format!("s3://media?secret_access_key={secret}"),
        format!("s3://media?endpoint=http://host/?{secret}"),
        format!("s3://media#{secret}"),
        format!("s3://media?region={secret}!"),
    ] {
        told.refusal(S3Config::from_uri(&uri));
    }
    told.holds_none_of(&secrets, &["reqsign_core", "reqwest"]);
}

const KIND: &str = "DISTRIBUTION_TEST_ENVIRONMENT";

/// The same test where the keys are in variables, in a profile, and in a profile that is broken.
fn in_other_environments(test: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (id, secret, token) = (canary("env id"), canary("env secret"), canary("env token"));
    let profile =
        format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\naws_session_token = {token}\n");
    fs::write(folder.path().join("profile"), &profile).unwrap();
    fs::write(folder.path().join("broken"), profile.replace("[default]", "[default").replace(" = ", " ")).unwrap();
    for kind in ["variables", "profile", "broken"] {
        let file = folder.path().join(kind);
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", test, "--nocapture"]).env(KIND, kind).env("HOME", folder.path());
        child.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_CONFIG_FILE", &file);
        child.env("AWS_SHARED_CREDENTIALS_FILE", &file);
        if kind == "variables" {
            child.env("AWS_ACCESS_KEY_ID", &id).env("AWS_SECRET_ACCESS_KEY", &secret).env("AWS_SESSION_TOKEN", &token);
        }
        let done = child.output().unwrap();
        let text = [done.stdout, done.stderr].concat();
        let shown = String::from_utf8_lossy(&text);
        assert!(done.status.success() && shown.contains("1 passed"), "{kind}: {shown}");
        let found = Secrets::of(&["env id", "env secret", "env token"]).found_in(&text);
        assert!(found.is_empty(), "{kind}: {found:?}");
    }
}

/// The environment of this process cannot be changed safely, so the test runs itself in another one.
#[tokio::test]
async fn keys_and_a_session_token_of_the_environment_stay_there() {
    const TEST: &str = "s3::keys_and_a_session_token_of_the_environment_stay_there";
    if std::env::var_os(KIND).is_none() {
        return in_other_environments(TEST);
    }
    let mut told = Told::new();
    let secrets = Secrets::of(&["env id", "env secret", "env token"]).and("authorization", AUTHORIZATION);
    let mut known = Credentials::new(canary("env id"), canary("env secret"));
    known.session_token = Some(canary("env token"));
    let (_double, server) = serve(known).await;
    let config = S3Config::from_uri(&format!("s3://media/mvp?endpoint={}", server.endpoint())).unwrap();
    let staging = S3Config::from_uri(&format!("s3://staging/edits?endpoint={}", server.endpoint())).unwrap();
    let files = S3Files::open(staging).unwrap();
    told.debug(&config);
    told.debug(&files);
    let key = ObjectKey::parse("clip.mp4").unwrap();
    let now = SystemClock.now();
    let wanted = LinkRequest { key: key.clone(), expires_at: now.trunc_subsecs(0) + TimeDelta::hours(1) };
    let signer = PresignSigner::s3(config.clone()).unwrap();
    told.debug(&signer);
    // A session token of which nobody knows the end signs nothing.
    told.refusal(signer.sign(&wanted, now).await);
    match std::env::var(KIND).unwrap().as_str() {
        "broken" => told.refusal(S3Storage::open(config).await),
        _ => {
            let storage = S3Storage::open(config).await.unwrap();
            told.debug(&storage);
            assert_eq!(storage.stat(&key).await.unwrap(), None);
            assert!(files.open(&VideoUrl::parse("clip.mp4").unwrap()).await.unwrap().is_some());
        }
    }
    told.holds_none_of(&secrets, &["reqsign"]);
}
