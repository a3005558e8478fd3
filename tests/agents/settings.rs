//! Another model and another mode, in the middle of a conversation with each of the agents' own programs.

use ropewalk_protocol::{ItemKind, TurnOutcome};

use super::driven::Driven;
use super::drivers::{CLAUDE, CODEX, Driver, GEMINI, OPENCODE, allow};
use crate::harness::{Home, block_on};
use crate::model::Model;

/// What is set, and how it shows.
struct Change {
    driver: &'static Driver,
    /// By the agent's name for it.
    model: &'static str,
    /// By the name that the model's server is asked for.
    asked_for: &'static str,
    mode: &'static str,
    shows: Shows,
}

enum Shows {
    /// A command that people were asked about runs unasked.
    Unasked,
    /// The model is told so, in these words.
    Told(&'static str),
}

fn changes(change: &Change) {
    let model = Model::start();
    let Some(agent) = change.driver.home(&model) else { return };
    let home = Home::started();
    block_on(async {
        let mut driven = Driven::start(&home, change.driver.spec(&agent)).await;
        let before = driven.prompt(&format!("{} before", change.driver.bash("touch before.txt"))).await;
        let question = driven.question(0).await;
        driven.answer(&question, allow()).await.unwrap();
        assert_eq!(driven.outcome(before).await, TurnOutcome::Completed, "{}", driven.story());
        assert!(model.turns("before").iter().all(|turn| turn.model != change.asked_for));

        driven.set(Some(change.model), None).await;
        let other = driven.prompt("[[plain It is another.]] by the other").await;
        assert_eq!(driven.outcome(other).await, TurnOutcome::Completed, "{}", driven.story());
        let models: Vec<String> = model.turns("by the other").into_iter().map(|turn| turn.model).collect();
        assert_eq!(models, [change.asked_for], "{}", driven.story());
        assert_eq!(driven.view().await.model.as_deref(), Some(change.model));

        driven.set(None, Some(change.mode)).await;
        match change.shows {
            Shows::Unasked => {
                let text = format!("{} unasked", change.driver.bash("touch unasked.txt"));
                let unasked = driven.prompt(&text).await;
                assert_eq!(driven.outcome(unasked).await, TurnOutcome::Completed, "{}", driven.story());
                assert!(agent.directory.join("unasked.txt").exists(), "{}", driven.story());
                assert_eq!(driven.items_of(unasked, ItemKind::Tool).len(), 1, "{}", driven.story());
                assert_eq!(driven.count("agent.asked"), 1, "only before: {}", driven.story());
            }
            Shows::Told(words) => {
                let is_told = || model.requests().iter().any(|request| request.body.to_string().contains(words));
                assert!(!is_told(), "it is not told before");
                let told = driven.prompt("[[plain It is told.]] in the other mode").await;
                assert_eq!(driven.outcome(told).await, TurnOutcome::Completed, "{}", driven.story());
                assert!(is_told(), "{:?}", model.turns("in the other mode"));
            }
        }
        let last = model.requests().pop().expect("a request");
        assert_eq!(last.model, change.asked_for, "the model stays");
        assert_eq!(driven.view().await.mode.as_deref(), Some(change.mode));
        driven.is_settled();
        driven.end().await;
        driven.event("session.ended", 0).await;
    });
}

#[test]
fn claude_takes_another_model_and_mode() {
    changes(&Change {
        driver: &CLAUDE,
        model: "claude-opus-4-5",
        asked_for: "claude-opus-4-5",
        mode: "acceptEdits",
        shows: Shows::Unasked,
    });
}

#[test]
fn codex_takes_another_model_and_mode() {
    changes(&Change { driver: &CODEX, model: "gpt-5.4", asked_for: "gpt-5.4", mode: "full", shows: Shows::Unasked });
}

#[test]
fn opencode_takes_another_model_and_mode() {
    changes(&Change {
        driver: &OPENCODE,
        model: "stand-in/another",
        asked_for: "another",
        mode: "plan",
        shows: Shows::Told("Plan Mode"),
    });
}

#[test]
fn gemini_takes_another_model_and_mode() {
    changes(&Change {
        driver: &GEMINI,
        model: "gemini-2.5-flash",
        asked_for: "gemini-2.5-flash",
        mode: "yolo",
        shows: Shows::Unasked,
    });
}
