//! What the tests share.

use distribution_core::PublishRequest;
use distribution_testkit::World;
use futures::executor::block_on;
use serde_json::Value;

pub(crate) const VIDEO: &[u8] = b"approved bytes of a video";

pub(crate) fn staged() -> World {
    let world = World::new();
    world.stage("clip.mp4", VIDEO);
    world
}

/// What one publish in this world gives.
pub(crate) fn publish(
    world: &World,
    request: &PublishRequest,
) -> Result<distribution_core::DistributionRecord, distribution_core::Error> {
    block_on(world.publisher("a").publish(request.clone()))
}

pub(crate) fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}
