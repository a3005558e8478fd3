//! Prometheus text.

use std::fmt::Write;

use super::backend::Daemon;

pub(super) fn text(daemon: &Daemon) -> String {
    let (commits, batches, refused) = daemon.journal.counts();
    let sessions = daemon.read(|projections| projections.sessions().after(None).count());
    let mut text = String::new();
    let mut gauge = |name: &str, kind: &str, help: &str, value: u64| {
        writeln!(text, "# HELP ropewalk_{name} {help}\n# TYPE ropewalk_{name} {kind}\nropewalk_{name} {value}").ok();
    };
    gauge("log_head", "counter", "The newest event's seq.", daemon.journal.head().0);
    gauge("log_commits_total", "counter", "Group commits since the start.", commits);
    gauge("log_batches_total", "counter", "Batches in those commits.", batches);
    gauge("log_refused_total", "counter", "Batches refused because the disk failed.", refused);
    gauge("log_degraded", "gauge", "1 while appends fail.", u64::from(daemon.journal.degraded().is_some()));
    gauge("sessions", "gauge", "Sessions that are not deleted.", sessions as u64);
    gauge("actors_awake", "gauge", "Actors in memory.", daemon.directory.awake() as u64);
    gauge("terminals_open", "gauge", "Terminals whose bytes are not complete.", daemon.hands.lanes().len() as u64);
    gauge("subscriptions", "gauge", "Subscriptions of all connections.", daemon.subscriptions.now());
    gauge("attachments", "gauge", "Attachments to terminals of all connections.", daemon.attachments.now());
    gauge("holder_connected", "gauge", "1 while the holder answers.", u64::from(daemon.hands.link().pid().is_some()));
    gauge("resident_bytes", "gauge", "Resident memory.", resident_bytes());
    gauge("open_fds", "gauge", "Open file descriptors.", open_fds());
    text
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0);
    pages * rustix::param::page_size() as u64
}

fn open_fds() -> u64 {
    std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64)
}
