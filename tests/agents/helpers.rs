//! Agents that an agent starts itself: what they do is told below the call that started them.

use ropewalk_protocol::{EventBody, ItemKind, ItemStarted, TurnOutcome};
use serde_json::json;

use super::driven::Driven;
use super::drivers::{CLAUDE, allow};
use crate::harness::{Home, block_on};
use crate::model::Model;

#[test]
fn claude_tells_what_its_helper_does_below_the_call() {
    let model = Model::start();
    let Some(agent) = CLAUDE.home(&model) else { return };
    let home = Home::started();
    block_on(async {
        let mut driven = Driven::start(&home, CLAUDE.spec(&agent)).await;
        let input = json!({
            "description": "have a helper do it",
            "prompt": "[[bash touch helped.txt]] as a helper",
            "subagent_type": "general-purpose",
            "run_in_background": false,
        });
        let helped = driven.prompt(&format!("[[call Agent]]{input}[[/call]] have it helped")).await;
        let question = driven.question(0).await;
        driven.answer(&question, allow()).await.unwrap();
        assert_eq!(driven.outcome(helped).await, TurnOutcome::Completed, "{}", driven.story());
        assert!(agent.directory.join("helped.txt").exists());
        let asked = model.turns("as a helper").into_iter().filter(|turn| turn.prompt.starts_with("[[bash"));
        assert_eq!(asked.count(), 2, "one for the call, one for its result");
        let tools: Vec<&ItemStarted> = driven
            .events
            .iter()
            .filter_map(|event| match &event.body {
                EventBody::ItemStarted(item) if item.kind == ItemKind::Tool => Some(item),
                _ => None,
            })
            .collect();
        let [call, command] = tools[..] else { panic!("{}", driven.story()) };
        assert_eq!((call.parent, command.parent), (None, Some(call.item)), "{}", driven.story());
        assert_eq!(question.item, Some(command.item), "{}", driven.story());
        driven.is_settled();
        driven.end().await;
        driven.event("session.ended", 0).await;
    });
}
