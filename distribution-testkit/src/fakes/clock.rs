//! The virtual clock.

use std::time::Duration;

use distribution_core::{Clock, Timestamp};

use crate::world::World;

/// The clock of a [`World`]: it stands still until it is told to move.
#[derive(Clone, Debug)]
pub struct ManualClock {
    world: World,
}

impl ManualClock {
    /// The clock of this world.
    pub fn new(world: &World) -> Self {
        Self { world: world.clone() }
    }

    /// Moves the clock on, for everybody in this world.
    pub fn advance(&self, by: Duration) {
        self.world.advance(by);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.world.now()
    }
}
