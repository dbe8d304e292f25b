//! What is tried by chance, and what cannot be tried here.

use std::time::Duration;

/// A proof that cannot run on this machine says so by name. In CI, what CI installs must be there.
pub(crate) fn not_run(proof: &str, reason: &str, ci_has_it: bool) {
    println!("NOT RUN: {proof}: {reason}");
    let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!(in_ci && ci_has_it), "{proof} must run in CI: {reason}");
}

pub(crate) fn seed() -> u64 {
    std::env::var("PROOF_SEED").map_or(1, |seed| seed.parse().expect("PROOF_SEED is a number"))
}

/// SplitMix64.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to `end - 1`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn between(&mut self, from: Duration, to: Duration) -> Duration {
        from + Duration::from_micros(self.below(u64::try_from((to - from).as_micros()).unwrap().max(1)))
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, usize::try_from(self.below(i as u64 + 1)).unwrap());
        }
    }
}
