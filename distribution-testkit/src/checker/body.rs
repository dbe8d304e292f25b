//! The checker's own reader of stored rows.

use distribution_core::{AuditEntry, Checksum, Row, Timestamp};
use serde::Deserialize;
use serde_json::Value;

/// The newest format; the one before it lacks versions, holds and retractions.
const FORMAT: u32 = 2;

/// So many attempts have a key.
pub(super) const ATTEMPTS_MAX: u32 = 10_000;

/// What a row says, or what is wrong with it, without repeating what it holds.
pub(super) fn read(row: &Row) -> Result<Body, String> {
    let unread = |error: serde_json::Error| {
        format!("the row cannot be read: wrong at line {} column {}", error.line(), error.column())
    };
    let Format { format } = serde_json::from_slice(&row.body).map_err(unread)?;
    if !(1..=FORMAT).contains(&format) {
        return Err(format!("the row has format {format}, this checker reads 1 to {FORMAT}"));
    }
    let Stored { record } = serde_json::from_slice(&row.body).map_err(unread)?;
    Ok(record)
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

#[derive(Deserialize)]
struct Stored {
    record: Body,
}

#[derive(Deserialize)]
pub(super) struct Body {
    pub(super) publication: Publication,
    pub(super) phase: Phase,
    pub(super) attempt: u32,
    pub(super) approval: Approval,
    pub(super) source: Source,
    pub(super) details: Value,
    pub(super) hold: Option<Value>,
    #[serde(default)]
    pub(super) replicas: Replicas,
    #[serde(default)]
    pub(super) hot: Hot,
    pub(super) spared_until: Option<Timestamp>,
    pub(super) restoring: Option<u32>,
    pub(super) trail: TrailEnd,
    pub(super) claimed_at: Timestamp,
}

#[derive(Deserialize, PartialEq)]
pub(super) struct Publication {
    pub(super) audit_log_id: String,
    pub(super) target: String,
    pub(super) key: String,
    pub(super) checksum: Checksum,
    pub(super) concept_id: Option<String>,
    pub(super) key_tells_bytes: bool,
    pub(super) duration_seconds: f64,
}

#[derive(Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub(super) enum Phase {
    Claimed { work: Work },
    Stored { work: Work },
    Replicating { work: Work, proof: Proof },
    Published(Published),
    Rejected {},
    Retracted(Retracted),
}

#[derive(Deserialize)]
pub(super) struct Replicas {
    pub(super) quorum: usize,
    pub(super) wanted: Vec<Replica>,
}

impl Default for Replicas {
    fn default() -> Self {
        Self { quorum: 1, wanted: Vec::new() }
    }
}

/// Whether the copies that links lead to stay.
#[derive(Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(tag = "copies", rename_all = "snake_case")]
pub(super) enum Hot {
    #[default]
    Kept,
    ToFree,
    Freed {
        #[serde(rename = "at")]
        _at: Timestamp,
    },
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    #[default]
    Replica,
    Archive,
}

#[derive(Deserialize)]
pub(super) struct Replica {
    pub(super) target: String,
    #[serde(default)]
    pub(super) role: Role,
    pub(super) attempt: u32,
    pub(super) proven: Option<Copy>,
}

#[derive(Deserialize)]
pub(super) struct Copy {
    pub(super) location: String,
    pub(super) proof: Proof,
}

#[derive(Deserialize)]
pub(super) struct Retracted {
    pub(super) published: Option<Published>,
    pub(super) links_end: Option<Timestamp>,
}

#[derive(Deserialize)]
pub(super) struct Work {
    pub(super) lease: Lease,
    pub(super) attempts_left: u32,
}

#[derive(Deserialize)]
pub(super) struct Lease {
    pub(super) holder: String,
}

#[derive(Deserialize, PartialEq)]
pub(super) struct Published {
    pub(super) at: Timestamp,
    pub(super) location: String,
    pub(super) proof: Proof,
    pub(super) pin: Option<Pin>,
    pub(super) link_expires_at: Option<Timestamp>,
    pub(super) version: Option<Version>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Version {
    After(u64),
    Number(u64),
}

#[derive(Deserialize, PartialEq)]
pub(super) struct Proof {
    pub(super) checksum: Checksum,
    pub(super) size: u64,
    pub(super) how: String,
}

#[derive(Deserialize, PartialEq)]
pub(super) struct Pin {
    pub(super) size: u64,
    pub(super) tag: String,
}

#[derive(Deserialize)]
pub(super) struct Approval {
    pub(super) checksum: Checksum,
    pub(super) expires_at: Option<Timestamp>,
}

#[derive(Deserialize)]
pub(super) struct Source {
    pub(super) url: String,
}

#[derive(Deserialize)]
pub(super) struct TrailEnd {
    pub(super) next: u64,
    pub(super) waiting: Vec<AuditEntry>,
}

impl Body {
    pub(super) fn published(&self) -> Option<&Published> {
        match &self.phase {
            Phase::Published(published) => Some(published),
            _ => None,
        }
    }

    /// Whether only the copy in the archive is kept.
    pub(super) fn is_freed(&self) -> bool {
        matches!(self.hot, Hot::Freed { .. })
    }

    pub(super) fn archive(&self) -> Option<&Replica> {
        self.replicas.wanted.iter().find(|copy| copy.role == Role::Archive)
    }

    pub(super) fn work(&self) -> Option<&Work> {
        match &self.phase {
            Phase::Claimed { work } | Phase::Stored { work } | Phase::Replicating { work, .. } => Some(work),
            Phase::Published(_) | Phase::Rejected {} | Phase::Retracted(_) => None,
        }
    }

    /// What it was published as before it was taken back, if it was.
    pub(super) fn was_published(&self) -> Option<&Published> {
        match &self.phase {
            Phase::Retracted(retracted) => retracted.published.as_ref(),
            _ => self.published(),
        }
    }

    /// Its number among the versions of its work.
    pub(super) fn number(&self) -> Option<u64> {
        match self.was_published()?.version? {
            Version::After(_) => None,
            Version::Number(number) => Some(number),
        }
    }

    /// Whether nothing is left to do: nobody works on it, it has its number and its copies, and nothing waits to be audited.
    pub(super) fn is_settled(&self) -> bool {
        let is_numbered = !matches!(self.published(), Some(Published { version: Some(Version::After(_)), .. }));
        let all_is_done = match &self.phase {
            Phase::Retracted(retracted) => retracted.published.is_none() || retracted.links_end.is_some(),
            Phase::Published(_) => {
                let is_made = |copy: &Replica| copy.proven.is_some() || copy.attempt >= ATTEMPTS_MAX;
                let kept = |copy: &&Replica| copy.role == Role::Archive || self.hot == Hot::Kept;
                let is_to_free = self.hot == Hot::ToFree && self.archive().is_some_and(|copy| copy.proven.is_some());
                self.replicas.wanted.iter().filter(kept).all(is_made) && !is_to_free
            }
            _ => true,
        };
        self.work().is_none() && is_numbered && all_is_done && self.trail.waiting.is_empty()
    }

    pub(super) fn state(&self) -> &'static str {
        match self.phase {
            Phase::Claimed { .. } | Phase::Stored { .. } | Phase::Replicating { .. } => "in_progress",
            Phase::Published(_) => "published",
            Phase::Rejected {} => "rejected",
            Phase::Retracted(_) => "retracted",
        }
    }
}
