#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| distribution_fuzz::preflight::run(bytes));
