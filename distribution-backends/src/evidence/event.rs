//! One audit entry as a CloudEvent (v1.0.2, JSON format) in a chain, in the bytes that are kept.
//!
//! The bytes are canonical JSON (RFC 8785). `chainhash` is the SHA-256, in hex, of the same object without
//! `chainhash` and `chainsignature`. Those two sort before all others, so the hash is that of bytes which
//! stand in the line as they are.

use data_encoding::HEXLOWER;
use distribution_core::{AuditEntry, EntryId, Error, ErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Seal;

/// The longest event that is written or read, in bytes. An entry also has to fit into its publication's
/// record, which is smaller.
pub(crate) const EVENT_BYTES_MAX: usize = 4 << 20;

const SPEC_VERSION: &str = "1.0";
const TYPE_PREFIX: &str = "distribution.audit.";
const JSON: &str = "application/json";
/// Numbers that canonical JSON would change, such as 1.0 or integers beyond 2^53, travel in a text.
const TEXT: &str = "text/plain";

/// A SHA-256.
pub(crate) type Hash = [u8; 32];

/// The end of a chain: what the next entry is linked to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChainHead {
    /// The position of the next event, which is how many there are.
    pub(crate) next: u64,
    /// The hash of the newest event; zeros if there is none.
    pub(crate) hash: Hash,
}

impl ChainHead {
    /// How many entries the chain has.
    pub fn entries(&self) -> u64 {
        self.next
    }
}

/// An entry on its way into a chain: all of its event but the link.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) id: EntryId,
    /// The members that sort before the link, and those that sort behind it.
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Draft {
    pub(crate) fn of(entry: &AuditEntry, seal: &Seal) -> Result<Self, Error> {
        let invalid = |what: &str| Error::new(ErrorKind::Invalid, format!("the audit entry {} {what}", entry.id));
        let failed = |error: serde_json::Error| invalid("could not be written as JSON").because(error);
        let mut data = serde_json::to_value(entry).map_err(failed)?;
        let name = data.get("event").and_then(Value::as_str).unwrap_or_default().to_owned();
        let (id, subject) = (entry.id.to_string(), entry.id.audit_log_id.as_str());
        let mut datacontenttype = JSON;
        if !is_exact(&data) {
            (data, datacontenttype) = (Value::String(data.to_string()), TEXT);
        }
        let (data, time) = (canonical(&data)?, serde_json::to_value(entry.at).map_err(failed)?);
        let after = canonical(&serde_json::json!({
            "source": seal.source(), "specversion": SPEC_VERSION, "subject": subject, "time": time,
            "type": format!("{TYPE_PREFIX}{name}"),
        }))?;
        let key = seal.key_id().map(|key| format!(r#""signedby":{},"#, Value::from(key))).unwrap_or_default();
        let middle = format!(r#","datacontenttype":"{datacontenttype}","id":{},"#, Value::from(id));
        let draft = Self {
            id: entry.id.clone(),
            before: [br#"{"data":"#, data.as_slice(), middle.as_bytes()].concat(),
            after: [b",", key.as_bytes(), after.get(1..).unwrap_or_default()].concat(),
        };
        // With room for the link, the hash and a signature.
        if draft.before.len() + draft.after.len() + 1024 > EVENT_BYTES_MAX {
            return Err(invalid(&format!("is longer than the limit of {EVENT_BYTES_MAX} bytes")));
        }
        Ok(draft)
    }

    /// The event that follows `head`, and the head behind it.
    pub(crate) fn link(&self, head: ChainHead, seal: &Seal) -> (Vec<u8>, ChainHead) {
        let link = format!(r#""position":"{}","previous":"{}""#, head.next, HEXLOWER.encode(&head.hash));
        let hash: Hash =
            Sha256::new().chain_update(&self.before).chain_update(&link).chain_update(&self.after).finalize().into();
        let hex = HEXLOWER.encode(&hash);
        let signature = seal.sign(&hex).map(|text| format!(r#""chainsignature":"{text}","#)).unwrap_or_default();
        let start = format!(r#"{{"chainhash":"{hex}",{signature}"#);
        let before = self.before.get(1..).unwrap_or_default();
        let bytes = [start.as_bytes(), before, link.as_bytes(), &self.after].concat();
        (bytes, ChainHead { next: head.next.saturating_add(1), hash })
    }
}

/// An event as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ChainedEvent {
    pub(crate) chainhash: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) chainsignature: Option<String>,
    data: Value,
    datacontenttype: String,
    pub(crate) id: String,
    position: String,
    previous: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) signedby: Option<String>,
    pub(crate) source: String,
    specversion: String,
    subject: String,
    time: Value,
    r#type: String,
}

/// What the links of an event say, without the rest of it: what is enough to go on behind it.
#[derive(Debug, Deserialize)]
pub(crate) struct Linked {
    chainhash: String,
    #[serde(deserialize_with = "id_in_data")]
    data: EntryId,
    position: String,
    previous: String,
    pub(crate) source: String,
}

impl Linked {
    pub(crate) fn id(&self) -> &EntryId {
        &self.data
    }

    /// The head behind it, if it follows `head`.
    pub(crate) fn follow(&self, head: ChainHead) -> Option<ChainHead> {
        let follows = parse_position(&self.position)? == head.next && parse_hash(&self.previous)? == head.hash;
        follows.then(|| self.head()).flatten()
    }

    /// The head behind it.
    pub(crate) fn head(&self) -> Option<ChainHead> {
        let next = parse_position(&self.position)?.checked_add(1)?;
        Some(ChainHead { next, hash: parse_hash(&self.chainhash)? })
    }
}

/// Only the id: a newer version may write events that this one does not know.
fn id_in_data<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<EntryId, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Data {
        Id(EntryId),
        Text(String),
    }
    match Data::deserialize(deserializer)? {
        Data::Id(id) => Ok(id),
        Data::Text(text) => serde_json::from_str(&text).map_err(serde::de::Error::custom),
    }
}

impl ChainedEvent {
    /// The event in these bytes, if they are exactly what this library writes, with the hash that belongs
    /// to them.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(br#"{"chainhash":""#)?;
        let (hex, rest) = rest.split_at_checked(64)?;
        let mut rest = rest.strip_prefix(br#"","#)?;
        if let Some(signed) = rest.strip_prefix(br#""chainsignature":""#) {
            let end = signed.iter().position(|byte| *byte == b'"')?;
            rest = signed.get(end..)?.strip_prefix(br#"","#)?;
        }
        let hash: Hash = Sha256::new().chain_update(b"{").chain_update(rest).finalize().into();
        if HEXLOWER.encode(&hash).as_bytes() != hex {
            return None;
        }
        let event: Self = serde_json::from_slice(bytes).ok()?;
        (canonical(&event).ok()? == bytes && event.is_sound()).then_some(event)
    }

    fn is_sound(&self) -> bool {
        let Some(id) = self.entry_id() else { return false };
        self.specversion == SPEC_VERSION
            && self.id == id.to_string()
            && self.subject == id.audit_log_id.as_str()
            && self.position().is_some()
            && self.previous().is_some()
            && self.hash().is_some()
    }

    pub(crate) fn position(&self) -> Option<u64> {
        parse_position(&self.position)
    }

    pub(crate) fn previous(&self) -> Option<Hash> {
        parse_hash(&self.previous)
    }

    pub(crate) fn hash(&self) -> Option<Hash> {
        parse_hash(&self.chainhash)
    }

    pub(crate) fn entry_id(&self) -> Option<EntryId> {
        from_data(&self.data)
    }

    /// `None` if this version does not know what happened.
    pub(crate) fn entry(&self) -> Option<AuditEntry> {
        from_data(&self.data)
    }
}

fn from_data<T: serde::de::DeserializeOwned>(data: &Value) -> Option<T> {
    match data {
        Value::String(text) => serde_json::from_str(text).ok(),
        data => T::deserialize(data).ok(),
    }
}

/// The canonical JSON of a value (RFC 8785).
pub(crate) fn canonical(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json_canonicalizer::to_vec(value)
        .map_err(|error| Error::new(ErrorKind::Invalid, "this cannot be written as canonical JSON").because(error))
}

/// Whether canonical JSON, where a number is a double, says exactly this.
fn is_exact(value: &Value) -> bool {
    const INTEGER_MAX: u64 = (1 << 53) - 1;
    match value {
        Value::Number(number) => match number.as_i64() {
            Some(integer) => integer.unsigned_abs() <= INTEGER_MAX,
            None => number.as_f64().is_some_and(|float| float.fract() != 0.0),
        },
        Value::Array(values) => values.iter().all(is_exact),
        Value::Object(members) => members.values().all(is_exact),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

fn parse_position(text: &str) -> Option<u64> {
    text.parse().ok().filter(|position: &u64| position.to_string() == text)
}

fn parse_hash(text: &str) -> Option<Hash> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}
