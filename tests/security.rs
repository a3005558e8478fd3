//! Who is refused, with which code, and that the daemon is none the worse.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use ropewalk_protocol::{TerminalFrame, TerminalFrameKind, TerminalId};
use ropewalk_transport::client::AttachmentItem;
use serde_json::{Value, json};

use crate::harness::{Home, block_on, run, watch};

fn port(home: &Home) -> u16 {
    u16::try_from(home.discovery()["port"].as_u64().unwrap()).unwrap()
}

/// One HTTP exchange over TCP: status and body.
fn get(home: &Home, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port(home))).unwrap();
    let connection = if path.starts_with("/v1") { "Upgrade" } else { "close" };
    let mut request = format!("GET {path} HTTP/1.1\r\nConnection: {connection}\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(char::from(byte[0]));
    }
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), String::from_utf8(body).unwrap())
}

const UPGRADE: [(&str, &str); 4] = [
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Protocol", "ropewalk.v1"),
];

/// The refusal of an upgrade with these headers.
fn refused(home: &Home, headers: &[(&str, &str)]) -> (u16, String) {
    let all: Vec<_> = UPGRADE.iter().chain(headers).copied().collect();
    let (status, body) = get(home, "/v1", &all);
    let start = body.find('{').unwrap_or(0);
    let end = body.rfind('}').map_or(0, |end| end + 1);
    let body: Value = serde_json::from_str(&body[start..end]).unwrap_or_default();
    (status, body["error"]["data"]["reason"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn pages_rebound_names_and_wrong_tokens_are_refused_with_their_codes() {
    let home = Home::started();
    let bearer = format!("Bearer {}", home.token());
    let host = ("Host", "127.0.0.1");
    let token = ("Authorization", bearer.as_str());
    let cases = [
        (vec![host, token, ("Origin", "http://evil.example")], 403, "forbidden_origin"),
        (vec![host, token, ("Origin", "null")], 403, "forbidden_origin"),
        (vec![host, token, ("Origin", "http://127.0.0.1:7717")], 403, "forbidden_origin"),
        (vec![("Host", "evil.example"), token], 403, "forbidden_host"),
        (vec![("Host", "127.evil.com"), token], 403, "forbidden_host"),
        (vec![("Host", "127.0.0.1.evil.com:7717"), token], 403, "forbidden_host"),
        (vec![host, ("Authorization", "Bearer wrong")], 401, "unauthenticated"),
    ];
    for (headers, status, reason) in cases {
        assert_eq!(refused(&home, &headers), (status, reason.to_owned()), "{headers:?}");
        let log = home.daemon_log();
        assert!(log.contains(reason), "logged: {log}");
    }
    let once = home.daemon_log().matches("forbidden_host").count();
    refused(&home, &[("Host", "evil.example"), token]);
    assert_eq!(home.daemon_log().matches("forbidden_host").count(), once + 1, "logged once for each refusal");
    assert!(!home.daemon_log().contains(&home.token()), "no token in the log");
    assert!(get(&home, "/health", &[host]).1.contains("ok"), "the daemon is none the worse");
    assert_eq!(get(&home, "/health", &[("Host", "evil.example")]).0, 403);
    assert_eq!(get(&home, "/metrics", &[host]).0, 401);
    let (status, metrics) = get(&home, "/metrics", &[host, token]);
    assert_eq!(status, 200);
    assert!(metrics.contains("ropewalk_log_head"), "{metrics}");
    assert!(get(&home, "/schema.json", &[host]).1.contains("session.create"));
}

/// A WebSocket by hand, so that it can say what no client of ours would.
struct Raw(TcpStream);

impl Raw {
    fn open(home: &Home, token: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port(home))).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut request = "GET /v1 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n".to_owned();
        for (name, value) in UPGRADE {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(token) = token {
            request.push_str(&format!("Authorization: Bearer {token}\r\n"));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
        Self(stream)
    }

    /// A masked frame with an all-zero mask.
    fn send(&mut self, opcode: u8, payload: &[u8]) {
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            length @ 0..126 => frame.push(0x80 | u8::try_from(length).unwrap()),
            length @ 126..65536 => {
                frame.push(0x80 | 126);
                frame.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
            }
            length => {
                frame.push(0x80 | 127);
                frame.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(payload);
        // The daemon may have hung up on a frame it does not want.
        self.0.write_all(&frame).ok();
    }

    fn text(&mut self, value: &Value) {
        self.send(1, value.to_string().as_bytes());
    }

    /// The next text frame; `None` when the connection was closed.
    fn next(&mut self) -> Option<Value> {
        loop {
            let mut head = [0; 2];
            self.0.read_exact(&mut head).ok()?;
            let length = match head[1] & 0x7f {
                126 => {
                    let mut length = [0; 2];
                    self.0.read_exact(&mut length).ok()?;
                    usize::from(u16::from_be_bytes(length))
                }
                127 => {
                    let mut length = [0; 8];
                    self.0.read_exact(&mut length).ok()?;
                    usize::try_from(u64::from_be_bytes(length)).unwrap()
                }
                length => usize::from(length),
            };
            let mut payload = vec![0; length];
            self.0.read_exact(&mut payload).ok()?;
            match head[0] & 0x0f {
                1 => return Some(serde_json::from_slice(&payload).unwrap()),
                8 => return None,
                _ => {}
            }
        }
    }

    fn hello(&mut self, token: Option<&str>) -> Option<Value> {
        let client = json!({"name": "raw", "version": "0"});
        self.text(&json!({"jsonrpc": "2.0", "id": 1, "method": "hello", "params": {"client": client, "token": token}}));
        self.next()
    }
}

fn reason(answer: &Value) -> &str {
    answer["error"]["data"]["reason"].as_str().unwrap_or_default()
}

#[test]
fn without_a_token_there_is_no_hello_and_without_hello_there_is_nothing() {
    let home = Home::started();
    let token = home.token();
    let answer = Raw::open(&home, None).hello(None).unwrap();
    assert_eq!(reason(&answer), "unauthenticated");
    let mut wrong = Raw::open(&home, None);
    assert_eq!(reason(&wrong.hello(Some("wrong")).unwrap()), "unauthenticated");
    assert_eq!(wrong.next(), None, "and the connection is closed");
    let mut early = Raw::open(&home, Some(&token));
    early.text(&json!({"jsonrpc": "2.0", "id": 1, "method": "query", "params": {"type": "sessions.list"}}));
    assert_eq!(reason(&early.next().unwrap()), "unauthenticated");
    assert_eq!(early.next(), None);
    let welcome = Raw::open(&home, None).hello(Some(&token)).unwrap();
    assert_eq!(welcome["result"]["protocol"], 1, "a browser-like client proves itself in hello");
}

/// Regression: a second hello was accepted, under another name.
#[test]
fn regression_a_second_hello_is_refused_and_the_connection_goes_on() {
    let home = Home::started();
    let token = home.token();
    let mut raw = Raw::open(&home, None);
    assert_eq!(raw.hello(Some(&token)).unwrap()["result"]["protocol"], 1);
    for again in [Some(token.as_str()), None, Some("wrong")] {
        assert_eq!(reason(&raw.hello(again).unwrap()), "invalid_request");
    }
    raw.text(&json!({"jsonrpc": "2.0", "id": 9, "method": "query", "params": {"type": "sessions.list"}}));
    assert_eq!(raw.next().unwrap()["id"], 9);
}

#[test]
fn malformed_frames_are_refused_one_by_one_and_the_connection_goes_on() {
    let home = Home::started();
    let mut raw = Raw::open(&home, Some(&home.token()));
    raw.hello(None).unwrap();
    let cases = [
        ("{", "parse_error"),
        ("[]", "invalid_request"),
        (r#"{"jsonrpc":"2.0","id":7}"#, "invalid_request"),
        (r#"{"jsonrpc":"1.0","id":7,"method":"query","params":{"type":"daemon.info"}}"#, "invalid_request"),
        (r#"{"jsonrpc":"2.0","id":7,"method":"nonsense","params":{}}"#, "unknown_method"),
        (r#"{"jsonrpc":"2.0","id":7,"method":"query","params":{"type":"nonsense"}}"#, "unknown_command"),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"command","params":{"id":"0192f0c1-2b7a-7c3e-8d11-5a2f3c4d5e6f","command":{"type":"nonsense"}}}"#,
            "unknown_command",
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"command","params":{"id":"5a2f3c4d-2b7a-4c3e-8d11-0192f0c15e6f","command":{"type":"session.create"}}}"#,
            "invalid_params",
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"command","params":{"id":"0192f0c1-2b7a-7c3e-8d11-5a2f3c4d5e6f","command":{"type":"session.create","name":"../etc"}}}"#,
            "invalid_params",
        ),
        (r#"{"jsonrpc":"2.0","id":7,"method":"subscribe","params":{"after":"never"}}"#, "invalid_params"),
    ];
    for (frame, expected) in cases {
        raw.send(1, frame.as_bytes());
        let answer = raw.next().expect(frame);
        assert_eq!(reason(&answer), expected, "{frame}: {answer}");
        assert!(!answer["error"]["data"]["hint"].as_str().unwrap().is_empty());
        if frame.contains("\"id\":7") {
            assert_eq!(answer["id"], 7, "{frame}");
        }
    }
    raw.text(&json!({"jsonrpc": "2.0", "id": 8, "method": "query", "params": {"type": "daemon.info", "unknown": 1}}));
    assert_eq!(raw.next().unwrap()["id"], 8);
}

#[test]
fn input_for_a_terminal_that_is_not_attached_and_other_binary_frames_are_refused() {
    let home = Home::started();
    let terminal = block_on(async { run(&home.client().await, "cat", &["cat"]).await.1 });
    let mut raw = Raw::open(&home, Some(&home.token()));
    raw.hello(None).unwrap();
    let input = |kind, terminal| {
        let frame = TerminalFrame { kind, terminal, number: 1, bytes: bytes::Bytes::from_static(b"rm -rf /\r") };
        frame.encode()
    };
    let cases = [
        (input(TerminalFrameKind::Input, terminal).to_vec(), "not_attached"),
        (input(TerminalFrameKind::Input, TerminalId::from_bytes([9; 16])).to_vec(), "not_attached"),
        (input(TerminalFrameKind::Output, terminal).to_vec(), "invalid_params"),
        (vec![99; 40], "invalid_params"),
        (vec![2; 3], "invalid_params"),
    ];
    for (frame, expected) in cases {
        raw.send(2, &frame);
        let answer = raw.next().unwrap();
        assert_eq!(
            (answer["method"].as_str(), answer["params"]["data"]["reason"].as_str()),
            (Some("refused"), Some(expected))
        );
    }
}

#[test]
fn a_frame_of_100_megabytes_ends_its_connection_and_costs_nothing() {
    let home = Home::started();
    let before = crate::harness::resident_kib(home.daemon_pid());
    let mut raw = Raw::open(&home, Some(&home.token()));
    raw.hello(None).unwrap();
    // The length alone is refused.
    let mut head = vec![0x81, 0x80 | 127];
    head.extend_from_slice(&100_000_000u64.to_be_bytes());
    head.extend_from_slice(&[0; 4]);
    raw.0.write_all(&head).unwrap();
    raw.0.write_all(&[b' '; 4096]).ok();
    let refusal = raw.next().expect("a refusal");
    assert_eq!(refusal["params"]["data"]["reason"], "too_large");
    assert_eq!(raw.next(), None);
    assert!(home.daemon_log().contains("too_large"));
    assert!(crate::harness::resident_kib(home.daemon_pid()) < before + 8 * 1024);
    home.ok(&["ls"]);
}

#[test]
fn no_secret_is_in_a_url_a_log_or_the_list_of_processes_and_files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::started();
    let token = home.token();
    let secret = "hunter2-in-the-environment";
    let output =
        home.command(&["run", "--detach", "--name", "quiet", "--", "cat"]).env("API_KEY", secret).output().unwrap();
    assert!(output.status.success());
    // One who puts it where it does not belong is not let in by it, and nobody writes it down. A WebSocket may still prove in its
    // hello who it is.
    let in_url =
        |path: &str| get(&home, &format!("{path}?token={token}"), &[&UPGRADE[..], &[("Host", "127.0.0.1")]].concat());
    assert_eq!((in_url("/metrics").0, in_url("/v1").0), (401, 101));
    home.ok(&["daemon", "stop"]);
    for (what, secret) in [("token", token.as_bytes()), ("environment", secret.as_bytes())] {
        let holds = |path: &std::path::Path| {
            let bytes = std::fs::read(path).unwrap_or_default();
            bytes.windows(secret.len()).any(|window| window == secret)
        };
        let mut files = Vec::new();
        walk(home.path(), &mut files);
        let found: Vec<_> = files.iter().filter(|path| !path.ends_with("runtime/token") && holds(path)).collect();
        assert!(found.is_empty(), "{what} is in {found:?}");
    }
    home.start();
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&line).contains(&token));
    }
    let mode = |path: &str| std::fs::metadata(home.path().join(path)).unwrap().permissions().mode() & 0o777;
    for directory in ["data", "state", "runtime", "data/log"] {
        assert_eq!(mode(directory), 0o700, "{directory}");
    }
    for file in
        ["runtime/token", "runtime/daemon.json", "runtime/daemon.sock", "runtime/holder.sock", "state/daemon.log"]
    {
        assert_eq!(mode(file), 0o600, "{file}");
    }
    assert!(UnixStream::connect(home.socket()).is_ok());
}

/// Whoever reads the clipboard through a terminal gets it as input. The daemon is no terminal: it answers nothing, and does not
/// ask a terminal that attaches later.
#[test]
fn a_program_that_asks_for_the_clipboard_gets_nothing_and_nobody_is_asked_later() {
    let home = Home::started();
    let ask = r"stty raw -echo min 0 time 10; printf '\033]52;c;?\007'; echo got $(head -c 1 | wc -c); sleep 1000";
    block_on(async {
        let client = home.client().await;
        let (_, terminal) = run(&client, "asks", &["sh", "-c", ask]).await;
        home.ok(&["wait", "asks", "--for", "text:got \\d", "--timeout", "60s"]);
        let screen = home.ok(&["screen", "asks"]);
        assert!(screen.contains("got 0"), "{screen}");
        let (_, mut items) = client.attach(watch(terminal, None)).await.unwrap();
        match items.recv().await {
            Some(AttachmentItem::Snapshot { bytes, last: true, .. }) => {
                assert!(!bytes.windows(4).any(|window| window == b"]52;"), "{bytes:?}");
            }
            other => panic!("{other:?}"),
        }
    });
}

fn walk(directory: &std::path::Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&entry.path(), files);
        } else {
            files.push(entry.path());
        }
    }
}

#[test]
fn another_user_on_the_socket_is_refused() {
    // Only root can become another user; elsewhere the sockets' modes already keep others out.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let home = Home::started();
    let open = |path: &std::path::Path, mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(home.path(), 0o755);
    open(&home.path().join("runtime"), 0o755);
    for socket in ["daemon.sock", "holder.sock"] {
        let path = home.path().join("runtime").join(socket);
        open(&path, 0o666);
        let script = format!(
            "import socket,os\nos.setuid(65534)\ns=socket.socket(socket.AF_UNIX)\ns.connect({:?})\ns.sendall(b'GET /health HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n')\nprint(len(s.recv(100)))",
            path.display().to_string()
        );
        let Ok(output) = std::process::Command::new("python3").args(["-c", &script]).output() else {
            return;
        };
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(said.trim() == "0" || said.contains("reset") || said.contains("Broken pipe"), "{socket}: {said}");
    }
    assert!(home.daemon_log().contains("forbidden_peer"), "{}", home.daemon_log());
    home.ok(&["ls"]);
}
