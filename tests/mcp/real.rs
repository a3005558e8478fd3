//! Real programs that are given the MCP server: a prompt of theirs reaches another agent, once.

use ropewalk_protocol::{AgentTerms, Answer, EventBody, ItemKind, ItemStatus, TurnOutcome};

use super::{scripted, spawn, taken};
use crate::agents::Agent;
use crate::agents::driven::{Driven, spec};
use crate::harness::{Home, block_on};
use crate::model::{AFTER_TOOL, Model};

/// One of the programs, and what it calls the tool.
struct Driver {
    provider: &'static str,
    command: &'static [&'static str],
    mode: Option<&'static str>,
    tool: &'static str,
    home: fn(&Model) -> Option<Agent>,
}

/// Its model calls the tool with a prompt for a scripted agent: once it is allowed to, that takes the prompt.
fn prompts_another(driver: &Driver) {
    let model = Model::start();
    let Some(agent) = (driver.home)(&model) else { return };
    let home = Home::started();
    block_on(async {
        let mut spec = spec(driver.provider, driver.command, &agent);
        spec.name = Some("lead".to_owned());
        spec.model = Some(agent.model.to_owned());
        spec.mode = driver.mode.map(str::to_owned);
        spec.terms = AgentTerms { mcp: true, ..AgentTerms::default() };
        let mut driven = Driven::start(&home, spec).await;
        spawn(&driven.client, driven.session, scripted(&home, "helper", false)).await;

        let call = r#"{"agent": "helper", "text": "count the files"}"#;
        let prompt = format!("[[call {}]]{call}[[/call]] tell the helper", driver.tool);
        let prompt = driven.prompt(&prompt).await;
        let asked = driven
            .until("a question or the end", |events| {
                events.iter().find_map(|event| match &event.body {
                    EventBody::Asked(asked) => Some(Some(asked.clone())),
                    EventBody::TurnEnded(_) => Some(None),
                    _ => None,
                })
            })
            .await;
        if let Some(asked) = asked {
            driven.answer(&asked, Answer::Allow { always: false }).await.unwrap();
        }
        assert_eq!(driven.outcome(prompt).await, TurnOutcome::Completed, "{}", driven.story());
        let tools = driven.items_of(prompt, ItemKind::Tool);
        let statuses: Vec<_> = tools.iter().map(|(_, status)| *status).collect();
        assert_eq!(statuses, [Some(ItemStatus::Completed)], "{}", driven.story());
        assert!(driven.said(prompt).contains(AFTER_TOOL), "{}", driven.story());
        driven
            .until("the helper's turn", |events| {
                events.iter().find(|event| {
                    matches!(&event.body, EventBody::TurnEnded(ended) if ended.turn.as_bytes() != prompt.as_bytes())
                })?;
                Some(())
            })
            .await;
        assert_eq!(taken(&home, "count the files"), 1, "it was delivered once");
        driven.end().await;
        driven.event("session.ended", 0).await;
    });
}

#[test]
fn claude_prompts_another() {
    let tool = "mcp__ropewalk__agent_send";
    prompts_another(&Driver { provider: "claude", command: &[], mode: None, tool, home: Agent::claude });
}

#[test]
fn codex_prompts_another() {
    let tool = "mcp__ropewalk/agent_send";
    prompts_another(&Driver { provider: "codex", command: &[], mode: Some("ask"), tool, home: Agent::codex });
}

#[test]
fn opencode_prompts_another() {
    let tool = "ropewalk_agent_send";
    prompts_another(&Driver { provider: "opencode", command: &[], mode: None, tool, home: Agent::opencode });
}

#[test]
fn gemini_prompts_another() {
    let tool = "mcp_ropewalk_agent_send";
    prompts_another(&Driver { provider: "acp", command: &["gemini"], mode: None, tool, home: Agent::gemini });
}
