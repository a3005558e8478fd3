//! A line that carries 64 KiB a second: what is bulk waits, what is typed does not.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Desk;

const BYTES_A_SECOND: u32 = 64 * 1024;
const PIECE_BYTES: usize = 2048;
/// A key is on the screen within this, beside other tests on the same machine. Behind the backlog it would take ten times as long.
const KEY_WITHIN: Duration = Duration::from_secs(5);

/// What is known of a line, and whether it has become a fast one.
#[derive(Default)]
struct Line {
    carried: AtomicU64,
    is_wide: AtomicBool,
}

/// A socket before another one; what comes from there comes slowly.
fn throttled(at: PathBuf, to: PathBuf) -> Arc<Line> {
    let listener = UnixListener::bind(at).unwrap();
    let line = Arc::new(Line::default());
    let shared = line.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(daemon) = UnixStream::connect(&to) else { continue };
            let (mut from_client, mut to_daemon) = (client.try_clone().unwrap(), daemon.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from_client, &mut to_daemon));
            let line = shared.clone();
            std::thread::spawn(move || slowly(daemon, client, &line));
        }
    });
    line
}

fn slowly(mut from: UnixStream, mut to: UnixStream, line: &Line) {
    let mut buffer = [0; PIECE_BYTES];
    let mut free_at = Instant::now();
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if !line.is_wide.load(Ordering::Relaxed) {
            // The time that the line takes for so many bytes, whatever it was late with those before.
            free_at = free_at.max(Instant::now() - Duration::from_secs(1));
            free_at += Duration::from_secs(1) * u32::try_from(length).unwrap() / BYTES_A_SECOND;
            std::thread::sleep(free_at.saturating_duration_since(Instant::now()));
        }
        if to.write_all(&buffer[..length]).is_err() {
            return;
        }
        line.carried.fetch_add(length as u64, Ordering::Relaxed);
    }
}

#[test]
fn keys_are_shown_at_once_while_a_backlog_comes_over_a_slow_line() {
    let desk = Desk::with("on prompt\n confirm\n flood 6000000\n say the end of it\n");
    desk.home.start();
    let slow = desk.home.path().join("runtime/slow.sock");
    let line = throttled(slow.clone(), desk.home.socket());
    // The client goes where the discovery file says.
    let mut discovery = desk.home.discovery();
    discovery["socket"] = slow.to_str().unwrap().into();
    std::fs::write(desk.home.path().join("runtime/daemon.json"), discovery.to_string()).unwrap();

    let terminal = desk.client();
    terminal.line("go on and on");
    terminal.until("flood flood");
    let before = line.carried.load(Ordering::Relaxed);
    let (mut draft, mut times) = (String::new(), Vec::new());
    for key in "typed while much comes over a line that carries little".chars() {
        let pressed = Instant::now();
        terminal.keys(key.to_string());
        draft.push(key);
        terminal.until_so("the key is shown", |rows| rows.iter().any(|row| row == &format!(" > {}", draft.trim_end())));
        times.push(pressed.elapsed());
    }
    let slowest = times.iter().max().unwrap();
    assert!(*slowest < KEY_WITHIN, "{times:?}");
    assert!(line.carried.load(Ordering::Relaxed) > before, "nothing came meanwhile");
    assert!(terminal.rows().iter().all(|row| !row.contains("the end of it")), "the backlog was over already");
    line.is_wide.store(true, Ordering::Relaxed);
    terminal.until("the end of it");
    terminal.until(&format!("> {draft}"));
}
