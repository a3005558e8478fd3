//! The holder with a program on pipes. The program that makes the session is this one, called again.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod client;

use std::ffi::OsString;

use client::{ERRORS, Holder, STREAM, run, spawn_sh};
use ropewalk_protocol::holder::{Ends, Exit, FromHolder, ToHolder};

fn main() {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match arguments.first().and_then(|word| word.to_str()) {
        Some("exec-in-session") => {
            let error = ropewalk_holder::exec_in_session(&arguments[2..]);
            eprintln!("{error}");
            std::process::exit(127);
        }
        Some("--list") => {}
        _ => {
            output_and_errors_are_two_streams();
            input_reaches_a_program_that_leads_its_session();
            println!("pipes: ok");
        }
    }
}

fn output_and_errors_are_two_streams() {
    let holder = Holder::start();
    let mut daemon = holder.connect();
    let mut spawn = spawn_sh("printf out; printf err >&2; exit 4");
    spawn.ends = Ends::Pipes { errors: ERRORS };
    let held = daemon.spawn(&spawn).unwrap();
    assert_eq!((held.errors, held.size), (Some(ERRORS), None));
    daemon.follow(STREAM, 0);
    daemon.follow(ERRORS, 0);
    assert_eq!(daemon.rest(STREAM), (b"out".to_vec(), 3));
    assert_eq!(daemon.rest(ERRORS), (b"err".to_vec(), 3));
    assert_eq!(daemon.exit(), Exit::Code(4));
    drop(daemon);
    let mut daemon = holder.connect();
    daemon.follow(ERRORS, 1);
    assert_eq!(daemon.rest(ERRORS), (b"rr".to_vec(), 3));
}

fn input_reaches_a_program_that_leads_its_session() {
    let holder = Holder::start();
    let mut daemon = holder.connect();
    let mut spawn = spawn_sh("cut -d' ' -f1,6 /proc/self/stat; read line; echo got $line; exec sleep 1000");
    spawn.ends = Ends::Pipes { errors: ERRORS };
    let held = daemon.spawn(&spawn).unwrap();
    daemon.follow(STREAM, 0);
    assert!(daemon.until(STREAM, "\n").ends_with(&format!(" {}\n", held.pid)));
    daemon.input(1, "it\n");
    assert_eq!(daemon.written(), 1);
    assert_eq!(daemon.until(STREAM, "\n"), "got it\n");
    daemon.tell(&ToHolder::Signal { run: run(1), signal: 15 });
    assert_eq!(daemon.exit(), Exit::Signal(15));
    daemon.rest(STREAM);
    daemon.input(2, "late\n");
    daemon.wait(|frame| matches!(frame, FromHolder::InputRefused { id: 2, .. }).then_some(()));
    let mut missing = spawn_sh("");
    missing.run = run(9);
    missing.stream = ropewalk_protocol::TerminalId::from_bytes([9; 16]);
    missing.ends = Ends::Pipes { errors: ropewalk_protocol::TerminalId::from_bytes([10; 16]) };
    missing.program.argv = vec!["no-such-program".to_owned()];
    assert_eq!(daemon.spawn(&missing), Err("no such program: no-such-program".to_owned()));
}
