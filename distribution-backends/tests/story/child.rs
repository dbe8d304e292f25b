//! The reference server as a child process, which speaks on its standard input and output.

use std::path::Path;
use std::sync::Arc;

use distribution_backends::{SqliteMetadata, StoryConfig};
use distribution_testkit::story::StoryServer;
use tokio::net::unix::pipe::OpenOptions;

const DATABASE: &str = "STORY_TEST_DATABASE";

/// This test binary again, with only the body below. The test harness writes to standard output, so the
/// pipe is handed on as descriptor 3.
pub(crate) fn config(database: &Path) -> StoryConfig {
    let script = format!(
        "exec 3>&1 >/dev/null; {DATABASE}=\"$1\"; export {DATABASE}; \
         exec \"$0\" --exact child::body --ignored --nocapture --test-threads 1"
    );
    let binary = std::env::current_exe().unwrap();
    let args = ["-c".into(), script.into(), binary.into_os_string(), database.as_os_str().to_owned()];
    StoryConfig::stdio("sh", args)
}

#[test]
#[ignore = "the body of the child that the other tests start"]
fn body() {
    let Some(database) = std::env::var_os(DATABASE) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = SqliteMetadata::open(database).await.unwrap();
        let stdin = OpenOptions::new().open_receiver("/dev/fd/0").unwrap();
        let stdout = OpenOptions::new().open_sender("/dev/fd/3").unwrap();
        // It ends when the client does.
        let _ = StoryServer::new(Arc::new(store)).serve(stdin, stdout).await;
    });
    std::process::exit(0);
}
