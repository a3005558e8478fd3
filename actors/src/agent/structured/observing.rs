//! What the agent said, made into events of ours.

use ropewalk_protocol::{
    AgentReady, AgentRefused, AskClosed, AskEnd, AskKind, Asked, Delivery, EventBody, InteractionId, ItemChanged,
    ItemDelta, ItemEnded, ItemId, ItemStarted, ItemStatus, ItemText, NoticeKind, Noticed, OnAsk, OutputConsumed,
    PromptId, PromptMoved, PromptQueued, PromptTaken, RunId, Timestamp, TurnConfirmed, TurnId, TurnOutcome,
    TurnSettled, TurnStarted, Used, limits,
};

use super::deciding::Deciding;
use super::ending::within;
use super::{Consumed, Seen, Steered};
use crate::providers::{Observed, cut};

impl Deciding<'_> {
    /// Takes in what was seen up to a place in the run's output. What was taken in before changes nothing.
    pub(super) fn observe(&mut self, run: RunId, seen: &[Seen], to: Consumed) {
        let life = &self.agent.life;
        let known = life.consumed;
        let is_new = (to.offset, to.part) > (known.offset, known.part);
        if life.run != run || !life.is_open() || !(is_new || seen.is_empty() && to.written > known.written) {
            return;
        }
        for seen in seen {
            self.see(seen);
        }
        if !is_new && !self.has_decided() && self.agent.life.outbox.is_empty() {
            return;
        }
        let Consumed { offset, part, written } = to;
        self.emit(OutputConsumed { run, offset, part, written });
        self.check_budgets();
        self.go_on(false);
    }

    fn see(&mut self, seen: &Seen) {
        let Seen { observed, offset, length } = seen;
        match observed {
            Observed::Greeted { step } => self.greet(*step, None),
            Observed::Opened { step, conversation } => {
                self.greet(*step, Some(cut(conversation, limits::AGENT_WORD_BYTES_MAX).to_owned()));
            }
            Observed::Ready { conversation, version, model, mode } => {
                self.ready([conversation, version, model, mode]);
            }
            Observed::Refused { reason } => self.refused(reason),
            Observed::Confirmed { name } => self.confirmed(name.as_ref()),
            Observed::SteerTaken { prompt } => {
                if let Some(Steered { prompt, turn, .. }) = self.steered(prompt) {
                    self.emit(PromptTaken { turn, prompt });
                }
            }
            Observed::SteerRefused { prompt } => {
                if let Some(Steered { prompt, text, .. }) = self.steered(prompt) {
                    self.emit(PromptQueued { prompt, text, delivery: Delivery::Steer });
                    self.put_in_front(prompt);
                }
            }
            Observed::Began { name } => {
                if self.agent.turn.is_none() {
                    let (turn, run) = (TurnId::from_bytes(self.mint()), self.agent.life.run);
                    self.emit(TurnStarted { turn, prompt: None, run, input: 0 });
                    self.emit(TurnConfirmed { turn, name: name.clone() });
                }
            }
            Observed::Asked { .. } => self.asked(observed, *offset, *length),
            Observed::Unsupported { key } => {
                let title = "a request that this client does not serve".to_owned();
                let (kind, detail) = (AskKind::Permission, String::new());
                let (key, item, options, wants) = (key.clone(), None, Vec::new(), Vec::new());
                let asked = Observed::Asked { key, item, kind, title, detail, options, wants };
                if let Some(interaction) = self.open_ask(&asked, *offset, *length) {
                    let input = self.next_input();
                    self.emit(AskClosed { interaction, reason: AskEnd::Cancelled, input });
                }
            }
            Observed::AskClosed { key } => {
                if let Some(interaction) = self.agent.asks.iter().find(|ask| ask.key == *key).map(|ask| ask.id) {
                    self.emit(AskClosed { interaction, reason: AskEnd::Cancelled, input: 0 });
                }
            }
            Observed::Used(usage) => {
                let turn = self.agent.turn.as_ref().map(|turn| turn.id);
                self.emit(Used { turn, usage: usage.clone() });
            }
            Observed::Noticed { kind, text, until } => self.notice(*kind, text, *until),
            Observed::TurnEnded { outcome } => self.end_turn(outcome.clone(), AskEnd::Cancelled),
            Observed::Settled { turn, outcome } => {
                if self.agent.turn.as_ref().is_some_and(|open| open.id.to_string() == *turn) {
                    self.end_turn(outcome.clone(), AskEnd::AgentGone);
                } else if let Some(turn) = self.agent.interrupted.filter(|known| known.to_string() == *turn)
                    && !matches!(outcome, TurnOutcome::Interrupted { .. })
                {
                    let outcome = within(outcome.clone());
                    self.emit(TurnSettled { turn, outcome });
                }
            }
            _ => self.see_item(observed),
        }
    }

    /// The prompt of this name that is on its way into a turn.
    fn steered(&self, prompt: &str) -> Option<Steered> {
        self.agent.steered.iter().find(|steered| steered.prompt.to_string() == *prompt).cloned()
    }

    /// Has a prompt that waits again stand before those that were never sent, behind those that were sent before it.
    fn put_in_front(&mut self, prompt: PromptId) {
        let agent = &self.agent;
        let sent = |wanted: PromptId| agent.sent.iter().position(|sent| *sent == wanted);
        let is_before = |other: &PromptId| sent(*other).is_some_and(|other| Some(other) < sent(prompt));
        let others: Vec<PromptId> =
            agent.queue.iter().map(|waiting| waiting.prompt).filter(|other| *other != prompt).collect();
        let place = others.iter().take_while(|other| is_before(other)).count();
        if agent.queue.get(place).is_none_or(|there| there.prompt != prompt) {
            let before = others.get(place).copied();
            self.emit(PromptMoved { prompt, before });
        }
    }

    fn ready(&mut self, [conversation, version, model, mode]: [&Option<String>; 4]) {
        let agent = &self.agent;
        let known = [&agent.conversation, &agent.version, &agent.model, &agent.mode];
        let is_news = [conversation, version, model, mode]
            .into_iter()
            .zip(known)
            .any(|(told, known)| told.is_some() && told != known);
        if is_news || !agent.life.is_ready {
            let run = agent.life.run;
            let word =
                |told: &Option<String>| told.as_ref().map(|told| cut(told, limits::AGENT_WORD_BYTES_MAX).to_owned());
            let [conversation, version] = [word(conversation), word(version)];
            let [model, mode] = [word(model), word(mode)];
            self.emit(AgentReady { run, conversation, version, model, mode });
        }
    }

    fn refused(&mut self, reason: &str) {
        if self.agent.life.is_refused {
            return;
        }
        let had_turn = self.agent.turn.is_some();
        let reason = cut(reason, limits::ITEM_PIECE_BYTES_MAX).to_owned();
        let run = self.agent.life.run;
        self.emit(AgentRefused { run, reason: reason.clone() });
        self.end_turn(TurnOutcome::Failed { reason: reason.clone() }, AskEnd::Cancelled);
        if !had_turn {
            self.fail_next(&reason);
        }
    }

    fn confirmed(&mut self, name: Option<&String>) {
        let Some(turn) = &self.agent.turn else { return };
        if !turn.confirmed || name.is_some_and(|name| turn.name.as_ref() != Some(name)) {
            let turn = turn.id;
            self.emit(TurnConfirmed {
                turn,
                name: name.map(|name| cut(name, limits::AGENT_WORD_BYTES_MAX).to_owned()),
            });
        }
    }

    fn notice(&mut self, kind: NoticeKind, text: &str, until: Option<Timestamp>) {
        let text = cut(text, limits::ITEM_PIECE_BYTES_MAX).to_owned();
        self.emit(Noticed { kind, text, until });
    }

    fn asked(&mut self, asked: &Observed, offset: u64, length: u64) {
        if let Some(interaction) = self.open_ask(asked, offset, length)
            && !self.apply_rules(interaction, asked)
        {
            self.apply_policy(interaction);
        }
    }

    fn open_ask(&mut self, asked: &Observed, offset: u64, length: u64) -> Option<InteractionId> {
        let Observed::Asked { key, item, kind, title, detail, options, .. } = asked else { return None };
        let key = cut(key, limits::AGENT_WORD_BYTES_MAX);
        if self.agent.asks.iter().any(|ask| ask.key == key) {
            return None;
        }
        if self.agent.asks.len() >= limits::ASKS_OPEN_MAX {
            self.notice(NoticeKind::Warning, "a question was passed over: too many are open", None);
            return None;
        }
        let expires = match self.agent.on_ask {
            OnAsk::WaitMillis(millis) => Some(self.now().plus_millis(millis)),
            OnAsk::Wait | OnAsk::Deny | OnAsk::Fail => None,
        };
        let interaction = InteractionId::from_bytes(self.mint());
        let mut options = options.clone();
        options.truncate(OPTIONS_MAX);
        for option in &mut options {
            option.id = cut(&option.id, limits::AGENT_WORD_BYTES_MAX).to_owned();
            option.name = cut(&option.name, limits::AGENT_WORD_BYTES_MAX).to_owned();
        }
        self.emit(Asked {
            interaction,
            key: key.to_owned(),
            turn: self.agent.turn.as_ref().map(|turn| turn.id),
            item: item.as_ref().and_then(|key| self.item(key)),
            kind: *kind,
            title: cut(title, limits::ITEM_TITLE_BYTES_MAX).to_owned(),
            detail: cut(detail, limits::ITEM_INPUT_BYTES_MAX).to_owned(),
            options,
            expires,
            offset,
            length,
        });
        Some(interaction)
    }

    fn item(&self, key: &str) -> Option<ItemId> {
        let key = cut(key, limits::AGENT_WORD_BYTES_MAX);
        self.agent.items.iter().find(|item| item.key == key).map(|item| item.id)
    }

    /// The item that another is part of: it may have ended, as what is done in the background is of a call that returned.
    fn parent(&self, key: &str) -> Option<ItemId> {
        let cut = cut(key, limits::AGENT_WORD_BYTES_MAX);
        let ended = || self.agent.ended_tools.iter().rfind(|(ended, _)| ended == cut).map(|(_, item)| *item);
        self.item(key).or_else(ended)
    }

    fn see_item(&mut self, observed: &Observed) {
        match observed {
            Observed::ItemStarted { key, parent, kind, title, input } => {
                if self.item(key).is_some() || self.agent.items.len() >= limits::ITEMS_OPEN_MAX {
                    return;
                }
                let item = ItemId::from_bytes(self.mint());
                self.emit(ItemStarted {
                    item,
                    key: cut(key, limits::AGENT_WORD_BYTES_MAX).to_owned(),
                    turn: self.agent.turn.as_ref().map(|turn| turn.id),
                    parent: parent.as_ref().and_then(|key| self.parent(key)),
                    kind: *kind,
                    title: cut(title, limits::ITEM_TITLE_BYTES_MAX).to_owned(),
                    input: cut(input, limits::ITEM_INPUT_BYTES_MAX).to_owned(),
                });
            }
            Observed::ItemChanged { key, title, input } => {
                if let Some(item) = self.item(key) {
                    let title = cut(title, limits::ITEM_TITLE_BYTES_MAX).to_owned();
                    let input = cut(input, limits::ITEM_INPUT_BYTES_MAX).to_owned();
                    self.emit(ItemChanged { item, title, input });
                }
            }
            Observed::Delta { key, text } => self.delta(key, text),
            Observed::Text { key, first, text } => {
                if let Some(item) = self.item(key) {
                    let text = cut(text, limits::ITEM_PIECE_BYTES_MAX).to_owned();
                    self.emit(ItemText { item, first: *first, text });
                }
            }
            Observed::ItemEnded { key, status } => {
                let key = cut(key, limits::AGENT_WORD_BYTES_MAX);
                if let Some(open) = self.agent.items.iter().find(|item| item.key == key) {
                    // Agents call it a failure when somebody said no.
                    let is_declined = *status == ItemStatus::Failed && open.is_declined;
                    let status = if is_declined { ItemStatus::Declined } else { *status };
                    let (item, title) = (open.id, open.call.as_ref().map(|call| call.title.clone()));
                    self.emit(ItemEnded { item, status });
                    if let Some(title) = title {
                        self.check_rounds(title);
                    }
                }
            }
            _ => {}
        }
    }

    /// A preview is joined to the one before it: what comes together is shown together.
    fn delta(&mut self, key: &str, text: &str) {
        let key = cut(key, limits::AGENT_WORD_BYTES_MAX);
        let Some(open) = self.agent.items.iter().find(|item| item.key == key).filter(|item| !item.is_told) else {
            return;
        };
        let item = open.id;
        let text = cut(text, limits::ITEM_PIECE_BYTES_MAX);
        if let Some(EventBody::ItemDelta(last)) = self.last_event()
            && last.item == item
            && last.text.len() + text.len() <= limits::ITEM_PIECE_BYTES_MAX
        {
            last.text.push_str(text);
            return;
        }
        self.emit(ItemDelta { item, text: text.to_owned() });
    }
}

/// Options of one question: more than anyone reads, and few enough to fit into an event.
const OPTIONS_MAX: usize = 16;
