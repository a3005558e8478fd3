//! The agents' own programs from the command line, against the stand-in for the model.

use std::process::Command;

use super::lines;
use crate::agents::Agent;
use crate::harness::Home;
use crate::model::{AFTER_TOOL, Model, PLAIN};

/// Says something, has a command denied since nobody is there, has one allowed in another session, and meets a model that fails.
fn follows(agent: Option<Agent>, args: &[&str]) {
    let Some(agent) = agent else { return };
    let home = Home::new();
    let directory = agent.directory.to_str().unwrap();
    let with = |mut command: Command| {
        command.env_clear().envs(&agent.environment).env("ROPEWALK_HOME", home.path());
        command
    };
    let run = |more: &[&str]| {
        let all = [&["run", "--model", agent.model, "--workspace", directory], args, more].concat();
        with(home.command(&all))
    };

    let output = run(&["--name", "s", "[[plain]] say something"]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{PLAIN}\n"), "{error}");
    assert_eq!(output.status.code(), Some(0), "{error}");

    // Without a terminal, what would need a person is denied. Some agents end the turn then.
    let mut prompt = with(home.command(&["prompt", "s", "--follow", "--json", "[[bash touch denied.txt]] make it"]));
    let (code, events, last) = lines(&mut prompt);
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    assert!(kinds.contains(&"agent.asked") && kinds.contains(&"agent.answered"), "{kinds:?}");
    assert!(matches!(code, 0 | 3), "{last}");
    assert!(!agent.directory.join("denied.txt").exists());

    let allow = ["--on-ask", "wait", "--name", "a", "--detach", "[[bash touch allowed.txt]] make it"];
    let output = run(&allow).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut asked = None;
    crate::harness::eventually("a question", || {
        asked = home.ok(&["asks", "a", "--json"]).lines().next().map(str::to_owned);
        asked.is_some()
    });
    let asked: serde_json::Value = serde_json::from_str(&asked.unwrap()).unwrap();
    assert!(home.ok(&["asks", "a"]).contains("touch allowed.txt"), "{asked}");
    home.ok(&["answer", asked["interaction"].as_str().unwrap(), "allow"]);
    crate::harness::eventually("the end of the turn", || home.ok(&["agents", "a"]).contains("idle"));
    assert!(agent.directory.join("allowed.txt").exists());
    let told = home.ok(&["transcript", "a"]);
    assert!(told.contains(AFTER_TOOL.trim_end()) && told.contains("allowed (by ropewalk-cli)"), "{told}");

    let (code, _, last) = lines(&mut run(&["--json", "[[err 400]] fail"]));
    assert_eq!((code, last["outcome"].as_str()), (1, Some("failed")), "{last}");
}

#[test]
fn claude_is_followed() {
    let model = Model::start();
    follows(Agent::claude(&model), &["--provider", "claude"]);
}

#[test]
fn codex_is_followed() {
    let model = Model::start();
    follows(Agent::codex(&model), &["--provider", "codex", "--mode", "ask"]);
}

#[test]
fn opencode_is_followed() {
    let model = Model::start();
    follows(Agent::opencode(&model), &["--provider", "opencode"]);
}

#[test]
fn gemini_is_followed() {
    let model = Model::start();
    follows(Agent::gemini(&model), &["--provider", "acp", "--command", "gemini"]);
}
