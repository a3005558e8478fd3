//! A line that carries 64 KiB a second: what is bulk waits, what is typed does not.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Desk;

const BYTES_A_SECOND: u32 = 64 * 1024;
const PIECE_BYTES: usize = 2048;
/// A key is on the screen within this, beside other tests on the same machine.
const KEY_WITHIN: Duration = Duration::from_millis(500);

/// A socket before another one; what comes from there comes slowly. Counts it.
fn throttled(at: PathBuf, to: PathBuf) -> Arc<AtomicU64> {
    let listener = UnixListener::bind(at).unwrap();
    let carried = Arc::new(AtomicU64::new(0));
    let counter = carried.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(daemon) = UnixStream::connect(&to) else { continue };
            let (mut from_client, mut to_daemon) = (client.try_clone().unwrap(), daemon.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from_client, &mut to_daemon));
            let counter = counter.clone();
            std::thread::spawn(move || slowly(daemon, client, &counter));
        }
    });
    carried
}

fn slowly(mut from: UnixStream, mut to: UnixStream, carried: &AtomicU64) {
    let mut buffer = [0; PIECE_BYTES];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        // The time that the line takes for so many bytes.
        std::thread::sleep(Duration::from_secs(1) * u32::try_from(length).unwrap() / BYTES_A_SECOND);
        if to.write_all(&buffer[..length]).is_err() {
            return;
        }
        carried.fetch_add(length as u64, Ordering::Relaxed);
    }
}

#[test]
fn keys_are_shown_at_once_while_a_backlog_comes_over_a_slow_line() {
    let desk = Desk::with("on prompt\n confirm\n flood 3000000\n say the end of it\n");
    desk.home.start();
    let slow = desk.home.path().join("runtime/slow.sock");
    let carried = throttled(slow.clone(), desk.home.socket());
    // The client goes where the discovery file says.
    let mut discovery = desk.home.discovery();
    discovery["socket"] = slow.to_str().unwrap().into();
    std::fs::write(desk.home.path().join("runtime/daemon.json"), discovery.to_string()).unwrap();

    let terminal = desk.client();
    terminal.line("go on and on");
    terminal.until("flood flood");
    let before = carried.load(Ordering::Relaxed);
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
    assert!(carried.load(Ordering::Relaxed) > before, "nothing came meanwhile");
    terminal.until("the end of it");
    terminal.until(&format!("> {draft}"));
}
