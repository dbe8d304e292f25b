//! What `JsonlAudit` promises beyond the conformance suite: other processes, crashes in the middle
//! of a line, full disks, and files that are moved or edited.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Waker};

use std::time::Duration;

use distribution_backends::JsonlAudit;
use distribution_core::{AuditEntry, AuditEvent, AuditLogId, AuditSink, EntryId, ErrorKind, Timestamp, Trail};
use futures::FutureExt as _;

const PATH_VARIABLE: &str = "JSONL_AUDIT_TEST_PATH";
const TRAIL_VARIABLE: &str = "JSONL_AUDIT_TEST_TRAIL";

fn entry(trail: u64, sequence: u64) -> AuditEntry {
    let audit_log_id = AuditLogId::parse(format!("dist_{trail:025}0")).unwrap();
    AuditEntry {
        id: EntryId { audit_log_id, trail: Trail::Publication, sequence },
        at: Timestamp::from_timestamp_micros(1_700_000_000_000_001).unwrap(),
        event: AuditEvent::Claimed { holder: "line\none/é".into(), qc_report_id: None },
    }
}

fn refusal(sequence: u64) -> AuditEntry {
    let event = AuditEvent::Refused { reason: "status is `fail`".into() };
    let entry = entry(1, sequence);
    AuditEntry { id: EntryId { trail: Trail::Refusals, ..entry.id }, event, ..entry }
}

fn file(directory: &tempfile::TempDir) -> PathBuf {
    directory.path().join("audit.jsonl")
}

fn kept(path: &Path) -> Vec<AuditEntry> {
    JsonlAudit::read(path).unwrap().map(Result::unwrap).collect()
}

fn add(path: &Path, bytes: &[u8]) {
    OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

#[tokio::test]
async fn entries_are_kept_once_in_order_and_across_a_reopen() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory);
    let all = [entry(1, 0), entry(1, 1), refusal(1_700_000_000_000_000), entry(2, 0), entry(1, 5), refusal(3)];

    let audit = JsonlAudit::open(&path).await.unwrap();
    audit.append(&[]).await.unwrap();
    audit.append(&all[..2]).await.unwrap();
    audit.append(&[all[1].clone(), all[2].clone(), all[2].clone()]).await.unwrap();
    assert_eq!(kept(&path), all[..3]);
    drop(audit);

    let audit = JsonlAudit::open(&path).await.unwrap();
    audit.append(&all).await.unwrap();
    audit.append(&all).await.unwrap();
    assert_eq!(kept(&path), all);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), all.len());
    assert!(text.ends_with('\n'));
}

#[tokio::test]
async fn what_a_crash_left_of_a_line_is_removed_wherever_it_was_cut() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory);
    let all = [entry(1, 0), entry(1, 1), entry(1, 2)];
    JsonlAudit::open(&path).await.unwrap().append(&all).await.unwrap();
    let whole = std::fs::read(&path).unwrap();
    let second_ends = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;

    for cut in second_ends..whole.len() {
        // At open.
        std::fs::write(&path, &whole[..cut]).unwrap();
        assert_eq!(kept(&path), all[..2], "a reader leaves out what is unfinished, cut at {cut}");
        let audit = JsonlAudit::open(&path).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), &whole[..second_ends], "cut at {cut}");
        audit.append(&all).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole, "cut at {cut}");

        // While open, by another process that died.
        std::fs::write(&path, &whole[..second_ends]).unwrap();
        let audit = JsonlAudit::open(&path).await.unwrap();
        add(&path, &whole[second_ends..cut]);
        audit.append(&all[..1]).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), &whole[..second_ends], "cut at {cut}");
        audit.append(&all).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole, "cut at {cut}");
    }
}

#[tokio::test]
async fn a_line_that_is_no_entry_is_corrupt_and_named_and_nothing_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory);
    let audit = JsonlAudit::open(&path).await.unwrap();
    audit.append(&[entry(1, 0), entry(1, 1)]).await.unwrap();
    let good = std::fs::read(&path).unwrap();
    for bad in ["{\"audit_log_id\":\n", "\n", "{}\n", "null\n", "{\"sequence\":1}{}\n", "\0\0\0\n"] {
        for after in ["", "{\"torn"] {
            std::fs::write(&path, [&good, bad.as_bytes(), after.as_bytes()].concat()).unwrap();
            let before = std::fs::read(&path).unwrap();
            for error in [
                JsonlAudit::open(&path).await.unwrap_err(),
                audit.append(&[entry(1, 2)]).await.unwrap_err(),
                audit.append(&[entry(1, 2)]).await.unwrap_err(),
            ] {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{bad:?}");
                assert!(error.to_string().starts_with("line 3 of the audit file "), "{error}");
            }
            assert_eq!(std::fs::read(&path).unwrap(), before, "evidence stays");
        }
    }
    add(&path, b"\n");
    std::fs::write(&path, [&good, b"bad\n".as_slice(), &good].concat()).unwrap();
    let read: Vec<_> = JsonlAudit::read(&path).unwrap().collect();
    assert_eq!(read.len(), 5);
    assert!(read[2].as_ref().is_err_and(|error| error.kind() == ErrorKind::Corrupt));
    assert_eq!(read[4].as_ref().unwrap(), &entry(1, 1), "a reader goes on behind it");
}

#[tokio::test]
async fn a_line_without_an_end_costs_no_memory() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory);
    std::fs::write(&path, vec![b' '; 5 << 20]).unwrap();
    assert_eq!(JsonlAudit::open(&path).await.unwrap_err().kind(), ErrorKind::Corrupt);
    let read: Vec<_> = JsonlAudit::read(&path).unwrap().collect();
    assert_eq!(read.len(), 1);
    assert!(read[0].is_err());
}

#[tokio::test]
async fn events_of_a_newer_version_do_not_stop_the_sink() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory);
    JsonlAudit::open(&path).await.unwrap().append(&[entry(1, 0)]).await.unwrap();
    let newer = std::fs::read_to_string(&path).unwrap().replace("\"claimed\"", "\"invented_later\"");
    std::fs::write(&path, newer).unwrap();
    let audit = JsonlAudit::open(&path).await.unwrap();
    audit.append(&[entry(1, 0), entry(1, 1)]).await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
    assert_eq!(JsonlAudit::read(&path).unwrap().filter(Result::is_err).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sinks_with_many_appenders_keep_every_entry_once() {
    const TRAILS: u64 = 16;
    const ENTRIES: u64 = 20;
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory);
    let sinks = [JsonlAudit::open(&path).await.unwrap(), JsonlAudit::open(&path).await.unwrap()].map(Arc::new);
    let mut appenders = Vec::new();
    for trail in 0..TRAILS {
        for sink in sinks.clone() {
            appenders.push(tokio::spawn(async move {
                for sequence in 0..ENTRIES {
                    // Overlapping: both sinks append the same entries.
                    sink.append(&[entry(trail, sequence), entry(trail, sequence + 1)]).await.unwrap();
                }
            }));
        }
    }
    for appender in appenders {
        appender.await.unwrap();
    }
    let kept = kept(&path);
    let ids: BTreeSet<&EntryId> = kept.iter().map(|entry| &entry.id).collect();
    assert_eq!(kept.len(), ids.len(), "an entry is kept twice");
    assert_eq!(kept.len() as u64, TRAILS * (ENTRIES + 1));
}

#[tokio::test]
async fn a_dropped_append_harms_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory);
    let audit = JsonlAudit::open(&path).await.unwrap();
    for sequence in 0..100 {
        let (one, two) = ([entry(1, sequence)], [entry(2, sequence)]);
        let mut futures = [audit.append(&one).fuse(), audit.append(&two).fuse()];
        for _ in 0..sequence % 4 {
            for future in &mut futures {
                let _ = future.poll_unpin(&mut Context::from_waker(Waker::noop()));
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        if sequence % 2 == 0 {
            drop(futures);
        }
    }
    let all: Vec<AuditEntry> = (0..100).flat_map(|n| [entry(1, n), entry(2, n)]).collect();
    audit.append(&all).await.unwrap();
    let ids: BTreeSet<EntryId> = kept(&path).into_iter().map(|entry| entry.id).collect();
    assert_eq!(ids, all.iter().map(|entry| entry.id.clone()).collect());
    assert_eq!(kept(&path).len(), all.len());
}

#[tokio::test]
async fn a_file_moved_removed_replaced_or_cut_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let (path, aside) = (file(&directory), directory.path().join("aside"));
    let audit = JsonlAudit::open(&path).await.unwrap();
    audit.append(&[entry(1, 0), entry(1, 1)]).await.unwrap();

    std::fs::rename(&path, &aside).unwrap();
    for _ in 0..2 {
        // Also what is kept already: it is not where it will be looked for.
        for entry in [entry(1, 0), entry(1, 2)] {
            let error = audit.append(&[entry]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(error.to_string().contains("put it back"), "{error}");
        }
    }
    std::fs::write(&path, b"").unwrap();
    assert_eq!(audit.append(&[entry(1, 0)]).await.unwrap_err().kind(), ErrorKind::Unavailable);

    std::fs::rename(&aside, &path).unwrap();
    audit.append(&[entry(1, 2), entry(1, 3)]).await.unwrap();
    assert_eq!(kept(&path), (0..4).map(|n| entry(1, n)).collect::<Vec<_>>());

    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(audit.append(&[entry(1, 0)]).await.unwrap_err().kind(), ErrorKind::Corrupt);
    std::fs::write(&path, &whole).unwrap();
    audit.append(&[entry(1, 0), entry(1, 4)]).await.unwrap();
    assert_eq!(kept(&path).len(), 5);
}

#[tokio::test]
async fn what_is_no_usable_path_is_refused_with_a_way_out() {
    let directory = tempfile::tempdir().unwrap();
    let missing = JsonlAudit::open(directory.path().join("missing/audit.jsonl")).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Invalid);
    assert!(missing.to_string().contains("create or mount it"), "{missing}");
    assert_eq!(JsonlAudit::open(directory.path()).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(JsonlAudit::open("/dev/null").await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(JsonlAudit::read(file(&directory)).unwrap_err().kind(), ErrorKind::Unavailable);
}

#[test]
fn processes_that_are_killed_lose_nothing_they_were_told_is_kept() {
    const PROCESSES: u64 = 4;
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory);
    let mut promised = BTreeSet::new();
    for round in 0..5 {
        let mut children = Vec::new();
        for n in 0..PROCESSES {
            let mut command = child("child_appends_until_killed", &path, round * PROCESSES + n);
            children.push((round * PROCESSES + n, command.spawn().unwrap()));
        }
        std::thread::sleep(Duration::from_millis(300 + 17 * round));
        for (trail, mut child) in children {
            child.kill().unwrap();
            // Dead before its output is read: what it printed, it had been told.
            child.wait().unwrap();
            for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
                if let Some(sequence) = line.strip_prefix("kept ").and_then(|number| number.parse().ok()) {
                    promised.insert(entry(trail, sequence).id);
                }
            }
        }
    }
    assert!(promised.len() > 100, "only {} appends were answered", promised.len());

    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(JsonlAudit::open(&path)).unwrap();
    let kept: Vec<EntryId> = kept(&path).into_iter().map(|entry| entry.id).collect();
    let ids: BTreeSet<EntryId> = kept.iter().cloned().collect();
    assert_eq!(ids.len(), kept.len(), "an entry is kept twice");
    assert!(promised.is_subset(&ids));
}

#[test]
fn a_file_that_cannot_grow_is_unavailable_and_stays_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory);
    let this = child("child_meets_the_size_limit", &path, 0);
    // The limit counts blocks of 512 or 1,024 bytes; either ends in the middle of some line.
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; ulimit -f 12; exec \"$0\" \"$@\""])
        .arg(this.get_program())
        .args(this.get_args());
    command.envs(this.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let audit = runtime.block_on(JsonlAudit::open(&path)).unwrap();
    let before = kept(&path).len() as u64;
    assert!(before > 5);
    runtime.block_on(audit.append(&[entry(0, before)])).unwrap();
    assert_eq!(kept(&path), (0..=before).map(|n| entry(0, n)).collect::<Vec<_>>());
}

fn child(test: &str, path: &Path, trail: u64) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--ignored", "--nocapture"]).stdout(Stdio::piped());
    command.env(PATH_VARIABLE, path).env(TRAIL_VARIABLE, trail.to_string());
    command
}

fn task() -> Option<(PathBuf, u64)> {
    let path = std::env::var_os(PATH_VARIABLE)?;
    Some((path.into(), std::env::var(TRAIL_VARIABLE).ok()?.parse().ok()?))
}

#[tokio::test]
#[ignore = "run by a test above, as a process of its own"]
async fn child_appends_until_killed() {
    let Some((path, trail)) = task() else { return };
    let audit = JsonlAudit::open(path).await.unwrap();
    for sequence in 0.. {
        audit.append(&[entry(trail, sequence)]).await.unwrap();
        println!("kept {sequence}");
    }
}

#[tokio::test]
#[ignore = "run by a test above, as a process of its own"]
async fn child_meets_the_size_limit() {
    let Some((path, trail)) = task() else { return };
    let audit = JsonlAudit::open(&path).await.unwrap();
    for sequence in 0.. {
        let before = std::fs::read(&path).unwrap();
        let Err(error) = audit.append(&[entry(trail, sequence)]).await else { continue };
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("free space"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), before, "the part of the line is taken back");
        audit.append(&[entry(trail, sequence)]).await.unwrap_err();
        return;
    }
}
