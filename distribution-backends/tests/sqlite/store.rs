//! What `SqliteMetadata` promises beyond the conformance suite: other processes, crashes of a
//! future, damaged files, and what its columns can hold.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use distribution_backends::SqliteMetadata;
use distribution_core::{Advance, Claim, ErrorKind, IdempotencyKey, Index, MetadataStore, Query, Row, Timestamp};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use crate::rows::{at, by_tag, id, next, row};

const PROCESSES: usize = 8;
const RACERS: usize = 16;
const PATH_VARIABLE: &str = "SQLITE_METADATA_TEST_PATH";

fn file(directory: &tempfile::TempDir) -> PathBuf {
    directory.path().join("records.db")
}

#[test]
fn opening_takes_one_blocking_thread() {
    let directory = tempfile::tempdir().unwrap();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.max_blocking_threads(1).enable_all().build().unwrap();
    let opened = runtime.block_on(async {
        let open = SqliteMetadata::open(directory.path().join("records.db"));
        tokio::time::timeout(Duration::from_secs(60), open).await.map(|opened| opened.map(drop))
    });
    // Not by a drop, which would wait for the thread.
    runtime.shutdown_background();
    opened.unwrap().unwrap();
}

#[tokio::test]
async fn what_was_written_is_there_after_a_reopen() {
    let directory = tempfile::tempdir().unwrap();
    let key = IdempotencyKey::parse("caller'own").unwrap();
    let store = SqliteMetadata::open(file(&directory)).await.unwrap();
    assert_eq!(store.claim(&row(1)).await.unwrap(), Claim::Claimed);
    assert_eq!(store.claim(&row(2)).await.unwrap(), Claim::Claimed);
    assert_eq!(store.advance(&next(&row(1))).await.unwrap(), Advance::Advanced);
    assert_eq!(store.bind(&key, &id(1)).await.unwrap(), id(1));
    store.close().await.unwrap();
    assert_eq!(store.load(&id(1)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.claim(&row(1)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "closing leaves one file");

    let store = SqliteMetadata::open(file(&directory)).await.unwrap();
    assert_eq!(store.load(&id(1)).await.unwrap(), Some(next(&row(1))));
    assert_eq!(store.load(&id(2)).await.unwrap(), Some(row(2)));
    assert_eq!(store.load(&id(3)).await.unwrap(), None);
    assert_eq!(store.claim(&row(1)).await.unwrap(), Claim::Exists(next(&row(1))));
    assert_eq!(store.bind(&key, &id(2)).await.unwrap(), id(1));
    assert_eq!(store.find(&by_tag("one"), None, 10).await.unwrap().rows, [row(2)]);
    assert_eq!(store.find(&by_tag("tag 0"), None, 10).await.unwrap().rows, [next(&row(1))]);
}

#[tokio::test]
async fn an_advance_of_another_revision_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteMetadata::open(file(&directory)).await.unwrap();
    assert_eq!(store.advance(&next(&row(1))).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(store.advance(&row(1)).await.unwrap_err().kind(), ErrorKind::Corrupt);
    store.claim(&row(1)).await.unwrap();
    for revision in [0, 2, 3, i64::MAX as u64] {
        let wrong = Row { revision, ..next(&row(1)) };
        assert_eq!(store.advance(&wrong).await.unwrap(), Advance::Superseded(row(1)), "{revision}");
    }
    for revision in [i64::MAX as u64 + 1, u64::MAX] {
        let wrong = Row { revision, ..next(&row(1)) };
        assert_eq!(store.advance(&wrong).await.unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert_eq!(store.load(&id(1)).await.unwrap(), Some(row(1)));
    assert_eq!(store.find(&by_tag("tag 0"), None, 10).await.unwrap().rows, []);
}

#[tokio::test]
async fn what_a_column_could_not_give_back_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteMetadata::open(file(&directory)).await.unwrap();
    let timed = |claimed_at| Row { index: Index { claimed_at, ..row(1).index }, ..row(1) };
    let refused = [
        timed(at(5) + Duration::from_nanos(1)),
        timed(Timestamp::MAX_UTC),
        Row { revision: 1, ..row(1) },
        Row { body: Bytes::from(vec![0; Row::BODY_BYTES_MAX + 1]), ..row(1) },
    ];
    for row in refused {
        assert_eq!(store.claim(&row).await.unwrap_err().kind(), ErrorKind::Invalid);
    }
    let largest = Row { body: Bytes::from(vec![0xff; Row::BODY_BYTES_MAX]), ..timed(at(-1)) };
    assert_eq!(store.claim(&largest).await.unwrap(), Claim::Claimed);
    assert_eq!(store.load(&id(1)).await.unwrap(), Some(largest));
}

#[tokio::test]
async fn any_text_is_a_tag() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteMetadata::open(file(&directory)).await.unwrap();
    let mut tags: Vec<String> =
        ["", " ", "%", "_", "'", "\"", "\\", "É", "É", "a", "A", "1", "null", "[\"a\"]", "😀", "a\nb", "?", ":x"]
            .map(String::from)
            .to_vec();
    tags.sort_unstable();
    let first = Row { index: Index { tags: tags.clone(), ..row(1).index }, ..row(1) };
    store.claim(&first).await.unwrap();
    for tag in &tags {
        assert_eq!(store.find(&by_tag(tag), None, 10).await.unwrap().rows, std::slice::from_ref(&first), "{tag:?}");
    }
    assert_eq!(store.find(&by_tag("aa"), None, 10).await.unwrap().rows, []);
    let second = Row { revision: 1, index: Index { tags: vec![], ..first.index.clone() }, ..first };
    assert_eq!(store.advance(&second).await.unwrap(), Advance::Advanced);
    for tag in &tags {
        assert_eq!(store.find(&by_tag(tag), None, 10).await.unwrap().rows, [], "{tag:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_stores_on_a_fresh_file_exactly_one_claims() {
    let directory = tempfile::tempdir().unwrap();
    let mut racers = Vec::new();
    for n in 0..RACERS {
        let path = file(&directory);
        racers.push(tokio::spawn(async move {
            let store = SqliteMetadata::open(&path).await.unwrap();
            let mine = Row { body: Bytes::from(n.to_string()), ..row(1) };
            (mine.clone(), store.claim(&mine).await.unwrap(), store.load(&mine.id).await.unwrap().unwrap())
        }));
    }
    let outcomes: Vec<_> = futures::future::join_all(racers).await.into_iter().map(Result::unwrap).collect();
    let winners: Vec<&Row> = outcomes.iter().filter(|o| o.1 == Claim::Claimed).map(|o| &o.0).collect();
    assert_eq!(winners.len(), 1);
    for (_, claim, loaded) in &outcomes {
        assert_eq!(loaded, winners[0]);
        assert!(*claim == Claim::Claimed || *claim == Claim::Exists(winners[0].clone()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_stores_exactly_one_makes_each_advance() {
    const ROUNDS: u64 = 8;
    let directory = tempfile::tempdir().unwrap();
    SqliteMetadata::open(file(&directory)).await.unwrap().claim(&row(1)).await.unwrap();
    let mut racers = Vec::new();
    for _ in 0..RACERS {
        let path = file(&directory);
        racers.push(tokio::spawn(async move {
            let store = SqliteMetadata::open(&path).await.unwrap();
            let (mut row, mut won) = (store.load(&id(1)).await.unwrap().unwrap(), Vec::new());
            while row.revision < ROUNDS {
                let next = next(&row);
                row = match store.advance(&next).await.unwrap() {
                    Advance::Advanced => {
                        won.push(next.revision);
                        next
                    }
                    Advance::Superseded(newer) => {
                        assert!(newer.revision >= next.revision);
                        newer
                    }
                };
            }
            won
        }));
    }
    let mut won: Vec<u64> = futures::future::join_all(racers).await.into_iter().flat_map(Result::unwrap).collect();
    won.sort_unstable();
    assert_eq!(won, (1..=ROUNDS).collect::<Vec<_>>());
}

#[test]
fn processes_that_open_a_fresh_file_at_once_all_succeed_and_one_claims() {
    for _ in 0..3 {
        let directory = tempfile::tempdir().unwrap();
        let mut children = Vec::new();
        for _ in 0..PROCESSES {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["store::child_opens_and_claims", "--exact", "--ignored", "--nocapture"]);
            command.env(PATH_VARIABLE, file(&directory)).stdout(Stdio::piped()).stderr(Stdio::piped());
            children.push(command.spawn().unwrap());
        }
        let mut claimed = 0;
        for child in children {
            let output = child.wait_with_output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
            claimed += text.matches("I claimed it").count();
        }
        assert_eq!(claimed, 1);
    }
}

#[tokio::test]
#[ignore = "run by the test above, as a process of its own"]
async fn child_opens_and_claims() {
    let Some(path) = std::env::var_os(PATH_VARIABLE) else { return };
    let store = SqliteMetadata::open(path).await.unwrap();
    if store.claim(&row(1)).await.unwrap() == Claim::Claimed {
        println!("I claimed it");
    }
}

#[tokio::test]
async fn a_future_dropped_at_any_poll_leaves_the_store_usable_and_the_row_whole() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteMetadata::open(file(&directory)).await.unwrap();
    let other = SqliteMetadata::open(file(&directory)).await.unwrap();
    store.claim(&row(1)).await.unwrap();
    let mut completed = 0;
    for round in 0..200_usize {
        let before = store.load(&id(1)).await.unwrap().unwrap();
        let wanted = next(&before);
        completed += usize::from(poll_some(store.advance(&wanted), round % 5).await);
        poll_some(store.find(&Query::default(), None, 10), round % 7).await;
        poll_some(store.claim(&row(1)), round % 6).await;

        let after = other.load(&id(1)).await.unwrap().unwrap();
        assert!(after == before || after == wanted);
        let after = other.load(&id(1)).await.unwrap().unwrap();
        match other.advance(&next(&after)).await.unwrap() {
            Advance::Advanced => {}
            // The dropped one may still have come in between.
            Advance::Superseded(row) => assert_eq!(row, wanted),
        }
    }
    assert!(completed > 0 && completed < 200, "{completed} futures were not dropped");
}

/// Polls at most `polls` times, then drops the future. Whether it was ready.
async fn poll_some<T>(future: impl Future<Output = T>, polls: usize) -> bool {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        if future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return true;
        }
        tokio::time::sleep(Duration::from_micros(300)).await;
    }
    false
}

#[tokio::test]
async fn a_column_edited_by_hand_is_named_and_hides_no_other_row() {
    let edits = [
        ("revision", "UPDATE publication SET revision = -1"),
        ("concept_id", "UPDATE publication SET concept_id = '../etc'"),
        ("checksum", "UPDATE publication SET checksum = 'md5:1'"),
        ("tags", "UPDATE publication SET tags = '[1]'"),
        ("state", "UPDATE publication SET state = 'lost'"),
        ("claimed_at", "UPDATE publication SET claimed_at = 9223372036854775807"),
        ("id", "UPDATE publication SET id = 'nobody'"),
    ];
    for (column, edit) in edits {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteMetadata::open(file(&directory)).await.unwrap();
        for n in [1, 2] {
            store.claim(&row(n)).await.unwrap();
        }
        execute(&file(&directory), &format!("{edit} WHERE id = '{}'", row(1).id)).await;
        let error = match store.find(&Query::default(), None, 10).await {
            Ok(found) => {
                assert_eq!(found.rows, [row(2)], "{column}");
                let [(place, _)] = &found.damaged[..] else { panic!("{column}: {found:?}") };
                assert_eq!(*place, row(1).cursor());
                found.damaged.into_iter().next().unwrap().1
            }
            // Where it is cannot be told.
            Err(error) => {
                assert!(["claimed_at", "id"].contains(&column), "{error}");
                error
            }
        };
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().starts_with(&format!("column {column} of row ")), "{error}");
    }
}

#[tokio::test]
async fn what_is_no_usable_file_is_refused_with_a_way_out() {
    let directory = tempfile::tempdir().unwrap();
    let refusal = async |path: PathBuf, kind: ErrorKind, hint: &str| {
        let error = SqliteMetadata::open(&path).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(hint), "{error}");
    };
    refusal(directory.path().join("missing/records.db"), ErrorKind::Invalid, "create or mount it").await;
    refusal(directory.path().to_owned(), ErrorKind::Invalid, "is a directory").await;
    refusal(PathBuf::new(), ErrorKind::Invalid, "cannot be used").await;

    let text = directory.path().join("text");
    std::fs::write(&text, "no database ".repeat(1000)).unwrap();
    refusal(text, ErrorKind::Corrupt, "no database").await;

    SqliteMetadata::open(file(&directory)).await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (9999, 'of a newer version', TRUE, x'00', 0)";
    execute(&file(&directory), newer).await;
    refusal(file(&directory), ErrorKind::Unsupported, "newer version").await;
}

async fn execute(path: &Path, sql: &str) {
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
}
