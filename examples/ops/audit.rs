//! The audit trail as evidence: whether it is as it was written, and receipts for others.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use distribution_backends::{
    AuditVerdict, Checkpointed, Config, EvidenceKey, JsonlAudit, LocalDisk, PublicKey, Receipt, SystemClock, Verifier,
};
use distribution_core::{AuditLogId, Clock as _, Error, ErrorKind, Record, StoragePrefix};
use serde_json::json;

use crate::ask::missing;
use crate::exit;
use crate::json::value;
use crate::output::{Output, fields, or_dash, table, time};
use crate::shell::unavailable;
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
                let pem = signing(&crate::open(config).await?.evidence)?.public_key().to_pem();
                output.give(&json!({ "public_key": pem }), || pem.clone())?;
                Ok(0)
            }
            What::Receipt { audit_log_id } => receipt(config, &audit_log_id, output).await,
            What::Check { receipt, key } => check(&receipt, &key, output),
        }
    }
}

impl VerifyTrail {
    async fn run(self, config: &Path, output: Output) -> Result<u8, Error> {
        let file = match self.file {
            Some(file) => file,
            None => Config::load(config)?.journal().to_owned(),
        };
        let keys = self.key.iter().map(|path| public_key(path)).collect::<Result<Vec<_>, Error>>()?;
        let mut verifier = keys.iter().cloned().fold(Verifier::new(), Verifier::with_key);
        if let Some(checkpoints) = &self.checkpoints {
            let storage = LocalDisk::open(checkpoints)?;
            for checkpoint in Checkpointed::load(&storage, &StoragePrefix::default(), &keys).await? {
                verifier = verifier.with_checkpoint(&checkpoint);
            }
        }
        let verdict = tokio::task::spawn_blocking(move || JsonlAudit::verify(file, verifier).map(Verifier::finish));
        let verdict =
            verdict.await.map_err(|error| Error::unavailable("verifying was interrupted").because(error))??;
        let is_clean = verdict.is_clean();
        output.give(&json!({ "clean": is_clean, "verdict": value(&verdict)? }), || told(&verdict))?;
        Ok(if is_clean { 0 } else { exit::DAMAGED })
    }
}

fn told(verdict: &AuditVerdict) -> String {
    let rows = verdict.findings.iter().map(|finding| [finding.place.clone(), finding.to_string()]);
    let findings = if verdict.findings.is_empty() { String::new() } else { table(["WHERE", "WHAT IS WRONG"], rows) };
    let counts = [
        ("entries", verdict.entries.to_string()),
        ("signed", verdict.signed.to_string()),
        ("checkpoints", verdict.checkpoints.to_string()),
        ("findings", (verdict.findings.len() as u64 + verdict.more).to_string()),
    ];
    format!("{findings}{}", fields(counts))
}

async fn receipt(config: &Path, id: &AuditLogId, output: Output) -> Result<u8, Error> {
    let opened = crate::open(config).await?;
    let key = signing(&opened.evidence)?;
    let trail = trail_of(opened.stores.journal.clone(), id.clone()).await?;
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
