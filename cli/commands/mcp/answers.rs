//! What tools answer with. Pure.

use std::fmt::Write as _;

use ropewalk_projections::transcript::{Part, Turn, markdown};
use ropewalk_protocol::{AgentId, AgentState, Code, ItemKind, Rejection, SessionView, TurnOutcome, limits};
use serde::Serialize;
use serde_json::{Value, json};

/// What a wait ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Why {
    /// The prompt's turn is settled.
    Settled,
    /// The agent has nothing to do.
    Idle,
    /// It waits for people to answer a question.
    Asks,
    /// It is given no prompts for now.
    Parked,
    /// Its process is gone.
    Stopped,
    /// It takes no more prompts.
    Closed,
    /// The time was over.
    Timeout,
}

/// Why a wait for nothing in particular ends in this state; `None`: it goes on.
pub(super) fn why_of(state: AgentState) -> Option<Why> {
    match state {
        AgentState::Idle => Some(Why::Idle),
        AgentState::Waiting => Some(Why::Asks),
        AgentState::Parked => Some(Why::Parked),
        AgentState::Stopped => Some(Why::Stopped),
        AgentState::Closed => Some(Why::Closed),
        AgentState::Starting | AgentState::Working | AgentState::Stalled => None,
    }
}

/// The session's agents. What a human would read of them is there by the names that the protocol has.
pub(super) fn agents(session: &SessionView, own: AgentId) -> Value {
    let agents = session.agents.iter().filter_map(|agent| {
        let view = agent.structured.as_ref()?;
        Some(json!({
            "name": view.name,
            "agent": agent.agent,
            "provider": agent.provider,
            "state": view.status.state,
            "since": view.status.since,
            "queue": view.queued,
            "asks": view.asks,
            "last_outcome": view.last_turn.as_ref().map(|last| last.outcome.to_string()),
            "is_you": agent.agent == own,
        }))
    });
    json!({"session": session.session, "agents": agents.collect::<Vec<_>>()})
}

/// How a wait ended.
pub(super) fn waited(name: &str, why: Why, state: AgentState, turn: Option<&Turn>) -> Value {
    let outcome = turn.and_then(|turn| turn.outcome.as_ref());
    let reason = outcome.and_then(|outcome| match outcome {
        TurnOutcome::Failed { reason } | TurnOutcome::Interrupted { reason } => Some(reason),
        TurnOutcome::Completed | TurnOutcome::Cancelled => None,
    });
    let word = outcome.map(|outcome| match outcome {
        TurnOutcome::Completed => "completed",
        TurnOutcome::Cancelled => "cancelled",
        TurnOutcome::Failed { .. } => "failed",
        TurnOutcome::Interrupted { .. } => "interrupted",
    });
    let said = turn.map(said).unwrap_or_default();
    let (text, cut) = newest(&said, limits::MCP_ANSWER_BYTES_MAX);
    json!({
        "agent": name, "ended_by": why, "state": state, "outcome": word, "reason": reason, "text": text,
        "text_bytes_cut": cut,
    })
}

/// What the agent said in a turn, without its thoughts and its tools.
fn said(turn: &Turn) -> String {
    let texts = turn.parts.iter().filter_map(|part| match part {
        Part::Item(item) if item.kind == ItemKind::Text && item.parent.is_none() => Some(item.text.trim_end()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n\n")
}

/// Turns as Markdown, oldest first, the newest of them as far as there is room, and what is left out.
pub(super) fn transcript(name: &str, turns: &[&Turn], older: usize) -> String {
    let mut pages: Vec<String> = Vec::new();
    let mut room = limits::MCP_ANSWER_BYTES_MAX;
    for turn in turns.iter().rev() {
        let page = markdown(turn);
        let (kept, cut) = newest(&page, room);
        room -= kept.len();
        if cut == 0 {
            pages.push(page);
            continue;
        }
        if !kept.is_empty() {
            pages.push(format!("*({cut} bytes of this turn's beginning are left out)*\n\n{kept}\n"));
        }
        break;
    }
    let left_out = older + turns.len() - pages.len();
    let mut text = format!("# {name}\n\n");
    if left_out > 0 {
        let _ = writeln!(text, "*({left_out} older turns are left out)*\n");
    }
    if pages.is_empty() && left_out == 0 {
        text.push_str("*(nothing was said yet)*\n");
    }
    pages.reverse();
    text.push_str(&pages.join("\n"));
    text
}

/// The end of a text, as much as there is room for, and how many bytes of its beginning are cut.
fn newest(text: &str, room: usize) -> (&str, usize) {
    let cut = text.ceil_char_boundary(text.len().saturating_sub(room));
    (&text[cut..], cut)
}

/// A refusal, as a tool's answer.
pub(super) fn refused(rejection: &Rejection) -> Value {
    let mut error = json!({"code": rejection.code, "message": rejection.message, "hint": rejection.hint});
    if !rejection.matches.is_empty() {
        error["matches"] = json!(rejection.matches);
    }
    json!({"error": error})
}

/// The daemon went away for good.
pub(super) fn closed() -> Rejection {
    Rejection::new(Code::ShuttingDown, "the connection to the daemon is closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_text_is_kept_whole_characters_only() {
        assert_eq!(newest("abc", 3), ("abc", 0));
        assert_eq!(newest("aäc", 2), ("c", 3));
        assert_eq!(newest("abc", 0), ("", 3));
    }

    #[test]
    fn waits_end_in_every_state_in_which_nothing_is_done() {
        let ends = |state| why_of(state).is_some();
        assert!([AgentState::Idle, AgentState::Waiting, AgentState::Parked].into_iter().all(ends));
        assert!([AgentState::Stopped, AgentState::Closed].into_iter().all(ends));
        assert!(![AgentState::Starting, AgentState::Working, AgentState::Stalled].into_iter().any(ends));
    }
}
