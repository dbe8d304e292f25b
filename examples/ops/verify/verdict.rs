//! From what is seen to what it means, and what to do.

use std::collections::{BTreeMap, HashSet};

use distribution_backends::{AuditVerdict, Stores};
use distribution_core::{AuditLogId, Error, Row};
use distribution_testkit::checker::{Promise, Violation, unsettled, violations};
use serde::Serialize;
use serde_json::Value;

use super::look::Look;

/// What was judged, by name.
pub(crate) struct Report {
    pub(crate) judged: Vec<Judged>,
}

/// A publication, an object that is no publication's, or the trail of all.
#[derive(Serialize)]
pub(crate) struct Judged {
    pub(crate) subject: String,
    pub(crate) verdict: Verdict,
    pub(crate) findings: Vec<Found>,
}

/// What was found of it.
#[derive(Serialize)]
pub(crate) struct Found {
    /// The promise that is broken, if that is known.
    pub(crate) promise: Option<String>,
    pub(crate) message: String,
    pub(crate) way_out: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Everything is as promised.
    Well,
    /// So far, and it is not finished.
    Unfinished,
    /// It has changed while it was looked at.
    Changed,
    /// It could not be looked at.
    Unknown,
    /// A promise is broken.
    Ill,
}

impl Verdict {
    const ALL: [Self; 5] = [Self::Well, Self::Unfinished, Self::Changed, Self::Unknown, Self::Ill];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Unfinished => "unfinished",
            Self::Changed => "changed",
            Self::Unknown => "unknown",
            Self::Ill => "ILL",
        }
    }
}

impl Report {
    /// Judges what was seen, and looks again at what seems ill: others may be at work.
    pub(crate) async fn of(look: Look, stores: &Stores) -> Result<Self, Error> {
        let mut by_subject: BTreeMap<String, Vec<Violation>> = BTreeMap::new();
        for violation in violations(&look.evidence) {
            by_subject.entry(subject(&violation)).or_default().push(violation);
        }
        for concept in look.evidence.rows.iter().filter_map(|row| row.index.concept_id.as_ref()) {
            if look.is_part {
                by_subject.remove(concept.as_str());
            }
        }
        let mut judged = Vec::new();
        let unfinished: HashSet<AuditLogId> = unsettled(&look.evidence).into_iter().collect();
        for row in &look.evidence.rows {
            let mut found = by_subject.remove(row.id.as_str()).unwrap_or_default();
            let unread = look.unread.get(&row.id);
            // Of bytes that could not be read, nobody knows.
            found.retain(|violation| unread.is_none() || violation.promise != Promise::P1);
            judged.push(match unread {
                _ if !found.is_empty() => ill_unless_changed(row, found, stores).await,
                Some(error) => Judged::unknown(&row.id, error),
                None if unfinished.contains(&row.id) => Judged::unfinished(&row.id),
                None => Judged { subject: row.id.to_string(), verdict: Verdict::Well, findings: Vec::new() },
            });
        }
        for (id, error) in &look.damaged {
            by_subject.remove(id.as_str());
            judged.push(Judged::damaged(id, error));
        }
        for (subject, found) in by_subject {
            if is_still_so(&subject, &look, stores).await? {
                judged.push(Judged::ill(subject, found));
            }
        }
        judged.extend(Judged::chain(&look.chain));
        Ok(Self { judged })
    }

    pub(crate) fn counts(&self) -> Value {
        Verdict::ALL.map(|verdict| (verdict.as_str().to_lowercase(), self.count(verdict))).into_iter().collect()
    }

    pub(crate) fn summary(&self) -> String {
        let counts = Verdict::ALL.map(|verdict| (self.count(verdict), verdict.as_str()));
        let counts: Vec<_> = counts
            .iter()
            .filter(|(n, name)| *n > 0 || *name == "well")
            .map(|(n, name)| format!("{n} {name}"))
            .collect();
        counts.join(", ")
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.judged.iter().filter(|judged| judged.verdict == verdict).count()
    }
}

impl Judged {
    fn unfinished(id: &AuditLogId) -> Self {
        let message = "is not finished";
        Self::one(id, Verdict::Unfinished, message, "the same publish, or `ops recover` once its lease is over")
    }

    fn unknown(id: &AuditLogId, error: &Error) -> Self {
        Self::one(id, Verdict::Unknown, &error.to_string(), "verify it again once that is mended")
    }

    fn damaged(id: &AuditLogId, error: &Error) -> Self {
        Self::one(id, Verdict::Ill, &error.to_string(), way_out(Promise::P7))
    }

    /// The chain of all entries, if it is not as it was written.
    fn chain(verdict: &AuditVerdict) -> Option<Self> {
        if verdict.is_clean() {
            return None;
        }
        let found = |message: String| Found {
            promise: Some(Promise::P5.to_string()),
            message,
            way_out: "`ops audit verify` looks closer; compare the audit trail with its backups".to_owned(),
        };
        let mut findings: Vec<_> = verdict.findings.iter().map(|finding| found(finding.to_string())).collect();
        findings.extend((verdict.more > 0).then(|| found(format!("{} findings more", verdict.more))));
        Some(Self { subject: "audit trail".to_owned(), verdict: Verdict::Ill, findings })
    }

    fn ill(subject: String, found: Vec<Violation>) -> Self {
        Self { subject, verdict: Verdict::Ill, findings: found.into_iter().map(Found::from).collect() }
    }

    fn one(id: &AuditLogId, verdict: Verdict, message: &str, way_out: &str) -> Self {
        let found = Found { promise: None, message: message.to_owned(), way_out: way_out.to_owned() };
        Self { subject: id.to_string(), verdict, findings: vec![found] }
    }
}

impl From<Violation> for Found {
    fn from(Violation { promise, message, .. }: Violation) -> Self {
        Self { promise: Some(promise.to_string()), message, way_out: way_out(promise).to_owned() }
    }
}

/// The publication that is concerned, of an audit entry too; else what the checker has named.
fn subject(violation: &Violation) -> String {
    let name = violation.subject.split('/').next().unwrap_or_default();
    if AuditLogId::parse(name).is_ok() { name.to_owned() } else { violation.subject.clone() }
}

async fn ill_unless_changed(row: &Row, found: Vec<Violation>, stores: &Stores) -> Judged {
    let now = stores.metadata.load(&row.id).await;
    if now.is_ok_and(|now| now.is_some_and(|now| now.revision != row.revision)) {
        return Judged::one(&row.id, Verdict::Changed, "has changed while it was looked at", "verify it again");
    }
    Judged::ill(row.id.to_string(), found)
}

/// Whether a trail without a record still has none, and a stray object is still there.
async fn is_still_so(subject: &str, look: &Look, stores: &Stores) -> Result<bool, Error> {
    if let Ok(id) = AuditLogId::parse(subject) {
        return Ok(stores.metadata.load(&id).await?.is_none());
    }
    match look.places.get(subject) {
        Some((storage, key)) => Ok(storage.stat(key).await?.is_some()),
        None => Ok(true),
    }
}

fn way_out(promise: Promise) -> &'static str {
    match promise {
        Promise::P1 => {
            "take its links back (`ops revoke`), put the approved bytes back at this place from the staged file or a \
             backup, and verify it again"
        }
        Promise::P2 => "find out who stored it: nothing that QC has passed accounts for it",
        Promise::P3 => "stop publishing, and compare the records with a backup: one was lost or made by somebody else",
        Promise::P5 => "compare the audit trail with its backups: entries were lost or changed",
        Promise::P7 => "restore the record from a backup of the metadata store",
        Promise::P8 => "take its links back (`ops revoke`), and ask for a new one",
        Promise::P9 => "replace the secret that is named, then remove it from where it is kept",
        Promise::P4 | Promise::P6 | Promise::P10 => "stop publishing, and look who else writes to these stores",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_its_publications_and_a_stray_its_own() {
        let subject_of =
            |text: &str| subject(&Violation { promise: Promise::P5, subject: text.to_owned(), message: String::new() });
        let id = "dist_00000000000000000000000000";
        assert_eq!(subject_of(&format!("{id}/3")), id);
        assert_eq!(subject_of(&format!("{id}/refusals/17")), id);
        assert_eq!(subject_of("file:///objects/stray.mp4"), "file:///objects/stray.mp4");
    }
}
