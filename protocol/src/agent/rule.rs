//! Rules: questions of agents that are answered before anybody is asked.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Rejection, SessionId, limits};

/// What a rule does with a question that it matches. Of several rules that match, a denial wins, then asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleEffect {
    /// The agent may do it.
    Allow,
    /// People are asked.
    Ask,
    /// The agent may not.
    Deny,
}

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleAction {
    /// Programs that are run: the pattern is a word for each argument, and `...` at the end for any more.
    Run,
    /// Files that are read: the pattern is a path; `*` is anything but `/`, `**` anything.
    Read,
    /// Files that are written, moved or deleted.
    Write,
    /// Addresses that are fetched: the pattern is a host.
    Fetch,
    /// Any other tool: the pattern is its name.
    Tool,
}

impl RuleAction {
    const ALL: [RuleAction; 5] =
        [RuleAction::Run, RuleAction::Read, RuleAction::Write, RuleAction::Fetch, RuleAction::Tool];

    const fn word(self) -> &'static str {
        match self {
            RuleAction::Run => "run",
            RuleAction::Read => "read",
            RuleAction::Write => "write",
            RuleAction::Fetch => "fetch",
            RuleAction::Tool => "tool",
        }
    }
}

impl RuleEffect {
    const ALL: [RuleEffect; 3] = [RuleEffect::Allow, RuleEffect::Ask, RuleEffect::Deny];

    const fn word(self) -> &'static str {
        match self {
            RuleEffect::Allow => "allow",
            RuleEffect::Ask => "ask",
            RuleEffect::Deny => "deny",
        }
    }
}

/// A rule. As text: `allow run cargo test ...`, `deny write /etc/**`, `ask fetch *.example.com`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rule {
    /// What it does.
    pub effect: RuleEffect,
    /// What it is about.
    pub action: RuleAction,
    /// What it matches: `*` and `?` stand for other characters. Paths that are not absolute are within the directory in which
    /// the agent works.
    pub pattern: String,
}

impl Rule {
    /// Checks every bound that needs no state.
    ///
    /// # Errors
    /// `invalid_params`.
    pub fn check(&self) -> Result<(), Rejection> {
        let (pattern, max) = (self.pattern.trim(), limits::RULE_BYTES_MAX);
        if pattern.is_empty() || pattern.len() > max || pattern.chars().any(char::is_control) {
            return Err(Rejection::invalid(format!("the pattern of a rule must be one line of 1 to {max} bytes")));
        }
        Ok(())
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.effect.word(), self.action.word(), self.pattern)
    }
}

impl FromStr for Rule {
    type Err = Rejection;

    fn from_str(text: &str) -> Result<Self, Rejection> {
        let mut words = text.trim().splitn(3, char::is_whitespace);
        let mut word = || words.next().unwrap_or_default().trim();
        let (effect, action, pattern) = (word(), word(), word());
        let effect = RuleEffect::ALL.into_iter().find(|known| known.word() == effect);
        let action = RuleAction::ALL.into_iter().find(|known| known.word() == action);
        let (Some(effect), Some(action)) = (effect, action) else {
            let hint =
                "A rule is `allow|ask|deny run|read|write|fetch|tool PATTERN`, as in `allow run cargo test ...`.";
            let shown: String = text.chars().take(80).collect();
            return Err(Rejection::invalid(format!("{shown:?} is no rule")).hint(hint));
        };
        let rule = Rule { effect, action, pattern: pattern.to_owned() };
        rule.check().map(|()| rule)
    }
}

/// Where rules hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "scope", rename_all = "snake_case")]
pub enum RulesOwner {
    /// In one session.
    Session {
        /// The session.
        session: SessionId,
    },
    /// For every agent that works in this directory, or below.
    Workspace {
        /// The absolute directory.
        directory: String,
    },
}

/// Checks a list of rules.
///
/// # Errors
/// `invalid_params` or `too_large`.
pub(crate) fn check_rules(rules: &[Rule]) -> Result<(), Rejection> {
    if rules.len() > limits::RULES_MAX {
        return Err(Rejection::too_large("rules", rules.len(), limits::RULES_MAX));
    }
    rules.iter().try_for_each(Rule::check)?;
    let bytes: usize = rules.iter().map(|rule| rule.pattern.len() + 8).sum();
    if bytes > limits::RULES_BYTES_MAX {
        return Err(Rejection::too_large("rules", bytes, limits::RULES_BYTES_MAX));
    }
    Ok(())
}
