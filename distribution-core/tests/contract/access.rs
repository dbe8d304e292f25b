//! Who may download: by a signed link, everybody, or whom the host lets through.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use distribution_core::{
    Access, AuditEvent, BaseUrl, Builder, DistributionRecord, Error, ErrorKind, LinkLimits, LinkRequest, ObjectKey,
    Policy, PublishRequest, Publisher, SignedUrl, TargetName, Timestamp, UrlSigner,
};
use distribution_testkit::checker::violations;
use distribution_testkit::{Fault, Op, World, request};
use futures::executor::block_on;

use crate::support::{VIDEO, staged};

const HOUR: Duration = Duration::from_secs(3_600);

fn base(text: &str) -> BaseUrl {
    BaseUrl::parse(text).unwrap()
}

fn target(name: &str) -> TargetName {
    TargetName::parse(name).unwrap()
}

/// A publisher with a private target, `default`, one with a route that asks, `members`, and a public one, `open`.
fn builder(world: &World) -> Builder {
    let (members, open) = (world.parts(&target("members")), world.parts(&target("open")));
    world
        .builder("host-1")
        .target(target("members"), members.storage, members.signer)
        .authenticated(target("members"), base("https://media.example/members"))
        .public_target(target("open"), open.storage, base("HTTPS://CDN.example/media/"))
}

fn publisher(world: &World) -> Publisher {
    builder(world).build().unwrap()
}

fn asking(name: &str, access: Option<Access>) -> PublishRequest {
    let mut request = request("clip.mp4", VIDEO);
    request.distribution_settings.storage_target = Some(target(name));
    request.distribution_settings.access = access;
    request
}

fn grants(world: &World) -> Vec<AuditEvent> {
    let events = world.audit().into_iter().map(|entry| entry.event);
    let is_grant = |event: &AuditEvent| {
        matches!(
            event,
            AuditEvent::AccessGranted { .. } | AuditEvent::LinkGranted { .. } | AuditEvent::LinkIssued { .. }
        )
    };
    events.filter(is_grant).collect()
}

/// Nothing that was told contradicts what is on record and on the trail.
fn check(world: &World, answers: &[DistributionRecord]) {
    for answer in answers {
        world.answered(answer.clone());
    }
    let violations = violations(&world.evidence());
    assert!(violations.is_empty(), "{violations:?}");
}

#[test]
fn what_is_public_has_one_link_for_ever_and_no_signature() {
    for access in [None, Some(Access::Public)] {
        let world = staged();
        let publisher = publisher(&world);
        let answer = block_on(publisher.publish(asking("open", access))).unwrap();
        let key = answer.storage_location.as_str().rsplit('/').next().unwrap().to_owned();
        assert_eq!(answer.public_url.expose(), format!("https://cdn.example/media/{key}"));
        assert_eq!((answer.expires_at, &answer.expiry_limited_by), (None, &None));
        assert_eq!(grants(&world), [AuditEvent::AccessGranted { access: Access::Public }]);

        world.advance(HOUR * 24 * 365);
        assert_eq!(block_on(publisher.publish(asking("open", access))).unwrap(), answer, "a repeat");
        let link = block_on(publisher.link(&answer.audit_log_id, HOUR)).unwrap();
        assert_eq!((&link.link, link.expires_at), (&answer.public_url, None));
        assert_eq!(grants(&world).len(), 1, "it was granted once and for all");
        let published = block_on(publisher.record(&answer.audit_log_id)).unwrap().unwrap().published.unwrap();
        assert_eq!((published.access, published.expires_at), (Access::Public, None));
        check(&world, &[answer]);
    }
}

#[test]
fn whom_the_host_lets_through_gets_a_link_without_a_signature() {
    let world = staged();
    let publisher = publisher(&world);
    let answer = block_on(publisher.publish(asking("members", Some(Access::Authenticated)))).unwrap();
    assert!(answer.public_url.expose().starts_with("https://media.example/members/clip-"));
    assert!(!answer.public_url.expose().contains('?') && answer.expires_at.is_none());
    assert_eq!(grants(&world), [AuditEvent::AccessGranted { access: Access::Authenticated }]);
    check(&world, &[answer]);
}

#[test]
fn an_access_that_the_target_has_not_is_refused_before_anything_happens() {
    for (name, access, hint) in [
        ("default", Access::Public, "this target is not public"),
        ("members", Access::Public, "this target is not public"),
        ("default", Access::Authenticated, "this target has no route that asks who it is"),
        ("open", Access::Signed, "everybody can read what is on this target"),
        ("open", Access::Authenticated, "everybody can read what is on this target"),
    ] {
        let world = staged();
        let error = block_on(publisher(&world).publish(asking(name, Some(access)))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{name} {access:?}");
        assert_eq!(error.field(), Some("distribution_settings.access"));
        assert!(error.message().contains(hint), "{error}");
        assert!(world.rows().is_empty() && world.audit().is_empty());
    }
}

#[test]
fn a_publisher_is_not_built_for_an_access_that_it_has_not() {
    let world = staged();
    let with = |access| Policy { access, ..Policy::default() };
    for access in [Access::Public, Access::Authenticated] {
        let error = builder(&world).policy(with(access)).build().map(drop).unwrap_err();
        assert_eq!(error.field(), Some("policy.access"), "{error}");
    }
    for name in ["open", "nowhere"] {
        let error =
            builder(&world).authenticated(target(name), base("https://a.example")).build().map(drop).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("authenticated")));
    }
    let usual = Policy { target: target("members"), ..with(Access::Authenticated) };
    let publisher = builder(&world).policy(usual).build().unwrap();
    let answer = block_on(publisher.publish(request("clip.mp4", VIDEO))).unwrap();
    assert!(answer.public_url.expose().starts_with("https://media.example/members/"), "the policy's access");
    let signed = block_on(publisher.publish(asking("members", Some(Access::Signed)))).unwrap();
    assert!(signed.expires_at.is_some(), "a request says otherwise");
}

#[test]
fn a_repeat_may_ask_for_another_access_and_each_is_on_the_trail() {
    let world = staged();
    let publisher = publisher(&world);
    let ask = |access| block_on(publisher.publish(asking("members", Some(access)))).unwrap();
    let signed = ask(Access::Signed);
    let open = ask(Access::Authenticated);
    assert_eq!((open.audit_log_id.clone(), open.expires_at), (signed.audit_log_id.clone(), None));
    let again = ask(Access::Signed);
    assert_eq!(again, signed, "the link granted first still lives");
    world.advance(HOUR * 73);
    let later = ask(Access::Signed);
    assert_eq!(later.expires_at, again.expires_at.map(|end| end + TimeDelta::hours(73)));
    let events = grants(&world);
    assert!(matches!(
        events[..],
        [
            AuditEvent::LinkGranted { .. },
            AuditEvent::AccessGranted { access: Access::Authenticated },
            AuditEvent::LinkGranted { .. }
        ]
    ));
    check(&world, &[signed, open, again, later]);
}

#[test]
fn no_link_before_its_grant_is_told_and_none_to_what_has_gone() {
    let world = staged();
    let publisher = publisher(&world);
    world.fail(|effect| (effect.op == Op::AuditAppend).then_some(Fault::LostRequest));
    let error = block_on(publisher.publish(asking("open", None))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let id = world.rows()[0].id.clone();
    assert_eq!(block_on(publisher.link(&id, HOUR)).unwrap_err().kind(), ErrorKind::Unavailable);
    world.heal();
    let link = block_on(publisher.link(&id, HOUR)).unwrap();
    assert_eq!(grants(&world), [AuditEvent::AccessGranted { access: Access::Public }]);

    let key = link.link.expose().rsplit('/').next().unwrap().to_owned();
    assert!(world.lose("open", &key));
    assert_eq!(block_on(publisher.link(&id, HOUR)).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(block_on(publisher.publish(asking("open", None))).unwrap_err().kind(), ErrorKind::Corrupt);
}

/// Whenever the other call comes in between, the link is of the kind that the trail tells.
#[test]
fn a_link_is_of_the_access_that_is_on_record_when_it_is_granted() {
    for (before, after) in [(Access::Signed, Access::Authenticated), (Access::Authenticated, Access::Signed)] {
        let mut signed = 0;
        for polls in 0.. {
            let world = staged();
            let publisher = publisher(&world);
            let first = block_on(publisher.publish(asking("members", Some(before)))).unwrap();
            let mut link = pin!(publisher.link(&first.audit_log_id, HOUR));
            let ended = block_on(async {
                for _ in 0..polls {
                    if let Poll::Ready(link) = futures::poll!(&mut link) {
                        return Some(link);
                    }
                }
                None
            });
            let is_over = ended.is_some();
            let second = block_on(publisher.publish(asking("members", Some(after)))).unwrap();
            let link = ended.unwrap_or_else(|| block_on(link)).unwrap();
            let on_trail = world.audit().iter().any(|entry| matches!(entry.event, AuditEvent::LinkIssued { .. }));
            assert_eq!(link.expires_at.is_some(), on_trail, "{before:?}, {polls} polls");
            check(&world, &[first.clone(), second]);
            signed += usize::from(on_trail);
            if is_over {
                assert!(polls > 3 && signed > 0 && signed < polls, "{signed} of {polls} were signed");
                break;
            }
        }
    }
}

/// Takes links back, and counts how often it was asked to.
struct Revoking(Arc<dyn UrlSigner>, Arc<AtomicUsize>);

#[async_trait]
impl UrlSigner for Revoking {
    async fn sign(&self, link: &LinkRequest, now: Timestamp) -> Result<SignedUrl, Error> {
        self.0.sign(link, now).await
    }

    async fn revoke(&self, _: &ObjectKey) -> Result<(), Error> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn limits(&self) -> LinkLimits {
        self.0.limits()
    }
}

#[test]
fn links_are_taken_back_and_the_trail_tells_of_it() {
    let (world, revoked) = (staged(), Arc::new(AtomicUsize::new(0)));
    let parts = world.parts(&target("default"));
    let signer = Arc::new(Revoking(parts.signer, revoked.clone()));
    let publisher = world.builder("host-1").target(target("default"), parts.storage, signer).build().unwrap();
    let answer = block_on(publisher.publish(asking("default", None))).unwrap();
    block_on(publisher.revoke_links(&answer.audit_log_id)).unwrap();
    assert_eq!(
        (world.audit().last().unwrap().event.clone(), revoked.load(Ordering::SeqCst)),
        (AuditEvent::LinksRevoked, 1)
    );

    // A sink that is down: repeating it takes them back again, and tells of both.
    world.fail(|effect| (effect.op == Op::AuditAppend).then_some(Fault::LostRequest));
    assert_eq!(block_on(publisher.revoke_links(&answer.audit_log_id)).unwrap_err().kind(), ErrorKind::Unavailable);
    world.heal();
    block_on(publisher.revoke_links(&answer.audit_log_id)).unwrap();
    let told = world.audit().iter().filter(|entry| entry.event == AuditEvent::LinksRevoked).count();
    assert_eq!((told, revoked.load(Ordering::SeqCst)), (3, 3));
    check(&world, &[answer]);
}

#[test]
fn where_links_cannot_be_taken_back_it_says_so() {
    let world = staged();
    let publisher = publisher(&world);
    for (name, hint) in [("default", "rotate what signs them"), ("open", "nothing is signed")] {
        let answer = block_on(publisher.publish(asking(name, None))).unwrap();
        let before = world.audit().len();
        let error = block_on(publisher.revoke_links(&answer.audit_log_id)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains(hint), "{error}");
        assert_eq!(world.audit().len(), before, "nothing happened, and nothing is told");
    }
}

#[test]
fn a_base_has_one_form() {
    assert_eq!(base("HTTPS://Media.Example:8443/a/b/").as_str(), "https://media.example:8443/a/b");
    for wrong in [
        "",
        "media.example",
        "ftp://media.example",
        "https://",
        "https://a b",
        "https://u:p@h",
        "https://h/?q",
        "https://h/#f",
        "https://h/../x",
        "https://h/%41",
    ] {
        assert_eq!(BaseUrl::parse(wrong).unwrap_err().kind(), ErrorKind::Invalid, "{wrong}");
    }
}
