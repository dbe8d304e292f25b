//! The processes that a simulation needs most often.

use std::time::Duration;

use chrono::TimeDelta;
use distribution_core::{Policy, PublishRequest, Publisher, TargetName};

use crate::scenario::is_final;
use crate::simulation::Simulation;
use crate::world::World;

/// After how many seconds a caller gives up a call that does not return.
const CALL_SECS: u64 = 3_600;
/// How often a caller repeats a call before it gives up.
const CALLS_MAX: u32 = 100;

impl Simulation {
    /// With a process that repeats this request until it has an [answer](World::answers), or an error
    /// that no repeat can help. It gives up calls that hang, and comes back after a crash.
    #[must_use]
    pub fn caller(self, name: &str, request: &PublishRequest) -> Self {
        self.caller_with(name, request, Policy::default(), TimeDelta::zero())
    }

    /// The same under this policy, on a host whose clock is ahead (or behind) by as much.
    #[must_use]
    pub fn caller_with(self, name: &str, request: &PublishRequest, policy: Policy, ahead: TimeDelta) -> Self {
        let request = request.clone();
        self.process(name, move |world, holder| {
            let (request, policy) = (request.clone(), policy.clone());
            async move {
                let clock = world.parts(&TargetName::default()).clock;
                let builder = world.builder(&holder).policy(policy).clock(clock.ahead(ahead));
                if let Ok(publisher) = builder.build() {
                    call(&world, &publisher, &request).await;
                }
            }
        })
    }

    /// With a process that [recovers](Publisher::recover) so many times, every two minutes.
    #[must_use]
    pub fn recoverer(self, name: &str, rounds: u32) -> Self {
        self.process(name, move |world, holder| async move {
            let publisher = world.publisher(&holder);
            for _ in 0..rounds {
                world.sleep(Duration::from_secs(120)).await;
                let _ = world.timeout(Duration::from_secs(CALL_SECS), publisher.recover()).await;
            }
        })
    }
}

async fn call(world: &World, publisher: &Publisher, request: &PublishRequest) {
    for _ in 0..CALLS_MAX {
        let outcome = world.timeout(Duration::from_secs(CALL_SECS), publisher.publish(request.clone())).await;
        let wait = match outcome {
            None => Duration::ZERO,
            Some(Ok(answer)) => return world.answered(answer),
            Some(Err(error)) if is_final(&error) => return,
            Some(Err(error)) => error.retry_after().unwrap_or(Duration::from_secs(1)),
        };
        world.sleep(wait).await;
    }
}
