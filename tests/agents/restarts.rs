//! The daemon is killed at each point of a turn of the agents' own programs: no prompt is lost, none runs twice, every turn
//! settles, and what the daemon tells of the agent is true again within a second.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use ropewalk_protocol::{AgentState, EventBody, TurnOutcome};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process_group};

use super::Agent;
use super::driven::Driven;
use super::drivers::{CLAUDE, CODEX, Driver, GEMINI, OPENCODE, allow};
use crate::harness::{Home, block_on};
use crate::model::{Model, Outcome, Request};

/// What holds an answer for ever.
const HELD: &str = "[[plain It begins.]] [[gate never]] [[plain It ends.]]";

/// The daemon is killed, and another one started.
async fn restarted(home: &Home, driven: Driven) -> Driven {
    home.kill_daemon();
    home.start();
    driven.again(home).await
}

fn goes_on(driver: &Driver) {
    let model = Model::start();
    let Some(agent) = driver.home(&model) else { return };
    let home = Home::started();
    block_on(async {
        let driven = starts(driver, &home, &agent, &model).await;
        let driven = runs_a_tool(driver, &home, &agent, &model, driven).await;
        let driven = asks_again(&home, &model, driven).await;
        let driven = is_cancelled(&home, &model, driven).await;
        let mut driven = dies(driver, &home, &agent, &model, driven).await;
        driven.is_settled();
        driven.end().await;
        driven.event("session.ended", 0).await;
    });
}

/// The agent starts, and its first prompt waits.
async fn starts(driver: &Driver, home: &Home, agent: &Agent, model: &Model) -> Driven {
    let mut spec = driver.spec(agent);
    spec.prompt = Some("[[plain It is there.]] the first".to_owned());
    let driven = Driven::start(home, spec).await;
    let mut driven = restarted(home, driven).await;
    let EventBody::TurnStarted(started) = driven.event("agent.turn_started", 0).await.body else { panic!("a turn") };
    let first = started.prompt.expect("it has the first prompt");
    assert_eq!(driven.outcome(first).await, TurnOutcome::Completed, "{}", driven.story());
    assert_eq!(driven.said(first), "It is there.");
    assert_eq!(model.turns("the first").len(), 1, "it ran once");
    driven
}

/// A tool that was allowed runs, and another prompt waits behind the turn.
async fn runs_a_tool(driver: &Driver, home: &Home, agent: &Agent, model: &Model, mut driven: Driven) -> Driven {
    let fifo = agent.directory.join("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let runs = driven.prompt(&format!("{} have it run", driver.bash("cat fifo >> told.txt"))).await;
    let question = driven.question(0).await;
    driven.answer(&question, allow()).await.unwrap();
    let mut fifo = opened(fifo).await;
    let waits = driven.prompt("[[plain It waited.]] the one behind").await;
    let mut driven = restarted(home, driven).await;
    driven.is(AgentState::Working).await;
    fifo.write_all(b"released\n").unwrap();
    drop(fifo);
    assert_eq!(driven.outcome(runs).await, TurnOutcome::Completed, "{}", driven.story());
    assert_eq!(driven.outcome(waits).await, TurnOutcome::Completed, "{}", driven.story());
    assert_eq!(driven.said(waits), "It waited.");
    assert_eq!(std::fs::read_to_string(agent.directory.join("told.txt")).unwrap(), "released\n", "it ran once");
    assert_eq!(model.turns("have it run").len(), 2, "one for the call, one for its result");
    assert_eq!(model.turns("the one behind").len(), 1, "it ran once");
    driven
}

/// Whoever opens a pipe waits for the other side: the tool runs when this returns.
async fn opened(fifo: PathBuf) -> File {
    tokio::task::spawn_blocking(move || OpenOptions::new().write(true).open(fifo).unwrap()).await.unwrap()
}

/// The model failed, and the agent is about to ask it again.
async fn asks_again(home: &Home, model: &Model, driven: Driven) -> Driven {
    model.fail_next(500, &[]);
    let retried = driven.prompt("[[plain It goes well.]] in the end").await;
    let is_refused = |request: &Request| request.outcome == Outcome::Refused(500);
    model.wait_for(|requests| requests.iter().any(is_refused)).await;
    let mut driven = restarted(home, driven).await;
    assert_eq!(driven.outcome(retried).await, TurnOutcome::Completed, "{}", driven.story());
    assert_eq!(driven.said(retried), "It goes well.");
    assert_eq!(model.turns("in the end").len(), 2, "one was refused");
    driven.is(AgentState::Idle).await;
    driven
}

/// A cancel is asked for, and the agent, which stands still, has not heard of it.
async fn is_cancelled(home: &Home, model: &Model, mut driven: Driven) -> Driven {
    let deltas = driven.count("agent.item_delta");
    let cancelled = driven.prompt(&format!("{HELD} until it is cancelled")).await;
    driven.event("agent.item_delta", deltas).await;
    let group = group(&driven);
    kill_process_group(group, Signal::STOP).unwrap();
    driven.cancel().await;
    let mut driven = restarted(home, driven).await;
    driven.is(AgentState::Working).await;
    kill_process_group(group, Signal::CONT).unwrap();
    assert_eq!(driven.outcome(cancelled).await, TurnOutcome::Cancelled, "{}", driven.story());
    model.wait_for(|requests| requests.iter().any(|request| request.outcome == Outcome::Disconnected)).await;
    assert_eq!(model.turns("until it is cancelled").len(), 1, "it ran once");
    driven.is(AgentState::Idle).await;
    driven
}

/// The agent with all of its processes: some programs only start another.
fn group(driven: &Driven) -> Pid {
    Pid::from_raw(i32::try_from(driven.pid()).unwrap()).expect("a process id")
}

/// The agent dies in a turn while no daemon runs; one more daemon dies before the next prompt starts the agent again.
async fn dies(driver: &Driver, home: &Home, agent: &Agent, model: &Model, mut driven: Driven) -> Driven {
    let deltas = driven.count("agent.item_delta");
    let cut = driven.prompt(&format!("{HELD} until it dies")).await;
    driven.event("agent.item_delta", deltas).await;
    home.kill_daemon();
    kill_process_group(group(&driven), Signal::KILL).unwrap();
    home.start();
    let mut driven = driven.again(home).await;
    driven.is(AgentState::Stopped).await;
    let outcome = driven.outcome(cut).await;
    assert!(matches!(outcome, TurnOutcome::Interrupted { .. }), "{outcome:?}\n{}", driven.story());

    let mut driven = restarted(home, driven).await;
    driven.is(AgentState::Stopped).await;
    let counted = driven.prompt_with("[[count]] and on", Default::default(), Some(agent)).await;
    match driven.outcome(counted).await {
        TurnOutcome::Completed => {
            let said = driven.said(counted);
            assert!(["5", "6", "7"].iter().any(|count| said.contains(count)), "{said:?}: nothing is forgotten");
            assert_eq!(model.turns("and on").len(), 1, "it ran once");
        }
        TurnOutcome::Failed { reason } if !driver.resumes => assert!(reason.contains("did not load"), "{reason}"),
        other => panic!("{other:?}\n{}", driven.story()),
    }
    assert_eq!(model.turns("until it dies").len(), 1, "it was not sent again");
    driven
}

#[test]
fn claude_goes_on_after_each_restart() {
    goes_on(&CLAUDE);
}

#[test]
fn codex_goes_on_after_each_restart() {
    goes_on(&CODEX);
}

#[test]
fn opencode_goes_on_after_each_restart() {
    goes_on(&OPENCODE);
}

#[test]
fn gemini_goes_on_after_each_restart() {
    goes_on(&GEMINI);
}
