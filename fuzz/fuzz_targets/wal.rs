#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ropewalk_fuzz::wal(bytes));
