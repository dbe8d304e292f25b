//! Whatever is done to a chain is found.

use std::collections::BTreeSet;

use distribution_backends::{AuditVerdict, FindingKind, JsonlAudit, Seal, Verifier};
use distribution_core::{AuditEntry, AuditSink, ErrorKind};
use distribution_testkit::Budget;

use super::trails::{chain, key, lines, trail};

/// As `JsonlAudit::verify` does, without a file.
pub(crate) fn verify(bytes: &[u8], verifier: Verifier) -> AuditVerdict {
    let mut verifier = verifier;
    for (n, line) in lines(bytes).iter().enumerate() {
        match line.strip_suffix(b"\n") {
            Some(line) => verifier.check(&format!("line {}", n + 1), line),
            None => verifier.unfinished("the last line"),
        }
    }
    verifier.finish()
}

pub(crate) fn found(lines: &[Vec<u8>], is_signed: bool) -> AuditVerdict {
    let bytes = lines.concat();
    let verdict = verify(&bytes, Verifier::new());
    // Signatures take time, and a key only ever finds more.
    match is_signed && verdict.is_clean() {
        true => verify(&bytes, Verifier::new().with_key(key().public_key().clone())),
        false => verdict,
    }
}

pub(crate) fn kinds(verdict: &AuditVerdict) -> BTreeSet<FindingKind> {
    verdict.findings.iter().map(|finding| finding.kind).collect()
}

#[track_caller]
fn assert_only(verdict: &AuditVerdict, kind: FindingKind, place: &str) {
    assert_eq!(kinds(verdict), BTreeSet::from([kind]), "{:?}", verdict.findings);
    assert!(verdict.findings.iter().any(|finding| finding.place == place), "{place}: {:?}", verdict.findings);
}

#[tokio::test]
async fn whatever_is_done_to_a_chain_is_found_and_named() {
    let chains = Budget::chosen().pick(6, 25, 500);
    let directory = tempfile::tempdir().unwrap();
    let (mut flips, mut others) = (0_u64, 0_u64);
    for n in 0..chains {
        let is_signed = n % 2 == 1;
        let path = directory.path().join(n.to_string());
        let lines = chain(&path, n * 2..n * 2 + 2, is_signed).await;
        let foreign = chain(&path.with_extension("other"), 1000 + n..1001 + n, is_signed).await;
        assert!(found(&lines, is_signed).is_clean());
        flips += flip_every_byte(&lines, is_signed);
        others += drop_double_and_swap(&lines, is_signed) + copy(&lines, &foreign, is_signed);
    }
    println!(
        "proof of evidence: {chains} chains, {flips} bytes flipped and {others} entries dropped, doubled, swapped, copied: each found and named"
    );
}

/// Whether something is said of what is at this line, counted from 0.
fn names_line(verdict: &AuditVerdict, line: usize) -> bool {
    let place = format!("line {}", line + 1);
    verdict.findings.iter().any(|finding| finding.place == place)
}

/// Where the findings of a kind are, by line and by position in the chain, both counted from 0.
fn places(verdict: &AuditVerdict, kind: FindingKind) -> BTreeSet<(usize, u64)> {
    let findings = verdict.findings.iter().filter(|finding| finding.kind == kind);
    let line = |place: &str| place.strip_prefix("line ").unwrap().parse::<usize>().unwrap() - 1;
    findings.map(|finding| (line(&finding.place), finding.position.unwrap())).collect()
}

fn flip_every_byte(chain: &[Vec<u8>], is_signed: bool) -> u64 {
    let mut bytes = chain.concat();
    let (mut at, last) = (0, bytes.len() - 1);
    for (n, line) in chain.iter().enumerate() {
        for _ in line {
            // Another bit each time.
            let bit = 1 << (at % 8);
            bytes[at] ^= bit;
            let verdict = found(&lines(&bytes), is_signed);
            match at == last {
                true => assert!(kinds(&verdict).contains(&FindingKind::Unfinished), "{:?}", verdict.findings),
                false => assert!(names_line(&verdict, n), "byte {at} of line {n}: {:?}", verdict.findings),
            }
            // A flip that makes an end of line makes two lines; nothing is said of any other.
            let mut others = (0..chain.len() + 1).filter(|line| *line != n && *line != n + 1);
            assert!(!others.any(|line| names_line(&verdict, line)), "byte {at} of line {n}: {:?}", verdict.findings);
            bytes[at] ^= bit;
            at += 1;
        }
    }
    bytes.len() as u64
}

fn drop_double_and_swap(lines: &[Vec<u8>], is_signed: bool) -> u64 {
    let mut tried = 0;
    for n in 0..lines.len() {
        // What is cut off at the end takes a checkpoint.
        if n + 1 < lines.len() {
            let mut changed = lines.to_vec();
            changed.remove(n);
            let verdict = found(&changed, is_signed);
            let mut removed = verdict.findings.iter().filter(|finding| finding.kind == FindingKind::Removed);
            assert_eq!(removed.next().unwrap().position, Some(n as u64), "{n}: {:?}", verdict.findings);
            assert!(removed.next().is_none(), "{n}: {:?}", verdict.findings);
        }
        for to in 0..=lines.len() {
            let mut changed = lines.to_vec();
            changed.insert(to, lines[n].clone());
            // Of two equal lines side by side, the second is one too many.
            let at = if to == n { to + 1 } else { to };
            let verdict = found(&changed, is_signed);
            assert_only(&verdict, FindingKind::Doubled, &format!("line {}", at + 1));
            assert_eq!(places(&verdict, FindingKind::Doubled), BTreeSet::from([(at, n as u64)]));
            tried += 1;
        }
        for other in n + 1..lines.len() {
            let mut changed = lines.to_vec();
            changed.swap(n, other);
            let verdict = found(&changed, is_signed);
            let both = BTreeSet::from([(n, other as u64), (other, n as u64)]);
            let named = places(&verdict, FindingKind::Reordered);
            // Of neighbours, one has moved past the other.
            let is_right = if other == n + 1 { named.len() == 1 && named.is_subset(&both) } else { named == both };
            assert!(is_right, "{n}, {other}: {:?}", verdict.findings);
            assert!(!kinds(&verdict).contains(&FindingKind::Removed), "{n}, {other}: {:?}", verdict.findings);
            tried += 1;
        }
    }
    tried
}

fn copy(lines: &[Vec<u8>], foreign: &[Vec<u8>], is_signed: bool) -> u64 {
    let mut tried = 0;
    for (its_own, line) in foreign.iter().enumerate() {
        for to in 0..=lines.len() {
            let mut changed = lines.to_vec();
            changed.insert(to, line.clone());
            let verdict = found(&changed, is_signed);
            // The beginning of one chain before another: which of the two is the foreign one, nobody can tell.
            let is_beginning = its_own == 0 && to == 0;
            match is_beginning {
                false => assert!(names_line(&verdict, to), "{its_own} put in at {to}: {:?}", verdict.findings),
                true => assert!(names_position(&verdict, 0), "{its_own} put in at {to}: {:?}", verdict.findings),
            }
            if to < lines.len() {
                changed.remove(to + 1);
                let verdict = found(&changed, is_signed);
                let is_named = names_line(&verdict, to) || is_beginning && names_position(&verdict, 0);
                assert!(is_named, "{its_own} put over {to}: {:?}", verdict.findings);
            }
            tried += 2;
        }
    }
    tried
}

fn names_position(verdict: &AuditVerdict, position: u64) -> bool {
    verdict.findings.iter().any(|finding| finding.position == Some(position))
}

#[tokio::test]
async fn a_clean_chain_is_never_called_anything_else() {
    let trails_max = Budget::chosen().pick(2_000, 30_000, 1_000_000);
    let directory = tempfile::tempdir().unwrap();
    let mut entries = 0;
    for start in (0..trails_max).step_by(1_000) {
        let path = directory.path().join("audit.jsonl");
        let is_signed = start % 2_000 == 0;
        let lines = chain(&path, start..start + 1_000, is_signed).await;
        let verdict = JsonlAudit::verify(&path, Verifier::new()).unwrap().finish();
        assert!(verdict.is_clean(), "{:?}", verdict.findings);
        assert_eq!((verdict.entries, verdict.continued), (lines.len() as u64, 0));
        entries += verdict.entries;
        std::fs::remove_file(&path).unwrap();
    }
    println!("proof of clean evidence: {trails_max} trails, {entries} entries, 0 false alarms");
}

#[tokio::test]
async fn entries_are_read_back_as_they_were_whatever_numbers_they_hold() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    chain(&path, 0..7, true).await;
    let read: Vec<AuditEntry> = JsonlAudit::read(&path).unwrap().map(Result::unwrap).collect();
    assert_eq!(read, (0..7).flat_map(trail).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_chain_goes_on_across_sinks_and_is_that_of_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    let sinks = [JsonlAudit::open(&path).await.unwrap(), JsonlAudit::open(&path).await.unwrap()];
    for (n, entry) in trail(0).into_iter().chain(trail(1)).enumerate() {
        sinks[n % 2].append(&[entry]).await.unwrap();
    }
    assert!(JsonlAudit::verify(&path, Verifier::new()).unwrap().finish().is_clean());

    let error = JsonlAudit::open_sealed(&path, Seal::new("//other").unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("name it so"), "{error}");
}

#[tokio::test]
async fn a_publication_whose_trail_leaves_one_out_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    let sink = JsonlAudit::open(&path).await.unwrap();
    let (one, two) = (trail(1), trail(2));
    sink.append(&[one[0].clone(), one[2].clone(), two[1].clone(), two[2].clone()]).await.unwrap();
    let verdict = JsonlAudit::verify(&path, Verifier::new()).unwrap().finish();
    assert_eq!(kinds(&verdict), BTreeSet::from([FindingKind::Gap]));
    assert!(verdict.findings[0].message.contains(one[0].id.audit_log_id.as_str()));
    assert_eq!(verdict.continued, 1, "the other began in an earlier file");
}
