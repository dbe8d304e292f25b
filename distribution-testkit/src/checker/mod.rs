//! An independent checker: from what can be seen in stores to the promises that were broken.
//!
//! [`Evidence`] is what there is to see: rows, objects, the audit trail, and what callers were told.
//! [`violations`] compares it with the promises, [`violations_since`] with what was there before,
//! [`unsettled`] names what is unfinished. All three are pure, and none asks the machine that they
//! check: rows are read by a reader of their own, ids and keys are computed anew.
//!
//! ```
//! use distribution_testkit::checker::{Promise, violations};
//! use distribution_testkit::{World, request};
//! # futures::executor::block_on(async {
//!
//! let world = World::new();
//! world.stage("clip.mp4", "approved bytes");
//! let told = world.publisher("host-1").publish(request("clip.mp4", b"approved bytes")).await?;
//! let evidence = world.evidence().with_answer(told, world.now());
//! assert!(violations(&evidence).is_empty());
//!
//! let (target, key) = world.objects().into_keys().next().unwrap();
//! world.corrupt(&target, &key, |bytes| bytes[0] ^= 1);
//! let found = violations(&world.evidence());
//! assert_eq!(found[0].promise, Promise::P1);
//! println!("{}", found[0]); // P1 proof: dist_…: memory://default/clip-….mp4 holds … instead of …
//! # Ok::<(), distribution_core::Error>(()) }).unwrap();
//! ```
//!
//! On real stores, gather evidence with [`Evidence::of`] while nobody publishes: the stores are read
//! one after the other, and what moves meanwhile looks like a contradiction.

mod answers;
mod archive;
mod body;
mod derive;
mod evidence;
mod history;
mod names;
mod objects;
mod published;
mod records;
mod replicas;
mod silence;
mod staging;
mod trail;
mod versions;

use std::fmt;

use distribution_core::AuditLogId;

pub use self::evidence::{Answer, Evidence, ObjectSeen};
pub use self::history::violations_since;
use self::records::Records;
pub use self::staging::violations_of_removal;
use self::trail::Trails;

/// The promises of a publication. `DESIGN.md` of `distribution-core` says each in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Promise {
    /// Proof: published means that the approved bytes are at the place on record.
    P1,
    /// Gate: only bytes that QC has passed are stored.
    P2,
    /// Once: one record and one publication for one identity, and the same answer to each call.
    P3,
    /// Additive: no object is overwritten or deleted.
    P4,
    /// Trail: the audit trail is gapless, possible, and delivered before a link is given.
    P5,
    /// Staging: staged files are left alone, but for those that the sweep may remove.
    P6,
    /// Recovery: every record can be read and finished.
    P7,
    /// Truth: no link is said to live longer than it was granted.
    P8,
    /// Silence: no secret is kept.
    P9,
    /// Bounded: what is kept has limits.
    P10,
}

impl Promise {
    /// The promise's name in one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::P1 => "proof",
            Self::P2 => "gate",
            Self::P3 => "once",
            Self::P4 => "additive",
            Self::P5 => "trail",
            Self::P6 => "staging",
            Self::P7 => "recovery",
            Self::P8 => "truth",
            Self::P9 => "silence",
            Self::P10 => "bounded",
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?} {}", self.name())
    }
}

/// A broken promise, seen in the evidence. Its text is one line that says what is wrong where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which promise.
    pub promise: Promise,
    /// Whose: a publication's id, an object's location, an audit entry, a staged file.
    pub subject: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.promise, self.subject, self.message)
    }
}

/// Every promise that the evidence shows to be broken; empty if none is.
///
/// A row that cannot be read, or whose id does not follow from its identity, is one violation;
/// nothing else that it says is believed.
pub fn violations(evidence: &Evidence) -> Vec<Violation> {
    let mut found = Findings::default();
    let records = Records::read(evidence, &mut found);
    let trails = Trails::gather(evidence, &mut found);
    for record in records.sound() {
        records::check(record, &mut found);
        published::check(record, evidence, &mut found);
        replicas::check(record, evidence, &mut found);
        trail::check(record, &trails, &mut found);
    }
    versions::check(&records, &mut found);
    trail::check_orphans(&records, &trails, &mut found);
    objects::check(&records, evidence, &mut found);
    answers::check(&records, &trails, evidence, &mut found);
    silence::check(&records, evidence, &mut found);
    found.0
}

/// The publications with something left to do, unreadable ones included (P7: the same call, or a
/// recovery after the lease, must finish them; whether it did cannot be seen in one state).
pub fn unsettled(evidence: &Evidence) -> Vec<AuditLogId> {
    let settled = |row| body::read(row).is_ok_and(|record| record.is_settled());
    evidence.rows.iter().filter(|row| !settled(row)).map(|row| row.id.clone()).collect()
}

/// What has been found so far.
#[derive(Default)]
struct Findings(Vec<Violation>);

impl Findings {
    fn add(&mut self, promise: Promise, subject: impl fmt::Display, message: impl Into<String>) {
        self.0.push(Violation { promise, subject: subject.to_string(), message: message.into() });
    }

    /// Adds a violation unless `holds`. The message is made only then.
    fn expect(&mut self, holds: bool, promise: Promise, subject: impl fmt::Display, message: impl FnOnce() -> String) {
        if !holds {
            self.add(promise, subject, message());
        }
    }
}
