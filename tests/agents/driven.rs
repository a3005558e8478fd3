//! An agent driven through ropewalk: what is asked of it, and what the log says of it.

use std::time::{Duration, Instant};

use ropewalk_protocol::{
    AgentId, AgentSpec, AgentState, Answer, Asked, Command, CommandResult, Delivery, Event, EventBody, InteractionView,
    ItemId, ItemKind, ItemStatus, NoticeKind, OnAsk, PromptId, Query, QueryResult, Rejection, Seq, SessionId,
    StructuredView, SubscribeAfter, SubscribeParams, TurnId, TurnOutcome,
};
use ropewalk_transport::client::{Client, SubscriptionItem};
use tokio::sync::mpsc;

use super::Agent;
use crate::harness::{Home, PATIENCE, mint};

/// One agent of one session, followed from the session's first event on.
pub(crate) struct Driven {
    pub(crate) client: Client,
    pub(crate) session: SessionId,
    pub(crate) agent: AgentId,
    items: mpsc::Receiver<SubscriptionItem>,
    pub(crate) events: Vec<Event>,
}

/// What is asked for when an agent of this home is to be started.
pub(crate) fn spec(provider: &str, command: &[&str], agent: &Agent) -> AgentSpec {
    AgentSpec {
        provider: provider.to_owned(),
        name: None,
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        directory: agent.directory.to_str().unwrap().to_owned(),
        environment: agent.environment.clone(),
        model: None,
        mode: None,
        on_ask: OnAsk::Wait,
        prompt: None,
        terms: Default::default(),
    }
}

impl Driven {
    /// Starts the agent in a session of its own.
    pub(crate) async fn start(home: &Home, spec: AgentSpec) -> Self {
        Self::try_start(home, spec).await.unwrap()
    }

    pub(crate) async fn try_start(home: &Home, spec: AgentSpec) -> Result<Self, Rejection> {
        let client = home.client().await;
        let agent = Some(Box::new(spec));
        let create = Command::SessionCreate { name: None, workspace: None, program: None, size: None, agent };
        match client.command(mint(), create).await?.result {
            CommandResult::SessionCreated { session, agent: Some(agent), .. } => {
                Ok(Self::follow(client, session, agent).await)
            }
            other => panic!("{other:?}"),
        }
    }

    async fn follow(client: Client, session: SessionId, agent: AgentId) -> Self {
        let params =
            SubscribeParams { session: Some(session), after: SubscribeAfter::Seq(Seq::ZERO), log: None, only: None };
        let (_, items) = client.subscribe(params).await.unwrap();
        Self { client, session, agent, items, events: Vec::new() }
    }

    /// Another client of a daemon that was started anew.
    pub(crate) async fn again(&self, home: &Home) -> Self {
        Self::follow(home.client().await, self.session, self.agent).await
    }

    pub(crate) async fn prompt(&self, text: &str) -> PromptId {
        self.prompt_with(text, Delivery::AfterTurn, None).await
    }

    pub(crate) async fn prompt_with(&self, text: &str, delivery: Delivery, by: Option<&Agent>) -> PromptId {
        let environment = by.map(|agent| agent.environment.clone()).unwrap_or_default();
        let (session, agent, text) = (self.session, self.agent, text.to_owned());
        let prompt = Command::AgentPrompt { session, agent, text, delivery, environment };
        match self.client.command(mint(), prompt).await.unwrap().result {
            CommandResult::PromptQueued { prompt } => prompt,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn answer(&self, asked: &Asked, answer: Answer) -> Result<(), Rejection> {
        let (session, agent, interaction) = (self.session, self.agent, asked.interaction);
        let command = Command::InteractionAnswer { session, agent, interaction, answer };
        self.client.command(mint(), command).await.map(|_| ())
    }

    /// Ends its turn with its process.
    pub(crate) async fn cancel_hard(&self) {
        let (session, agent) = (self.session, self.agent);
        let cancel = Command::AgentCancel { session, agent, hard: true, turn: None };
        self.client.command(mint(), cancel).await.unwrap();
    }

    pub(crate) async fn cancel(&self) {
        let (session, agent) = (self.session, self.agent);
        self.client.command(mint(), Command::AgentCancel { session, agent, hard: false, turn: None }).await.unwrap();
    }

    /// Has it use another model or work in another mode.
    pub(crate) async fn set(&self, model: Option<&str>, mode: Option<&str>) {
        let (session, agent) = (self.session, self.agent);
        let set = Command::AgentSet { session, agent, model: model.map(str::to_owned), mode: mode.map(str::to_owned) };
        self.client.command(mint(), set).await.unwrap();
    }

    /// Lets it go on that is held.
    pub(crate) async fn release(&self) {
        let (session, agent) = (self.session, self.agent);
        self.client.command(mint(), Command::AgentRelease { session, agent }).await.unwrap();
    }

    /// What the daemon tells of the agent.
    pub(crate) async fn view(&self) -> StructuredView {
        let reference = self.session.to_string();
        match self.client.query(Query::SessionGet { reference }).await.unwrap().result {
            QueryResult::Session { session } => {
                let agent = session.agents.into_iter().find(|agent| agent.agent == self.agent).unwrap();
                *agent.structured.unwrap()
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn state(&self) -> AgentState {
        self.view().await.status.state
    }

    /// The daemon tells this state soon after it takes questions. It is a second at most; other tests share the machine.
    pub(crate) async fn is(&self, expected: AgentState) {
        let began = Instant::now();
        let mut again = tokio::time::interval(Duration::from_millis(10));
        loop {
            let state = self.state().await;
            if state == expected {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(10), "it is {state:?}, not {expected:?}\n{}", self.story());
            again.tick().await;
        }
    }

    pub(crate) async fn end(&self) {
        self.client.command(mint(), Command::SessionEnd { session: self.session }).await.unwrap();
    }

    pub(crate) async fn open_questions(&self) -> Vec<InteractionView> {
        let query = Query::InteractionsList { session: Some(self.session), after: None };
        match self.client.query(query).await.unwrap().result {
            QueryResult::Interactions { interactions, more: false } => interactions,
            other => panic!("{other:?}"),
        }
    }

    /// Reads on until the events, those read before included, tell this.
    pub(crate) async fn until<T>(&mut self, what: &str, tells: impl Fn(&[Event]) -> Option<T>) -> T {
        let waited = tokio::time::timeout(PATIENCE / 2, async {
            loop {
                if let Some(told) = tells(&self.events) {
                    return told;
                }
                match self.items.recv().await {
                    Some(SubscriptionItem::Events(events)) => self.events.extend(events),
                    Some(SubscriptionItem::Live(_)) => {}
                    other => panic!("{what}: {other:?}"),
                }
            }
        });
        waited.await.unwrap_or_else(|_| panic!("never: {what}\n{}", self.story()))
    }

    /// How this prompt's turn ended.
    pub(crate) async fn outcome(&mut self, prompt: PromptId) -> TurnOutcome {
        let turn = turn_of(prompt);
        self.until("the turn's end", |events| {
            events.iter().find_map(|event| match &event.body {
                EventBody::TurnEnded(ended) if ended.turn == turn => Some(ended.outcome.clone()),
                _ => None,
            })
        })
        .await
    }

    /// The question with this number, from 0.
    pub(crate) async fn question(&mut self, number: usize) -> Asked {
        self.until("a question", |events| {
            let mut asked = events.iter().filter_map(|event| match &event.body {
                EventBody::Asked(asked) => Some(asked.clone()),
                _ => None,
            });
            asked.nth(number)
        })
        .await
    }

    /// Waits for an event of this name, after so many of it.
    pub(crate) async fn event(&mut self, name: &str, number: usize) -> Event {
        self.until(name, |events| events.iter().filter(|event| event.body.name() == name).nth(number).cloned()).await
    }

    /// What the agent said in this prompt's turn, as whoever folds the events reads it.
    pub(crate) fn said(&self, prompt: PromptId) -> String {
        let items = self.items_of(prompt, ItemKind::Text);
        items.into_iter().map(|(item, _)| self.text(item)).collect::<Vec<_>>().join("\n")
    }

    /// What the agent said in this prompt's turn and brought to an end.
    pub(crate) fn finished(&self, prompt: PromptId) -> String {
        let items = self.items_of(prompt, ItemKind::Text).into_iter();
        let finished = items.filter(|(_, status)| *status == Some(ItemStatus::Completed));
        finished.map(|(item, _)| self.text(item)).collect::<Vec<_>>().join("\n")
    }

    /// What was told beside the work in this prompt's turn.
    pub(crate) fn notices(&self, prompt: PromptId) -> Vec<NoticeKind> {
        let turn = turn_of(prompt);
        let in_turn = self
            .events
            .iter()
            .skip_while(|event| !matches!(&event.body, EventBody::TurnStarted(started) if started.turn == turn))
            .take_while(|event| !matches!(&event.body, EventBody::TurnEnded(ended) if ended.turn == turn));
        let told = in_turn.filter_map(|event| match &event.body {
            EventBody::Noticed(noticed) => Some(noticed.kind),
            _ => None,
        });
        told.collect()
    }

    /// The items of this kind in this prompt's turn, and how they ended.
    pub(crate) fn items_of(&self, prompt: PromptId, kind: ItemKind) -> Vec<(ItemId, Option<ItemStatus>)> {
        let turn = turn_of(prompt);
        let started = self.events.iter().filter_map(|event| match &event.body {
            EventBody::ItemStarted(item) if item.turn == Some(turn) && item.kind == kind => Some(item.item),
            _ => None,
        });
        let ended = |item| {
            self.events.iter().find_map(|event| match &event.body {
                EventBody::ItemEnded(ended) if ended.item == item => Some(ended.status),
                _ => None,
            })
        };
        started.map(|item| (item, ended(item))).collect()
    }

    fn text(&self, item: ItemId) -> String {
        let mut text = String::new();
        for event in &self.events {
            match &event.body {
                EventBody::ItemDelta(delta) if delta.item == item => text.push_str(&delta.text),
                EventBody::ItemText(piece) if piece.item == item => {
                    if piece.first {
                        text.clear();
                    }
                    text.push_str(&piece.text);
                }
                _ => {}
            }
        }
        text
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.events.iter().filter(|event| event.body.name() == name).count()
    }

    /// The newest process.
    pub(crate) fn pid(&self) -> u32 {
        let started = self.events.iter().rev().find_map(|event| match &event.body {
            EventBody::RunStarted(started) => Some(started.pid),
            _ => None,
        });
        started.expect("a run has started")
    }

    /// What happened, for whoever reads that a test failed.
    pub(crate) fn story(&self) -> String {
        self.events.iter().map(|event| format!("{} {:?}\n", event.seq.0, event.body)).collect()
    }

    /// Everything that was begun has an end, and one only.
    pub(crate) fn is_settled(&self) {
        for (begun, ended) in [("agent.turn_started", "agent.turn_ended"), ("agent.item_started", "agent.item_ended")] {
            assert_eq!(self.count(begun), self.count(ended), "{begun} and {ended}\n{}", self.story());
        }
        let closed = self.count("agent.answered") + self.count("agent.ask_closed");
        assert_eq!(self.count("agent.asked"), closed, "{}", self.story());
    }
}

pub(crate) fn turn_of(prompt: PromptId) -> TurnId {
    TurnId::from_bytes(*prompt.as_bytes())
}
