//! A terminal that shows a session: stopped, cut off, told to end, or beside another window of another size.

use std::path::PathBuf;

use bytes::Bytes;
use ropewalk_protocol::Size;
use ropewalk_transport::client::AttachmentItem;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc::Receiver;

use crate::harness::{Home, ROPEWALK, block_on, eventually, run, typing, until};

const SMALL: Size = Size { cols: 60, rows: 20 };
const LARGE: Size = Size { cols: 140, rows: 45 };

/// `ropewalk attach` of a session of one home, in a terminal of another home.
struct Attached {
    inner: Home,
    outer: Home,
}

impl Attached {
    fn new() -> Self {
        Self { inner: Home::started(), outer: Home::started() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.outer.path().join(name)
    }

    fn script(&self) -> String {
        format!(
            "tty > {0}; stty -a > {1}; sh -c 'echo $$ > {2}; exec {3} attach inner'; echo code $?; stty -a > {1}.after; exec cat",
            self.file("tty").display(),
            self.file("modes").display(),
            self.file("pid").display(),
            format_args!("env ROPEWALK_HOME={} {ROPEWALK}", self.inner.path().display()),
        )
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap_or_default().trim().to_owned()
    }

    fn signal(&self, signal: Signal) {
        let pid: i32 = self.read("pid").parse().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.read("pid"))).unwrap();
        stat.rsplit_once(')').unwrap().1.starts_with(" T")
    }

    /// How the terminal is set, as a shell at its other end would see it.
    fn stty(&self, arguments: &[&str]) -> String {
        let output =
            std::process::Command::new("stty").arg("-F").arg(self.read("tty")).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn is_raw(&self) -> bool {
        self.stty(&["-a"]).contains("-icanon")
    }
}

/// Regressions: after a stop and `fg` the terminal was in whatever mode the shell had set, and showed the shell's screen;
/// while the daemon was away nothing was said.
#[test]
fn regression_an_attached_terminal_survives_a_stop_and_a_daemon_that_goes_and_is_put_back_by_sigterm() {
    let attached = Attached::new();
    block_on(async {
        let client = attached.inner.client().await;
        run(&client, "inner", &["sh", "-c", "echo inner here; exec cat"]).await;
        let outer_client = attached.outer.client().await;
        let (_, outer) = run(&outer_client, "outer", &["sh", "-c", &attached.script()]).await;
        let (_, mut items) = outer_client.attach(typing(outer, None)).await.unwrap();
        until(&mut items, "inner here").await;
        eventually("raw mode", || attached.is_raw());

        attached.signal(Signal::STOP);
        attached.stty(&["sane"]);
        assert!(!attached.is_raw());
        attached.signal(Signal::CONT);
        until(&mut items, "inner here").await;
        eventually("raw mode again", || attached.is_raw());

        attached.signal(Signal::TSTP);
        eventually("it is put back while it is stopped", || !attached.is_raw() && attached.is_stopped());
        attached.signal(Signal::CONT);
        until(&mut items, "inner here").await;
        eventually("raw mode again", || attached.is_raw());

        attached.inner.kill_daemon();
        until(&mut items, "reconnecting").await;
        attached.inner.start();
        let drawn = until(&mut items, "inner here").await;
        assert!(drawn.contains("\x1b[2J"), "the line is cleared: {drawn:?}");
        outer_client.input(outer, 1, Bytes::from_static(b"typed\r")).await.unwrap();
        until(&mut items, "typed").await;

        attached.signal(Signal::TERM);
        until(&mut items, "code 143").await;
        eventually("the modes were written", || attached.read("modes.after").len() > 100);
        assert_eq!(attached.read("modes"), attached.read("modes.after"), "the terminal is as it was");
    });
}

async fn snapshot(items: &mut Receiver<AttachmentItem>) -> Bytes {
    loop {
        match items.recv().await {
            Some(AttachmentItem::Snapshot { bytes, last: true, .. }) => return bytes,
            Some(AttachmentItem::Output { .. } | AttachmentItem::Written(_)) => {}
            other => panic!("a snapshot was expected: {other:?}"),
        }
    }
}

/// Regression: when another window's size became the terminal's, the first one showed a screen laid out for it until
/// somebody typed there.
#[test]
fn regression_a_window_is_drawn_anew_when_another_ones_size_becomes_the_terminals() {
    let home = Home::started();
    block_on(async {
        let (first, second) = (home.client().await, home.client().await);
        let script = "stty -echo; printf '%0100d\\r\\n' 7; printf ready; exec cat";
        let (_, terminal) = run(&first, "shared", &["sh", "-c", script]).await;
        let (_, mut large) = first.attach(typing(terminal, Some(LARGE))).await.unwrap();
        until(&mut large, "ready").await;
        let (_, mut small) = second.attach(typing(terminal, Some(SMALL))).await.unwrap();
        until(&mut small, "ready").await;
        // The terminal is small: the large window is told what it looks like.
        assert!(String::from_utf8_lossy(&snapshot(&mut large).await).contains("ready"));
        // It takes the size back: both are drawn anew, the small one what fits.
        first.input(terminal, 1, Bytes::from_static(b"x\r")).await.unwrap();
        snapshot(&mut large).await;
        loop {
            let mut screen = ropewalk_projections::screen::Screen::new(SMALL);
            screen.feed(&snapshot(&mut small).await);
            assert_eq!(screen.row_text(0), "0".repeat(60));
            if screen.row_text(1).starts_with("ready") {
                break;
            }
            // One that was drawn for its own size may have been on its way: there the line is wrapped, not cut.
            assert!(screen.row_text(1).starts_with('0'), "{:?}", screen.row_text(1));
        }
    });
}
