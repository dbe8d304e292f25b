//! What `PostgresMetadata` promises beyond the conformance suite.

use std::future::Future;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use distribution_backends::PostgresMetadata;
use distribution_core::{Advance, Claim, ErrorKind, IdempotencyKey, Index, MetadataStore, Query, Row, Timestamp};
use sqlx::{Connection as _, Row as _};

use crate::rows::{at, by_tag, id, next, row};
use crate::server::Schema;

#[tokio::test]
async fn what_was_written_is_there_after_a_reopen() {
    let Some(schema) = Schema::new() else { return };
    let key = IdempotencyKey::parse("caller'own").unwrap();
    let store = schema.open().await;
    assert_eq!(store.claim(&row(1)).await.unwrap(), Claim::Claimed);
    assert_eq!(store.claim(&row(2)).await.unwrap(), Claim::Claimed);
    assert_eq!(store.advance(&next(&row(1))).await.unwrap(), Advance::Advanced);
    assert_eq!(store.bind(&key, &id(1)).await.unwrap(), id(1));
    store.close().await.unwrap();
    assert_eq!(store.load(&id(1)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.claim(&row(1)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.clone().close().await.unwrap_err().kind(), ErrorKind::Unavailable);

    let store = schema.open().await;
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
    let Some(schema) = Schema::new() else { return };
    let store = schema.open().await;
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
    let Some(schema) = Schema::new() else { return };
    let store = schema.open().await;
    let timed = |claimed_at| Row { index: Index { claimed_at, ..row(1).index }, ..row(1) };
    let tagged = |tag: String| Row { index: Index { tags: vec![tag], ..row(1).index }, ..row(1) };
    let refused = [
        timed(at(5) + Duration::from_nanos(1)),
        timed(Timestamp::MAX_UTC),
        tagged("a\0b".into()),
        tagged("x".repeat(1025)),
        Row { revision: 1, ..row(1) },
        Row { body: Bytes::from(vec![0; Row::BODY_BYTES_MAX + 1]), ..row(1) },
    ];
    for row in refused {
        assert_eq!(store.claim(&row).await.unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert_eq!(store.find(&by_tag("a\0b"), None, 10).await.unwrap().rows, [], "no row can have it");
    let mut largest = Row { body: Bytes::from(vec![0xff; Row::BODY_BYTES_MAX]), ..timed(at(-1)) };
    // Texts that do not compress, so that the index entry is as long as can be.
    largest.index.tags = vec![(0..256).map(|_| fastrand::char('\u{10000}'..)).collect()];
    assert_eq!(store.claim(&largest).await.unwrap(), Claim::Claimed);
    assert_eq!(store.load(&id(1)).await.unwrap(), Some(largest));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_of_the_largest_rows_are_written_at_once() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open().await;
    let mut rng = fastrand::Rng::with_seed(1);
    let rows: Vec<_> = (0..80)
        .map(|n| {
            let mut body = vec![0; Row::BODY_BYTES_MAX];
            rng.fill(&mut body);
            Row { body: body.into(), ..row(n) }
        })
        .collect();
    for claim in futures::future::join_all(rows.iter().map(|row| store.claim(row))).await {
        assert_eq!(claim.unwrap(), Claim::Claimed);
    }
    let found = store.find(&Query::default(), None, 100).await.unwrap().rows;
    assert!(found == rows, "not as they were");
}

#[tokio::test]
async fn any_text_is_a_tag() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open().await;
    let mut tags: Vec<String> =
        ["", " ", "%", "_", "'", "\"", "\\", "É", "É", "a", "A", "1", "null", "NULL", "{a}", ",", "😀", "a\nb", "$1"]
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

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_that_open_at_once_all_succeed_and_one_claims() {
    const RACERS: usize = 16;
    for _ in 0..3 {
        let Some(schema) = Schema::new() else { return };
        let racers = (0..RACERS).map(|_| {
            let config = schema.config();
            tokio::spawn(async move { PostgresMetadata::open(config).await.unwrap().claim(&row(1)).await.unwrap() })
        });
        let claims = futures::future::join_all(racers).await;
        assert_eq!(claims.into_iter().filter(|claim| *claim.as_ref().unwrap() == Claim::Claimed).count(), 1);
        let tables = schema.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").await;
        assert!(!tables.iter().any(|row| row.get::<String, _>(0).contains("publication")), "the host's own is touched");
    }
}

#[tokio::test]
async fn a_future_dropped_at_any_poll_leaves_the_store_usable_and_the_row_whole() {
    let Some(schema) = Schema::new() else { return };
    let (store, other) = (schema.open().await, schema.open().await);
    store.claim(&row(1)).await.unwrap();
    let mut completed = 0;
    for round in 0..200_usize {
        let before = store.load(&id(1)).await.unwrap().unwrap();
        let wanted = next(&before);
        completed += usize::from(poll_some(store.advance(&wanted), round % 9).await);
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
        ("tags", "UPDATE publication SET tags = '{NULL}'"),
        ("state", "UPDATE publication SET state = 'lost'"),
        ("claimed_at", "UPDATE publication SET claimed_at = 9223372036854775807"),
        ("id", "UPDATE publication SET id = 'nobody'"),
    ];
    for (column, edit) in edits {
        let Some(schema) = Schema::new() else { return };
        let store = schema.open().await;
        for n in [1, 2] {
            store.claim(&row(n)).await.unwrap();
        }
        if column == "tags" {
            // The index of the tags refuses it.
            schema.execute("ALTER TABLE publication DISABLE TRIGGER USER").await;
        }
        schema.execute(&format!("{edit} WHERE id = '{}'", row(1).id)).await;
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
async fn the_index_of_the_tags_follows_what_is_edited_by_hand() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open().await;
    for n in 1..=3 {
        store.claim(&row(n)).await.unwrap();
    }
    schema.execute("UPDATE publication SET tags = '{three,three}'; DELETE FROM publication WHERE id LIKE '%10'").await;
    assert_eq!(store.find(&by_tag("one"), None, 10).await.unwrap().rows, []);
    assert_eq!(store.find(&by_tag("three"), None, 10).await.unwrap().rows.len(), 2);
    assert_eq!(schema.execute("SELECT FROM publication_tag").await.len(), 2);
}

#[tokio::test]
async fn the_view_shows_the_record_as_jsonb_where_that_can_hold_it() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open().await;
    let deep = "[".repeat(100_000);
    let bodies: [&[u8]; 5] = [b"{\"b\": 1.0, \"a\": [true]}", b"{\"a\":", b"\xff\xfe", b"\"\\u0000\"", deep.as_bytes()];
    for (n, body) in bodies.iter().enumerate() {
        let row = Row { body: Bytes::copy_from_slice(body), ..row(n as u64) };
        store.claim(&row).await.unwrap();
        assert_eq!(store.load(&row.id).await.unwrap(), Some(row), "not byte for byte");
    }
    let rows = schema.execute("SELECT record ->> 'a', claimed_at::text FROM record ORDER BY id").await;
    let shown: Vec<Option<String>> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(shown, [Some("[true]".into()), None, None, None, None]);
    assert!(rows[0].get::<String, _>(1).contains(":20.000001"), "{:?}", rows[0].get::<String, _>(1));
}

#[tokio::test]
async fn a_row_that_somebody_else_has_locked_delays_nobody_else() {
    let Some(schema) = Schema::new() else { return };
    let config = schema.config().lock_timeout(Duration::from_millis(300));
    let store = PostgresMetadata::open(config).await.unwrap();
    for n in 0..40 {
        store.claim(&row(n)).await.unwrap();
    }
    let mut other = schema.connect().await;
    let mut locking = other.begin().await.unwrap();
    sqlx::query("SELECT FROM publication WHERE id = $1 FOR UPDATE")
        .bind(id(7).as_str())
        .execute(&mut *locking)
        .await
        .unwrap();
    let rows: Vec<_> = (0..40).map(|n| next(&row(n))).collect();
    let advances = futures::future::join_all(rows.iter().map(|next| store.advance(next))).await;
    for (n, advance) in advances.into_iter().enumerate() {
        match (n, advance) {
            (7, Err(error)) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable);
                assert!(error.to_string().contains("locked by somebody else"), "{error}");
            }
            (_, advance) => assert_eq!(advance.unwrap(), Advance::Advanced, "{n}"),
        }
    }
    locking.rollback().await.unwrap();
    assert_eq!(store.advance(&rows[7]).await.unwrap(), Advance::Advanced);

    let mut locking = other.begin().await.unwrap();
    sqlx::query("LOCK TABLE publication").execute(&mut *locking).await.unwrap();
    let begun = std::time::Instant::now();
    let rows: Vec<_> = rows.iter().map(next).collect();
    let advances = futures::future::join_all(rows.iter().map(|next| store.advance(next))).await;
    for advance in advances {
        assert_eq!(advance.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    let elapsed = begun.elapsed();
    assert!(elapsed < Duration::from_secs(6), "forty waited one after the other: {elapsed:?}");
    locking.rollback().await.unwrap();
    for next in rows {
        assert_eq!(store.advance(&next).await.unwrap(), Advance::Advanced);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hosts_that_write_the_same_rows_in_groups_do_not_hinder_each_other() {
    let Some(schema) = Schema::new() else { return };
    let stores = [schema.open().await, schema.open().await, schema.open().await];
    let writes = (0..60_u64).flat_map(|n| stores.iter().map(move |store| (n, store))).map(|(n, store)| {
        // Each with an order of its own.
        let store = store.clone();
        tokio::spawn(async move {
            let (mut row, mut won) = (row(n * 7919 % 60), 0);
            match store.claim(&row).await.unwrap() {
                Claim::Claimed => won += 1,
                Claim::Exists(present) => row = present,
            }
            while row.revision < 5 {
                let next = next(&row);
                row = match store.advance(&next).await {
                    Ok(Advance::Advanced) => {
                        won += 1;
                        next
                    }
                    Ok(Advance::Superseded(newer)) => newer,
                    // Only where it changed between the write and the look.
                    Err(error) => {
                        assert!(error.to_string().contains("changed at the same moment"), "{error}");
                        store.load(&next.id).await.unwrap().unwrap()
                    }
                };
            }
            won
        })
    });
    let won: u64 = futures::future::join_all(writes).await.into_iter().map(Result::unwrap).sum();
    assert_eq!(won, 60 * 6, "a revision was won twice, or by nobody");
}

#[tokio::test]
async fn find_gives_what_matches_in_order_whatever_the_query_and_the_page() {
    let Some(schema) = Schema::new() else { return };
    crate::finds::random(&schema.open().await).await;
}
