//! Chains, and what this verifier says of all that can be done to them, for a verifier in another language to
//! agree with: `.ci/audit`.

use std::path::PathBuf;
use std::sync::Arc;

use distribution_backends::{Checkpointed, JsonlAudit, LocalDisk, Receipt, Seal, SystemClock};
use distribution_core::{AuditSink as _, StoragePrefix, Timestamp};
use serde_json::{Value, json};

use super::chains::{found, kinds, verify};
use super::trails::{chain, key, lines, trail};

#[tokio::test]
#[ignore = "run by .ci/audit, which says where to write"]
async fn write_a_corpus() {
    let Some(directory) = std::env::var_os("EVIDENCE_CORPUS").map(PathBuf::from) else { return };
    let chains: u64 = std::env::var("EVIDENCE_CHAINS").unwrap().parse().unwrap();
    std::fs::write(directory.join("key.pem"), key().public_key().to_pem()).unwrap();
    for n in 0..chains {
        let path = directory.join(format!("{n}.jsonl"));
        let lines = chain(&path, n..n + 2, n % 2 == 1).await;
        let foreign = chain(&path.with_extension("foreign"), 1000 + n..1001 + n, n % 2 == 1).await;
        let verdicts = verdicts(&lines, &foreign, n % 2 == 1);
        std::fs::write(path.with_extension("verdicts"), verdicts.to_string()).unwrap();
    }
    write_signed(&directory).await;
}

/// A checkpoint and a receipt.
async fn write_signed(directory: &std::path::Path) {
    let elsewhere = Arc::new(LocalDisk::open(directory).unwrap());
    let sink = JsonlAudit::open_sealed(directory.join("0.jsonl"), Seal::default()).await.unwrap();
    let prefix = StoragePrefix::parse("checkpoints/").unwrap();
    let audit = Checkpointed::new(Arc::new(sink), elsewhere, prefix, key(), Arc::new(SystemClock));
    audit.append(&[]).await.unwrap();
    audit.checkpoint().await.unwrap();
    write_noted(directory).await;
    let at = Timestamp::from_timestamp_micros(1_767_225_600_000_000).unwrap();
    let receipt = Receipt::of_refusal(trail(0)[..1].to_vec(), at).unwrap();
    std::fs::write(directory.join("receipt.json"), receipt.sign(&key()).unwrap()).unwrap();
}

/// Sets of checkpoints, and what they tell of the first chain.
async fn write_noted(directory: &std::path::Path) {
    let (own, lines) = (Seal::default().source().to_owned(), std::fs::read(directory.join("0.jsonl")).unwrap());
    for (name, chains) in [
        ("own", vec![("own", 0..2, &*own)]),
        ("contradictory", vec![("own", 0..2, &*own), ("other", 2..4, &*own), ("third", 8..10, &*own)]),
        ("foreign", vec![("own", 0..2, &*own), ("other", 0..4, "/elsewhere")]),
    ] {
        let case = directory.join("noted").join(name);
        std::fs::create_dir_all(&case).unwrap();
        let elsewhere = Arc::new(LocalDisk::open(&case).unwrap());
        let mut verifier = distribution_backends::Verifier::new();
        for (prefix, trails, source) in chains {
            let sink = JsonlAudit::open_sealed(case.join(prefix).with_extension("chain"), Seal::new(source).unwrap());
            let prefix = StoragePrefix::parse(format!("{prefix}/")).unwrap();
            let sink = Arc::new(sink.await.unwrap());
            let audit = Checkpointed::new(sink, elsewhere.clone(), prefix, key(), Arc::new(SystemClock));
            audit.append(&trails.flat_map(trail).collect::<Vec<_>>()).await.unwrap();
            verifier = verifier.with_checkpoint(&audit.checkpoint().await.unwrap().unwrap());
        }
        let kinds = serde_json::to_vec(&kinds(&verify(&lines, verifier))).unwrap();
        std::fs::write(case.join("kinds.json"), kinds).unwrap();
    }
}

/// Whether each is clean: every byte flipped, every entry dropped, doubled, swapped, and put in from another chain.
fn verdicts(lines: &[Vec<u8>], foreign: &[Vec<u8>], is_signed: bool) -> Value {
    let clean = |lines: Vec<Vec<u8>>| found(&lines, is_signed).is_clean();
    let with = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut changed = lines.to_vec();
        change(&mut changed);
        clean(changed)
    };
    let all = lines.len();
    let pairs = || (0..all).flat_map(|n| (0..all).map(move |other| (n, other)));
    let mut bytes = lines.concat();
    let flips: Vec<bool> = (0..bytes.len())
        .map(|at| {
            bytes[at] ^= 1 << (at % 8);
            let is_clean = clean(self::lines(&bytes));
            bytes[at] ^= 1 << (at % 8);
            is_clean
        })
        .collect();
    assert!(verify(&bytes, distribution_backends::Verifier::new()).is_clean());
    json!({
        "flipped": flips,
        "dropped": (0..all).map(|n| with(&|lines| drop(lines.remove(n)))).collect::<Vec<_>>(),
        "doubled": pairs().map(|(n, to)| with(&|lines| lines.insert(to, lines[n].clone()))).collect::<Vec<_>>(),
        "swapped": pairs().map(|(n, to)| with(&|lines| lines.swap(n, to))).collect::<Vec<_>>(),
        "inserted": (0..=all).map(|to| with(&|lines| lines.insert(to, foreign[0].clone()))).collect::<Vec<_>>(),
        "replaced": (0..all).map(|to| with(&|lines| lines[to] = foreign[0].clone())).collect::<Vec<_>>(),
    })
}
