//! Agents: what each runs, which process that is, how its newest run ended, and what a structured one is doing.

mod prompts;
mod structured;

use std::collections::BTreeMap;

use ropewalk_protocol::{
    AgentId, AgentView, Event, EventBody, RunId, RunOutcome, SessionId, Spent, Stream, TerminalId, Timestamp,
};
use serde::{Deserialize, Serialize};

pub use structured::Structured;

/// An agent's facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Its id.
    pub agent: AgentId,
    /// Its provider.
    pub provider: String,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Its newest run.
    pub run: RunId,
    /// Its terminal; a structured agent's output.
    pub terminal: TerminalId,
    /// The process, while it is known to run.
    pub pid: Option<u32>,
    /// When the process started, in clock ticks after boot.
    pub start_ticks: Option<u64>,
    /// How the newest run ended, once it has.
    pub outcome: Option<RunOutcome>,
    /// Why the newest run could not be started.
    pub failure: Option<String>,
    /// Somebody asked for the end of the newest run.
    pub end_asked: bool,
    /// What a structured agent is doing; `None` for a program in a terminal.
    pub structured: Option<Box<Structured>>,
}

impl Agent {
    /// The agent, as lists show it at this time.
    pub fn view(&self, now: Timestamp) -> AgentView {
        AgentView {
            agent: self.agent,
            provider: self.provider.clone(),
            argv: self.argv.clone(),
            run: self.run,
            terminal: self.terminal,
            pid: self.pid,
            start_ticks: self.start_ticks,
            outcome: self.outcome.clone(),
            failure: self.failure.clone(),
            end_asked: self.end_asked,
            structured: self.structured.as_ref().map(|structured| Box::new(structured.view(now))),
        }
    }

    /// Whether its newest run was asked for and has not ended.
    pub fn has_run(&self) -> bool {
        self.outcome.is_none() && self.failure.is_none()
    }

    fn ask_to_end(&mut self) {
        self.end_asked |= self.has_run();
    }

    fn follow(&mut self, event: &Event) {
        match &event.body {
            EventBody::RunAsked(asked) => {
                (self.run, self.terminal) = (asked.run, asked.output);
                self.argv.clone_from(&asked.argv);
                (self.pid, self.start_ticks) = (None, None);
                (self.outcome, self.failure, self.end_asked) = (None, None, false);
            }
            EventBody::AgentCloseAsked(_) => self.ask_to_end(),
            EventBody::RunStarted(started) => {
                self.run = started.run;
                (self.pid, self.start_ticks) = (Some(started.pid), Some(started.start_ticks));
                (self.outcome, self.failure) = (None, None);
            }
            EventBody::RunFailed(failed) => self.failure = Some(failed.reason.clone()),
            EventBody::RunEnded(ended) => {
                (self.pid, self.start_ticks) = (None, None);
                self.outcome = Some(ended.outcome.clone());
            }
            _ => {}
        }
        if let Some(structured) = &mut self.structured {
            structured.follow(event);
        }
    }
}

/// The agents of all sessions that are not deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agents(BTreeMap<(SessionId, AgentId), Agent>);

impl Agents {
    /// Takes an event in.
    pub fn apply(&mut self, event: &Event) {
        match (&event.stream, &event.body) {
            (Stream::Session(session), EventBody::AgentAdded(added)) => {
                let agent = Agent {
                    agent: added.agent,
                    provider: added.provider.clone(),
                    argv: added.argv.clone(),
                    run: added.run,
                    terminal: added.terminal,
                    pid: None,
                    start_ticks: None,
                    outcome: None,
                    failure: None,
                    end_asked: false,
                    structured: None,
                };
                self.insert(*session, agent);
            }
            (Stream::Session(session), EventBody::AgentJoined(joined)) => {
                let agent = Agent {
                    agent: joined.agent,
                    provider: joined.provider.clone(),
                    argv: joined.run.argv.clone(),
                    run: joined.run.run,
                    terminal: joined.run.output,
                    pid: None,
                    start_ticks: None,
                    outcome: None,
                    failure: None,
                    end_asked: false,
                    structured: Some(Box::new(Structured::joined(joined, event))),
                };
                self.insert(*session, agent);
            }
            (Stream::Agent(session, agent), _) => {
                if let Some(agent) = self.0.get_mut(&(*session, *agent)) {
                    agent.follow(event);
                }
            }
            (Stream::Session(session), EventBody::SessionEndRequested(_)) => {
                self.0.iter_mut().filter(|((of, _), _)| of == session).for_each(|(_, agent)| agent.ask_to_end());
            }
            (Stream::Session(session), EventBody::SessionDeleted(_)) => self.0.retain(|(of, _), _| of != session),
            _ => {}
        }
    }

    /// What the agent that an event is of has spent on the event's day.
    pub(crate) fn today(&self, event: &Event) -> Spent {
        let Stream::Agent(session, agent) = event.stream else { return Spent::default() };
        let structured = self.get(session, agent).and_then(|agent| agent.structured.as_ref());
        structured.map(|structured| structured.spending.settled_today(event.at)).unwrap_or_default()
    }

    /// What a session's agents have spent at this time.
    pub fn spent(&self, session: SessionId, now: Timestamp) -> Spent {
        let each = self.of(session).filter_map(|agent| agent.structured.as_ref());
        each.fold(Spent::default(), |spent, structured| spent.plus(structured.spending.total(now)))
    }

    pub(crate) fn insert(&mut self, session: SessionId, agent: Agent) {
        self.0.insert((session, agent.agent), agent);
    }

    /// One agent.
    pub fn get(&self, session: SessionId, agent: AgentId) -> Option<&Agent> {
        self.0.get(&(session, agent))
    }

    /// A session's agents, oldest first.
    pub fn of(&self, session: SessionId) -> impl Iterator<Item = &Agent> {
        let (first, last) = (AgentId::from_bytes([0; 16]), AgentId::from_bytes([0xff; 16]));
        self.0.range((session, first)..=(session, last)).map(|(_, agent)| agent)
    }

    /// All agents.
    pub fn iter(&self) -> impl Iterator<Item = (SessionId, &Agent)> {
        self.0.iter().map(|((session, _), agent)| (*session, agent))
    }
}

#[cfg(test)]
mod tests;
