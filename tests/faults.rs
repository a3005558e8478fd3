//! Real faults on the real binary: kills, power cuts, full and failing disks, damaged files, stopped clocks and peers.
//!
//! What is drawn comes from a seed; a failure prints the point that repeats it. `ROPEWALK_FAULT_RUNS` asks for more points
//! than the few that every run takes, `ROPEWALK_FAULT_SEED` for others, and `ROPEWALK_FAULT_SECONDS` for longer pauses.

mod agents_clock;
mod damaged_files;
mod descriptors;
mod disk_full;
mod failing_disk;
mod failing_spool;
mod half_open;
mod image;
mod kill_points;
mod power_cut;
mod shim;
mod silent_disk;
mod sleep_wake;
mod trace;
mod workload;

fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
}

/// How many points an attack takes: these few, or as many as the environment asks for.
fn runs(few: usize) -> usize {
    number_from("ROPEWALK_FAULT_RUNS").map_or(few, |runs| usize::try_from(runs).unwrap())
}

/// Where what is drawn begins.
fn seed() -> u64 {
    number_from("ROPEWALK_FAULT_SEED").unwrap_or(1)
}

/// How long a disk stays full, a process stopped or a program busy.
pub(crate) fn seconds(few: u64) -> std::time::Duration {
    std::time::Duration::from_secs(number_from("ROPEWALK_FAULT_SECONDS").unwrap_or(few))
}
