//! Whoever removes the socket does not take the holder out of reach, and whoever is left to it is reaped.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::client::{Daemon, Holder, STREAM, eventually};

fn still_there(daemon: &mut Daemon, id: u64) {
    assert_eq!(daemon.runs.len(), 1);
    daemon.follow(STREAM, daemon.runs[0].end);
    daemon.input(id, "still\n");
    daemon.until(STREAM, "still");
}

#[test]
fn a_socket_that_is_removed_is_there_again_and_leads_to_the_same_programs() {
    let holder = Holder::start();
    let mut daemon = holder.connect();
    daemon.sh("echo ready; cat");
    daemon.until(STREAM, "ready");
    for id in 1..=20 {
        std::fs::remove_file(&holder.config.socket).unwrap();
        if id % 2 == 0 {
            // Nobody is connected while the socket is gone.
            drop(daemon);
        }
        daemon = holder.connect_again();
        still_there(&mut daemon, id);
    }
    let mode = std::fs::metadata(&holder.config.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_directory_that_is_removed_with_the_socket_is_made_again_for_its_owner_only() {
    let holder = Holder::start();
    let mut daemon = holder.connect();
    daemon.sh("echo ready; cat");
    daemon.until(STREAM, "ready");
    let runtime = holder.config.socket.parent().unwrap();
    for id in 1..=10 {
        if id % 2 == 0 {
            let aside = runtime.with_extension(format!("moved-{id}"));
            std::fs::rename(runtime, &aside).unwrap();
        } else {
            // The holder may put its socket there while it is emptied.
            eventually("it is removed", || std::fs::remove_dir_all(runtime).is_ok());
        }
        daemon = holder.connect_again();
        still_there(&mut daemon, id);
        assert_eq!(std::fs::metadata(runtime).unwrap().permissions().mode() & 0o777, 0o700);
    }
}

#[test]
fn a_holder_whose_home_is_gone_makes_no_socket_in_anothers_place() {
    let holder = Holder::start();
    std::fs::rename(&holder.config.lock, holder.config.lock.with_extension("away")).unwrap();
    let mut daemon = holder.connect();
    std::fs::remove_file(&holder.config.socket).unwrap();
    // Answered after whatever follows from the removal.
    daemon.sh("echo ready; cat");
    daemon.until(STREAM, "ready");
    assert!(!holder.config.socket.exists());
    std::fs::rename(holder.config.lock.with_extension("away"), &holder.config.lock).unwrap();
    std::fs::write(holder.config.socket.with_extension("any"), "").unwrap();
    std::fs::remove_file(holder.config.socket.with_extension("any")).unwrap();
    still_there(&mut holder.connect_again(), 1);
}

#[test]
fn an_orphan_that_ends_is_reaped_though_nothing_else_happens() {
    let holder = Holder::start();
    let mut daemon = holder.connect();
    daemon.sh("(setsid sleep 1000 & echo left $!); cat");
    let said = daemon.until(STREAM, "\r\n");
    let left: i32 = said.trim().strip_prefix("left ").unwrap().parse().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(left).unwrap(), rustix::process::Signal::KILL)
        .unwrap();
    let of_orphan = format!("/proc/{left}");
    eventually("it is reaped", || !Path::new(&of_orphan).exists());
    daemon.input(1, "still\n");
    daemon.until(STREAM, "still");
}
