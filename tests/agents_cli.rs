//! Structured agents from the command line, with the scripted agent: what is printed, how it ends, who is asked.

mod doctor;
mod ends;
mod limits;
mod real;
mod steering;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{Home, ROPEWALK, eventually};

/// A home with a script, and commands that use it.
struct Agents {
    home: Home,
    command: String,
}

impl Agents {
    fn new(script: &str) -> Self {
        let home = Home::new();
        let file = home.path().join("script");
        std::fs::write(&file, script).unwrap();
        let command = format!("{ROPEWALK} scripted-agent {}", file.display());
        Self { home, command }
    }

    /// `ropewalk run --provider scripted` with these arguments.
    fn run(&self, args: &[&str]) -> Command {
        let mut all = vec!["run", "--provider", "scripted", "--command", &self.command];
        all.extend(args);
        let mut command = self.home.command(&all);
        command.env("SCRIPTED_LOG", self.home.path().join("taken"));
        command
    }

    fn detached(&self, args: &[&str]) {
        let output = self.run(&[&["--detach"], args].concat()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Runs it with `--json`: the exit code, the events and the last line.
    fn json(&self, args: &[&str]) -> (i32, Vec<Value>, Value) {
        lines(&mut self.run(&[&["--json"], args].concat()))
    }

    /// The prompts that the agent took.
    fn taken(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.home.path().join("taken")).unwrap_or_default();
        let text = |line: &str| serde_json::from_str::<Value>(line).unwrap()["text"].as_str().unwrap().to_owned();
        log.lines().map(text).collect()
    }

    /// The questions that are open.
    fn asks(&self) -> Vec<Value> {
        let listed = self.home.ok(&["asks", "--json"]);
        listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn ask(&self) -> String {
        eventually("a question", || !self.asks().is_empty());
        self.asks()[0]["interaction"].as_str().unwrap().to_owned()
    }

    fn agent(&self, reference: &str) -> Value {
        serde_json::from_str(self.home.ok(&["agents", reference, "--json"]).lines().next().unwrap()).unwrap()
    }

    fn state(&self, reference: &str) -> String {
        self.agent(reference)["structured"]["status"]["state"].as_str().unwrap().to_owned()
    }

    fn until(&self, reference: &str, state: &str) {
        eventually(state, || self.state(reference) == state);
    }
}

/// Runs a command with `--json` to its end: the exit code, the events, and the last line, which says the same code.
fn lines(command: &mut Command) -> (i32, Vec<Value>, Value) {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.pop().unwrap_or_else(|| panic!("no last line: {}", String::from_utf8_lossy(&output.stderr)));
    let code = output.status.code().unwrap();
    assert_eq!((last["type"].as_str(), last["exit"].as_i64()), (Some("result"), Some(i64::from(code))), "{last}");
    (code, lines, last)
}

const TALKS: &str = r#"
on prompt /work/
  confirm
  think hm
  delta "let me "
  delta look
  say let me look
  tool Bash {"command": "ls -l"} "a\nb"
  delta "it is "
  sleep 300
  delta done
  say it is done
  usage input=10 output=5 cost=1200
on prompt
  say you said {prompt}
"#;

#[test]
fn a_turn_is_printed_once_with_what_is_said_on_stdout_and_what_is_done_on_stderr() {
    let agents = Agents::new(TALKS);
    let output = agents.run(&["please", "work"]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "let me look\nit is done\n", "{error}");
    assert_eq!(output.status.code(), Some(0));
    assert!(error.contains("* Bash: ls -l") && !error.contains("hm"), "{error}");
    assert_eq!(agents.taken(), ["please work"]);
    let (code, events, last) = agents.json(&["work"]);
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(code, 0);
    assert_eq!(kinds[..2], ["session.created", "session.agent_joined"]);
    assert_eq!(kinds.last(), Some(&"agent.turn_ended"));
    assert_eq!((last["outcome"].as_str(), last["text"].as_str()), (Some("completed"), Some("it is done")));
    let (usage, prompt) = (&last["usage"], &events[1]["data"]["prompt"]["prompt"]);
    assert_eq!((usage["input_tokens"].as_u64(), usage["cost_micro_usd"].as_u64()), (Some(10), Some(1200)));
    assert_eq!(&last["turn"], prompt, "a turn has its prompt's id");
}

#[test]
fn a_prompt_may_come_on_stdin_and_be_followed_in_a_session_that_is_there() {
    let agents = Agents::new(TALKS);
    let mut run = agents.run(&["--name", "s", "-"]);
    let mut child = run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"two\nlines\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "you said two\nlines\n");
    assert_eq!(agents.home.ok(&["prompt", "s", "--follow", "three"]), "you said three\n");
    let (code, _, last) = lines(&mut agents.home.command(&["prompt", "s/scripted", "--follow", "--json", "work"]));
    assert_eq!((code, last["text"].as_str()), (0, Some("it is done")));
    assert_eq!(last["usage"]["cost_micro_usd"], 1200);
    assert_eq!(agents.home.fails(&["prompt", "s/nobody", "x"]).0, 1);
    assert_eq!(agents.home.fails(&["prompt", "nowhere", "x"]).0, 1);
    assert_eq!(agents.taken(), ["two\nlines", "three", "work"]);
}

#[test]
fn a_queue_is_listed_edited_reordered_and_taken_back() {
    let agents = Agents::new("on prompt /wait/\n confirm\n sleep 60000\non prompt\n say {prompt}\n");
    let home = &agents.home;
    agents.detached(&["--name", "q", "wait"]);
    agents.until("q", "working");
    for prompt in ["one", "two", "three", "four"] {
        home.ok(&["prompt", "q", prompt]);
    }
    home.ok(&["queue", "q", "edit", "1", "uno"]);
    home.ok(&["queue", "q", "move", "4", "before", "1"]);
    home.ok(&["queue", "q", "move", "2", "last"]);
    home.ok(&["queue", "q", "withdraw", "2"]);
    let listed = home.ok(&["queue", "q"]);
    let prompts: Vec<&str> = listed.lines().skip(1).map(|line| line.split_whitespace().last().unwrap()).collect();
    assert_eq!(prompts, ["four", "three", "uno"], "{listed}");
    assert_eq!(home.fails(&["queue", "q", "withdraw", "9"]).0, 1);
    assert_eq!(home.fails(&["queue", "q", "move", "1", "first"]).0, 2);
    home.ok(&["cancel", "q"]);
    agents.until("q", "idle");
    assert_eq!(agents.taken(), ["wait", "four", "three", "uno"]);
    assert_eq!(home.fails(&["cancel", "q"]).0, 1, "nothing to cancel");
}

const ASKS: &str = r#"
on prompt /twice/
  confirm
  ask First? | {"command": "touch one"}
  ask Second? | {"command": "touch two"}
  say {answer}
on prompt /choose/
  confirm
  choose Which? | apples | pears
  question Why?
  say because {answer}
on prompt
  confirm
  ask Run it? | {"command": "touch x", "cwd": "/tmp"}
  allowed
    say allowed
  denied
    say {answer}
  done
"#;

#[test]
fn a_question_is_listed_in_full_and_answered_once() {
    let agents = Agents::new(ASKS);
    let home = &agents.home;
    agents.detached(&["--name", "a", "--on-ask", "wait", "go"]);
    let id = agents.ask();
    assert_eq!(agents.state("a"), "waiting");
    let listed = home.ok(&["asks", "a"]);
    for part in ["Run it?", "command: touch x", "cwd: /tmp", "Allow once", &id[..8]] {
        assert!(listed.contains(part), "{part}: {listed}");
    }
    assert_eq!(home.fails(&["answer", &id, "maybe"]).0, 2, "nothing unclear may allow");
    home.ok(&["answer", &id[..13], "deny", "not", "-", "today"]);
    let late = |id: &str| {
        let (code, error) = home.fails(&["answer", id, "allow"]);
        assert_eq!(code, 1, "{error}");
        assert!(error.contains("already_answered") && error.contains("ropewalk-cli answered it at"), "{error}");
        assert!(error.contains(": denied: not - today"), "{error}");
    };
    late(&id);
    late(&id[..13]);
    home.kill_daemon();
    late(&id);
    agents.until("a", "idle");
    assert!(home.ok(&["transcript", "a"]).contains("deny not - today"));
    home.ok(&["prompt", "a", "choose"]);
    home.ok(&["answer", &agents.ask(), "pears"]);
    eventually("the next question", || agents.asks().iter().any(|ask| ask["title"] == "Why?"));
    home.ok(&["answer", &agents.ask(), "allow", "me"]);
    agents.until("a", "idle");
    assert!(home.ok(&["transcript", "a", "--json"]).contains("because allow me"));
}

#[test]
fn who_sits_at_a_terminal_is_asked_there() {
    let agents = Agents::new(ASKS);
    let home = &agents.home;
    // The terminal is one of ropewalk's own.
    let line = ["run", "--detach", "--name", "t", "--", ROPEWALK, "run", "--provider", "scripted", "--command"];
    home.ok(&[&line[..], &[&agents.command, "twice"]].concat());
    let wait = |pattern: &str| home.ok(&["wait", "t", "--for", &format!("text:{pattern}"), "--timeout", "60"]);
    wait("touch one");
    // A line that comes at once was typed before the question could be read.
    std::thread::sleep(std::time::Duration::from_millis(700));
    home.ok(&["send", "t", "perhaps"]);
    wait("n .REASON.: deny$");
    home.ok(&["send", "t", "y"]);
    wait("touch two");
    std::thread::sleep(std::time::Duration::from_millis(700));
    home.ok(&["send", "t", "n too much"]);
    wait("^deny too much$");
    home.ok(&["wait", "t", "--for", "ended", "--timeout", "60"]);
    let shown: Value = serde_json::from_str(home.ok(&["ls", "--json"]).lines().next().unwrap()).unwrap();
    assert_eq!(shown["agents"][0]["outcome"]["exited"]["code"], 0);
}

#[test]
fn a_prompt_steers_the_turn_or_takes_its_place() {
    let script = "on prompt /long/\n confirm\n delta begun\n sleep 60000\non steer\n say steered {steer}\n end completed\n\
                  on prompt\n confirm\n say after\n";
    let agents = Agents::new(script);
    let home = &agents.home;
    agents.detached(&["--name", "s", "long"]);
    eventually("the turn is confirmed", || home.ok(&["events", "s"]).contains("agent.turn_confirmed"));
    let (code, _, last) = lines(&mut home.command(&["prompt", "s", "--steer", "--follow", "--json", "left"]));
    assert_eq!((code, last["text"].as_str()), (0, Some("steered left")), "{last}");
    home.ok(&["prompt", "s", "long"]);
    agents.until("s", "working");
    assert_eq!(home.ok(&["prompt", "s", "--interrupt", "--follow", "now"]), "after\n");
    assert_eq!(agents.taken(), ["long", "left", "long", "now"]);
}

#[test]
fn several_agents_live_in_a_session_and_each_may_be_named() {
    let agents = Agents::new(TALKS);
    let home = &agents.home;
    agents.detached(&["--name", "team", "--agent-name", "one", "--model", "m1", "work"]);
    let spawn =
        ["spawn", "team", "--provider", "scripted", "--agent-name", "two", "--command", &agents.command, "hello"];
    home.ok(&spawn);
    eventually("both are idle", || {
        let listed = home.ok(&["agents", "team", "--json"]);
        listed.lines().count() == 2 && listed.matches(r#""state":"idle""#).count() == 2
    });
    let table = home.ok(&["agents", "team"]);
    assert!(table.contains("m1") && table.contains("$0.0012") && table.contains("two"), "{table}");
    let (code, error) = home.fails(&["prompt", "team", "x"]);
    assert!(code == 2 && error.contains("one") && error.contains("two"), "{error}");
    home.ok(&["set", "team/two", "--model", "m2", "--mode", "fast"]);
    eventually("the model is set", || home.ok(&["agents", "team"]).contains("m2"));
    assert_eq!(home.ok(&["prompt", "team/two", "--follow", "again"]), "you said again\n");
    let usage = home.ok(&["usage", "team"]);
    assert!(usage.lines().last().unwrap().starts_with("total") && usage.contains("$0.0012"), "{usage}");
    let transcript = home.ok(&["transcript", "team/two"]);
    assert!(transcript.contains("> hello\nyou said hello") && !transcript.contains("let me look"), "{transcript}");
    let page = home.ok(&["transcript", "team", "--markdown"]);
    assert!(page.contains("# one") && page.contains("# two") && page.contains("a\nb"), "{page}");
    home.ok(&["end", "team/one"]);
    let (code, error) = home.fails(&["prompt", "team/one", "x"]);
    assert!(code == 1 && error.contains("already_ended"), "{error}");
    assert_eq!(home.ok(&["prompt", "team", "--follow", "alone"]), "you said alone\n", "one is left");
    home.ok(&["end", "team"]);
}

#[test]
fn a_cancel_reaches_all_who_work_for_an_agent_and_nobody_else() {
    let agents = Agents::new("on prompt\n confirm\n delta \"begun\\n\"\n sleep 600000\n");
    let home = &agents.home;
    agents.detached(&["--name", "tree", "--agent-name", "root", "work"]);
    let spawn = |name: &str, parent: &[&str]| {
        let spawn = ["spawn", "tree", "--provider", "scripted", "--agent-name", name, "--command", &agents.command];
        home.ok(&[&spawn[..], parent, &["work"]].concat());
    };
    spawn("child", &["--parent", "root"]);
    spawn("grandchild", &["--parent", "child"]);
    spawn("stranger", &[]);
    let states = |state: &str| home.ok(&["agents", "tree", "--json"]).matches(&format!(r#""state":"{state}""#)).count();
    eventually("all work", || states("working") == 4);
    home.ok(&["cancel", "tree/root", "--tree"]);
    eventually("three have ended their turns", || states("idle") == 3);
    assert_eq!(states("working"), 1, "the stranger goes on");
    let (code, error) = home.fails(&["cancel", "tree/root", "--tree"]);
    assert!(code == 1 && error.contains("input_refused"), "{code} {error}");
    home.ok(&["end", "tree"]);
}

#[test]
fn what_cannot_be_started_is_one_clear_error_and_nothing_is_made() {
    let home = Home::new();
    let run = |args: &[&str]| home.fails(&[&["run", "--provider"], args].concat());
    let (code, error) = run(&["scripted", "--command", "no-such-program-at-all", "x"]);
    assert!(code == 1 && error.contains("agent_missing") && error.contains("doctor"), "{error}");
    let (code, error) = run(&["nobody", "x"]);
    assert!(code == 1 && error.contains("unknown_provider"), "{error}");
    assert!(run(&["scripted", "x"]).1.contains("--command"), "scripted has no program of its own");
    let (_, events, last) = lines(&mut home.command(&["run", "--provider", "nobody", "--json", "x"]));
    assert!(events.is_empty() && last["outcome"] == "failed" && last["session"].is_null());
    assert_eq!(home.ok(&["ls"]), "");
}

/// Reads a child's lines until one contains this.
fn read_until(from: impl std::io::Read, text: &str) -> String {
    let mut seen = String::new();
    for line in BufReader::new(from).lines() {
        let line = line.unwrap();
        seen.push_str(&line);
        seen.push('\n');
        if line.contains(text) {
            return seen;
        }
    }
    panic!("{text:?} never came: {seen}");
}
