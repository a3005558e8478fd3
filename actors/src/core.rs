//! What every core is: three pure functions, and the one shell's view of them.

use std::sync::Arc;

use ropewalk_protocol::{
    AgentId, AgentJoined, Budget, CommandResult, EventBody, Program, Rejection, Rule, RunAsked, RunId, RunOutcome,
    SessionId, Size, Spent, Stream, TerminalId, Timestamp, codec,
};

use serde::{Deserialize, Serialize};

use crate::agent::AgentCore;
use crate::agent::structured::AgentInput;
use crate::providers::Outgoing;
use crate::session::SessionCore;
use crate::terminal::TerminalCore;

/// Something an actor is asked or told. Ids and times in it were minted at the edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// A client asks for a session.
    Create { name: Option<String>, workspace: Option<String>, launch: Option<Launch>, joined: Option<Box<AgentJoined>> },
    /// A client asks for another structured agent.
    Spawn { joined: Box<AgentJoined> },
    /// A client asks for another name.
    Rename { name: String },
    /// A client writes a remark.
    Annotate { text: String },
    /// A client bounds what the session's agents may cost together.
    SetBudget { budget: Budget },
    /// A client has questions answered by rules.
    SetRules { rules: Vec<Rule> },
    /// A client asks for the end.
    End,
    /// A client asks for the session to be taken out of every list.
    Delete,
    /// A part of the session settled: look whether anything still runs.
    Settled,
    /// The agent's process runs.
    Started { run: RunId, pid: u32, start_ticks: u64 },
    /// The agent's process could not be started.
    SpawnFailed { run: RunId, reason: String },
    /// The agent's process is gone.
    Gone { run: RunId, outcome: RunOutcome, offset: u64 },
    /// The terminal has another size.
    Resized { size: Size, offset: u64 },
    /// The terminal's bytes are complete.
    Closed { offset: u64 },
    /// Bytes of the terminal will never come.
    Lost { from: u64, to: u64, reason: String },
    /// Something for a structured agent.
    Agent(AgentInput),
}

/// The time, and ids, that an input brings along: a core has neither.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mint {
    first: [u8; 16],
    pub(crate) now: Timestamp,
}

impl Mint {
    /// Ids that follow this one.
    pub(crate) fn new(first: [u8; 16], now: Timestamp) -> Self {
        Self { first, now }
    }

    /// The id with this number. Those of one mint differ, in their last four bytes.
    pub(crate) fn id(&self, number: u32) -> [u8; 16] {
        let mut id = self.first;
        let (_, tail) = id.split_at_mut(12);
        let last = u32::from_be_bytes(tail.try_into().unwrap_or_default());
        tail.copy_from_slice(&last.wrapping_add(number).to_be_bytes());
        id
    }
}

/// What an actor decides with, besides what it knows by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    /// The time, and ids.
    pub(crate) mint: Mint,
    /// What lies around an agent.
    pub(crate) around: Around,
}

/// What others have spent, what may be spent, and what is answered by rules: true when an agent decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Around {
    /// What the session's agents may cost together.
    pub session_budget: Budget,
    /// What those besides this one have cost.
    pub session_others: Spent,
    /// What all agents may cost today.
    pub day_budget: Budget,
    /// What those besides this one have cost today.
    pub day_others: Spent,
    /// The rules that hold for the agent.
    pub rules: Arc<[Rule]>,
}

/// Whoever knows what lies around agents.
pub trait Surroundings: Send + Sync {
    /// What lies around this agent; its rules only where they are asked for.
    fn around(&self, session: SessionId, agent: AgentId, now: Timestamp, with_rules: bool) -> Around;
    /// The agents that a budget may stop or hold: those that have a turn, or are held.
    fn bounded(&self) -> Vec<(SessionId, AgentId)>;
    /// How many directories have rules, and whether this one has.
    fn workspaces_ruled(&self, directory: &str) -> (usize, bool);
}

/// A program to run, with the ids minted for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Launch {
    pub(crate) agent: AgentId,
    pub(crate) run: RunId,
    pub(crate) terminal: TerminalId,
    pub(crate) program: Program,
    pub(crate) size: Size,
}

/// What a core decided: events in its own stream, and the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) events: Vec<EventBody>,
    pub(crate) result: CommandResult,
    /// When an agent is to look again at what it may do.
    pub(crate) look_again: Option<Timestamp>,
}

impl Decision {
    /// These events, and nothing more to say.
    pub(crate) fn done(events: Vec<EventBody>) -> Self {
        Self { events, result: CommandResult::Done {}, look_again: None }
    }

    /// It is so already.
    pub(crate) fn nothing() -> Self {
        Self::done(Vec::new())
    }
}

/// Work that follows from an event, once it is durable. Never on replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Start the agent's process.
    Spawn {
        session: SessionId,
        agent: AgentId,
        run: RunId,
        terminal: TerminalId,
        argv: Vec<String>,
        directory: String,
        size: Size,
    },
    /// Start a structured agent's process, and write this to it first.
    SpawnAgent {
        session: SessionId,
        agent: AgentId,
        provider: String,
        directory: String,
        run: RunAsked,
        first: (u64, Outgoing),
    },
    /// Write this to an agent, as the write with this number.
    Write { run: RunId, number: u64, outgoing: Outgoing },
    /// The agent was asked to end its turn: it is made to, if it does not.
    Insist { run: RunId },
    /// The agent has no turn any more.
    TurnSettled { run: RunId },
    /// Say this to the agent once it is so late.
    Later { at: Timestamp, session: SessionId, agent: AgentId, input: AgentInput },
    /// Have these agents look again at what they may do.
    Reconsider { session: SessionId, agents: Vec<AgentId> },
    /// Tell these agents that their session ends.
    Close { session: SessionId, agents: Vec<AgentId> },
    /// Nothing of this agent is needed any more.
    ForgetAgent { agent: AgentId },
    /// Ask these runs to stop, then make them.
    Stop { runs: Vec<RunId> },
    /// Tell the session that one of its agents settled, by this event.
    TellSession { session: SessionId, event: EventBody },
    /// The end of this run is durable.
    RunSettled { run: RunId },
    /// The end of this terminal is durable.
    TerminalSettled { terminal: TerminalId },
    /// Nothing of this session is of use any more but its history.
    Delete { session: SessionId },
}

/// A pure decider: no clock, no randomness, no IO.
pub(crate) trait Core {
    /// All rules: what is to happen, given what happened.
    fn decide(&self, input: &Input, moment: &Moment) -> Result<Decision, Rejection>;
    /// Takes in what happened, in its own stream or in a part's, and by which client's command. Cannot fail and asks no why.
    fn apply(&mut self, stream: Stream, at: Timestamp, by: Option<&str>, body: &EventBody);
    /// What is to be done because this happened.
    fn react(&self, body: &EventBody) -> Vec<Effect>;
}

/// The encoding of cores that this build reads: another number wherever a field of one changes. A state that was kept in
/// another is not read, and the core is made of its history.
const STATE_VERSION: u16 = 8;

/// The core of whichever actor owns a stream.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum AnyCore {
    Session(SessionCore),
    Agent(AgentCore),
    Terminal(TerminalCore),
}

impl AnyCore {
    /// The core that owns this stream, before anything happened; `None` for the machine's stream.
    pub(crate) fn new(stream: Stream) -> Option<Self> {
        Some(match stream {
            Stream::Machine => return None,
            Stream::Session(session) => AnyCore::Session(SessionCore::new(session)),
            Stream::Agent(session, agent) => AnyCore::Agent(AgentCore::new(session, agent)),
            Stream::Terminal(session, terminal) => AnyCore::Terminal(TerminalCore::new(session, terminal)),
        })
    }
}

impl AnyCore {
    /// The core's state, to be kept: `u16 LE version | core`.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut state = STATE_VERSION.to_le_bytes().to_vec();
        codec::encode_into(self, &mut state);
        state
    }

    /// The core of this stream in a state that was kept; `None` when it is of another build or stream.
    pub(crate) fn decode(stream: Stream, state: &[u8]) -> Option<Self> {
        let (version, state) = state.split_at_checked(2)?;
        if version != STATE_VERSION.to_le_bytes() {
            return None;
        }
        let core: AnyCore = codec::decode(state).ok()?;
        let owns = match &core {
            AnyCore::Session(core) => core.stream(),
            AnyCore::Agent(core) => core.stream(),
            AnyCore::Terminal(core) => core.stream(),
        };
        (owns == stream).then_some(core)
    }
}

impl Core for AnyCore {
    fn decide(&self, input: &Input, moment: &Moment) -> Result<Decision, Rejection> {
        match self {
            AnyCore::Session(core) => core.decide(input, moment),
            AnyCore::Agent(core) => core.decide(input, moment),
            AnyCore::Terminal(core) => core.decide(input, moment),
        }
    }

    fn apply(&mut self, stream: Stream, at: Timestamp, by: Option<&str>, body: &EventBody) {
        match self {
            AnyCore::Session(core) => core.apply(stream, at, by, body),
            AnyCore::Agent(core) => core.apply(stream, at, by, body),
            AnyCore::Terminal(core) => core.apply(stream, at, by, body),
        }
    }

    fn react(&self, body: &EventBody) -> Vec<Effect> {
        match self {
            AnyCore::Session(core) => core.react(body),
            AnyCore::Agent(core) => core.react(body),
            AnyCore::Terminal(core) => core.react(body),
        }
    }
}
