//! A chain that was cut, or written anew, is seen by what was noted elsewhere.

use std::sync::Arc;
use std::time::Duration;

use distribution_backends::{
    Checkpoint, Checkpointed, EvidenceKey, FindingKind, JsonlAudit, LocalDisk, Seal, SystemClock, Verifier,
};
use distribution_core::{AuditSink, ErrorKind, ObjectKey, StoragePrefix};
use distribution_testkit::{Budget, ManualClock, World};

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
    let chains = Budget::chosen().pick(6, 25, 500);
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

/// The newest checkpoint of a chain of these trails, and its lines.
async fn noted(trails: std::ops::Range<u64>, source: &str) -> (Checkpoint, Vec<u8>) {
    let directory = tempfile::tempdir().unwrap();
    let elsewhere = Arc::new(LocalDisk::open(directory.path()).unwrap());
    let path = directory.path().join("audit.jsonl");
    let sink = Arc::new(JsonlAudit::open_sealed(&path, Seal::new(source).unwrap()).await.unwrap());
    let audit = Checkpointed::new(sink, elsewhere, StoragePrefix::default(), key(), Arc::new(SystemClock));
    for n in trails {
        audit.append(&trail(n)).await.unwrap();
    }
    (audit.checkpoint().await.unwrap().unwrap(), std::fs::read(path).unwrap())
}

#[tokio::test]
async fn checkpoints_that_contradict_each_other_are_told_whatever_their_order() {
    let ((ours, lines), (other, _)) = (noted(1..2, "/site").await, noted(2..3, "/site").await);
    assert_eq!(ours.position(), other.position());
    for order in [[&ours, &other], [&other, &ours]] {
        let verifier = order.into_iter().fold(Verifier::new(), Verifier::with_checkpoint);
        let verdict = verify(&lines, verifier);
        assert_eq!(kinds(&verdict), [FindingKind::ContradictoryCheckpoints].into(), "{:?}", verdict.findings);
        let hash = |checkpoint: &Checkpoint| {
            let json: serde_json::Value = serde_json::from_slice(&checkpoint.to_json().unwrap()).unwrap();
            json["hash"].as_str().unwrap().to_owned()
        };
        let finding = &verdict.findings[0];
        assert!([&ours, &other].iter().all(|one| finding.message.contains(&hash(one))), "{finding}");
        assert_eq!((finding.position, verdict.checkpoints), (Some(ours.position()), 2));
    }
}

#[tokio::test]
async fn a_checkpoint_of_another_chain_is_told_as_foreign_and_blames_no_entry() {
    let ((ours, lines), (longer, _)) = (noted(1..2, "/site").await, noted(1..4, "/elsewhere").await);
    for order in [[&ours, &longer], [&longer, &ours]] {
        let verifier = order.into_iter().fold(Verifier::new(), Verifier::with_checkpoint);
        let verdict = verify(&lines, verifier);
        assert_eq!(kinds(&verdict), [FindingKind::ForeignCheckpoints].into(), "{:?}", verdict.findings);
        assert!(verdict.findings[0].message.contains("/elsewhere"), "{}", verdict.findings[0]);
        assert_eq!(verdict.checkpoints, 1);
    }
    // Of a chain of which nothing is left, nobody knows the name.
    let verdict = verify(b"", Verifier::new().with_checkpoint(&ours));
    assert_eq!(kinds(&verdict), [FindingKind::Truncated].into());
    // Another chain in the place of this one.
    let verdict = verify(&lines, Verifier::new().of_chain("/elsewhere").with_checkpoint(&longer));
    assert!(kinds(&verdict).contains(&FindingKind::Foreign) && kinds(&verdict).contains(&FindingKind::Truncated));
}

/// A chain and its second place, for processes that come and go.
struct Site {
    directory: tempfile::TempDir,
    elsewhere: Arc<LocalDisk>,
    world: World,
}

impl Site {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let elsewhere = directory.path().join("elsewhere");
        std::fs::create_dir(&elsewhere).unwrap();
        Self { elsewhere: Arc::new(LocalDisk::open(elsewhere).unwrap()), directory, world: World::new() }
    }

    async fn process(&self) -> Checkpointed {
        let sink = Arc::new(JsonlAudit::open(self.directory.path().join("audit.jsonl")).await.unwrap());
        let clock = Arc::new(ManualClock::new(&self.world));
        Checkpointed::new(sink, self.elsewhere.clone(), StoragePrefix::default(), key(), clock)
    }

    async fn positions(&self) -> Vec<u64> {
        let keys = [key().public_key().clone()];
        let noted = Checkpointed::load(&*self.elsewhere, &StoragePrefix::default(), &keys).await.unwrap();
        noted.iter().map(Checkpoint::position).collect()
    }
}

#[tokio::test]
async fn processes_that_live_for_one_append_make_checkpoints_too() {
    let site = Site::new();
    let append = async |n| site.process().await.append(&trail(n)).await.unwrap();
    append(1).await;
    assert_eq!(site.positions().await, [2], "the first one at once");
    append(3).await;
    assert_eq!(site.positions().await, [2], "it is not time yet");
    site.world.advance(Duration::from_secs(3600));
    append(5).await;
    assert_eq!(site.positions().await, [2, 9], "the last one was an hour ago, whoever has made it");

    // So many entries behind the last one, of however many processes.
    let often = async || site.process().await.every(7, Duration::from_secs(1 << 40));
    for (n, expected) in [(7, &[2, 9][..]), (9, &[2, 9, 16]), (11, &[2, 9, 16])] {
        often().await.append(&trail(n)).await.unwrap();
        assert_eq!(site.positions().await, expected, "after trail {n}");
    }
}

#[tokio::test]
async fn a_program_notes_at_its_end_what_it_has_appended() {
    let site = Site::new();
    let process = site.process().await;
    assert_eq!(process.finish().await.unwrap(), None, "nothing was appended");
    process.append(&trail(1)).await.unwrap();
    process.append(&trail(5)).await.unwrap();
    assert_eq!(site.positions().await, [2]);
    assert_eq!(process.finish().await.unwrap().unwrap().position(), 5);
    assert_eq!(process.finish().await.unwrap(), None, "once");
    assert_eq!(site.positions().await, [2, 5]);
}

#[tokio::test]
async fn what_a_probe_could_not_remove_is_no_checkpoint() {
    let site = Site::new();
    let process = site.process().await;
    process.append(&trail(1)).await.unwrap();
    for trial in ObjectKey::TRIALS {
        let left = site.directory.path().join("elsewhere").join(trial);
        std::fs::create_dir(&left).unwrap();
        std::fs::write(left.join("0123"), b"a race").unwrap();
    }
    assert_eq!(site.positions().await, [2]);
    site.world.advance(Duration::from_secs(3600));
    site.process().await.append(&trail(3)).await.unwrap();
    assert_eq!(site.positions().await, [2, 6]);
    // What is neither is told.
    std::fs::write(site.directory.path().join("elsewhere/note.json"), b"{}").unwrap();
    let keys = [key().public_key().clone()];
    let loaded = Checkpointed::load(&*site.elsewhere, &StoragePrefix::default(), &keys).await;
    assert_eq!(loaded.unwrap_err().kind(), ErrorKind::Corrupt);
}
