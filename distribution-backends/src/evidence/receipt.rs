//! What became of one publication, signed, for somebody who has nothing but a public key.

use data_encoding::HEXLOWER;
use distribution_core::{
    AuditEntry, AuditEvent, AuditLogId, Error, ErrorKind, Location, Proof, Publication, QcApproval, Reason, Record,
    Timestamp, Trail,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::event::canonical;
use super::key::Purpose;
use super::{EvidenceKey, PublicKey};

const FORMAT: &str = "distribution.receipt/1";

/// What became of one publication: canonical JSON (RFC 8785), signed with Ed25519, that anybody can check with the
/// public key alone.
///
/// It says what the signer's record and trail say. That the bytes are still there, it cannot say: for that, read
/// them and compare their SHA-256 with [`publication`](Self::publication)'s.
///
/// ```
/// # use distribution_core::{AuditEntry, AuditEvent, AuditLogId, EntryId, Trail};
/// use distribution_backends::{EvidenceKey, Receipt};
///
/// # let id = AuditLogId::parse("dist_00000000000000000000000000")?;
/// # let at = "2026-01-02T00:00:00Z".parse().unwrap();
/// # let entry_id = EntryId { audit_log_id: id, trail: Trail::Refusals, sequence: 1 };
/// # let entry = AuditEntry { id: entry_id, at, event: AuditEvent::Refused { reason: "no report".into() } };
/// let key = EvidenceKey::from_seed(&[7; 32])?; // or EvidenceKey::load_or_create
/// let json = Receipt::of_refusal(vec![entry], at)?.sign(&key)?;
///
/// let receipt = Receipt::verify(&json, key.public_key())?;
/// assert!(receipt.published().is_none());
/// # Ok::<(), distribution_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    audit_log_id: AuditLogId,
    format: String,
    issued_at: Timestamp,
    /// What is published; a refusal has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    publication: Option<Publication>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approval: Option<QcApproval>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    published: Option<PublishedAt>,
    trail: Vec<AuditEntry>,
}

/// Where and when the approved bytes were proven.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedAt {
    /// When.
    pub at: Timestamp,
    /// Where.
    pub location: Location,
    /// What was read there, and how.
    pub proof: Proof,
}

#[derive(Serialize, Deserialize)]
struct Signed {
    receipt: Receipt,
    signature: String,
    signedby: String,
}

impl Receipt {
    /// What this record and its whole trail, as the audit sink keeps it, say.
    ///
    /// # Errors
    /// [`Conflict`](distribution_core::ErrorKind::Conflict) if the trail is not the whole one, or not of this record.
    pub fn of_publication(record: &Record, mut trail: Vec<AuditEntry>, issued_at: Timestamp) -> Result<Self, Error> {
        trail.retain(|entry| entry.id.trail == Trail::Publication);
        trail.sort_by_key(|entry| entry.id.sequence);
        let published = record.published().map(|published| {
            let (location, proof) = (published.location.clone(), published.proof);
            PublishedAt { at: published.at, location, proof }
        });
        let receipt = Self {
            audit_log_id: record.id().clone(),
            format: FORMAT.to_owned(),
            issued_at,
            publication: Some(record.publication.clone()),
            approval: Some(record.approval.clone()),
            published,
            trail,
        };
        let delivered = record.trail.waiting.first().map_or(record.trail.next, |entry| entry.id.sequence);
        match receipt.trail.len() as u64 >= delivered {
            true => receipt.checked(),
            false => Err(contradicts("leaves out the end of the trail")),
        }
    }

    /// That QC refused this, as the entries of the refusal say.
    ///
    /// # Errors
    /// [`Conflict`](distribution_core::ErrorKind::Conflict) if they say something else.
    pub fn of_refusal(trail: Vec<AuditEntry>, issued_at: Timestamp) -> Result<Self, Error> {
        let first = trail.first().ok_or_else(|| contradicts("has no entry"))?;
        let (audit_log_id, format) = (first.id.audit_log_id.clone(), FORMAT.to_owned());
        let none = (None, None, None);
        let (publication, approval, published) = none;
        Self { audit_log_id, format, issued_at, publication, approval, published, trail }.checked()
    }

    /// The document to hand out.
    ///
    /// # Errors
    /// None that is known.
    pub fn sign(&self, key: &EvidenceKey) -> Result<Vec<u8>, Error> {
        let signature = key.sign(Purpose::Receipt, &self.digest()?);
        canonical(&Signed { receipt: self.clone(), signature, signedby: key.id().to_owned() })
    }

    /// The receipt in these bytes, if this key has signed it and it does not contradict itself: its name follows
    /// from what is published, its trail has no gap, and its proof is that of the approved bytes.
    ///
    /// # Errors
    /// [`Corrupt`](distribution_core::ErrorKind::Corrupt) if it was changed or signed by another key,
    /// [`Conflict`](distribution_core::ErrorKind::Conflict) if it contradicts itself,
    /// [`Unsupported`](distribution_core::ErrorKind::Unsupported) if a newer version has made it.
    pub fn verify(json: &[u8], key: &PublicKey) -> Result<Self, Error> {
        let corrupt = |what: &str| Error::corrupt(format!("the receipt {what}: ask its issuer for another"));
        let changed = || corrupt("is not as it was written");
        let signed: Signed = serde_json::from_slice(json).map_err(|error| changed().because(error))?;
        if canonical(&signed)? != json {
            return Err(changed());
        }
        if signed.signedby != key.id() {
            return Err(corrupt("is signed by another key"));
        }
        if !key.has_signed(Purpose::Receipt, &signed.receipt.digest()?, &signed.signature) {
            return Err(changed());
        }
        if signed.receipt.format != FORMAT {
            let message = "this version does not know the receipt's format: use a newer one";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        signed.receipt.checked()
    }

    fn checked(self) -> Result<Self, Error> {
        if self.trail.is_empty() || self.trail.iter().any(|entry| entry.id.audit_log_id != self.audit_log_id) {
            return Err(contradicts("has entries of another publication, or none"));
        }
        let Some(publication) = &self.publication else {
            let is_refusal = |entry: &AuditEntry| {
                entry.id.trail == Trail::Refusals && matches!(entry.event, AuditEvent::Refused { .. })
            };
            let is_sound = self.approval.is_none() && self.published.is_none() && self.trail.iter().all(is_refusal);
            return if is_sound { Ok(self) } else { Err(contradicts("has no publication, and more than refusals")) };
        };
        if AuditLogId::of(publication.identity()) != self.audit_log_id || publication.audit_log_id != self.audit_log_id
        {
            return Err(contradicts("names a publication that does not have its name"));
        }
        let counted = (0..).zip(&self.trail);
        if counted.into_iter().any(|(n, entry)| (entry.id.trail, entry.id.sequence) != (Trail::Publication, n)) {
            return Err(contradicts("has a trail with a gap"));
        }
        if self.approval.as_ref().is_none_or(|approval| *approval.checksum() != publication.checksum) {
            return Err(contradicts("has no approval of these bytes"));
        }
        let told = self.trail.iter().rev().find_map(|entry| match &entry.event {
            AuditEvent::Published { location, proof } => Some((entry.at, location, proof)),
            _ => None,
        });
        match (&self.published, told) {
            (None, None) => Ok(self),
            (Some(PublishedAt { at, location, proof }), Some(told))
                if told == (*at, location, proof) && proof.digest.checksum == publication.checksum =>
            {
                Ok(self)
            }
            _ => Err(contradicts("says otherwise than its trail where the bytes were proven")),
        }
    }

    fn digest(&self) -> Result<String, Error> {
        Ok(HEXLOWER.encode(&Sha256::digest(canonical(self)?)))
    }

    /// The publication's name.
    pub fn audit_log_id(&self) -> &AuditLogId {
        &self.audit_log_id
    }

    /// What is published: its SHA-256, its target and key; `None` for a refusal.
    pub fn publication(&self) -> Option<&Publication> {
        self.publication.as_ref()
    }

    /// What QC approved, by which report; `None` for a refusal.
    pub fn approval(&self) -> Option<&QcApproval> {
        self.approval.as_ref()
    }

    /// When and why the publication was taken back, if it was.
    pub fn retracted(&self) -> Option<(Timestamp, &Reason)> {
        self.trail.iter().find_map(|entry| match &entry.event {
            AuditEvent::Retracted { reason } => Some((entry.at, reason)),
            _ => None,
        })
    }

    /// Where and when the approved bytes were proven, if they were; whether or not the publication was
    /// [taken back](Self::retracted) since.
    pub fn published(&self) -> Option<&PublishedAt> {
        self.published.as_ref()
    }

    /// What happened.
    pub fn trail(&self) -> &[AuditEntry] {
        &self.trail
    }

    /// When the receipt was written.
    pub fn issued_at(&self) -> Timestamp {
        self.issued_at
    }
}

fn contradicts(what: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("the receipt {what}: read the trail and the record anew"))
}
