//! The removal of a staged file: whether what could be seen at that moment allowed it.

use chrono::TimeDelta;
use distribution_core::{Digest, Timestamp};

use super::body::Phase;
use super::evidence::Evidence;
use super::published::check_object;
use super::records::Records;
use super::{Findings, Promise, Violation};

/// Every reason why the staged file `name` with these bytes must not have been removed at this moment, whose world
/// just before the `evidence` shows; empty if there is none (P6). `at` is the true time, and `retention` how long
/// staged files are kept after what is on record as the publication.
pub fn violations_of_removal(
    evidence: &Evidence,
    name: &str,
    bytes: Digest,
    at: Timestamp,
    retention: TimeDelta,
) -> Vec<Violation> {
    let mut found = Findings::default();
    let records = Records::read(evidence, &mut found);
    let mut publications = 0;
    for record in records.sound().filter(|record| record.body.publication.checksum == bytes.checksum) {
        let (id, body) = (record.id(), &record.body);
        // Who came after the tombstone finds the file gone, and may be at work.
        let Phase::Published(published) = &body.phase else { continue };
        let archived = body.archive().and_then(|copy| Some(&copy.proven.as_ref()?.location));
        let location = archived.filter(|_| body.is_freed()).unwrap_or(&published.location);
        check_object(evidence, id, location, &bytes.checksum, bytes.size, &mut found);
        let stored_at = evidence.objects.get(location).and_then(|object| object.created_at);
        let since = stored_at.unwrap_or(published.at);
        found.expect(since + retention <= at, Promise::P6, name, || {
            format!("was removed at {at}, and {id} was stored at {since}")
        });
        publications += 1;
    }
    found
        .expect(publications > 0, Promise::P6, name, || "was removed, and nobody has published these bytes".to_owned());
    found.0
}
