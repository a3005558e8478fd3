//! What happens, a sentence each: agents come, say and do things, ask, and end.

use ropewalk_protocol::{
    AgentAdded, AgentClosed, AgentId, AgentJoined, AgentReady, AgentTerms, Answer, Answered, AskClosed, AskEffect,
    AskEnd, AskKind, AskOption, Asked, BudgetUse, BudgetWarned, Delivery, Event, HoldReason, InteractionId, ItemDelta,
    ItemEnded, ItemId, ItemKind, ItemStarted, ItemStatus, ItemText, NoticeKind, Noticed, OnAsk, PromptId, PromptQueued,
    RunAsked, RunEnded, RunFailed, RunId, RunOutcome, RunStarted, Seq, SessionCreated, SessionEnded, SessionId, Size,
    Stream, TerminalClosed, TerminalId, Timestamp, TurnConfirmed, TurnEnded, TurnId, TurnOutcome, TurnStarted, Usage,
    UsageScope, Used,
};

use super::{DIRECTORY, World};

/// An agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) session: SessionId,
    pub(crate) agent: AgentId,
    run: RunId,
}

impl Who {
    pub(super) fn stream(self) -> Stream {
        Stream::Agent(self.session, self.agent)
    }
}

/// Agents and their sessions.
impl World {
    /// A session of the directory that clients are started in.
    pub(crate) fn session(&mut self, name: &str) -> SessionId {
        self.session_in(name, DIRECTORY)
    }

    pub(crate) fn session_in(&mut self, name: &str, directory: &str) -> SessionId {
        let session = SessionId::from_bytes(self.id());
        let name = Some(name.to_owned()).filter(|name| !name.is_empty());
        let workspace = Some(directory.to_owned());
        self.tell_for("ropewalk-cli", Stream::Session(session), SessionCreated { name, workspace });
        session
    }

    /// An agent that was asked for, and is not ready.
    pub(crate) fn joins(&mut self, session: SessionId, provider: &str, name: &str, parent: Option<Who>) -> Who {
        self.joins_on(session, provider, name, parent, AgentTerms::default())
    }

    pub(crate) fn joins_on(
        &mut self,
        session: SessionId,
        provider: &str,
        name: &str,
        parent: Option<Who>,
        terms: AgentTerms,
    ) -> Who {
        let (agent, run) = (AgentId::from_bytes(self.id()), RunId::from_bytes(self.id()));
        let (output, errors) = (TerminalId::from_bytes(self.id()), TerminalId::from_bytes(self.id()));
        let joined = AgentJoined {
            agent,
            provider: provider.to_owned(),
            name: name.to_owned(),
            parent: parent.map(|parent| parent.agent),
            command: Vec::new(),
            directory: DIRECTORY.to_owned(),
            model: None,
            mode: None,
            on_ask: OnAsk::Wait,
            run: RunAsked { run, output, errors, argv: vec![provider.to_owned()] },
            prompt: None,
            terms: Box::new(terms),
        };
        self.tell(Stream::Session(session), joined);
        Who { session, agent, run }
    }

    /// It takes prompts.
    pub(crate) fn ready(&mut self, who: Who, model: &str, mode: &str) {
        self.tell(who.stream(), RunStarted { run: who.run, pid: 4711, start_ticks: 300 });
        let ready = AgentReady {
            run: who.run,
            conversation: Some("c-1".to_owned()),
            version: Some("2.1.0".to_owned()),
            model: Some(model.to_owned()),
            mode: Some(mode.to_owned()),
        };
        self.tell(who.stream(), ready);
    }

    /// A session with one agent that takes prompts.
    pub(crate) fn claude(&mut self, session: &str) -> Who {
        let session = self.session(session);
        let who = self.joins(session, "claude", "claude", None);
        self.ready(who, "sonnet-4.5", "default");
        who
    }

    /// Its process is gone.
    pub(crate) fn stops(&mut self, who: Who, outcome: RunOutcome) {
        self.tell(who.stream(), RunEnded { run: who.run, outcome, offset: 0 });
    }

    /// It ends for good.
    pub(crate) fn closes(&mut self, who: Who) {
        self.stops(who, RunOutcome::Exited { code: 0 });
        self.tell(who.stream(), AgentClosed { reason: "somebody ended it".to_owned() });
    }

    /// The daemon knows nothing of it any more, and tells nobody.
    pub(crate) fn forget(&mut self, who: Who) {
        let deleted = Event {
            seq: self.head().next(),
            stream: Stream::Session(who.session),
            at: self.now,
            cause: None,
            body: ropewalk_protocol::SessionDeleted {}.into(),
        };
        self.projections.apply(&deleted);
    }

    pub(crate) fn session_ends(&mut self, session: SessionId) {
        self.tell(Stream::Session(session), SessionEnded { reason: "every agent is closed".to_owned() });
    }

    /// The agent's turn, if it has one.
    pub(crate) fn turn(&self, who: Who) -> Option<TurnId> {
        let agent = self.projections.agents().get(who.session, who.agent)?;
        agent.structured.as_ref()?.turn
    }

    pub(super) fn who(&self, session: SessionId, agent: AgentId) -> Option<Who> {
        let known = self.projections.agents().get(session, agent)?;
        Some(Who { session, agent, run: known.run })
    }
}

/// Turns and what is in them.
impl World {
    /// Somebody says something to an agent that has no turn.
    pub(crate) fn prompt(&mut self, who: Who, text: &str) -> TurnId {
        let prompt = self.queued(who, text, Delivery::AfterTurn, "ropewalk-cli");
        self.starts(who, prompt)
    }

    /// A prompt waits.
    pub(crate) fn queued(&mut self, who: Who, text: &str, delivery: Delivery, client: &str) -> PromptId {
        let prompt = PromptId::from_bytes(self.id());
        self.tell_for(client, who.stream(), PromptQueued { prompt, text: text.to_owned(), delivery });
        prompt
    }

    /// A prompt that waits is given to the agent.
    pub(crate) fn starts(&mut self, who: Who, prompt: PromptId) -> TurnId {
        let turn = TurnId::from_bytes(*prompt.as_bytes());
        self.tell(who.stream(), TurnStarted { turn, prompt: Some(prompt), run: who.run, input: 1 });
        self.tell(who.stream(), TurnConfirmed { turn, name: None });
        turn
    }

    /// A part of the turn begins.
    pub(crate) fn begins(&mut self, who: Who, kind: ItemKind, title: &str, input: &str) -> ItemId {
        let item = ItemId::from_bytes(self.id());
        let (key, turn) = (format!("item {}", self.ids), self.turn(who));
        let (title, input) = (title.to_owned(), input.to_owned());
        self.tell(who.stream(), ItemStarted { item, key, turn, parent: None, kind, title, input });
        item
    }

    /// A preview of more of its text.
    pub(crate) fn puts(&mut self, who: Who, item: ItemId, text: &str) -> Seq {
        self.tell(who.stream(), ItemDelta { item, text: text.to_owned() })
    }

    /// It is settled, and this is its text.
    pub(crate) fn settles(&mut self, who: Who, item: ItemId, text: &str, status: ItemStatus) {
        if !text.is_empty() {
            self.tell(who.stream(), ItemText { item, first: true, text: text.to_owned() });
        }
        self.tell(who.stream(), ItemEnded { item, status });
    }

    pub(crate) fn says(&mut self, who: Who, text: &str) {
        let item = self.begins(who, ItemKind::Text, "", "");
        self.settles(who, item, text, ItemStatus::Completed);
    }

    pub(crate) fn thinks(&mut self, who: Who, text: &str) {
        let item = self.begins(who, ItemKind::Thinking, "", "");
        self.settles(who, item, text, ItemStatus::Completed);
    }

    /// A tool is called and ends.
    pub(crate) fn uses(&mut self, who: Who, title: &str, input: &str, output: &str, status: ItemStatus) -> ItemId {
        let item = self.begins(who, ItemKind::Tool, title, input);
        self.later(700).settles(who, item, output, status);
        item
    }

    /// The turn is over.
    pub(crate) fn ends(&mut self, who: Who) {
        self.ends_so(who, TurnOutcome::Completed);
    }

    pub(crate) fn ends_so(&mut self, who: Who, outcome: TurnOutcome) {
        let turn = self.turn(who).expect("a turn is open");
        self.tell(who.stream(), TurnEnded { turn, outcome });
    }

    /// What the turn has cost so far.
    pub(crate) fn costs(&mut self, who: Who, micro_usd: u64, tokens: u64) {
        let usage = Usage {
            scope: UsageScope::Turn,
            input_tokens: tokens,
            cached_tokens: tokens / 2,
            output_tokens: tokens / 20,
            cost_micro_usd: Some(micro_usd),
            context_tokens: Some(tokens),
            context_tokens_max: Some(200_000),
        };
        let turn = self.turn(who);
        self.tell(who.stream(), Used { turn, usage });
    }

    pub(crate) fn notices(&mut self, who: Who, kind: NoticeKind, text: &str) {
        self.tell(who.stream(), Noticed { kind, text: text.to_owned(), until: None });
    }

    pub(crate) fn held(&mut self, who: Who, reason: HoldReason, until: Option<Timestamp>) {
        self.tell(who.stream(), ropewalk_protocol::Held { reason, until });
    }

    pub(crate) fn budget_runs_out(&mut self, who: Who, budget: BudgetUse) {
        self.tell(who.stream(), BudgetWarned { budget });
    }

    /// A whole turn, with a word on either side.
    pub(crate) fn exchange(&mut self, who: Who, prompt: &str, answer: &str) {
        self.later(30_000).prompt(who, prompt);
        self.later(4_000).says(who, answer);
        self.costs(who, 12_300, 21_000);
        self.ends(who);
    }
}

/// Questions.
impl World {
    /// The agent asks whether it may.
    pub(crate) fn asks_to(&mut self, who: Who, title: &str, input: &str) -> InteractionId {
        let options = [("yes", AskEffect::Allow), ("always", AskEffect::AllowAlways), ("no", AskEffect::Deny)]
            .map(|(id, effect)| AskOption { id: id.to_owned(), name: id.to_owned(), effect });
        self.asks(who, AskKind::Permission, title, input, options.to_vec())
    }

    /// The agent asks which.
    pub(crate) fn asks_which(&mut self, who: Who, title: &str, options: &[&str]) -> InteractionId {
        let options = (1..).zip(options).map(|(number, name)| AskOption {
            id: format!("option-{number}"),
            name: (*name).to_owned(),
            effect: AskEffect::Other,
        });
        let options = options.collect();
        self.asks(who, AskKind::Choice, title, "", options)
    }

    /// The agent asks for a text.
    pub(crate) fn asks_for(&mut self, who: Who, title: &str) -> InteractionId {
        self.asks(who, AskKind::Question, title, "", Vec::new())
    }

    /// The agent asks whether it may, and takes silence for a no after a while.
    pub(crate) fn asks_within(&mut self, who: Who, millis: u64, title: &str, input: &str) -> InteractionId {
        self.patience = Some(millis);
        let interaction = self.asks_to(who, title, input);
        self.patience = None;
        interaction
    }

    /// Whether a question is open.
    pub(crate) fn is_open(&self, interaction: InteractionId) -> bool {
        self.projections.interactions().iter().any(|open| open.interaction == interaction)
    }

    /// The prompt that is next, if one waits.
    pub(crate) fn first_waiting(&self, who: Who) -> Option<PromptId> {
        let agent = self.projections.agents().get(who.session, who.agent)?;
        agent.structured.as_ref()?.prompts().first().map(|prompt| prompt.prompt)
    }

    /// Nobody answered in time.
    pub(crate) fn expires(&mut self, who: Who, interaction: InteractionId) {
        self.tell(who.stream(), AskClosed { interaction, reason: AskEnd::Expired, input: 3 });
    }

    fn asks(&mut self, who: Who, kind: AskKind, title: &str, detail: &str, options: Vec<AskOption>) -> InteractionId {
        let interaction = InteractionId::from_bytes(self.id());
        let asked = Asked {
            interaction,
            key: format!("ask {}", self.ids),
            turn: self.turn(who),
            item: None,
            kind,
            title: title.to_owned(),
            detail: detail.to_owned(),
            options,
            expires: self.patience.map(|millis| self.now.plus_millis(millis)),
            offset: 0,
            length: 10,
        };
        self.tell(who.stream(), asked);
        interaction
    }

    /// Somebody else answers.
    pub(crate) fn answered_by(&mut self, client: &str, who: Who, interaction: InteractionId, answer: Answer) {
        self.tell_for(client, who.stream(), Answered { interaction, answer, input: 1 });
    }
}

/// Programs in terminals.
impl World {
    /// A program runs in a session of its own.
    pub(crate) fn program(&mut self, session: &str, argv: &[&str]) -> (Who, TerminalId) {
        let session = self.session(session);
        self.program_in(session, argv, Size { cols: 80, rows: 24 })
    }

    pub(super) fn program_in(&mut self, session: SessionId, argv: &[&str], size: Size) -> (Who, TerminalId) {
        let (who, terminal) = self.program_added(session, argv, size);
        self.tell(who.stream(), RunStarted { run: who.run, pid: 4712, start_ticks: 301 });
        (who, terminal)
    }

    fn program_added(&mut self, session: SessionId, argv: &[&str], size: Size) -> (Who, TerminalId) {
        let (agent, run) = (AgentId::from_bytes(self.id()), RunId::from_bytes(self.id()));
        let terminal = TerminalId::from_bytes(self.id());
        let added = AgentAdded {
            agent,
            provider: "terminal".to_owned(),
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            directory: DIRECTORY.to_owned(),
            run,
            terminal,
            size,
        };
        self.tell(Stream::Session(session), added);
        self.outputs.insert(terminal, Vec::new());
        (Who { session, agent, run }, terminal)
    }

    /// A program that could not be started.
    pub(crate) fn program_fails(&mut self, session: &str, argv: &[&str], reason: &str) {
        let session = self.session(session);
        let (who, _) = self.program_added(session, argv, Size { cols: 80, rows: 24 });
        self.tell(who.stream(), RunFailed { run: who.run, reason: reason.to_owned() });
        self.session_ends(session);
    }

    /// It writes.
    pub(crate) fn writes(&mut self, terminal: TerminalId, bytes: &[u8]) {
        self.outputs.entry(terminal).or_default().extend_from_slice(bytes);
    }

    /// It ends.
    pub(crate) fn program_ends(&mut self, who: Who, terminal: TerminalId, code: i32) {
        let offset = u64::try_from(self.output(terminal).len()).unwrap_or(u64::MAX);
        self.tell(who.stream(), RunEnded { run: who.run, outcome: RunOutcome::Exited { code }, offset });
        self.tell(Stream::Terminal(who.session, terminal), TerminalClosed { offset });
    }
}
