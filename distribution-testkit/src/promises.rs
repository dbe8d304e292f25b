//! Whether a world is as it has to be in the end.

use crate::checker::{unsettled, violations};
use crate::fakes::TestSigner;
use crate::world::World;

impl World {
    /// Whether everything here is settled and every promise is kept, as the
    /// [`checker`](crate::checker) sees it, and every link that was given really works until the
    /// moment that was told with it, and not longer.
    ///
    /// # Errors
    /// What is not so, in a line.
    pub fn keeps_promises(&self) -> Result<(), String> {
        let evidence = self.evidence();
        let mut broken: Vec<String> = violations(&evidence).iter().map(ToString::to_string).collect();
        broken.extend(unsettled(&evidence).iter().map(|id| format!("{id} is not settled")));
        for answer in &evidence.answers {
            let link = &answer.record.public_url;
            let Some(end) = answer.record.expires_at else { continue };
            let opens = |at| TestSigner::open(link, at).is_some();
            if !opens(end - chrono::TimeDelta::seconds(1)) || opens(end) {
                broken.push(format!("the link to {} does not end when it was told to", answer.record.audit_log_id));
            }
        }
        if broken.is_empty() { Ok(()) } else { Err(broken.join("; ")) }
    }
}
