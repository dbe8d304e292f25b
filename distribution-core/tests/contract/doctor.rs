//! The doctor: it finds what is planted, and leaves nothing behind.

use std::future::poll_fn;
use std::ops::Range;
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use chrono::TimeDelta;
use distribution_core::{
    BaseUrl, ByteStream, Check, Content, CreateOutcome, Diagnosis, Digest, Error, ErrorKind, Health, Link, LinkLimits,
    LinkRequest, Location, Meter, ObjectKey, ObjectStat, SignedUrl, Storage, TargetName, Timestamp, UrlSigner,
};
use distribution_testkit::{Fault, Op, TestViewer, World};
use futures::executor::block_on;

/// What is wrong with a target.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    Overwrites,
    OverwritesLarge,
    LooksThenWrites,
    ReadOnly,
    NoLarge,
    ReadsOthers,
    HidesStat,
    ClockAhead,
    NoRanges,
    StaleLists,
    KeepsRemoved,
    RemoveDenied,
    DropsMetadata,
    OtherType,
    LinksDieEarly,
    LinksDieUnadmitted,
    LinksNeverEnd,
    LinksElsewhere,
    SignsNothing,
}

struct Flawed(Arc<dyn Storage>, Arc<dyn UrlSigner>, Flaw);

impl Flawed {
    fn refused(&self, flaw: Flaw) -> Result<(), Error> {
        let refused = || Error::unavailable("access denied: grant it");
        if self.2 == flaw { Err(refused()) } else { Ok(()) }
    }
}

async fn let_others_look() {
    let mut looked = false;
    poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut looked, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[async_trait]
impl Storage for Flawed {
    async fn create(&self, key: &ObjectKey, mut content: Content) -> Result<CreateOutcome, Error> {
        self.refused(Flaw::ReadOnly)?;
        let is_large = content.size > 1 << 20;
        match self.2 {
            Flaw::NoLarge if is_large => return Err(Error::unavailable("too large: raise the limit")),
            Flaw::LooksThenWrites if self.0.stat(key).await?.is_some() => return Ok(CreateOutcome::AlreadyExists),
            Flaw::LooksThenWrites => {
                let_others_look().await;
                self.0.create(key, content).await?;
                return Ok(CreateOutcome::Created { proof: None });
            }
            Flaw::DropsMetadata => content.headers.user_metadata.clear(),
            Flaw::OtherType => content.headers.content_type = "binary/octet-stream".to_owned(),
            Flaw::Overwrites if !is_large => self.0.remove(key).await?,
            Flaw::OverwritesLarge if is_large => self.0.remove(key).await?,
            _ => {}
        }
        self.0.create(key, content).await
    }

    async fn digest(&self, key: &ObjectKey, meter: &Meter) -> Result<Option<Digest>, Error> {
        let digest = self.0.digest(key, meter).await?;
        let other = |digest| Digest { checksum: distribution_core::Checksum::of(b"other"), ..digest };
        Ok(if self.2 == Flaw::ReadsOthers { digest.map(other) } else { digest })
    }

    async fn stat(&self, key: &ObjectKey) -> Result<Option<ObjectStat>, Error> {
        self.refused(Flaw::HidesStat)?;
        let skew = if self.2 == Flaw::ClockAhead { TimeDelta::minutes(20) } else { TimeDelta::zero() };
        let stat = self.0.stat(key).await?;
        Ok(stat.map(|stat| ObjectStat { modified: stat.modified.map(|at| at + skew), ..stat }))
    }

    async fn open(&self, key: &ObjectKey, range: Range<u64>) -> Result<Option<ByteStream>, Error> {
        self.0.open(key, if self.2 == Flaw::NoRanges { 0..u64::MAX } else { range }).await
    }

    async fn remove(&self, key: &ObjectKey) -> Result<(), Error> {
        self.refused(Flaw::RemoveDenied)?;
        if self.2 == Flaw::KeepsRemoved { Ok(()) } else { self.0.remove(key).await }
    }

    async fn list(&self, prefix: &str, after: Option<&ObjectKey>, limit: usize) -> Result<Vec<ObjectKey>, Error> {
        if self.2 == Flaw::StaleLists { Ok(Vec::new()) } else { self.0.list(prefix, after, limit).await }
    }

    fn location(&self, key: &ObjectKey) -> Location {
        self.0.location(key)
    }
}

#[async_trait]
impl UrlSigner for Flawed {
    async fn sign(&self, link: &LinkRequest, now: Timestamp) -> Result<SignedUrl, Error> {
        let expires_at = link.expires_at;
        let signed = async |expires_at| self.1.sign(&LinkRequest { expires_at, ..link.clone() }, now).await;
        match self.2 {
            Flaw::SignsNothing => Err(Error::new(ErrorKind::Unsupported, "no key: configure one")),
            Flaw::LinksNeverEnd => {
                let long = now + TimeDelta::hours(168);
                Ok(SignedUrl { expires_at, ..signed(long).await? })
            }
            Flaw::LinksDieEarly => {
                let early = (now + TimeDelta::hours(1)).min(expires_at);
                let limited_by = Some("the session ends then".to_owned());
                Ok(SignedUrl { limited_by, ..signed(early).await? })
            }
            Flaw::LinksDieUnadmitted => {
                let early = (now + TimeDelta::seconds(1)).min(expires_at);
                Ok(SignedUrl { expires_at, ..signed(early).await? })
            }
            Flaw::LinksElsewhere => {
                let text = signed(expires_at).await?.link.expose().replace("test.invalid", "intern.invalid");
                Ok(SignedUrl { link: Link::new(text), expires_at, limited_by: None })
            }
            _ => signed(expires_at).await,
        }
    }

    fn limits(&self) -> LinkLimits {
        self.1.limits()
    }
}

fn ills(diagnosis: &Diagnosis) -> Vec<Check> {
    let ill = diagnosis.findings.iter().filter(|finding| matches!(finding.health, Health::Ill { .. }));
    ill.map(|finding| finding.check).collect()
}

fn examine(world: &World, flaw: Option<Flaw>) -> Diagnosis {
    let mut builder = world.builder("a");
    if let Some(flaw) = flaw {
        let parts = world.parts(&TargetName::default());
        let flawed = || Flawed(parts.storage.clone(), parts.signer.clone(), flaw);
        builder = builder.target(TargetName::default(), Arc::new(flawed()), Arc::new(flawed()));
    }
    block_on(builder.build().unwrap().doctor(&TestViewer::new(world)))
}

#[test]
fn a_healthy_target_is_well_and_nothing_is_left_behind() {
    let world = World::new();
    let (members, open) = (TargetName::parse("members").unwrap(), TargetName::parse("open").unwrap());
    let [asks, public] = [&members, &open].map(|name| world.parts(name));
    let base = |text| BaseUrl::parse(text).unwrap();
    let publisher = world
        .builder("a")
        .target(members.clone(), asks.storage, asks.signer)
        .authenticated(members, base("https://media.example/members"))
        .public_target(open.clone(), public.storage, base("https://cdn.example"))
        .build()
        .unwrap();
    let diagnosis = block_on(publisher.doctor(&TestViewer::new(&world).public("https://cdn.example")));
    assert_eq!(ills(&diagnosis), [], "{diagnosis}");
    assert!(diagnosis.is_well());
    let unknown = diagnosis.findings.iter().filter(|finding| finding.health != Health::Well);
    assert_eq!(unknown.map(|finding| finding.check).collect::<Vec<_>>(), [Check::Audit], "{diagnosis}");
    let of_open = diagnosis.findings.iter().filter(|finding| finding.target.as_ref() == Some(&open)).count();
    assert_eq!((diagnosis.findings.len(), of_open), (15 + 15 + 12 + 2, 12));
    assert!(world.objects().is_empty() && world.rows().is_empty() && world.audit().is_empty());
    assert!(world.alerts().is_empty());
}

#[test]
fn each_planted_flaw_is_named() {
    for (flaw, named) in [
        (Flaw::Overwrites, Check::CreateOnly),
        (Flaw::LooksThenWrites, Check::CreateOnly),
        (Flaw::OverwritesLarge, Check::CreateOnlyLarge),
        (Flaw::ReadOnly, Check::Create),
        (Flaw::NoLarge, Check::CreateLarge),
        (Flaw::ReadsOthers, Check::ReadBack),
        (Flaw::HidesStat, Check::Stat),
        (Flaw::ClockAhead, Check::Clock),
        (Flaw::NoRanges, Check::Range),
        (Flaw::StaleLists, Check::List),
        (Flaw::KeepsRemoved, Check::Remove),
        (Flaw::RemoveDenied, Check::Remove),
        (Flaw::DropsMetadata, Check::ObjectMetadata),
        (Flaw::OtherType, Check::Link),
        (Flaw::LinksDieEarly, Check::LinkLife),
        (Flaw::LinksDieUnadmitted, Check::LinkLife),
        (Flaw::LinksNeverEnd, Check::LinkEnd),
        (Flaw::LinksElsewhere, Check::Link),
        (Flaw::SignsNothing, Check::Link),
    ] {
        let world = World::new();
        let diagnosis = examine(&world, Some(flaw));
        let first = ills(&diagnosis).first().copied();
        assert_eq!(first, Some(named), "{flaw:?}\n{diagnosis}");
        assert!(!diagnosis.is_well());
        let may_leave = matches!(flaw, Flaw::KeepsRemoved | Flaw::RemoveDenied);
        assert_eq!(world.objects().is_empty(), !may_leave, "{flaw:?}");
    }
}

#[test]
fn a_private_object_that_everybody_reads_is_named() {
    let world = World::new();
    let viewer = TestViewer::new(&world).public("https://test.invalid/distribution-doctor/");
    let diagnosis = block_on(world.publisher("a").doctor(&viewer));
    assert_eq!(ills(&diagnosis), [Check::LinkEnd, Check::Privacy], "{diagnosis}");
}

#[test]
fn records_and_a_trail_that_do_not_answer_are_named() {
    for (op, named) in [(Op::MetadataFind, Check::Records), (Op::AuditAppend, Check::Audit)] {
        let world = World::new();
        world.fail(move |effect| (effect.op == op).then_some(Fault::LostRequest));
        assert_eq!(ills(&examine(&world, None)), [named]);
    }
}
