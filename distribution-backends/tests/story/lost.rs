//! Lost requests, lost answers, lost servers and lost children.

use std::sync::Arc;
use std::time::{Duration, Instant};

use distribution_backends::{StoryContract, StoryMcpMetadata};
use distribution_core::{Advance, Claim, ErrorKind, MetadataStore, Row};
use distribution_testkit::World;

use crate::child;
use crate::contract::row;
use crate::server::{Fate, Http, Story};

const SHORT: Duration = Duration::from_millis(400);

async fn open(http: &Http) -> StoryMcpMetadata {
    let config = http.config().call_timeout(SHORT).unwrap();
    StoryMcpMetadata::open(config, StoryContract::default()).await.unwrap()
}

fn next(row: &Row) -> Row {
    Row { revision: row.revision + 1, ..row.clone() }
}

#[tokio::test]
async fn a_lost_answer_is_unavailable_and_the_write_is_sent_once() {
    let world = World::new();
    let story = Story::over_memory(&world);
    let http = Http::serve(&story).await;
    let store = open(&http).await;
    let first = row(1);

    for (fate, is_there) in [(Fate::LostRequest, false), (Fate::LostAnswer, true)] {
        story.fate(move |_| fate.clone());
        let calls = story.calls();
        let error = store.claim(&first).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().ends_with("has not answered in time: repeat"), "{error}");
        assert_eq!(story.calls(), calls + 1, "a write is sent once");
        assert_eq!(!world.rows().is_empty(), is_there);
    }
    story.heal();
    assert_eq!(store.claim(&first).await.unwrap(), Claim::Exists(first.clone()), "never a false failure");

    story.fate(|_| Fate::LostAnswer);
    assert_eq!(store.advance(&next(&first)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    story.heal();
    assert_eq!(store.advance(&next(&first)).await.unwrap(), Advance::Superseded(next(&first)));
}

#[tokio::test]
async fn a_server_that_died_is_connected_to_anew_by_the_next_call() {
    let story = Story::over_memory(&World::new());
    let http = Http::serve(&story).await;
    let (address, store) = (http.address(), open(&http).await);
    let first = row(1);
    store.claim(&first).await.unwrap();

    http.die().await;
    for _ in 0..3 {
        let begun = Instant::now();
        assert_eq!(store.load(&first.id).await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert!(begun.elapsed() < 5 * SHORT, "bounded");
    }

    let _http = Http::serve_on(address, &story, None).await;
    // The first finds that its session is gone, at most.
    let loaded = match store.load(&first.id).await {
        Err(error) if error.kind() == ErrorKind::Unavailable => store.load(&first.id).await,
        loaded => loaded,
    };
    assert_eq!(loaded.unwrap(), Some(first));
}

#[tokio::test]
async fn a_server_that_dies_during_a_write_leaves_it_unknown() {
    let story = Story::over_memory(&World::new());
    let http = Http::serve(&story).await;
    let store = Arc::new(http.open().await);
    story.fate(|_| Fate::LostAnswer);
    let writing = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.claim(&row(1)).await }
    });
    while story.calls() == 0 {
        tokio::task::yield_now().await;
    }
    http.die().await;
    let error = tokio::time::timeout(Duration::from_secs(10), writing).await.expect("at once").unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn one_that_restarted_in_silence_costs_at_most_one_call() {
    let story = Story::over_memory(&World::new());
    let http = Http::serve(&story).await;
    let (address, store) = (http.address(), open(&http).await);
    store.claim(&row(1)).await.unwrap();
    http.die().await;
    // It does not know the session.
    let _http = Http::serve_on(address, &story, None).await;
    let calls = story.calls();
    let mut failed = 0;
    while let Err(error) = store.claim(&row(2)).await {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        failed += 1;
        assert!(failed <= 1, "{error}");
    }
    assert_eq!(story.calls(), calls + 1, "a write of a lost session is not repeated behind the caller's back");
}

#[tokio::test]
async fn a_child_that_was_killed_is_started_anew() {
    let directory = tempfile::tempdir().unwrap();
    let config = child::config(&directory.path().join("records.db"));
    let store = StoryMcpMetadata::open(config, StoryContract::default()).await.unwrap();
    let first = row(1);
    assert_eq!(store.claim(&first).await.unwrap(), Claim::Claimed);
    let mine = children();
    assert_eq!(mine.len(), 1);
    let child = rustix::process::Pid::from_raw(mine[0]).unwrap();
    rustix::process::kill_process(child, rustix::process::Signal::KILL).unwrap();
    let loaded = match store.load(&first.id).await {
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            store.load(&first.id).await
        }
        loaded => loaded,
    };
    assert_eq!(loaded.unwrap(), Some(first));

    store.close().await.unwrap();
    assert!(children().is_empty(), "closing ends the child");
    assert_eq!(store.close().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.load(&row(1).id).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_child_is_killed_when_nobody_needs_it() {
    let directory = tempfile::tempdir().unwrap();
    let config = child::config(&directory.path().join("records.db"));
    let store = StoryMcpMetadata::open(config, StoryContract::default()).await.unwrap();
    assert_eq!(children().len(), 1);
    drop(store);
    assert_no_child().await;
}

#[tokio::test]
async fn no_child_and_no_protocol_are_errors() {
    use distribution_backends::StoryConfig;

    let none: [&str; 0] = [];
    for (command, args) in [("/nowhere/story-server", &none[..]), ("true", &[]), ("cat", &["/dev/zero"]), ("yes", &[])]
    {
        let config = StoryConfig::stdio(command, args).call_timeout(SHORT).unwrap();
        let error = StoryMcpMetadata::open(config, StoryContract::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{command}");
        assert!(error.to_string().contains(command), "{error}");
    }
    assert_no_child().await;
}

async fn assert_no_child() {
    for _ in 0..500 {
        if children().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("a child lives on");
}

/// The living children of this thread, which is the test's: `cargo test` runs several tests at once.
fn children() -> Vec<i32> {
    let listed = std::fs::read_to_string("/proc/thread-self/children").unwrap();
    let lives = |pid: &i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = status.rsplit(") ").next().and_then(|rest| rest.chars().next());
        state.is_some_and(|state| state != 'Z')
    };
    listed.split_whitespace().map(|pid| pid.parse().unwrap()).filter(lives).collect()
}
