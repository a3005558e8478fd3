//! What lies around agents when they decide, read from the projections. They are folded before an append is answered, so that
//! what an actor was told of is in them.

use std::sync::PoisonError;

use ropewalk_actors::{Around, Surroundings};
use ropewalk_projections::Projections;
use ropewalk_protocol::{AgentId, SessionId, Timestamp};

use super::subscriptions::SharedProjections;

/// The projections as agents' actors see them.
pub(super) struct FromProjections(pub(super) SharedProjections);

impl FromProjections {
    fn read<T>(&self, question: impl FnOnce(&Projections) -> T) -> T {
        question(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Surroundings for FromProjections {
    fn around(&self, session: SessionId, agent: AgentId, now: Timestamp, with_rules: bool) -> Around {
        self.read(|projections| {
            let policies = projections.policies();
            let known = projections.agents().get(session, agent).and_then(|agent| agent.structured.as_ref());
            let (session_budget, day_budget) = (policies.session_budget(session), policies.day_budget());
            let mut around = Around { session_budget, day_budget, ..Around::default() };
            if !session_budget.is_open() {
                let own = known.map(|agent| agent.spending.total(now)).unwrap_or_default();
                around.session_others = projections.agents().spent(session, now).minus(own);
            }
            if !day_budget.is_open() {
                let own = known.map(|agent| agent.spending.settled_today(now)).unwrap_or_default();
                around.day_others = policies.day_spent(now).minus(own);
            }
            if with_rules {
                around.rules = policies.rules(session, known.map_or("/", |agent| &agent.directory));
            }
            around
        })
    }

    fn bounded(&self) -> Vec<(SessionId, AgentId)> {
        self.read(|projections| {
            let bounded = |agent: &ropewalk_projections::Agent| {
                agent.structured.as_ref().is_some_and(|agent| agent.is_held() || agent.turn.is_some())
            };
            let agents = projections.agents().iter().filter(|(_, agent)| bounded(agent));
            agents.map(|(of, agent)| (of, agent.agent)).collect()
        })
    }

    fn workspaces_ruled(&self, directory: &str) -> (usize, bool) {
        self.read(|projections| {
            let mut workspaces = projections.policies().workspaces();
            (workspaces.len(), workspaces.any(|workspace| workspace.directory == directory))
        })
    }
}
