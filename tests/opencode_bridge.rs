//! The bridge between pipes and `opencode serve`: the real bridge, and a server of this test's own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use serde_json::{Value, json};

use crate::harness::{Home, PATIENCE, ROPEWALK};

/// Stands for opencode: it tells where it should listen and with which password, and this test listens there.
const SERVER: &str =
    r#"echo "$OPENCODE_SERVER_USERNAME:$OPENCODE_SERVER_PASSWORD $5 $$" > told.new; mv told.new told; exec sleep 1000"#;

/// What the server was asked, and the way to answer it.
struct Asked {
    head: String,
    body: String,
    stream: TcpStream,
}

impl Asked {
    fn line(&self) -> &str {
        self.head.lines().next().unwrap().strip_suffix(" HTTP/1.1").unwrap()
    }

    fn answer(mut self, status: u16, body: &str) {
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        self.stream.write_all((head + body).as_bytes()).unwrap();
    }

    /// Begins to tell events.
    fn stream(mut self) -> TcpStream {
        assert_eq!(self.line(), "GET /event");
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        self.stream.write_all(head.as_bytes()).unwrap();
        self.stream.write_all(b"data: {\"type\":\"server.connected\"}\n\n").unwrap();
        self.stream
    }
}

fn serve(listener: TcpListener, asked: SyncSender<Asked>) {
    for stream in listener.incoming() {
        let mut stream = BufReader::new(stream.unwrap());
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).is_ok_and(|bytes| bytes > 0) {}
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body).unwrap();
        let body = String::from_utf8(body).unwrap();
        if asked.send(Asked { head, body, stream: stream.into_inner() }).is_err() {
            return;
        }
    }
}

/// A bridge, and the server at its other end.
struct Bridge {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    asked: Receiver<Asked>,
    authorization: String,
    server: u32,
    _home: Home,
}

fn spawn(home: &Home, program: &[&str]) -> Child {
    let mut command = Command::new(ROPEWALK);
    command.args(["opencode-bridge", "--"]).args(program).current_dir(home.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

impl Bridge {
    fn started() -> Self {
        let home = Home::new();
        let mut child = spawn(&home, &["sh", "-c", SERVER, "opencode"]);
        let told: PathBuf = home.path().join("told");
        let begun = Instant::now();
        while !told.exists() {
            assert!(begun.elapsed() < PATIENCE, "no server was started");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let told = std::fs::read_to_string(told).unwrap();
        let [authorization, port, server] = told.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("{told}");
        };
        let listener = TcpListener::bind(("127.0.0.1", port.parse().unwrap())).unwrap();
        let (sender, asked) = sync_channel(1024);
        std::thread::spawn(|| serve(listener, sender));
        Self {
            stdin: child.stdin.take(),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
            asked,
            authorization: authorization.to_owned(),
            server: server.parse().unwrap(),
            _home: home,
        }
    }

    /// A bridge whose server answers; the way to tell events.
    fn ready() -> (Self, TcpStream) {
        let mut bridge = Self::started();
        bridge.asked().answer(200, r#"{"healthy":true,"version":"1.2.3"}"#);
        let events = bridge.asked().stream();
        assert_eq!(bridge.line(), json!({ "ready": { "healthy": true, "version": "1.2.3" } }));
        assert_eq!(bridge.line(), json!({ "event": { "type": "server.connected" } }));
        (bridge, events)
    }

    fn asked(&self) -> Asked {
        self.asked.recv_timeout(PATIENCE).unwrap()
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn write(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(line.as_bytes()).unwrap();
        stdin.write_all(b"\n").unwrap();
    }

    fn code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    fn server_is_gone(&self) {
        let begun = Instant::now();
        while std::fs::read_to_string(format!("/proc/{}/cmdline", self.server)).is_ok_and(|line| line.contains("sleep"))
        {
            assert!(begun.elapsed() < PATIENCE, "the server was left");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn requests_and_events_are_lines() {
    let mut bridge = Bridge::started();
    // The first request is never answered, as that of opencode in its first moment.
    let first = bridge.asked();
    assert_eq!(first.line(), "GET /global/health");
    assert_eq!(bridge.authorization.len(), "opencode:".len() + 64);
    bridge.asked().answer(503, "");
    let (asked, basic) = (bridge.asked(), "authorization: Basic b3BlbmNvZGU6");
    assert!(asked.head.to_ascii_lowercase().contains(&basic.to_ascii_lowercase()), "{}", asked.head);
    asked.answer(200, r#"{"version":"1"}"#);
    // What cannot be heard is tried again, too.
    bridge.asked().answer(500, "");
    bridge.asked().answer(200, r#"{"version":"1"}"#);
    let mut events = bridge.asked().stream();
    assert_eq!(bridge.line(), json!({ "ready": { "version": "1" } }));
    bridge.line();

    events.write_all(b"id: 1\ndata: {\"type\":\ndata: \"a\"}\n\ndata: no JSON\n\n").unwrap();
    assert_eq!(bridge.line(), json!({ "event": { "type": "a" } }));
    assert_eq!(bridge.line(), json!({ "event": "no JSON" }));

    bridge.write(r#"{"id":"1","method":"POST","path":"/session/ses_a/abort","body":{"b": 1}}"#);
    bridge.write(r#"{"id":"2","method":"GET","path":"/session"}"#);
    bridge.write("garbage");
    bridge.write(r#"{"id":"3","method":"GET","path":"no path"}"#);
    assert_eq!(bridge.line(), json!({ "sent": "1" }));
    let asked = bridge.asked();
    assert_eq!((asked.line(), asked.body.as_str()), ("POST /session/ses_a/abort", r#"{"b": 1}"#));
    asked.answer(200, "true");
    assert_eq!(bridge.line(), json!({ "id": "1", "status": 200, "body": true }));
    assert_eq!(bridge.line(), json!({ "sent": "2" }));
    bridge.asked().answer(204, "");
    assert_eq!(bridge.line(), json!({ "id": "2", "status": 204, "body": null }));
    assert!(bridge.line()["failed"].as_str().unwrap().starts_with("this is no request"));
    assert_eq!(bridge.line(), json!({ "sent": "3" }));
    assert!(bridge.line()["failed"].as_str().unwrap().starts_with("this is no request"));
    drop(first);
}

#[test]
fn where_events_were_missed_the_server_is_asked_what_is() {
    let (mut bridge, events) = Bridge::ready();
    bridge.write(r#"{"id":"1","name":"n1","method":"POST","path":"/session/ses_a/prompt_async","body":{"a":[ 1]}}"#);
    let asked = bridge.asked();
    let body: Value = serde_json::from_str(&asked.body).unwrap();
    let id = body["messageID"].as_str().unwrap();
    assert!(id.starts_with("msg_") && id.ends_with("000n1") && id.len() == 18, "{id}");
    assert_eq!(body["a"], json!([1]));
    asked.answer(204, "");
    assert_eq!(bridge.line(), json!({ "sent": "1" }));
    bridge.line();
    drop(events);
    let mut events = bridge.asked().stream();
    events.write_all(b"data: {\"type\":\"later\"}\n\n").unwrap();
    assert_eq!(bridge.line(), json!({ "gap": true }));
    for (what, path) in [
        ("message", "GET /session/ses_a/message?limit=50"),
        ("permission", "GET /permission"),
        ("question", "GET /question"),
        ("status", "GET /session/status"),
    ] {
        let asked = bridge.asked();
        assert_eq!(asked.line(), path);
        asked.answer(200, "[\n]");
        assert_eq!(bridge.line(), json!({ "snapshot": what, "session": "ses_a", "status": 200, "body": [] }));
    }
    assert_eq!(bridge.line(), json!({ "event": { "type": "server.connected" } }));
    assert_eq!(bridge.line(), json!({ "event": { "type": "later" } }));
}

#[test]
fn the_server_ends_with_its_bridge() {
    let (mut bridge, _events) = Bridge::ready();
    bridge.stdin = None;
    assert_eq!(bridge.line(), json!({ "exit": { "signal": 15 } }));
    assert_eq!(bridge.code(), Some(0));
    bridge.server_is_gone();

    let (mut bridge, _events) = Bridge::ready();
    let pid = rustix::process::Pid::from_raw(i32::try_from(bridge.child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(bridge.line(), json!({ "exit": { "signal": 15 } }));
    assert_eq!(bridge.code(), Some(143));
    bridge.server_is_gone();

    let (mut bridge, _events) = Bridge::ready();
    bridge.child.kill().unwrap();
    bridge.code();
    bridge.server_is_gone();
}

#[test]
fn the_bridge_ends_with_its_server() {
    let (mut bridge, _events) = Bridge::ready();
    let pid = rustix::process::Pid::from_raw(i32::try_from(bridge.server).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert_eq!(bridge.line(), json!({ "exit": { "signal": 9 } }));
    assert_eq!(bridge.code(), Some(137));

    let home = Home::new();
    let output = spawn(&home, &["sh", "-c", "exit 3"]).wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "{\"exit\":{\"code\":3}}\n");
    assert_eq!(output.status.code(), Some(3));

    let output = spawn(&home, &["/no/such/program"]).wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("{\"failed\":\"/no/such/program cannot be run."), "{said}");
    assert_eq!(output.status.code(), Some(127));
}

#[test]
fn an_answer_that_is_too_long_is_none() {
    let (mut bridge, mut events) = Bridge::ready();
    bridge.write(r#"{"id":"1","method":"GET","path":"/x"}"#);
    bridge.line();
    let asked = bridge.asked();
    std::thread::spawn(move || {
        let mut stream = asked.stream;
        let length = 17 * 1024 * 1024;
        stream.write_all(format!("HTTP/1.1 200 X\r\ncontent-length: {length}\r\n\r\n").as_bytes()).ok();
        // The bridge hangs up.
        stream.write_all(&vec![b'1'; length]).ok();
    });
    let line = bridge.line();
    assert_eq!((&line["id"], line.get("status")), (&json!("1"), None));
    std::thread::spawn(move || {
        events.write_all(b"data: ").unwrap();
        events.write_all(&vec![b'1'; 17 * 1024 * 1024]).unwrap();
        events.write_all(b"\n\ndata: 1\n\n").unwrap();
        events
    });
    assert!(bridge.line()["failed"].as_str().unwrap().contains("passed over"));
    assert_eq!(bridge.line(), json!({ "event": 1 }));
}
