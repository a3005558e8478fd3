//! Each of the agents' own programs through ropewalk: answers, tools allowed and denied, cancels, failures of the model,
//! deaths of the agent and of the daemon.

use ropewalk_protocol::{AgentState, Answer, ItemKind, ItemStatus, TurnOutcome};
use rustix::process::Signal;

use super::driven::Driven;
use super::drivers::{CLAUDE, CLAUDE_ACP, CODEX, CODEX_ACP, Driver, GEMINI, OPENCODE, OPENCODE_ACP, allow};
use crate::harness::{Home, block_on, kill_and_wait};
use crate::model::{AFTER_TOOL, Model, Outcome, PLAIN};

/// Answers with deltas, a tool allowed and one denied, a cancel in mid-stream, a model that fails: in one session.
fn works(driver: &Driver) {
    let model = Model::start();
    let Some(agent) = driver.home(&model) else { return };
    let home = Home::started();
    block_on(async {
        let mut spec = driver.spec(&agent);
        spec.prompt = Some("[[plain]] say something".to_owned());
        let mut driven = Driven::start(&home, spec).await;
        driven.event("agent.turn_ended", 0).await;
        let first = driven.event("agent.turn_started", 0).await;
        let ropewalk_protocol::EventBody::TurnStarted(first) = first.body else { panic!("a turn") };
        let first = first.prompt.expect("it has the first prompt");
        assert_eq!(driven.outcome(first).await, TurnOutcome::Completed, "{}", driven.story());
        assert_eq!(driven.said(first), PLAIN, "{}", driven.story());
        assert_eq!(model.turns("say something").len(), 1, "one prompt is one turn");

        let allowed = driven.prompt(&format!("{} make it", driver.bash("touch allowed.txt"))).await;
        let question = driven.question(0).await;
        driven.answer(&question, allow()).await.unwrap();
        assert_eq!(driven.outcome(allowed).await, TurnOutcome::Completed, "{}", driven.story());
        assert!(agent.directory.join("allowed.txt").exists(), "{}", driven.story());
        assert!(driven.said(allowed).contains(AFTER_TOOL), "{}", driven.story());
        let tools = driven.items_of(allowed, ItemKind::Tool);
        assert!(tools.iter().any(|(_, status)| *status == Some(ItemStatus::Completed)), "{}", driven.story());

        let denied = driven.prompt(&format!("{} make that", driver.bash("touch denied.txt"))).await;
        let question = driven.question(1).await;
        driven.answer(&question, Answer::Deny { reason: Some("not that".to_owned()) }).await.unwrap();
        driven.outcome(denied).await;
        assert!(!agent.directory.join("denied.txt").exists());
        let tools = driven.items_of(denied, ItemKind::Tool);
        assert!(tools.iter().all(|(_, status)| *status != Some(ItemStatus::Completed)), "{}", driven.story());

        let cancelled = driven.prompt("[[plain It begins.]] [[gate never]] [[plain It ends.]] be cancelled").await;
        let deltas = driven.count("agent.item_delta");
        driven.event("agent.item_delta", deltas).await;
        driven.cancel().await;
        assert_eq!(driven.outcome(cancelled).await, TurnOutcome::Cancelled, "{}", driven.story());
        model.wait_for(|requests| requests.iter().any(|request| request.outcome == Outcome::Disconnected)).await;

        let failed = driven.prompt("[[err 400]] fail").await;
        let outcome = driven.outcome(failed).await;
        assert!(matches!(outcome, TurnOutcome::Failed { .. }), "{outcome:?}\n{}", driven.story());

        let after = driven.prompt("[[plain It goes on.]] after that").await;
        assert_eq!(driven.outcome(after).await, TurnOutcome::Completed, "{}", driven.story());
        assert!(driven.said(after).contains("It goes on."), "{}", driven.story());
        driven.is_settled();
        driven.end().await;
        driven.event("session.ended", 0).await;
    });
}

/// The agent's process and the daemon die in turn, and no prompt is lost or runs twice.
fn survives(driver: &Driver) {
    let model = Model::start();
    let Some(agent) = driver.home(&model) else { return };
    let home = Home::started();
    block_on(async {
        let mut driven = Driven::start(&home, driver.spec(&agent)).await;

        // The daemon dies in the middle of an answer.
        let streamed = driven.prompt("[[plain It begins.]] [[gate middle]] [[plain It ends.]] stream").await;
        driven.event("agent.item_delta", 0).await;
        home.kill_daemon();
        model.open_gate("middle");
        home.start();
        let mut driven = driven.again(&home).await;
        assert_eq!(driven.outcome(streamed).await, TurnOutcome::Completed, "{}", driven.story());
        let said = driven.said(streamed);
        assert!(said.contains("It begins.") && said.contains("It ends."), "{said:?}\n{}", driven.story());
        assert_eq!(model.turns("stream").len(), 1, "it ran once");

        // The daemon dies while the agent asks.
        let asked = driven.prompt(&format!("{} ask", driver.bash("touch asked.txt"))).await;
        let question = driven.question(0).await;
        home.kill_daemon();
        home.start();
        let mut driven = driven.again(&home).await;
        driven.is(AgentState::Waiting).await;
        let open = driven.open_questions().await;
        assert_eq!(open.iter().map(|open| open.interaction).collect::<Vec<_>>(), [question.interaction]);
        driven.answer(&question, allow()).await.unwrap();
        assert_eq!(driven.outcome(asked).await, TurnOutcome::Completed, "{}", driven.story());
        assert!(agent.directory.join("asked.txt").exists());

        // The agent dies in the middle of an answer: what is known is said, and nothing is sent again.
        let deltas = driven.count("agent.item_delta");
        let cut = driven.prompt("[[plain It begins.]] [[gate never]] [[plain It ends.]] be cut").await;
        driven.event("agent.item_delta", deltas).await;
        kill_and_wait(driven.pid(), Signal::KILL);
        let outcome = driven.outcome(cut).await;
        assert!(matches!(outcome, TurnOutcome::Interrupted { .. }), "{outcome:?}");
        driven.event("agent.run_ended", 0).await;

        // The next prompt starts it again, with what was said before.
        let by = Some(&agent);
        let counted = driven.prompt_with("[[count]] go on", Default::default(), by).await;
        let outcome = driven.outcome(counted).await;
        let said = driven.said(counted);
        match outcome {
            TurnOutcome::Completed => {
                assert!(said.contains('3') || said.contains('4'), "{said:?}: the prompts before are not forgotten");
            }
            TurnOutcome::Failed { reason } if !driver.resumes => assert!(reason.contains("did not load"), "{reason}"),
            other => panic!("{other:?}\n{}", driven.story()),
        }
        assert_eq!(model.turns("be cut").len(), 1, "it was not sent again");
        driven.is_settled();
        driven.end().await;
        driven.event("session.ended", 0).await;
    });
}

#[test]
fn claude_works() {
    works(&CLAUDE);
}

#[test]
fn claude_survives() {
    survives(&CLAUDE);
}

#[test]
fn codex_works() {
    works(&CODEX);
}

#[test]
fn codex_survives() {
    survives(&CODEX);
}

#[test]
fn opencode_works() {
    works(&OPENCODE);
}

#[test]
fn opencode_survives() {
    survives(&OPENCODE);
}

#[test]
fn gemini_works() {
    works(&GEMINI);
}

#[test]
fn gemini_survives() {
    survives(&GEMINI);
}

#[test]
fn claude_over_acp_works() {
    works(&CLAUDE_ACP);
}

#[test]
fn claude_over_acp_survives() {
    survives(&CLAUDE_ACP);
}

#[test]
fn codex_over_acp_works() {
    works(&CODEX_ACP);
}

#[test]
fn codex_over_acp_survives() {
    survives(&CODEX_ACP);
}

#[test]
fn opencode_over_acp_works() {
    works(&OPENCODE_ACP);
}

#[test]
fn opencode_over_acp_survives() {
    survives(&OPENCODE_ACP);
}
