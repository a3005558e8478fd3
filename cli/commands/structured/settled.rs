//! How a turn that was followed ended: the exit code, and the last line of JSON. Pure.

use ropewalk_protocol::{AgentId, SessionId, TurnId, TurnOutcome};
use serde::Serialize;

use super::cost::TurnCost;
use crate::exit::{ASKED, CANCELLED, FAILURE, Failure, INTERRUPTED, LIMITED, OK, SIGNAL_BASE, TIMEOUT, TRY_LATER};

/// How it ended, for whoever followed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Completed,
    Cancelled,
    Failed,
    Interrupted,
    /// The agent asked, and what was to happen then was to end the turn.
    Asked,
    /// A budget is spent, or the agent went round in circles.
    Limited,
    /// The model's server refuses more for now.
    RateLimited,
    Timeout,
    /// By a signal with this number: the turn goes on.
    #[serde(untagged, serialize_with = "left")]
    Left(u8),
}

fn left<S: serde::Serializer>(_: &u8, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str("left")
}

impl Outcome {
    /// As people read it.
    pub(super) const fn told(self) -> &'static str {
        match self {
            Outcome::Completed => "completed",
            Outcome::Failed => "failed",
            Outcome::Cancelled => "cancelled",
            Outcome::Interrupted => "interrupted",
            Outcome::Asked => "ended by a question",
            Outcome::Limited => "limited",
            Outcome::RateLimited => "rate limited",
            Outcome::Timeout => "timeout",
            Outcome::Left(_) => "left",
        }
    }

    /// The exit code. `ropewalk run --help` and docs/operations.md list them.
    pub(super) const fn exit(self) -> u8 {
        match self {
            Outcome::Completed => OK,
            Outcome::Failed => FAILURE,
            Outcome::Cancelled => CANCELLED,
            Outcome::Interrupted => INTERRUPTED,
            Outcome::Asked => ASKED,
            Outcome::Limited => LIMITED,
            Outcome::RateLimited => TRY_LATER,
            Outcome::Timeout => TIMEOUT,
            Outcome::Left(signal) => SIGNAL_BASE.saturating_add(signal),
        }
    }
}

/// An outcome, and what is known of why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) reason: Option<String>,
}

impl Ended {
    pub(super) fn new(outcome: Outcome, reason: impl Into<String>) -> Self {
        Self { outcome, reason: Some(reason.into()).filter(|reason| !reason.is_empty()) }
    }
}

impl From<&TurnOutcome> for Ended {
    fn from(outcome: &TurnOutcome) -> Self {
        match outcome {
            TurnOutcome::Completed => Ended::new(Outcome::Completed, ""),
            TurnOutcome::Cancelled => Ended::new(Outcome::Cancelled, ""),
            TurnOutcome::Failed { reason } => Ended::new(Outcome::Failed, reason),
            TurnOutcome::Interrupted { reason } => Ended::new(Outcome::Interrupted, reason),
        }
    }
}

/// What is known of a turn, for the last line.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) session: Option<SessionId>,
    pub(super) agent: Option<AgentId>,
    pub(super) turn: Option<TurnId>,
    pub(super) text: String,
    pub(super) cost: TurnCost,
}

/// The last line.
#[derive(Serialize)]
pub(super) struct LastLine<'a> {
    r#type: &'static str,
    outcome: Outcome,
    exit: u8,
    reason: Option<&'a str>,
    session: Option<SessionId>,
    agent: Option<AgentId>,
    turn: Option<TurnId>,
    text: &'a str,
    usage: &'a TurnCost,
}

impl Known {
    /// The last line of a turn that was followed to this end.
    pub(super) fn last_line<'a>(&'a self, ended: &'a Ended) -> LastLine<'a> {
        self.line(ended.outcome, ended.outcome.exit(), ended.reason.as_deref())
    }

    /// The last line when following it failed.
    pub(super) fn failed<'a>(&'a self, failure: &'a Failure) -> LastLine<'a> {
        self.line(Outcome::Failed, failure.code, Some(failure.message()))
    }

    fn line<'a>(&'a self, outcome: Outcome, exit: u8, reason: Option<&'a str>) -> LastLine<'a> {
        LastLine {
            r#type: "result",
            outcome,
            exit,
            reason,
            session: self.session,
            agent: self.agent,
            turn: self.turn,
            text: &self.text,
            usage: &self.cost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_has_every_field_always() {
        let known = Known::default();
        let line = |ended: &Ended| serde_json::to_value(known.last_line(ended)).unwrap();
        let left = line(&Ended::new(Outcome::Left(2), ""));
        let expected = serde_json::json!({
            "type": "result", "outcome": "left", "exit": 130, "reason": null, "session": null, "agent": null, "turn": null,
            "text": "", "usage": {"input_tokens": 0, "cached_tokens": 0, "output_tokens": 0, "cost_micro_usd": null,
                "context_tokens": null, "context_tokens_max": null},
        });
        assert_eq!(left, expected);
        for (outcome, name, exit) in [
            (Outcome::Completed, "completed", 0),
            (Outcome::Failed, "failed", 1),
            (Outcome::Cancelled, "cancelled", 3),
            (Outcome::Interrupted, "interrupted", 5),
            (Outcome::Asked, "asked", 6),
            (Outcome::Limited, "limited", 7),
            (Outcome::RateLimited, "rate_limited", 75),
            (Outcome::Timeout, "timeout", 124),
        ] {
            let line = line(&Ended::new(outcome, "why"));
            assert_eq!((line["outcome"].as_str(), line["exit"].as_u64()), (Some(name), Some(exit)));
            assert_eq!(line["reason"], "why");
            assert!(crate::args::RUN_EXITS.contains(&format!("{exit:<5}{name}")), "{name}");
        }
        let failed = serde_json::to_value(known.failed(&Failure::new(69, "no daemon"))).unwrap();
        assert_eq!((failed["outcome"].as_str(), failed["exit"].as_u64()), (Some("failed"), Some(69)));
    }
}
