//! What is tried by chance, and what cannot be tried here.

use std::time::Duration;

use fastrand::Rng;

/// A proof that cannot run on this machine says so by name. In CI, what CI installs must be there.
pub(crate) fn not_run(proof: &str, reason: &str, ci_has_it: bool) {
    println!("NOT RUN: {proof}: {reason}");
    let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!(in_ci && ci_has_it), "{proof} must run in CI: {reason}");
}

/// Where chance begins: `PROOF_SEED`, or 1.
pub(crate) fn seed() -> u64 {
    std::env::var("PROOF_SEED").map_or(1, |seed| seed.parse().expect("PROOF_SEED is a number"))
}

/// One of the moments from `from` to `to`.
pub(crate) fn moment(chance: &mut Rng, from: Duration, to: Duration) -> Duration {
    from + Duration::from_micros(chance.u64(..u64::try_from((to - from).as_micros()).unwrap().max(1)))
}

pub(crate) fn one_in(chance: &mut Rng, n: u32) -> bool {
    chance.u32(..n) == 0
}
