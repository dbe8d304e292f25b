//! The Story server's bearer token.

use std::sync::Arc;

use distribution_backends::{StoryConfig, StoryContract, StoryMcpMetadata};
use distribution_testkit::World;
use tokio::runtime::Runtime;
use tracing::subscriber::NoSubscriber;

use self::server::{Http, Story};
use crate::canary::{Secrets, canary};
use crate::told::Told;
use crate::{VIDEO, use_all};

#[allow(dead_code, reason = "shared with the tests of the store")]
#[path = "../story/server.rs"]
mod server;

/// A server behind the token, whose own logs are not the library's.
fn serve(token: &str) -> (Runtime, Http) {
    let token = token.to_owned().leak();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .on_thread_start(|| std::mem::forget(tracing::subscriber::set_default(NoSubscriber::new())))
        .build()
        .unwrap();
    let serving = runtime.spawn(async { Http::serve_behind(token, &Story::over_memory(&World::new())).await });
    let http = runtime.block_on(serving).unwrap();
    (runtime, http)
}

#[test]
fn the_bearer_token_is_shown_nowhere() {
    let mut told = Told::new();
    let mut secrets = Secrets::of(&["right token", "wrong token", "in the url", "argument"]);
    let (server, http) = serve(&canary("right token"));
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let config = http.config().bearer(canary("right token")).unwrap();
        told.debug(&config);
        let store = StoryMcpMetadata::open(config, StoryContract::default()).await.unwrap();
        told.debug(&store);
        let world = World::new();
        world.stage("clip.mp4", VIDEO);
        let publisher = world.builder("a").metadata(Arc::new(store)).build().unwrap();
        use_all(&publisher, "clip.mp4", &mut told, &mut secrets).await;
        told.json("audit", &world.audit());
        told.debug(&world.alerts());

        // This server repeats what it was given.
        let wrong = http.config().bearer(canary("wrong token")).unwrap();
        told.refusal(StoryMcpMetadata::open(wrong, StoryContract::default()).await);
        server.spawn(http.die()).await.unwrap();
        told.refusal(publisher.publish(distribution_testkit::request("clip.mp4", VIDEO)).await);

        let gone = StoryConfig::http("http://127.0.0.1:1/mcp").unwrap().bearer(canary("right token")).unwrap();
        told.refusal(StoryMcpMetadata::open(gone, StoryContract::default()).await);
        for child in ["/nonexistent", "/bin/false", "/bin/cat"] {
            let config = StoryConfig::stdio(child, ["--token", &canary("argument")]);
            told.debug(&config);
            told.refusal(StoryMcpMetadata::open(config, StoryContract::default()).await);
        }
    });
    let secret = canary("in the url");
    for url in [
        format!("https://u:{secret}@story.example/mcp"),
        format!("https://story.example/mcp?token={secret}"),
        format!("https://story.example/mcp#{secret}"),
        format!("https://story.example:{secret}/mcp"),
        secret.clone(),
    ] {
        told.refusal(StoryConfig::http(&url));
    }
    told.refusal(StoryConfig::http("http://story.example/mcp").unwrap().bearer(&secret));
    told.refusal(StoryConfig::http("https://story.example/mcp").unwrap().bearer(format!("{secret} {secret}")));
    told.holds_none_of(&secrets, &["reqwest", "distribution_core"]);
}
