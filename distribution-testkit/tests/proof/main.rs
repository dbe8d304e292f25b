//! The proof that a publication survives anything: what can go wrong, at every step, in every order.
//! `cargo test --release -- --nocapture proof` prints what was tried; `PROOF=ci` and `PROOF=long` try
//! more.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

mod controls;
mod faults;
mod schedules;
mod seeds;

const VIDEO: &[u8] = b"approved bytes of a video";

/// How much is tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Budget {
    Quick,
    Ci,
    Long,
}

fn budget() -> Budget {
    match std::env::var("PROOF").as_deref() {
        Ok("ci") => Budget::Ci,
        Ok("long") => Budget::Long,
        Ok(other) => panic!("PROOF={other}: it is `ci`, `long` or not set"),
        Err(_) => Budget::Quick,
    }
}
