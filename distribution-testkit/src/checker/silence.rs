//! Secrets: none is kept.

use serde::Serialize;

use super::evidence::Evidence;
use super::records::Records;
use super::{Findings, Promise};

pub(super) fn check(records: &Records<'_>, evidence: &Evidence, found: &mut Findings) {
    for record in records.sound() {
        found.expect(is_silent(&record.body.source.url), Promise::P9, record.id(), || {
            "the staged file's URL is kept with a query, a fragment or credentials".to_owned()
        });
    }
    let secrets = Secrets::new(&evidence.secrets);
    if secrets.0.is_empty() {
        return;
    }
    for row in &evidence.rows {
        let tags = || row.index.tags.iter().any(|tag| secrets.are_in(tag.as_bytes()));
        found.expect(!(secrets.are_in(&row.body) || tags()), Promise::P9, &row.id, || {
            "the row holds a secret".to_owned()
        });
    }
    for entry in &evidence.audit {
        found.expect(!secrets.are_in_json(entry), Promise::P9, &entry.id, || "the entry holds a secret".to_owned());
    }
    for location in evidence.objects.keys() {
        // The location is not repeated.
        found.expect(!secrets.are_in(location.as_bytes()), Promise::P9, "an object", || {
            "its location holds a secret".to_owned()
        });
    }
    for answer in &evidence.answers {
        // The link is secret, and meant for the caller; the rest is for anybody.
        let told = &answer.record;
        let rest = (&told.storage_location, &told.metadata, &told.expiry_limited_by);
        found.expect(!secrets.are_in_json(&rest), Promise::P9, &told.audit_log_id, || {
            "an answer holds a secret outside its link".to_owned()
        });
    }
}

/// Whether nothing of a URL that may be secret is there. A path without a scheme is only a name.
fn is_silent(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else { return true };
    let authority = rest.split('/').next().unwrap_or_default();
    !rest.contains(['?', '#']) && !authority.contains('@')
}

/// The secrets, plain and as JSON writes them.
struct Secrets(Vec<Vec<u8>>);

impl Secrets {
    fn new(secrets: &[String]) -> Self {
        let mut forms = Vec::new();
        for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
            let json = serde_json::to_string(secret).unwrap_or_default();
            let escaped = json.trim_start_matches('"').strip_suffix('"').unwrap_or_default();
            if !escaped.is_empty() && escaped != secret {
                forms.push(escaped.as_bytes().to_vec());
            }
            forms.push(secret.as_bytes().to_vec());
        }
        Self(forms)
    }

    fn are_in(&self, text: &[u8]) -> bool {
        self.0.iter().any(|secret| text.windows(secret.len()).any(|part| part == secret))
    }

    fn are_in_json(&self, value: &impl Serialize) -> bool {
        serde_json::to_vec(value).is_ok_and(|json| self.are_in(&json))
    }
}
