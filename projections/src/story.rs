//! Histories for tests: events told one after another, a second apart.

use std::time::Duration;

use ropewalk_protocol::{
    AgentId, AgentJoined, AgentState, AgentStatus, AgentView, AskKind, AskOption, Asked, Cause, CommandId, Delivery,
    Event, EventBody, InteractionId, ItemId, ItemKind, ItemStarted, OnAsk, PromptId, PromptQueued, RunAsked, RunId,
    RunStarted, Seq, SessionCreated, SessionId, Stream, StructuredView, TerminalId, Timestamp, TurnEnded, TurnId,
    TurnOutcome, TurnStarted,
};

use crate::Projections;

pub(crate) const SESSION: SessionId = SessionId::from_bytes([0x51; 16]);
pub(crate) const AGENT: AgentId = AgentId::from_bytes([0xa1; 16]);
pub(crate) const OTHER_AGENT: AgentId = AgentId::from_bytes([0xa2; 16]);

pub(crate) const fn run(number: u8) -> RunId {
    RunId::from_bytes([number; 16])
}

pub(crate) const fn output(number: u8) -> TerminalId {
    TerminalId::from_bytes([number; 16])
}

pub(crate) const fn errors(number: u8) -> TerminalId {
    TerminalId::from_bytes([number + 100; 16])
}

pub(crate) const fn prompt(number: u8) -> PromptId {
    PromptId::from_bytes([number; 16])
}

pub(crate) const fn turn(number: u8) -> TurnId {
    TurnId::from_bytes([number; 16])
}

pub(crate) const fn item(number: u8) -> ItemId {
    ItemId::from_bytes([number; 16])
}

pub(crate) const fn ask(number: u8) -> InteractionId {
    InteractionId::from_bytes([number; 16])
}

pub(crate) fn run_asked(number: u8) -> RunAsked {
    let argv = ["claude", "-p"].map(str::to_owned).to_vec();
    RunAsked { run: run(number), output: output(number), errors: errors(number), argv }
}

pub(crate) fn joined(agent: AgentId, number: u8, prompt: Option<PromptQueued>) -> AgentJoined {
    AgentJoined {
        agent,
        provider: "claude".to_owned(),
        name: format!("reviewer-{number}"),
        parent: None,
        command: Vec::new(),
        directory: "/home/ada/work".to_owned(),
        model: Some("sonnet".to_owned()),
        mode: None,
        on_ask: OnAsk::Wait,
        run: run_asked(number),
        prompt,
        terms: Box::default(),
    }
}

pub(crate) fn queued(number: u8, delivery: Delivery) -> PromptQueued {
    PromptQueued { prompt: prompt(number), text: format!("prompt {number}"), delivery }
}

pub(crate) fn started(number: u8) -> TurnStarted {
    TurnStarted { turn: turn(number), prompt: Some(prompt(number)), run: run(1), input: u64::from(number) + 1 }
}

pub(crate) fn ended(number: u8, outcome: TurnOutcome) -> TurnEnded {
    TurnEnded { turn: turn(number), outcome }
}

pub(crate) fn item_started(number: u8, of: Option<TurnId>, kind: ItemKind) -> ItemStarted {
    ItemStarted {
        item: item(number),
        key: format!("item {number}"),
        turn: of,
        parent: None,
        kind,
        title: format!("title {number}"),
        input: "{}".to_owned(),
    }
}

pub(crate) fn asked(number: u8, of: Option<TurnId>, options: Vec<AskOption>) -> Asked {
    Asked {
        interaction: ask(number),
        key: format!("ask {number}"),
        turn: of,
        item: None,
        kind: AskKind::Permission,
        title: format!("may I {number}?"),
        detail: "{\"command\":\"ls\"}".to_owned(),
        options,
        expires: None,
        offset: 0,
        length: 10,
    }
}

/// A history on its way.
#[derive(Default)]
pub(crate) struct Story {
    pub(crate) projections: Projections,
    pub(crate) events: Vec<Event>,
}

impl Story {
    /// A session with a structured agent that was just asked for.
    pub(crate) fn of_an_agent(prompt: Option<PromptQueued>) -> Self {
        let mut story = Self::default();
        story.session(SessionCreated { name: Some("build".to_owned()), workspace: None });
        story.session(joined(AGENT, 1, prompt));
        story
    }

    /// The same, once it takes prompts.
    pub(crate) fn of_a_ready_agent() -> Self {
        let mut story = Self::of_an_agent(None);
        story.agent(RunStarted { run: run(1), pid: 4711, start_ticks: 300 });
        story.ready();
        story
    }

    pub(crate) fn ready(&mut self) -> Seq {
        let ready = ropewalk_protocol::AgentReady {
            run: run(1),
            conversation: Some("c-1".to_owned()),
            version: Some("2.0".to_owned()),
            model: None,
            mode: Some("plan".to_owned()),
        };
        self.agent(ready)
    }

    pub(crate) fn tell(&mut self, stream: Stream, body: impl Into<EventBody>) -> Seq {
        let seq = Seq(self.events.len() as u64 + 1);
        let cause = Cause { command: CommandId::from_bytes([0xd1; 16]), client: "ropewalk-cli".to_owned() };
        let event = Event { seq, stream, at: at(seq), cause: Some(cause), body: body.into() };
        self.projections.apply(&event);
        self.events.push(event);
        seq
    }

    pub(crate) fn session(&mut self, body: impl Into<EventBody>) -> Seq {
        self.tell(Stream::Session(SESSION), body)
    }

    pub(crate) fn agent(&mut self, body: impl Into<EventBody>) -> Seq {
        self.tell(Stream::Agent(SESSION, AGENT), body)
    }

    /// When the newest event happened.
    pub(crate) fn now(&self) -> Timestamp {
        at(Seq(self.events.len() as u64))
    }

    pub(crate) fn view(&self) -> AgentView {
        self.view_after(Duration::ZERO)
    }

    /// The agent as it is shown so long after the newest event.
    pub(crate) fn view_after(&self, later: Duration) -> AgentView {
        let later = u64::try_from(later.as_micros()).expect("not for ever");
        let now = Timestamp::from_unix_micros(self.now().unix_micros() + later);
        self.projections.agents().get(SESSION, AGENT).expect("the agent").view(now)
    }

    pub(crate) fn structured(&self) -> StructuredView {
        *self.view().structured.expect("a structured agent")
    }

    pub(crate) fn state(&self) -> AgentState {
        self.structured().status.state
    }

    /// Asserts what the agent is doing, since which event, by which event.
    #[track_caller]
    pub(crate) fn is(&self, state: AgentState, since: Seq, evidence: Seq) {
        assert_eq!(self.structured().status, AgentStatus { state, since: at(since), evidence });
    }
}

/// When an event happens.
pub(crate) fn at(seq: Seq) -> Timestamp {
    Timestamp::from_unix_micros(1_763_676_000_000_000 + seq.0 * 1_000_000)
}
