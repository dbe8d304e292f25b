//! SQLite, as a file.

#![cfg(feature = "sqlite")]
#![allow(clippy::indexing_slicing, clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "tests")]

#[path = "../support/heard.rs"]
mod a_heard;
#[path = "../support/finds.rs"]
mod finds;
#[path = "../support/rows.rs"]
mod rows;
mod store;

#[tokio::test]
async fn find_gives_what_matches_in_order_whatever_the_query_and_the_page() {
    let directory = tempfile::tempdir().unwrap();
    let store = distribution_backends::SqliteMetadata::open(directory.path().join("records.db")).await.unwrap();
    finds::random(&store).await;
}
