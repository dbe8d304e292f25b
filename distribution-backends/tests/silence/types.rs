//! The `Debug` of every public type that holds a secret; and that each public type was looked at.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use distribution_backends::{
    AzblobConfig, GcsConfig, HmacKey, HmacSigner, HttpSource, LinkProbe, LocalDisk, LogAlerts, PostgresConfig, Probe,
    Probed, S3Config, S3Storage, Sources, StoryConfig,
};
use distribution_core::{
    Alert, AlertKind, AlertSink as _, AuditLogId, Error, Link, SignedUrl, Source, Staged, VideoUrl,
};
use distribution_testkit::{World, request};

use crate::canary::{Secrets, canary};
use crate::told::Told;

/// Those that hold a secret, or hand one out, and have a `Debug`. Those with a server behind are shown in the tests of
/// their technologies: `local.rs` has the first two, `story.rs` the last two.
const HOLD: &str = "Download Opened \
    AzblobConfig BearerToken CloudFrontSigner Config DistributionRecord Error FinalEdit GcsConfig Guarded HmacKey \
    HmacSigner HttpSource IssuedLink Link LinkProbe OpendalStorage PostgresConfig PresignSigner Probed PublishRequest \
    PublishResponse Refused S3Config S3Files S3Storage SignedUrl Sources StoryConfig VideoUrl \
    StoryMcpMetadata PostgresMetadata EvidenceKey Seal WebhookAlerts WebhookConfig RunningAlerts OpenAlerts AuditTrail";

/// Those that hold one and have no `Debug`.
const SHOW_NOTHING: &str = "AuthenticatedRoute Builder DownloadRoute HttpSourceBuilder HttpTools PublishTool Publisher \
    StoredRevocations Wanted";

/// The rest: what is on record or in an answer, which the other tests look through, names, numbers and choices.
const HOLD_NONE: &str = "Ability Access Action Addressing Advance Alert AlertKind AssetMetadata AssetRecord AuditEntry \
    AuditEvent AuditLogId BaseUrl Body Caller Check Checksum Claim ConceptId Content ContentDisposition ContentHeaders \
    Cors CreateOutcome Cursor Details Diagnosis Digest Digester Disposition DistributionSettings DurationSeconds Entry \
    EntryId ErrorKind Event Finding Found Grant Health IdempotencyKey Identity IllegalTransition Index JsonlAudit \
    JsonlEntries KeyParts KeyTemplate Lease LinkLimits LinkRequest LocalDisk LocalFiles Location LogAlerts MediaFacts \
    MediaTrack Meter MirrorTo Mp4Inspector ObjectKey ObjectMetadata ObjectStat Page Phase Plan PlannedAction Policy \
    Preflight PreflightCheck PreflightPolicy Probe Proof Publication Published PublishedAsset QcApproval QcPolicy \
    QcReport Query Record RecordMetadata Recovery Rejection Row SourceFault SourcePin SqliteMetadata Stage Staged \
    StagedAt StagedObject State StoragePrefix StoredObject StoryContract StoryMirror SystemClock TargetName Trail \
    TrailEnd Unfinished Unfit Verdict Verification Work StagedFile Removal SweepPolicy Decision Kept User Sweep \
    Tidy LeftOver LeftOverKind LeftOverOutcome Spared Stores Sweeping \
    Hold HoldOn LegalHold LinksLeft Reason Retracted Retraction Version \
    CopyExamined ProvenCopy Replica ReplicaAsset Replicas Replication Role Scrub \
    ArchiveMode ArchivePass ArchivePolicy HotCopies Tier \
    ChainHead Checkpoint Checkpointed FindingKind ObjectAudit PostgresAudit PublicKey PublishedAt Receipt Severity \
    SqliteAudit Verifier WebhookFormat";

#[test]
fn each_public_type_was_looked_at() {
    let mut found = BTreeSet::new();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in [here.join("src"), here.join("../distribution-core/src")] {
        types_in(&folder, &mut found);
    }
    assert!(found.len() > 100, "the sources are elsewhere: {found:?}");
    let lists = [HOLD, SHOW_NOTHING, HOLD_NONE].map(str::split_whitespace).into_iter().flatten();
    let known: BTreeSet<_> = lists.map(str::to_owned).collect();
    let new: Vec<_> = found.difference(&known).collect();
    assert!(new.is_empty(), "does their Debug show a secret? Add them to a list here: {new:?}");
    let gone: Vec<_> = known.difference(&found).collect();
    assert!(gone.is_empty(), "there are no such types any more: {gone:?}");
}

/// Every `pub struct` and `pub enum` at the left margin of a file.
fn types_in(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            types_in(&entry.path(), found);
            continue;
        }
        let text = fs::read_to_string(entry.path()).unwrap();
        for line in text.lines() {
            let rest = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum "));
            found.extend(rest.and_then(|rest| rest.split(|c: char| !c.is_alphanumeric()).next()).map(str::to_owned));
        }
    }
}

/// Where each is shown: its name stands in a test beside this one, or here.
#[test]
fn each_that_holds_a_secret_is_shown() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/silence");
    let sources: String = fs::read_dir(folder)
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .map(|text| text.replace(HOLD, ""))
        .collect();
    let not_shown: Vec<_> = HOLD.split_whitespace().filter(|name| !sources.contains(*name)).collect();
    assert!(not_shown.is_empty(), "{not_shown:?}");
}

#[tokio::test]
async fn configurations_and_what_holds_them_show_no_secret() {
    let mut told = Told::new();
    let secrets = Secrets::of(&["shown"]);
    let secret = canary("shown");
    let s3 = S3Config::from_uri("s3://media?endpoint=http://127.0.0.1:1").unwrap().keys(&secret, &secret);
    told.debug(&s3);
    let probe = Probe { target: s3.place(), findings: Vec::new() };
    match S3Storage::open_probed(s3.clone(), probe) {
        Ok(storage) => told.debug(&storage),
        Err(error) => told.error(error),
    }
    told.debug(&AzblobConfig::from_uri("az://media?account=studio").unwrap().with_key(&secret));
    told.debug(&GcsConfig::from_uri("gs://media").unwrap());
    told.debug(&PostgresConfig::from_uri(&format!("postgres://u:{secret}@db.example/ops")).unwrap());
    told.debug(&StoryConfig::http("https://story.example/mcp").unwrap().bearer(&secret).unwrap());
    let key = HmacKey::new("k1", secret.as_bytes()).unwrap();
    let signer = HmacSigner::new("https://media.example", key).unwrap();
    told.debug(&signer);
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(LocalDisk::open(folder.path()).unwrap());
    told.debug(&Probed::new(Arc::new(signer), disk, LinkProbe::new().unwrap()));
    told.debug(&HttpSource::builder().host("media.example").build().unwrap());
    told.debug(&Sources::new().paths(Arc::new(Holder(secret))));
    told.holds_none_of(&secrets, &[]);
}

#[tokio::test]
async fn requests_answers_and_links_show_no_secret() {
    let mut told = Told::new();
    let secrets = Secrets::of(&["shown in a request", "shown in a link"]);
    let (query, signature) = (canary("shown in a request"), canary("shown in a link"));
    let wanted = request(&format!("https://staging.example/clip.mp4?{query}"), b"bytes");
    told.debug(&wanted);
    told.debug(&wanted.final_edit);
    told.debug(&wanted.final_edit.video_url);
    told.say("display", wanted.final_edit.video_url.to_string());
    let world = World::new();
    world.stage("clip.mp4", "bytes");
    let mut record = world.publisher("a").publish(request("clip.mp4", b"bytes")).await.unwrap();
    record.public_url = Link::new(format!("https://media.example/clip.mp4?s={signature}"));
    told.debug(&record);
    told.debug(&distribution_core::PublishResponse::from(record.clone()));
    told.debug(&record.public_url);
    let link = record.public_url;
    told.debug(&SignedUrl { link, expires_at: record.published_at, limited_by: None });
    told.debug(&distribution_backends::Refused::Unknown(Error::unavailable("out of reach")));
    let audit_log_id = AuditLogId::parse("dist_00000000000000000000000000").unwrap();
    LogAlerts.raise(Alert {
        kind: AlertKind::Corrupt,
        audit_log_id: Some(audit_log_id),
        target: None,
        message: "look at it".into(),
    });
    told.holds_none_of(&secrets, &["distribution_backends"]);
}

/// A host's own source, whose `Debug` nobody must call.
struct Holder(String);

#[async_trait]
impl Source for Holder {
    fn check(&self, _: &VideoUrl) -> Result<(), Error> {
        Err(Error::unavailable(format!("{} bytes", self.0.len())))
    }

    async fn open(&self, _: &VideoUrl) -> Result<Option<Staged>, Error> {
        Ok(None)
    }
}
