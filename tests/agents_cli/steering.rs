//! Prompts into a running turn that come just as it ends: each is delivered once, and whoever follows it is told what came of it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{Agents, lines};
use crate::harness::{ROPEWALK, eventually};

/// Regression: the scripted agent read a prompt that came after its turn, and did nothing.
#[test]
fn regression_the_scripted_agent_says_that_a_prompt_came_too_late_for_its_turn() {
    let agents = Agents::new("on prompt\n say one\non steer\n say heard\n");
    let script = agents.home.path().join("script");
    let mut agent = Command::new(ROPEWALK);
    agent.arg("scripted-agent").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut agent = agent.spawn().unwrap();
    let mut stdin = agent.stdin.take().unwrap();
    let mut told = BufReader::new(agent.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut until = |kind: &str| -> Value {
        let values = told.by_ref().map(|line| serde_json::from_str::<Value>(&line).unwrap());
        values.into_iter().find(|value| value["type"] == kind).unwrap_or_else(|| panic!("no {kind}"))
    };
    writeln!(stdin, "{}", json!({"prompt": {"turn": "t", "text": "go"}})).unwrap();
    until("turn_ended");
    writeln!(stdin, "{}", json!({"steer": {"prompt": "p", "text": "left"}})).unwrap();
    // Were it silent, this would be the next that it says.
    writeln!(stdin, "{}", json!({"settings": {"mode": "plan"}})).unwrap();
    drop(stdin);
    assert_eq!(until("steer_refused")["prompt"], "p");
    agent.wait().unwrap();
}

/// An agent whose first turn ends when a prompt into it comes, before it takes the prompt.
const LATE: &str = r#"
mkfifo "$1"
read greet
echo '{"type":"ready","conversation":"c","version":"1","model":"m","mode":"d"}'
read prompt
echo '{"type":"confirmed","name":null}'
echo '{"type":"item_started","key":"a","kind":"text"}'
echo '{"type":"text","key":"a","first":true,"text":"the first turn"}'
echo '{"type":"item_ended","key":"a","status":"completed"}'
read steer
echo '{"type":"turn_ended","outcome":"completed"}'
# Whoever follows learns of the end by itself, and of the prompt later.
read nothing < "$1"
id=$(echo "$steer" | sed 's/.*"prompt":"\([^"]*\)".*/\1/')
echo '{"type":"steer_refused","prompt":"'"$id"'"}'
read again
echo '{"type":"item_started","key":"b","kind":"text"}'
echo '{"type":"text","key":"b","first":true,"text":"a turn of its own"}'
echo '{"type":"item_ended","key":"b","status":"completed"}'
echo '{"type":"turn_ended","outcome":"completed"}'
read nothing
"#;

/// Regression: who followed a prompt that came too late for its turn was told the end of that turn, as if it were the prompt's.
#[test]
fn regression_a_prompt_that_comes_too_late_for_its_turn_is_followed_to_its_own() {
    let mut agents = Agents::new("");
    let (program, go_on) = (agents.home.path().join("late.sh"), agents.home.path().join("go-on"));
    std::fs::write(&program, LATE).unwrap();
    agents.command = format!("bash {} {}", program.display(), go_on.display());
    agents.detached(&["--name", "s", "long"]);
    let home = &agents.home;
    let events = || home.ok(&["events", "s"]);
    eventually("the turn is confirmed", || events().contains("agent.turn_confirmed"));
    let followed = std::thread::scope(|scope| {
        let followed =
            scope.spawn(|| lines(&mut home.command(&["prompt", "s", "--steer", "--follow", "--json", "left"])));
        eventually("the turn has ended", || events().contains("agent.turn_ended"));
        std::fs::write(&go_on, "\n").unwrap();
        followed.join().unwrap()
    });
    let (code, _, last) = followed;
    assert_eq!((code, last["text"].as_str()), (0, Some("a turn of its own")), "{last}");
    assert_eq!(events().matches("agent.turn_started").count(), 2);
}
