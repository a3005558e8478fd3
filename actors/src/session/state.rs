//! A session's rules.

use std::collections::{BTreeMap, BTreeSet};

use ropewalk_protocol::{
    AgentAdded, AgentId, AgentJoined, Code, CommandResult, EventBody, Rejection, RunId, SessionAnnotated,
    SessionBudgetSet, SessionCreated, SessionDeleted, SessionEndRequested, SessionEnded, SessionId, SessionRenamed,
    SessionRulesSet, Stream, Timestamp, limits,
};
use serde::{Deserialize, Serialize};

use crate::core::{Core, Decision, Effect, Input, Launch, Moment};
use crate::providers::{Greeting, Outgoing};

/// Where a session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    Absent,
    Open,
    Ending,
    Ended,
    Deleted,
}

/// What a session decides on.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionCore {
    id: SessionId,
    phase: Phase,
    /// Agents whose newest run has not ended, with that run.
    live: BTreeMap<AgentId, RunId>,
    /// Structured agents that are not closed, with what people call them.
    joined: BTreeMap<AgentId, String>,
    /// Names of structured agents, those that are closed included: what is told of one is told of no other.
    agent_names: BTreeSet<String>,
    /// What ended last, and how.
    last_end: Option<String>,
}

impl SessionCore {
    pub(crate) fn new(id: SessionId) -> Self {
        Self {
            id,
            phase: Phase::Absent,
            live: BTreeMap::new(),
            joined: BTreeMap::new(),
            agent_names: BTreeSet::new(),
            last_end: None,
        }
    }

    /// The stream that it owns.
    pub(crate) fn stream(&self) -> Stream {
        Stream::Session(self.id)
    }

    fn create(
        &self,
        name: Option<&String>,
        workspace: Option<&String>,
        launch: Option<&Launch>,
        joined: Option<&AgentJoined>,
    ) -> Result<Decision, Rejection> {
        if self.phase != Phase::Absent {
            return Err(Rejection::new(Code::Conflict, format!("session {} exists already", self.id)));
        }
        let mut events = vec![SessionCreated { name: name.cloned(), workspace: workspace.cloned() }.into()];
        events.extend(launch.map(|launch| {
            EventBody::from(AgentAdded {
                agent: launch.agent,
                provider: "terminal".to_owned(),
                argv: launch.program.argv.clone(),
                directory: launch.program.directory.clone(),
                run: launch.run,
                terminal: launch.terminal,
                size: launch.size,
            })
        }));
        if let Some(joined) = joined {
            events.push(self.join(joined)?.into());
        }
        let agent = launch.map(|launch| launch.agent).or(joined.map(|joined| joined.agent));
        let terminal = launch.map(|launch| launch.terminal);
        Ok(Decision {
            events,
            result: CommandResult::SessionCreated { session: self.id, agent, terminal },
            ..Decision::nothing()
        })
    }

    /// The agent with a name of its own: the one that was asked for, or its provider's, with a number if need be.
    fn join(&self, joined: &AgentJoined) -> Result<AgentJoined, Rejection> {
        let mut joined = joined.clone();
        if joined.name.is_empty() {
            let numbered = (2..).map(|number| format!("{}-{number}", joined.provider));
            let mut names = std::iter::once(joined.provider.clone()).chain(numbered);
            joined.name = names.find(|name| !self.agent_names.contains(name)).unwrap_or_default();
        } else if self.agent_names.contains(&joined.name) {
            let hint = "Choose another name, or none; `ropewalk agents` lists those in use.";
            let message = format!("another agent of the session is called {}", joined.name);
            return Err(Rejection::new(Code::NameTaken, message).hint(hint));
        }
        Ok(joined)
    }

    fn take_in(&self, joined: &AgentJoined) -> Result<Decision, Rejection> {
        if self.phase != Phase::Open {
            return Err(Rejection::new(Code::AlreadyEnded, format!("session {} ends, or has ended", self.id)));
        }
        if self.agent_names.len() >= limits::AGENTS_MAX {
            let max = limits::AGENTS_MAX;
            return Err(Rejection::new(Code::TooLarge, format!("a session has at most {max} agents")));
        }
        if let Some(parent) = joined.parent.filter(|parent| !self.joined.contains_key(parent)) {
            return Err(Rejection::not_found(format_args!("agent {parent} in session {}", self.id)));
        }
        let joined = self.join(joined)?;
        let (agent, prompt) = (joined.agent, joined.prompt.as_ref().map(|prompt| prompt.prompt));
        Ok(Decision {
            events: vec![joined.into()],
            result: CommandResult::AgentSpawned { agent, prompt },
            ..Decision::nothing()
        })
    }

    fn end(&self) -> Result<Decision, Rejection> {
        match self.phase {
            Phase::Ended => Err(Rejection::new(Code::AlreadyEnded, format!("session {} has ended", self.id))),
            Phase::Ending => Ok(Decision::nothing()),
            _ if self.live.is_empty() && self.joined.is_empty() => Ok(Decision::done(vec![
                SessionEndRequested {}.into(),
                SessionEnded { reason: "asked to end; nothing ran in it".to_owned() }.into(),
            ])),
            _ => Ok(Decision::done(vec![SessionEndRequested {}.into()])),
        }
    }

    fn delete(&self) -> Result<Decision, Rejection> {
        if self.phase == Phase::Ended {
            return Ok(Decision::done(vec![SessionDeleted {}.into()]));
        }
        Err(Rejection::new(Code::StillRunning, format!("session {} has not ended", self.id)))
    }

    fn settled(&self) -> Decision {
        let running = matches!(self.phase, Phase::Open | Phase::Ending);
        match &self.last_end {
            Some(end) if running && self.live.is_empty() && self.joined.is_empty() => {
                let asked = if self.phase == Phase::Ending { "asked to end; " } else { "" };
                Decision::done(vec![SessionEnded { reason: format!("{asked}{end}") }.into()])
            }
            _ => Decision::nothing(),
        }
    }

    fn exists(&self) -> Result<(), Rejection> {
        match self.phase {
            Phase::Absent | Phase::Deleted => Err(Rejection::not_found(format_args!("session {}", self.id))),
            Phase::Open | Phase::Ending | Phase::Ended => Ok(()),
        }
    }
}

impl Core for SessionCore {
    fn decide(&self, input: &Input, _: &Moment) -> Result<Decision, Rejection> {
        if let Input::Create { name, workspace, launch, joined } = input {
            return self.create(name.as_ref(), workspace.as_ref(), launch.as_ref(), joined.as_deref());
        }
        self.exists()?;
        match input {
            Input::Rename { name } => Ok(Decision::done(vec![SessionRenamed { name: name.clone() }.into()])),
            Input::Annotate { text } => Ok(Decision::done(vec![SessionAnnotated { text: text.clone() }.into()])),
            Input::SetBudget { budget } => Ok(Decision::done(vec![SessionBudgetSet { budget: *budget }.into()])),
            Input::SetRules { rules } => Ok(Decision::done(vec![SessionRulesSet { rules: rules.clone() }.into()])),
            Input::End => self.end(),
            Input::Delete => self.delete(),
            Input::Settled => Ok(self.settled()),
            Input::Spawn { joined } => self.take_in(joined),
            Input::Create { .. }
            | Input::Started { .. }
            | Input::SpawnFailed { .. }
            | Input::Gone { .. }
            | Input::Resized { .. }
            | Input::Closed { .. }
            | Input::Lost { .. }
            | Input::Agent(_) => Ok(Decision::nothing()),
        }
    }

    fn apply(&mut self, stream: Stream, _: Timestamp, _: Option<&str>, body: &EventBody) {
        match (stream, body) {
            (Stream::Session(_), EventBody::SessionCreated(_)) => self.phase = Phase::Open,
            (Stream::Session(_), EventBody::AgentAdded(added)) => {
                self.live.insert(added.agent, added.run);
            }
            (Stream::Session(_), EventBody::AgentJoined(joined)) => {
                self.joined.insert(joined.agent, joined.name.clone());
                self.agent_names.insert(joined.name.clone());
            }
            (Stream::Session(_), EventBody::SessionEndRequested(_)) => self.phase = Phase::Ending,
            (Stream::Session(_), EventBody::SessionEnded(_)) => self.phase = Phase::Ended,
            (Stream::Session(_), EventBody::SessionDeleted(_)) => self.phase = Phase::Deleted,
            (Stream::Agent(_, agent), EventBody::RunEnded(ended)) if self.live.remove(&agent).is_some() => {
                self.last_end = Some(format!("program {}", ended.outcome));
            }
            (Stream::Agent(_, agent), EventBody::AgentClosed(_)) => {
                if let Some(name) = self.joined.remove(&agent) {
                    self.last_end = Some(format!("agent {name} closed"));
                }
            }
            (Stream::Agent(_, agent), EventBody::RunFailed(failed)) if self.live.remove(&agent).is_some() => {
                self.last_end = Some(format!("program could not be started: {}", failed.reason));
            }
            _ => {}
        }
    }

    fn react(&self, body: &EventBody) -> Vec<Effect> {
        match body {
            EventBody::AgentAdded(added) => vec![Effect::Spawn {
                session: self.id,
                agent: added.agent,
                run: added.run,
                terminal: added.terminal,
                argv: added.argv.clone(),
                directory: added.directory.clone(),
                size: added.size,
            }],
            EventBody::AgentJoined(joined) => {
                let AgentJoined { agent, provider, directory, model, mode, run, terms, .. } = joined.clone();
                let mcp = terms.mcp.then(Vec::new);
                let greeting = Greeting { directory: directory.clone(), resume: None, model, mode, mcp };
                let first = (1, Outgoing::Greet { step: 0, greeting });
                vec![Effect::SpawnAgent { session: self.id, agent, provider, directory, run, first }]
            }
            EventBody::SessionEndRequested(_) => vec![
                Effect::Stop { runs: self.live.values().copied().collect() },
                Effect::Close { session: self.id, agents: self.joined.keys().copied().collect() },
            ],
            EventBody::SessionBudgetSet(_) => {
                vec![Effect::Reconsider { session: self.id, agents: self.joined.keys().copied().collect() }]
            }
            EventBody::SessionDeleted(_) => vec![Effect::Delete { session: self.id }],
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use ropewalk_protocol::{Program, RunEnded, RunOutcome, Size, TerminalId};

    use super::*;

    const SESSION: SessionId = SessionId::from_bytes([1; 16]);
    const AGENT: AgentId = AgentId::from_bytes([2; 16]);
    const RUN: RunId = RunId::from_bytes([3; 16]);

    fn launch() -> Launch {
        let program = Program { argv: vec!["sh".into()], directory: "/".into(), environment: BTreeMap::default() };
        Launch { agent: AGENT, run: RUN, terminal: TerminalId::from_bytes([4; 16]), program, size: Size::DEFAULT }
    }

    fn given(inputs: &[Input], ended: bool) -> SessionCore {
        let mut core = SessionCore::new(SESSION);
        for input in inputs {
            for event in core.decide(input, &Moment::default()).unwrap().events {
                core.apply(Stream::Session(SESSION), Timestamp::default(), None, &event);
            }
        }
        if ended {
            let outcome = RunOutcome::Exited { code: 0 };
            core.apply(
                Stream::Agent(SESSION, AGENT),
                Timestamp::default(),
                None,
                &RunEnded { run: RUN, outcome, offset: 9 }.into(),
            );
        }
        core
    }

    fn created() -> Input {
        Input::Create { name: Some("build".into()), workspace: None, launch: Some(launch()), joined: None }
    }

    #[test]
    fn a_new_session_adds_its_agent_in_the_same_decision() {
        let decision = SessionCore::new(SESSION).decide(&created(), &Moment::default()).unwrap();
        let names: Vec<&str> = decision.events.iter().map(EventBody::name).collect();
        assert_eq!(names, ["session.created", "session.agent_added"]);
    }

    #[test]
    fn a_session_ends_when_its_last_program_ended_and_says_how() {
        let core = given(&[created()], true);
        let [EventBody::SessionEnded(ended)] = &core.decide(&Input::Settled, &Moment::default()).unwrap().events[..]
        else {
            panic!("one event, the end");
        };
        assert_eq!(ended.reason, "program exited with code 0");
    }

    #[test]
    fn a_session_does_not_end_while_a_program_runs() {
        assert_eq!(given(&[created()], false).decide(&Input::Settled, &Moment::default()).unwrap().events, []);
    }

    #[test]
    fn asking_twice_for_the_end_asks_once() {
        let core = given(&[created(), Input::End], false);
        assert_eq!(core.decide(&Input::End, &Moment::default()).unwrap().events, []);
        let close = Effect::Close { session: SESSION, agents: Vec::new() };
        assert_eq!(core.react(&SessionEndRequested {}.into()), [Effect::Stop { runs: vec![RUN] }, close]);
    }

    #[test]
    fn a_running_session_is_not_deleted() {
        let rejection = given(&[created()], false).decide(&Input::Delete, &Moment::default()).unwrap_err();
        assert_eq!(rejection.code, Code::StillRunning);
    }

    #[test]
    fn a_deleted_session_is_not_found() {
        let mut core = given(&[created()], true);
        for input in [Input::Settled, Input::Delete] {
            for event in core.decide(&input, &Moment::default()).unwrap().events {
                core.apply(Stream::Session(SESSION), Timestamp::default(), None, &event);
            }
        }
        assert_eq!(core.react(&SessionDeleted {}.into()), [Effect::Delete { session: SESSION }]);
        assert_eq!(
            core.decide(&Input::Annotate { text: "x".into() }, &Moment::default()).unwrap_err().code,
            Code::NotFound
        );
    }

    #[test]
    fn what_was_never_created_is_not_found() {
        assert_eq!(SessionCore::new(SESSION).decide(&Input::End, &Moment::default()).unwrap_err().code, Code::NotFound);
    }
}
