//! The audit trail as evidence: whether it is as it was written, and receipts for others.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use distribution_backends::{
    AuditVerdict, Checkpointed, Config, EvidenceKey, JsonlAudit, LocalDisk, Opened, PublicKey, Receipt, SystemClock,
    Verifier,
};
use distribution_core::{AuditLogId, Clock as _, Error, ErrorKind, Record, StoragePrefix};
use serde_json::json;

use crate::ask::missing;
use crate::exit;
use crate::json::value;
use crate::opening::attended;
use crate::output::{Output, fields, or_dash, table, time};
use crate::shell::{say, unavailable};
use crate::show::trail_of;

#[derive(Args)]
pub(crate) struct Audit {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Find whatever was edited, removed, inserted, reordered or cut off; needs nothing but the file
    Verify(VerifyTrail),
    /// The public key of what signs the trail, as PEM, to give to whoever checks it
    Key,
    /// A signed receipt of a publication, or of its refusal, that anybody can check who has the public key; the
    /// document itself, or with --json a text that has it
    Receipt {
        #[arg(value_name = "AUDIT_LOG_ID")]
        audit_log_id: AuditLogId,
    },
    /// Whether a receipt is as it was written; needs nothing but the receipt and the key
    Check {
        #[arg(value_name = "RECEIPT")]
        receipt: PathBuf,
        #[arg(long, value_name = "PEM")]
        key: PathBuf,
    },
}

#[derive(Args)]
struct VerifyTrail {
    /// The trail [default: the configuration's]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Public keys of which one must have signed each entry [default: signatures are not asked for]
    #[arg(long, value_name = "PEM")]
    key: Vec<PathBuf>,
    /// A directory with checkpoints that one of the keys has signed
    #[arg(long, value_name = "DIR", requires = "key")]
    checkpoints: Option<PathBuf>,
}

impl Audit {
    pub(crate) async fn run(self, config: &Path, output: Output) -> Result<u8, Error> {
        match self.what {
            What::Verify(verify) => verify.run(config, output).await,
            What::Key => {
                let public = async |opened: &Opened| {
                    let pem = signing(&opened.evidence)?.public_key().to_pem();
                    output.give(&json!({ "public_key": pem }), || pem.clone())?;
                    Ok(0)
                };
                attended(config, public).await
            }
            What::Receipt { audit_log_id } => {
                attended(config, async |opened| receipt(opened, &audit_log_id, output).await).await
            }
            What::Check { receipt, key } => check(&receipt, &key, output),
        }
    }
}

/// What is known of the second place of a trail.
#[derive(Clone, Copy)]
struct SecondPlace {
    /// Whether the configuration has one for this trail.
    is_configured: bool,
    /// How many checkpoints were given to the verifier.
    given: usize,
}

impl VerifyTrail {
    async fn run(self, config: &Path, output: Output) -> Result<u8, Error> {
        let config = if self.file.is_none() { Some(Config::load(config)?) } else { None };
        let is_configured = config.as_ref().is_some_and(Config::has_checkpoints);
        let keys = self.key.iter().map(|path| public_key(path)).collect::<Result<Vec<_>, Error>>()?;
        let mut verifier = keys.iter().cloned().fold(Verifier::new(), Verifier::with_key);
        let mut second = SecondPlace { is_configured, given: 0 };
        if let Some(checkpoints) = &self.checkpoints {
            let storage = LocalDisk::open(checkpoints)?;
            for checkpoint in Checkpointed::load(&storage, &StoragePrefix::default(), &keys).await? {
                verifier = verifier.with_checkpoint(&checkpoint);
                second.given += 1;
            }
        }
        let verified = match (self.file, config) {
            (Some(file), _) => {
                let verified = tokio::task::spawn_blocking(move || JsonlAudit::verify(file, verifier)).await;
                verified.map_err(|error| Error::unavailable("verifying was interrupted").because(error))?
            }
            (None, Some(config)) => config.trail().await?.verify(verifier.of_chain(config.chain())).await,
            (None, None) => Err(Error::invalid("FILE", "is missing")),
        };
        let verdict = verified?.finish();
        let (is_clean, unseen) = (verdict.is_clean(), second.unseen_end(self.checkpoints.is_some(), &verdict));
        if let Some(unseen) = unseen {
            say(&format!("WARNING: {unseen}"));
        }
        let checkpoints = json!({
            "configured": second.is_configured, "given": second.given, "met": verdict.checkpoints, "warning": unseen,
        });
        let answer = json!({ "clean": is_clean, "checkpoints": checkpoints, "verdict": value(&verdict)? });
        output.give(&answer, || told(&verdict, second))?;
        Ok(if is_clean { 0 } else { exit::DAMAGED })
    }
}

impl SecondPlace {
    /// Why nobody would see that the end of the trail was cut off, where somebody may believe that it is seen.
    fn unseen_end(self, was_asked: bool, verdict: &AuditVerdict) -> Option<&'static str> {
        match (verdict.checkpoints, was_asked) {
            (0, true) => Some(
                "no checkpoint of this trail was met, so an end that was cut off cannot be seen: look whether the second \
                 place is the right one, and who may remove things there",
            ),
            (0, false) if self.is_configured => Some(
                "the trail has checkpoints in a second place and none was looked at, so an end that was cut off cannot \
                 be seen: give them with --checkpoints and --key",
            ),
            _ => None,
        }
    }
}

fn told(verdict: &AuditVerdict, second: SecondPlace) -> String {
    let rows = verdict.findings.iter().map(|finding| [finding.place.clone(), finding.to_string()]);
    let findings = if verdict.findings.is_empty() { String::new() } else { table(["WHERE", "WHAT IS WRONG"], rows) };
    let end = if verdict.checkpoints == 0 { "NOT KNOWN: no checkpoint was met" } else { "seen by checkpoints" };
    let counts = [
        ("entries", verdict.entries.to_string()),
        ("signed", verdict.signed.to_string()),
        ("checkpoints", format!("{} met of {}", verdict.checkpoints, second.given)),
        ("end of the trail", end.to_owned()),
        ("findings", (verdict.findings.len() as u64 + verdict.more).to_string()),
    ];
    format!("{findings}{}", fields(counts))
}

async fn receipt(opened: &Opened, id: &AuditLogId, output: Output) -> Result<u8, Error> {
    let key = signing(&opened.evidence)?;
    let trail = trail_of(&opened.stores.trail, id).await?;
    let receipt = match opened.stores.metadata.load(id).await? {
        Some(row) => Receipt::of_publication(&Record::decode(&row)?, trail, SystemClock.now())?,
        None if trail.is_empty() => return missing(&format!("{id} is not on record"), output),
        None => Receipt::of_refusal(trail, SystemClock.now())?,
    };
    let json = receipt.sign(&key)?;
    let text = String::from_utf8_lossy(&json).into_owned();
    // A document, whose bytes are signed: in JSON it is a text, so that nothing that reads that writes it anew.
    output.give(&json!({ "audit_log_id": id, "receipt": text }), || text.clone())?;
    Ok(0)
}

fn check(receipt: &Path, key: &Path, output: Output) -> Result<u8, Error> {
    let json = fs::read(receipt).map_err(|error| unavailable("read", receipt.display(), error))?;
    let receipt = Receipt::verify(json.trim_ascii_end(), &public_key(key)?)?;
    let published = receipt.published();
    let rows = [
        ("audit_log_id", receipt.audit_log_id().to_string()),
        ("issued", time(receipt.issued_at())),
        ("published", or_dash(published.map(|published| time(published.at)))),
        ("taken back", or_dash(receipt.retracted().map(|(at, reason)| format!("{}: {reason}", time(at))))),
        ("place", or_dash(published.map(|published| &published.location))),
        ("checksum", or_dash(published.map(|published| published.proof.digest.checksum))),
        ("entries", receipt.trail().len().to_string()),
    ];
    output.give(&json!({ "valid": true, "receipt": value(&receipt)? }), || fields(rows))?;
    Ok(0)
}

fn signing(key: &Option<EvidenceKey>) -> Result<EvidenceKey, Error> {
    key.clone().ok_or_else(|| {
        let message = "nothing signs the trail: set `signing_key` in `[audit]`";
        Error::new(ErrorKind::Unsupported, message)
    })
}

fn public_key(path: &Path) -> Result<PublicKey, Error> {
    PublicKey::from_pem(&fs::read_to_string(path).map_err(|error| unavailable("read", path.display(), error))?)
}
