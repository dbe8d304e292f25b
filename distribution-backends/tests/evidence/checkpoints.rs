//! A chain that was cut, or written anew, is seen by what was noted elsewhere.

use std::sync::Arc;
use std::time::Duration;

use distribution_backends::{
    Checkpoint, Checkpointed, EvidenceKey, FindingKind, JsonlAudit, LocalDisk, Seal, SystemClock, Verifier,
};
use distribution_core::{AuditSink, ErrorKind, StoragePrefix};
use distribution_testkit::Budget;

use super::chains::{kinds, verify};
use super::trails::{chain, key, lines, trail};

#[tokio::test]
async fn what_is_cut_off_or_written_anew_is_seen_up_to_the_last_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let elsewhere = Arc::new(LocalDisk::open(directory.path()).unwrap());
    let (path, prefix) = (directory.path().join("audit.jsonl"), StoragePrefix::parse("checkpoints/").unwrap());
    let sink = Arc::new(JsonlAudit::open(&path).await.unwrap());
    let audit = Checkpointed::new(sink, elsewhere.clone(), prefix.clone(), key(), Arc::new(SystemClock))
        .every(1, Duration::from_secs(3600));
    assert_eq!(audit.checkpoint().await.unwrap(), None);
    for n in 0..4 {
        audit.append(&trail(n)).await.unwrap();
    }
    let last = audit.checkpoint().await.unwrap().unwrap();
    let keys = [key().public_key().clone()];
    let checkpoints = Checkpointed::load(&*elsewhere, &prefix, &keys).await.unwrap();
    assert_eq!(checkpoints.len(), 4);
    let lines = lines(&std::fs::read(&path).unwrap());
    assert_eq!(last.position(), lines.len() as u64 - 1);

    let with_checkpoints = || checkpoints.iter().fold(Verifier::new(), |verifier, it| verifier.with_checkpoint(it));
    let clean = verify(&lines.concat(), with_checkpoints());
    assert!(clean.is_clean(), "{:?}", clean.findings);
    assert_eq!(clean.checkpoints, 4);
    for cut in 0..lines.len() {
        let verdict = verify(&lines[..cut].concat(), with_checkpoints());
        assert!(kinds(&verdict).contains(&FindingKind::Truncated), "cut before {cut}");
    }
    let anew = chain(&directory.path().join("anew"), 4..8, false).await;
    let verdict = verify(&anew.concat(), with_checkpoints());
    assert!(kinds(&verdict).contains(&FindingKind::Rewritten), "{:?}", verdict.findings);

    let good = last.to_json().unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        assert_eq!(Checkpoint::from_json(&bad, &keys).unwrap_err().kind(), ErrorKind::Corrupt, "byte {at}");
    }
    let other = EvidenceKey::from_seed(&[8; 32]).unwrap();
    assert!(Checkpoint::from_json(&good, &[other.public_key().clone()]).is_err());
}

#[tokio::test]
async fn every_cut_of_every_chain_is_named_by_where_it_is() {
    let chains = Budget::chosen().pick(6, 50, 500);
    let keys = [key().public_key().clone()];
    let mut cuts = 0;
    for n in 0..chains {
        let directory = tempfile::tempdir().unwrap();
        let elsewhere = Arc::new(LocalDisk::open(directory.path()).unwrap());
        let path = directory.path().join("audit.jsonl");
        let seal = if n % 2 == 1 { Seal::default().signed_by(key()) } else { Seal::default() };
        let sink = Arc::new(JsonlAudit::open_sealed(&path, seal).await.unwrap());
        let audit = Checkpointed::new(sink, elsewhere.clone(), StoragePrefix::default(), key(), Arc::new(SystemClock))
            .every(u64::MAX, Duration::from_secs(3600));
        for trail in [trail(n * 2), trail(n * 2 + 1)] {
            audit.append(&trail).await.unwrap();
        }
        let last = audit.checkpoint().await.unwrap().unwrap();
        let with_last = || Verifier::new().with_checkpoint(&last);
        let bytes = std::fs::read(&path).unwrap();
        assert!(verify(&bytes, with_last()).is_clean());
        assert!(Checkpoint::from_json(&last.to_json().unwrap(), &keys).is_ok());
        let mut start = 0;
        for (entry, line) in lines(&bytes).iter().enumerate() {
            // Before the entry, and in its middle.
            for cut in [start, start + line.len() / 2, start + line.len() - 1] {
                let verdict = verify(&bytes[..cut], with_last());
                let mut ends = verdict.findings.iter().filter(|finding| finding.kind == FindingKind::Truncated);
                assert_eq!(ends.next().unwrap().position, Some(entry as u64), "{n}, {cut}: {:?}", verdict.findings);
                assert_eq!(kinds(&verdict).contains(&FindingKind::Unfinished), cut > start, "{n}, {cut}");
                cuts += 1;
            }
            start += line.len();
        }
    }
    println!("proof of evidence: {chains} chains, {cuts} cuts before a checkpoint: each found and named");
}

#[tokio::test]
async fn a_second_place_that_is_out_of_reach_does_not_hold_back_an_append() {
    let directory = tempfile::tempdir().unwrap();
    let (path, away) = (directory.path().join("audit.jsonl"), directory.path().join("elsewhere"));
    std::fs::create_dir(&away).unwrap();
    let elsewhere = Arc::new(LocalDisk::open(&away).unwrap());
    let sink = Arc::new(JsonlAudit::open(&path).await.unwrap());
    let audit = Checkpointed::new(sink, elsewhere.clone(), StoragePrefix::default(), key(), Arc::new(SystemClock))
        .every(1, Duration::from_secs(3600));
    std::fs::rename(&away, directory.path().join("gone")).unwrap();
    audit.append(&trail(0)).await.unwrap();
    assert_eq!(audit.checkpoint().await.unwrap_err().kind(), ErrorKind::Unavailable);
    std::fs::rename(directory.path().join("gone"), &away).unwrap();
    audit.append(&trail(1)).await.unwrap();
    let keys = [key().public_key().clone()];
    assert_eq!(Checkpointed::load(&*elsewhere, &StoragePrefix::default(), &keys).await.unwrap().len(), 1);
}
