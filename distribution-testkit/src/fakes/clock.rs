//! The virtual clock.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use distribution_core::{Clock, Timestamp};

use crate::world::World;

/// The clock of a [`World`]: it stands still until it is told to move.
#[derive(Clone, Debug)]
pub struct ManualClock {
    world: World,
    ahead: TimeDelta,
}

impl ManualClock {
    /// The clock of this world.
    pub fn new(world: &World) -> Self {
        Self { world: world.clone(), ahead: TimeDelta::zero() }
    }

    /// The clock of a host that is ahead of the world by as much, or behind it.
    #[must_use]
    pub fn ahead(&self, by: TimeDelta) -> Arc<Self> {
        Arc::new(Self { world: self.world.clone(), ahead: by })
    }

    /// Moves the clock on, for everybody in this world.
    pub fn advance(&self, by: Duration) {
        self.world.advance(by);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.world.now().checked_add_signed(self.ahead).unwrap_or(Timestamp::MAX_UTC)
    }
}
