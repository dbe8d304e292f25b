//! The trail's file, which is judged where it lies: opening it to append would fail on a broken one, and remove what a
//! crash left of its last line.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use distribution_backends::{AuditVerdict, Config, FindingKind, JsonlAudit, Stores, Verifier};
use distribution_core::{Error, ErrorKind};
use serde::Deserialize;
use tempfile::TempDir;
use toml::Spanned;

use crate::shell::{Stderr, unavailable};

/// The stores of a configuration, all but the trail opened; with the directory that has another one in its place.
pub(super) async fn stores(config: &Path) -> Result<(Stores, TempDir), Error> {
    let journal = Config::load(config)?.journal().to_owned();
    let text = std::fs::read_to_string(config).map_err(|error| unavailable("read", config.display(), error))?;
    let elsewhere = tempfile::tempdir().map_err(|error| unavailable("make", "a temporary directory", error))?;
    let text = with_journal(&text, &elsewhere.path().join("audit.jsonl"))?;
    let base = config.parent().filter(|base| !base.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let opened = Config::parse(&text, base)?.open_with(|builder| builder.alerts(Arc::new(Stderr))).await?;
    Ok((Stores { journal, ..opened.stores }, elsewhere))
}

/// The configuration with another file for its trail. Nothing else in it moves, so that errors name the right lines.
fn with_journal(text: &str, journal: &Path) -> Result<String, Error> {
    #[derive(Deserialize)]
    struct File {
        audit: Audit,
    }
    #[derive(Deserialize)]
    struct Audit {
        jsonl: Spanned<String>,
    }
    let unread = || Error::new(ErrorKind::Invalid, "the configuration has changed while it was read: repeat");
    let file: File = toml::from_str(text).map_err(|_| unread())?;
    let Range { start, end } = file.audit.jsonl.span();
    let (before, after) = (text.get(..start).ok_or_else(unread)?, text.get(end..).ok_or_else(unread)?);
    // A JSON text is a string of TOML, too.
    let journal = serde_json::to_string(&journal.to_string_lossy()).map_err(|_| unread())?;
    Ok(format!("{before}{journal}{after}"))
}

/// Whether the trail is as it was written. It may grow meanwhile, so its last line may have no end yet, and what seems
/// wrong is looked at again. One that is not there is empty: what is missing, the records tell.
pub(super) async fn chain(journal: &Path) -> Result<AuditVerdict, Error> {
    let first = verdict(journal.to_owned()).await?;
    if first.is_clean() { Ok(first) } else { verdict(journal.to_owned()).await }
}

async fn verdict(journal: PathBuf) -> Result<AuditVerdict, Error> {
    let look = move || {
        if !journal.exists() {
            return Ok(AuditVerdict::default());
        }
        JsonlAudit::verify(&journal, Verifier::new()).map(Verifier::finish)
    };
    let looked = tokio::task::spawn_blocking(look).await;
    let mut verdict = looked.map_err(|error| unavailable("read", "the audit trail", error.into()))??;
    verdict.findings.retain(|finding| finding.kind != FindingKind::Unfinished);
    Ok(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_trail_takes_the_place_and_no_line_moves() {
        let text = "[audit] # jsonl = 'no'\njsonl = 'audit.jsonl' # here\n\n[metadata]\nuri = 'sqlite:a'\n";
        let other = with_journal(text, Path::new("/tmp/\"x\"/audit.jsonl")).unwrap();
        let expected =
            "[audit] # jsonl = 'no'\njsonl = \"/tmp/\\\"x\\\"/audit.jsonl\" # here\n\n[metadata]\nuri = 'sqlite:a'\n";
        assert_eq!(other, expected);
        assert_eq!(with_journal("[audit]", Path::new("a")).unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[tokio::test]
    async fn a_trail_that_is_not_there_is_empty_and_an_unfinished_line_may_be_under_way() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("audit.jsonl");
        assert!(chain(&journal).await.unwrap().is_clean());
        std::fs::write(&journal, "{").unwrap();
        assert!(chain(&journal).await.unwrap().is_clean());
        std::fs::write(&journal, "{}\n").unwrap();
        assert!(!chain(&journal).await.unwrap().is_clean());
    }
}
