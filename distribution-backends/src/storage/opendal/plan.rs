//! How an object is cut into requests: from its size and what the service allows.

use distribution_core::{Error, ErrorKind};
use opendal::Capability;

/// The usual size of a part: large enough for the network, small enough for a few of them in memory.
const PART_BYTES: u64 = 8 << 20;
/// A service takes 10,000 parts; some room is left.
const PARTS_MAX: u64 = 9_000;
/// How many bytes are on their way at a time, unless a single part has more.
const UNDERWAY_BYTES: u64 = 32 << 20;
/// The most that is kept in memory for a service that takes an object only in one piece.
const PIECE_BYTES_MAX: u64 = 64 << 20;

/// How an object is sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// The size of each part but the last, in bytes.
    pub(super) part: usize,
    /// How many parts are on their way at a time.
    pub(super) concurrent: usize,
    /// Whether all goes in one request.
    pub(super) is_single: bool,
}

impl Plan {
    /// # Errors
    /// `Unsupported` for more bytes than the service takes.
    pub(super) fn new(size: u64, can: &Capability) -> Result<Self, Error> {
        let limit = can.write_total_max_size.map(|max| max as u64);
        if let Some(limit) = limit.filter(|limit| size > *limit) {
            return Err(too_large(size, limit));
        }
        if !can.write_can_multi {
            if size > PIECE_BYTES_MAX {
                return Err(too_large(size, PIECE_BYTES_MAX));
            }
            let part = usize::try_from(size.max(1)).map_err(|_| too_large(size, PIECE_BYTES_MAX))?;
            return Ok(Self { part, concurrent: 1, is_single: true });
        }
        let max = can.write_multi_max_size.map_or(u64::MAX, |max| max as u64);
        let part = PART_BYTES.max(size.div_ceil(PARTS_MAX));
        let part = part.max(can.write_multi_min_size.unwrap_or(0) as u64).min(max);
        if size.div_ceil(part) > PARTS_MAX {
            return Err(too_large(size, part.saturating_mul(PARTS_MAX)));
        }
        let concurrent = usize::try_from((UNDERWAY_BYTES / part).max(1)).unwrap_or(1);
        let is_single = size <= part;
        Ok(Self { part: usize::try_from(part).map_err(|_| too_large(size, max))?, concurrent, is_single })
    }
}

fn too_large(size: u64, limit: u64) -> Error {
    let message =
        format!("the service takes objects of at most {limit} bytes, this one has {size}: use another target");
    Error::new(ErrorKind::Unsupported, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn multi(min: Option<usize>, max: Option<usize>) -> Capability {
        Capability {
            write_can_multi: true,
            write_multi_min_size: min,
            write_multi_max_size: max,
            ..Capability::default()
        }
    }

    #[test]
    fn parts_grow_so_that_they_never_become_too_many() {
        let can = multi(Some(5 << 20), Some(5 << 30));
        for size in [0, 1, 8 * MIB, 8 * MIB + 1, 72_000 * MIB, 72_001 * MIB, 1 << 40, 40 << 40] {
            let plan = Plan::new(size, &can).unwrap();
            let part = plan.part as u64;
            assert!(part >= 8 * MIB && size.div_ceil(part) <= 9_000, "{size}: {plan:?}");
            assert_eq!(plan.is_single, size <= part, "{size}: {plan:?}");
            assert!(part * plan.concurrent as u64 <= part.max(32 * MIB), "{size}: {plan:?}");
        }
        assert_eq!(Plan::new(9 * MIB, &can).unwrap(), Plan { part: 8 << 20, concurrent: 4, is_single: false });
    }

    #[test]
    fn what_a_service_cannot_take_is_refused() {
        let one = Capability::default();
        assert!(Plan::new(64 * MIB, &one).unwrap().is_single);
        assert_eq!(Plan::new(64 * MIB + 1, &one).unwrap_err().kind(), ErrorKind::Unsupported);
        assert!(Plan::new(1 << 46, &multi(None, Some(5 << 30))).is_err());
        assert!(Plan::new(101, &Capability { write_total_max_size: Some(100), ..multi(None, None) }).is_err());
        assert_eq!(Plan::new(9 * MIB, &multi(None, Some(1 << 20))).unwrap().part, 1 << 20);
    }
}
