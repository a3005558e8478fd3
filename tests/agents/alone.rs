//! The programs alone, each in its simplest way: whoever sees one of these fail need not look for it in ropewalk.

use std::process::Stdio;
use std::time::Duration;

use super::Agent;
use crate::harness::block_on;
use crate::model::{AFTER_TOOL, Model, Outcome};

const PROMPT: &str = "[[bash echo made > made.txt; echo it is made]]";

/// Runs the program with the prompt last, and finds that the tool has run and what the model said to that.
fn answers(model: &Model, agent: &Agent, args: &[&str]) {
    let output = block_on(async {
        let mut command = tokio::process::Command::new(&agent.program);
        command.args(args).arg(PROMPT).env_clear().envs(&agent.environment).current_dir(&agent.directory);
        command.stdin(Stdio::null()).kill_on_drop(true);
        tokio::time::timeout(Duration::from_secs(60), command.output()).await.expect("it does not end").unwrap()
    });
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    block_on(model.wait_for(|requests| requests.iter().all(|request| request.outcome != Outcome::Open)));
    let requests = model.requests();
    let asked: Vec<_> = requests.iter().map(|request| (&request.path, &request.prompt, request.outcome)).collect();
    assert!(output.status.success(), "{}: {out}{err}{asked:?}", output.status);
    assert!(out.contains(AFTER_TOOL), "{out}{err}{asked:?}");
    assert_eq!(std::fs::read_to_string(agent.directory.join("made.txt")).unwrap(), "made\n");
    assert_eq!(model.turns(PROMPT).len(), 2, "one for the call, one for its result: {asked:?}");
    assert!(requests.iter().all(|request| request.outcome == Outcome::Answered), "{asked:?}");
}

#[test]
fn claude() {
    let model = Model::start();
    let Some(agent) = Agent::claude(&model) else { return };
    answers(&model, &agent, &["--model", agent.model, "--output-format", "json", "--allowedTools=Bash", "-p"]);
}

#[test]
fn codex() {
    let model = Model::start();
    let Some(agent) = Agent::codex(&model) else { return };
    let bypass = "--dangerously-bypass-approvals-and-sandbox";
    answers(&model, &agent, &["exec", "--json", "--skip-git-repo-check", bypass]);
}

#[test]
fn opencode() {
    let model = Model::start();
    let Some(agent) = Agent::opencode(&model) else { return };
    answers(&model, &agent, &["run", "--format", "json", "--auto"]);
}

#[test]
fn gemini() {
    let model = Model::start();
    let Some(agent) = Agent::gemini(&model) else { return };
    answers(&model, &agent, &["-m", agent.model, "-o", "json", "--approval-mode", "yolo", "-p"]);
}
