//! Alerts in memory.

use distribution_core::{Alert, AlertSink};

use crate::world::World;

/// The alerts of a [`World`]. Raising one cannot fail, so it is no effect with a number.
#[derive(Clone, Debug)]
pub struct MemoryAlerts {
    world: World,
}

impl MemoryAlerts {
    /// The alerts of this world.
    pub fn new(world: &World) -> Self {
        Self { world: world.clone() }
    }
}

impl AlertSink for MemoryAlerts {
    fn raise(&self, alert: Alert) {
        self.world.lock().alerts.push(alert);
    }
}
