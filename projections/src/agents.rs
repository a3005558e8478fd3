//! Agents: what each runs, which process that is, and how its newest run ended.

use std::collections::BTreeMap;

use ropewalk_protocol::{AgentId, AgentView, Event, EventBody, SessionId, Stream};

/// The agents of all sessions that are not deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agents(BTreeMap<(SessionId, AgentId), AgentView>);

impl Agents {
    /// Takes an event in.
    pub fn apply(&mut self, event: &Event) {
        match (&event.stream, &event.body) {
            (Stream::Session(session), EventBody::AgentAdded(added)) => {
                let agent = AgentView {
                    agent: added.agent,
                    provider: added.provider.clone(),
                    argv: added.argv.clone(),
                    run: added.run,
                    terminal: added.terminal,
                    pid: None,
                    start_ticks: None,
                    outcome: None,
                    failure: None,
                };
                self.insert(*session, agent);
            }
            (Stream::Agent(session, agent), body) => {
                if let Some(agent) = self.0.get_mut(&(*session, *agent)) {
                    follow(agent, body);
                }
            }
            (Stream::Session(session), EventBody::SessionDeleted(_)) => self.0.retain(|(of, _), _| of != session),
            _ => {}
        }
    }

    pub(crate) fn insert(&mut self, session: SessionId, agent: AgentView) {
        self.0.insert((session, agent.agent), agent);
    }

    /// A session's agents, oldest first.
    pub fn of(&self, session: SessionId) -> impl Iterator<Item = &AgentView> {
        let (first, last) = (AgentId::from_bytes([0; 16]), AgentId::from_bytes([0xff; 16]));
        self.0.range((session, first)..=(session, last)).map(|(_, agent)| agent)
    }

    /// All agents.
    pub fn iter(&self) -> impl Iterator<Item = (SessionId, &AgentView)> {
        self.0.iter().map(|((session, _), agent)| (*session, agent))
    }
}

fn follow(agent: &mut AgentView, body: &EventBody) {
    match body {
        EventBody::RunStarted(started) => {
            agent.run = started.run;
            (agent.pid, agent.start_ticks) = (Some(started.pid), Some(started.start_ticks));
            (agent.outcome, agent.failure) = (None, None);
        }
        EventBody::RunFailed(failed) => agent.failure = Some(failed.reason.clone()),
        EventBody::RunEnded(ended) => {
            (agent.pid, agent.start_ticks) = (None, None);
            agent.outcome = Some(ended.outcome.clone());
        }
        _ => {}
    }
}
