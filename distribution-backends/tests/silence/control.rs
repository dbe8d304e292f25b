//! That a leak would be found: one on each way out.

use std::fs;
use std::panic::catch_unwind;

use distribution_core::{Alert, AlertKind, AuditLogId, Error, Link};
use distribution_testkit::{World, request};

use crate::canary::{Secrets, canary};
use crate::told::{Told, shown};

type Leak<'a> = &'a dyn Fn(&mut Told);
type Log<'a> = &'a dyn Fn(&str);

/// What is said of what was told.
#[track_caller]
fn found(told: Told, name: &str, way: &str) {
    let told = std::panic::AssertUnwindSafe(told);
    let secrets = Secrets::of(&[name]);
    let panic = catch_unwind(move || { told }.0.holds_none_of(&secrets, &[])).unwrap_err();
    let text = shown(&*panic);
    assert!(text.contains(&format!("{way}: {name}, here: …")), "{way}: {text}");
}

#[test]
fn a_leak_by_any_way_is_found() {
    let secret = canary("leak");
    let ways: [(&str, Leak<'_>); 5] = [
        ("error", &|told| told.error(Error::unavailable(&secret))),
        ("error", &|told| told.error(Error::unavailable("no").because(std::io::Error::other(secret.clone())))),
        ("debug", &|told| told.debug(&Some(secret.as_bytes()))),
        ("record", &|told| told.json("record", &Some(&secret))),
        ("debug", &|told| {
            let id = AuditLogId::parse("dist_00000000000000000000000000").unwrap();
            let message = secret.clone();
            told.alerts().raise(Alert { kind: AlertKind::Corrupt, audit_log_id: Some(id), target: None, message });
        }),
    ];
    for (way, leak) in ways {
        let mut told = Told::new();
        leak(&mut told);
        found(told, "leak", way);
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rows"), &secret).unwrap();
    let mut told = Told::new();
    told.folder(folder.path(), &[]);
    found(told, "leak", &folder.path().join("rows").to_string_lossy());
}

#[test]
fn a_leak_into_a_log_is_found_at_any_level_and_by_either_crate() {
    let leaks: [(&str, Log<'_>); 6] = [
        ("by log", &|secret| log::trace!("{secret}")),
        ("by log, as bytes", &|secret| log::debug!(target: "hyper", "{:?}", secret.as_bytes())),
        ("by an event", &|secret| tracing::trace!("{secret}")),
        ("by a field", &|secret| tracing::trace!(secret, "there it is")),
        ("by a span", &|secret| drop(tracing::trace_span!("work", secret))),
        ("by a field of a span, later", &|secret| {
            let span = tracing::trace_span!("work", late = tracing::field::Empty);
            span.record("late", secret);
        }),
    ];
    for (name, leak) in leaks {
        let told = Told::new();
        leak(&canary(name));
        found(told, name, "log");
    }
    let told = Told::new();
    let _ = catch_unwind(|| panic!("{}", canary("by a panic")));
    found(told, "by a panic", "log");
}

#[test]
fn the_signature_of_a_link_becomes_a_secret() {
    let (mut told, mut secrets) = (Told::new(), Secrets::default());
    told.link(&Link::new(format!("https://h/clip.mp4?e=1&s={}", canary("s"))), &mut secrets);
    assert_eq!(secrets.found_in(canary("s").as_bytes()).len(), 1);
    told.holds_none_of(&secrets, &[]);

    let world = World::new();
    world.stage("clip.mp4", "bytes");
    let record = futures::executor::block_on(world.publisher("a").publish(request("clip.mp4", b"bytes"))).unwrap();
    let mut told = Told::new();
    told.answer(&record, &mut secrets);
    assert!(!secrets.found_in(record.public_url.expose().as_bytes()).is_empty());
    told.holds_none_of(&secrets, &[]);
}
