//! The daemon's door: who stands in it does not block it, and it is there again when somebody takes it away.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use ropewalk_protocol::limits;

use crate::harness::{Home, descriptors, eventually};

fn knock(home: &Home) -> TcpStream {
    let port = u16::try_from(home.discovery()["port"].as_u64().unwrap()).unwrap();
    TcpStream::connect(("127.0.0.1", port)).unwrap()
}

/// Regression: connections were counted from the upgrade on, so any local user could use up the daemon's descriptors by
/// opening TCP connections and saying nothing.
#[test]
fn regression_a_thousand_silent_tcp_connections_take_no_seats_from_those_who_are_let_in() {
    let home = Home::started();
    let before = descriptors(home.daemon_pid());
    // Those that find no seat are closed by the daemon; this end stays open.
    let silent: Vec<TcpStream> = (0..1000)
        .map(|_| {
            let stream = knock(&home);
            // One descriptor for all that were closed would do, but the point is to have them open.
            stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            stream
        })
        .collect();
    home.ok(&["ls"]);
    let taken = descriptors(home.daemon_pid()).saturating_sub(before);
    // The command's own connection may not be closed yet.
    assert!(taken <= limits::CONNECTIONS_UNPROVEN_MAX + 4, "{taken} descriptors for {} connections", silent.len());
    home.ok(&["daemon", "status"]);
    drop(silent);
    eventually("strangers are let in again", || {
        let mut stream = knock(&home);
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").ok();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).is_ok() && answer.contains("\"ok\"")
    });
    assert!(home.daemon_log().lines().count() < 50, "a flood is not a flood of log lines: {}", home.daemon_log());
}

/// Regression: nothing bounded the time before the upgrade, so a header a byte at a time held a connection for ever.
#[test]
fn regression_a_request_that_never_ends_is_cut() {
    let home = Home::started();
    let (mut slow, mut silent, mut idle) = (knock(&home), knock(&home), knock(&home));
    idle.write_all(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
    slow.write_all(b"GET /v1 HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ").unwrap();
    let began = Instant::now();
    slow.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut byte = [0];
    // Every byte that arrives would begin a deadline anew that only watched for silence.
    while slow.write_all(b"x").is_ok() {
        match slow.read(&mut byte) {
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            _ => break,
        }
        assert!(began.elapsed() < crate::harness::PATIENCE, "it was never cut");
    }
    assert!(began.elapsed() >= Duration::from_millis(limits::UPGRADE_MILLIS_MAX / 2), "{:?}", began.elapsed());
    let mut rest = Vec::new();
    for stream in [&mut silent, &mut idle] {
        stream.set_read_timeout(Some(crate::harness::PATIENCE)).unwrap();
        stream.read_to_end(&mut rest).unwrap();
    }
    assert!(String::from_utf8_lossy(&rest).contains("\"ok\""), "a request in time was answered");
    home.ok(&["ls"]);
}

/// Regression: after the socket was deleted no command could reach the daemon, and none could stop it.
#[test]
fn regression_a_daemon_whose_socket_was_deleted_is_reached_and_puts_it_back() {
    let home = Home::started();
    let pid = home.daemon_pid();
    std::fs::remove_file(home.socket()).unwrap();
    assert!(home.ok(&["daemon", "status"]).contains(&format!("process {pid}")));
    eventually("the socket is there again", || home.socket().exists());
    // In one go: what is put back meanwhile would be removed as well.
    let gone = home.path().join("runtime-gone");
    std::fs::rename(home.path().join("runtime"), &gone).unwrap();
    std::fs::remove_dir_all(gone).unwrap();
    eventually("everything is there again", || {
        home.socket().exists() && home.path().join("runtime/daemon.json").exists()
    });
    assert!(home.ok(&["daemon", "status"]).contains(&format!("process {pid}")));
    home.ok(&["daemon", "stop"]);
}

/// The port answers with the token when the socket cannot be put back.
#[test]
fn without_its_socket_the_daemon_is_reached_over_its_port() {
    let home = Home::started();
    let pid = home.daemon_pid();
    // Somebody else's file is left alone, and no client can connect to it.
    let other = home.path().join("runtime/other");
    std::fs::write(&other, b"").unwrap();
    std::fs::rename(&other, home.socket()).unwrap();
    assert!(home.ok(&["daemon", "status"]).contains(&format!("process {pid}")));
    home.ok(&["run", "--detach", "--name", "over-tcp", "--", "true"]);
    home.ok(&["daemon", "stop"]);
    assert_eq!(home.fails(&["daemon", "status"]).0, 69);
}

/// Regression: as many connections of one's own as there are seats, which said nothing, shut every command out for 10 s.
#[test]
fn regression_silent_connections_to_the_socket_make_room_for_one_that_speaks() {
    let home = Home::started();
    let silent: Vec<UnixStream> =
        (0..limits::CONNECTIONS_MAX + 200).map(|_| UnixStream::connect(home.socket()).unwrap()).collect();
    let began = Instant::now();
    home.ok(&["ls"]);
    home.ok(&["daemon", "status"]);
    // They have so long to become a WebSocket: nobody was let in because they were over.
    assert!(began.elapsed() < Duration::from_millis(limits::UPGRADE_MILLIS_MAX), "{:?}", began.elapsed());
    drop(silent);
    home.ok(&["daemon", "stop"]);
}
