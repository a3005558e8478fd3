//! The holder with real programs on real terminals.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod backlog;
mod client;
mod reach;

use client::{Holder, SIZE, STREAM, eventually, lines, run, spawn_sh};
use ropewalk_holder::{HolderError, OwnSignals};
use ropewalk_protocol::Size;
use ropewalk_protocol::holder::{Exit, FromHolder, ToHolder};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags};
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

#[test]
fn no_byte_is_lost_or_doubled_over_reconnects() {
    let holder = Holder::start();
    let mut daemon = holder.connect();
    daemon.spawn(&spawn_sh("seq 1 200000")).unwrap();
    let mut all: Vec<u8> = Vec::new();
    let mut durable = 0;
    for turn in 0.. {
        daemon.follow(STREAM, durable as u64);
        let until = all.len() + 100_000;
        let end = loop {
            let Some(frame) = daemon.next() else { panic!("closed") };
            match frame {
                FromHolder::Output { offset, bytes, .. } => {
                    let at = usize::try_from(offset).unwrap();
                    assert!(at <= all.len(), "a hole before {at}");
                    let known = (all.len() - at).min(bytes.len());
                    assert!(all[at..at + known] == bytes[..known], "other bytes than before at {at}");
                    all.extend_from_slice(&bytes[known..]);
                }
                FromHolder::End { offset, .. } => break Some(offset),
                _ => {}
            }
            if all.len() > until {
                break None;
            }
        };
        if let Some(end) = end {
            assert_eq!(end, all.len() as u64);
            break;
        }
        // Some of what was sent is durable, some not: that is sent again.
        durable = all.len() - 30_000;
        if turn % 2 == 0 {
            daemon.tell(&ToHolder::Durable { stream: STREAM, offset: durable as u64 });
        }
        drop(daemon);
        daemon = holder.connect();
    }
    assert!(all == lines(200_000));
}

#[test]
fn input_is_echoed_and_written_once_over_reconnects() {
    let holder = Holder::start();
    let mut daemon = holder.connect();
    daemon.sh("stty -echo; echo ready; cat");
    daemon.until(STREAM, "ready");
    daemon.input(1, "one\n");
    assert_eq!(daemon.written(), 1);
    daemon.until(STREAM, "one\r\n");
    drop(daemon);
    let mut daemon = holder.connect();
    daemon.follow(STREAM, daemon.runs[0].end);
    daemon.input(1, "one\n");
    assert_eq!(daemon.written(), 1);
    daemon.input(5, "two\n");
    assert_eq!(daemon.written(), 5);
    daemon.input(3, "never\n");
    assert_eq!(daemon.written(), 5);
    daemon.input(6, "\x04");
    assert_eq!(daemon.written(), 6);
    let (rest, _) = daemon.rest(STREAM);
    assert_eq!(String::from_utf8(rest).unwrap(), "two\r\n");
    assert_eq!(daemon.exit(), Exit::Code(0));
    daemon.input(6, "\x04");
    assert_eq!(daemon.written(), 6, "it was written before the end");
    daemon.input(7, "late");
    daemon.wait(|frame| matches!(frame, FromHolder::InputRefused { id: 7, .. }).then_some(()));
}

#[test]
fn input_that_is_not_read_waits_and_is_refused_when_there_is_too_much() {
    let holder = Holder::start();
    let mut daemon = holder.connect();
    let held = daemon.sh("stty raw -echo; echo ready; kill -STOP $$; head -c 300000 | wc -c");
    daemon.until(STREAM, "ready");
    let stat = format!("/proc/{}/stat", held.pid);
    client::eventually("it is stopped", || std::fs::read_to_string(&stat).unwrap().contains(") T "));
    let piece = "x".repeat(60_000);
    let mut refused = None;
    for id in 1..=20 {
        daemon.input(id, &piece);
    }
    while refused.is_none() {
        match daemon.next().unwrap() {
            FromHolder::InputRefused { id, .. } => refused = Some(id),
            FromHolder::Written { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(refused > Some(15), "{refused:?}");
    daemon.tell(&ToHolder::Signal { run: run(1), signal: 18 });
    daemon.until(STREAM, "300000");
}

#[test]
fn a_new_size_is_seen_and_the_same_size_is_not() {
    let holder = Holder::start();
    let mut daemon = holder.connect();
    daemon.sh("trap 'echo changed $(stty size)' WINCH; stty -echo; stty size; echo ready; while :; do read line && echo got $line; done");
    assert!(daemon.until(STREAM, "ready\r\n").contains("24 80"));
    let end = daemon.read_so_far();
    daemon.input(1, "x\n");
    assert_eq!(daemon.until(STREAM, "got x\r\n"), "got x\r\n");
    let size = Size { cols: 100, rows: 30 };
    daemon.tell(&ToHolder::Resize { stream: STREAM, size });
    let offset = daemon.wait(|frame| match frame {
        FromHolder::Resized { size: new, offset, .. } if *new == size => Some(*offset),
        _ => None,
    });
    assert_eq!(offset, end + 7);
    assert_eq!(daemon.until(STREAM, "\r\n"), "changed 30 100\r\n");
    drop(daemon);
    assert_eq!(holder.connect().runs[0].size, Some(size));
}

#[test]
fn how_a_program_ended_is_kept_until_it_is_forgotten() {
    for (script, exit) in [("printf bye; exit 7", Exit::Code(7)), ("printf bye; kill -9 $$", Exit::Signal(9))] {
        let holder = Holder::start();
        let mut daemon = holder.connect();
        daemon.spawn(&spawn_sh(script)).unwrap();
        assert_eq!(daemon.exit(), exit);
        for _ in 0..2 {
            drop(daemon);
            daemon = holder.connect();
            assert_eq!((daemon.runs.len(), daemon.runs[0].exit), (1, Some(exit)));
            assert_eq!(daemon.exit(), exit);
            daemon.follow(STREAM, 0);
            assert_eq!(daemon.rest(STREAM), (b"bye".to_vec(), 3));
        }
        daemon.tell(&ToHolder::Forget { run: run(1) });
        drop(daemon);
        assert_eq!(holder.connect().runs, []);
    }
}

#[test]
fn a_running_program_is_not_forgotten() {
    let holder = Holder::start();
    let mut daemon = holder.connect();
    daemon.sh("echo ready; cat");
    daemon.until(STREAM, "ready");
    daemon.tell(&ToHolder::Forget { run: run(1) });
    daemon.input(1, "still\n");
    daemon.until(STREAM, "still");
}

#[test]
fn a_signal_reaches_all_that_a_program_left_behind() {
    let holder = Holder::start();
    let mut daemon = holder.connect();
    let script = "trap '' HUP; setsid sh -c 'sleep 1000 & echo other $!; wait' & env -i /bin/sleep 1000 & \
                  sleep 0; (setsid sh -c 'sleep 1000 & echo left $!') ; exit 3";
    let held = daemon.sh(script);
    let mut said = daemon.until(STREAM, "\r\n");
    while said.lines().count() < 2 {
        said += &daemon.until(STREAM, "\r\n");
    }
    let pid = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse::<u32>().unwrap();
    let (other, left) = (pid("other "), pid("left "));
    assert_eq!(daemon.exit(), Exit::Code(3));
    // A process that becomes another program has no environment for a moment, and is known by nothing else.
    let is_asleep = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n");
    eventually("both are what they become", || is_asleep(other) && is_asleep(left));
    daemon.tell(&ToHolder::Signal { run: run(1), signal: 9 });
    // The stream ends when the last process that has the terminal is gone.
    daemon.rest(STREAM);
    wait_for_end(left);
    daemon.tell(&ToHolder::Forget { run: run(1) });
    drop(daemon);
    assert_eq!(holder.connect().runs, []);
    assert!(!std::path::Path::new(&format!("/proc/{}", held.pid)).exists(), "it was reaped");
}

/// A process closes its files a moment before it is gone.
fn wait_for_end(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    if let Ok(process) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        let timeout = Timespec { tv_sec: 30, tv_nsec: 0 };
        assert_eq!(poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&timeout)), Ok(1));
    }
}

fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

#[test]
fn a_program_starts_once_with_its_own_environment_and_no_file_of_the_holder() {
    let holder = Holder::start();
    let mut daemon = holder.connect();
    let spawn = spawn_sh("env | sort; ls -l /proc/self/fd; tty; read wait");
    let held = daemon.spawn(&spawn).unwrap();
    assert_eq!(daemon.spawn(&spawn).unwrap().pid, held.pid);
    assert!(held.start_ticks > 0 && held.size == Some(SIZE));
    daemon.follow(STREAM, 0);
    let said = daemon.until(STREAM, "/dev/pts/");
    let (environment, files) = said.split_once("total 0").unwrap();
    let names: Vec<&str> = environment.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    let expected = ["HOME", "LANG", "OLDPWD", "PATH", "PWD", "ROPEWALK_RUN", "ROPEWALK_SESSION", "SHELL"];
    assert!(names.iter().all(|name| expected.contains(name)), "{names:?}");
    assert!(environment.contains(&format!("ROPEWALK_RUN={}", run(1))));
    assert!(!files.contains("socket") && !files.contains("ptmx") && !files.contains("epoll"), "{files}");
}

#[test]
fn a_program_that_cannot_start_says_why() {
    let holder = Holder::start();
    let mut daemon = holder.connect();
    let mut spawn = spawn_sh("");
    spawn.program.argv = vec!["no-such-program".to_owned()];
    assert_eq!(daemon.spawn(&spawn), Err("no such program: no-such-program".to_owned()));
    spawn.program.argv = vec!["/etc/passwd".to_owned()];
    assert_eq!(daemon.spawn(&spawn), Err("no such program: /etc/passwd".to_owned()));
    let script = holder.config.spool.join("script");
    std::fs::write(&script, "#!/no/such/interpreter -x\n").unwrap();
    std::fs::set_permissions(&script, Permissions::from_mode(0o700)).unwrap();
    spawn.program.argv = vec![script.to_str().unwrap().to_owned()];
    assert_eq!(daemon.spawn(&spawn), Err(format!("no such program: {}", script.display())));
    spawn = spawn_sh("");
    spawn.program.directory = "/no/such/place".to_owned();
    assert_eq!(daemon.spawn(&spawn), Err("no such directory: /no/such/place".to_owned()));
}

#[test]
fn a_busy_program_does_not_delay_another() {
    let holder = Holder::start();
    let mut daemon = holder.connect();
    let mut busy = spawn_sh("yes");
    busy.run = run(8);
    busy.stream = client::ERRORS;
    daemon.spawn(&busy).unwrap();
    daemon.sh("stty -echo; echo ready; cat");
    daemon.until(STREAM, "ready");
    daemon.follow(client::ERRORS, 0);
    // It is busy from here on: what it writes is never all taken.
    daemon.until(client::ERRORS, "y");
    for id in 1..=50 {
        daemon.input(id, "key\n");
        loop {
            match daemon.next().unwrap() {
                FromHolder::Output { stream, .. } if stream == STREAM => break,
                FromHolder::Output { stream, offset, bytes } => {
                    daemon.tell(&ToHolder::Durable { stream, offset: offset + bytes.len() as u64 });
                }
                _ => {}
            }
        }
    }
}

#[test]
fn a_newer_daemon_takes_the_place_of_an_older() {
    let holder = Holder::start();
    let mut older = holder.connect();
    let _newer = holder.connect();
    assert!(older.is_closed());
}

#[test]
fn bytes_that_are_no_frame_close_their_connection_only() {
    let holder = Holder::start();
    let mut daemon = holder.connect();
    daemon.sh("echo ready; cat");
    daemon.until(STREAM, "ready");
    for garbage in [&b"\xff\xff\xff\xff"[..], b"\x03\0\0\0\xc8\x01\x02", b"\0\0\0\0"] {
        let mut stranger = holder.connect_silently();
        stranger.socket.write_all(garbage).unwrap();
        assert!(stranger.is_closed());
    }
    let mut unwelcome = holder.connect_silently();
    unwelcome.tell(&ToHolder::Shutdown);
    assert!(unwelcome.is_closed(), "it did not say hello");
    daemon.input(1, "still\n");
    daemon.until(STREAM, "still");
    daemon.socket.write_all(b"\xff\xff\xff\xff").unwrap();
    assert!(daemon.is_closed());
    assert_eq!(holder.connect().runs.len(), 1);
}

#[test]
fn a_second_holder_is_refused() {
    let holder = Holder::start();
    let signals = OwnSignals::of_children().unwrap();
    let error = ropewalk_holder::run(holder.config.clone(), signals, |_| panic!("it listens")).unwrap_err();
    assert!(matches!(error, HolderError::Held { pid: Some(pid), .. } if pid == std::process::id()), "{error}");
    assert!(error.to_string().ends_with(&format!("is held by process {}", std::process::id())));
    assert!(holder.connect().runs.is_empty());
}

#[test]
fn a_holder_that_holds_nothing_leaves() {
    let mut holder = Holder::start();
    let mut daemon = holder.connect();
    daemon.sh("exit 0");
    daemon.exit();
    daemon.tell(&ToHolder::Forget { run: run(1) });
    drop(daemon);
    holder.join().unwrap();
    assert!(!holder.config.socket.exists());
}

#[test]
fn a_shutdown_ends_everything() {
    let mut holder = Holder::start();
    let mut daemon = holder.connect();
    let held = daemon.sh("trap '' HUP TERM; setsid sleep 1000 & echo left $!; while :; do sleep 1000; done");
    let said = daemon.until(STREAM, "\r\n");
    let left: u32 = said.trim().strip_prefix("left ").unwrap().parse().unwrap();
    daemon.tell(&ToHolder::Shutdown);
    assert_eq!(daemon.exit(), Exit::Signal(9));
    assert!(daemon.is_closed());
    holder.join().unwrap();
    assert!(!is_alive(held.pid) && !is_alive(left));
    assert!(!holder.config.socket.exists());
}

#[test]
fn a_terminal_that_nobody_has_open_may_be_opened_again() {
    let holder = Holder::start();
    let mut daemon = holder.connect();
    daemon.sh("echo ready; exec 0<&- 1>&- 2>&-; sleep 0.2; echo back >/dev/tty; sleep 0.2; exit 5");
    assert_eq!(daemon.rest(STREAM), (b"ready\r\nback\r\n".to_vec(), 13));
    assert_eq!(daemon.exit(), Exit::Code(5));
}

#[test]
fn what_a_daemon_sent_before_it_went_is_served() {
    for _ in 0..20 {
        let mut holder = Holder::start();
        let mut daemon = holder.connect();
        // Bytes to send meet the closed connection before its last frame is read.
        daemon.sh("yes");
        daemon.output(STREAM);
        daemon.tell(&ToHolder::Shutdown);
        drop(daemon);
        holder.join().unwrap();
    }
}
