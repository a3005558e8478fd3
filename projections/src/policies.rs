//! What bounds agents and answers for people: budgets and rules, and what the agents of a day have spent.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ropewalk_protocol::{
    Budget, Event, EventBody, Rule, SessionId, Spent, Stream, Timestamp, WorkspaceView, day_of, is_another_day,
};
use serde::{Deserialize, Serialize};

/// What holds in one session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct OfSession {
    budget: Budget,
    rules: Vec<Rule>,
}

/// Budgets and rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policies {
    /// Sessions of which something was said and that are not deleted.
    sessions: BTreeMap<SessionId, OfSession>,
    /// Directories with rules.
    workspaces: BTreeMap<String, Vec<Rule>>,
    day_budget: Budget,
    /// The newest day on which anything was spent.
    day: u64,
    /// What was, but for the time of turns that are open.
    day_spent: Spent,
}

impl Policies {
    /// Takes an event in. `before` and `after`: what its agent had spent on the event's day before it, and has with it.
    pub(crate) fn apply(&mut self, event: &Event, before: Spent, after: Spent) {
        if is_another_day(self.day, event.at) {
            (self.day, self.day_spent) = (day_of(event.at), Spent::default());
        }
        // What a clock that went back tells is of a day that is over.
        if day_of(event.at) == self.day {
            self.day_spent = self.day_spent.plus(after).minus(before);
        }
        match (&event.stream, &event.body) {
            (Stream::Session(session), EventBody::SessionBudgetSet(set)) => {
                self.sessions.entry(*session).or_default().budget = set.budget;
            }
            (Stream::Session(session), EventBody::SessionRulesSet(set)) => {
                self.sessions.entry(*session).or_default().rules.clone_from(&set.rules);
            }
            (Stream::Session(session), EventBody::SessionDeleted(_)) => drop(self.sessions.remove(session)),
            (Stream::Machine, EventBody::DayBudgetSet(set)) => self.day_budget = set.budget,
            (Stream::Machine, EventBody::WorkspaceRulesSet(set)) if set.rules.is_empty() => {
                self.workspaces.remove(&set.directory);
            }
            (Stream::Machine, EventBody::WorkspaceRulesSet(set)) => {
                self.workspaces.insert(set.directory.clone(), set.rules.clone());
            }
            _ => {}
        }
    }

    /// What a session's agents may cost together.
    pub fn session_budget(&self, session: SessionId) -> Budget {
        self.sessions.get(&session).map(|of| of.budget).unwrap_or_default()
    }

    /// A session's own rules.
    pub fn session_rules(&self, session: SessionId) -> &[Rule] {
        self.sessions.get(&session).map(|of| of.rules.as_slice()).unwrap_or_default()
    }

    /// What all agents may cost in a day.
    pub fn day_budget(&self) -> Budget {
        self.day_budget
    }

    /// What they have cost on the day of this moment, but for the time of turns that are open.
    pub fn day_spent(&self, now: Timestamp) -> Spent {
        if day_of(now) == self.day { self.day_spent } else { Spent::default() }
    }

    /// Directories with rules, in the order of their names.
    pub fn workspaces(&self) -> impl ExactSizeIterator<Item = WorkspaceView> {
        self.workspaces
            .iter()
            .map(|(directory, rules)| WorkspaceView { directory: directory.clone(), rules: rules.clone() })
    }

    /// All rules that hold for an agent of this session that works in this directory.
    pub fn rules(&self, session: SessionId, directory: &str) -> Arc<[Rule]> {
        let above = |of: &str| Path::new(directory).starts_with(of);
        let of_workspaces = self.workspaces.iter().filter(|(of, _)| above(of)).flat_map(|(_, rules)| rules);
        self.session_rules(session).iter().chain(of_workspaces).cloned().collect()
    }
}

#[cfg(test)]
mod tests;
