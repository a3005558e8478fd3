//! A turn as it happens: events in, what is printed out. Pure.

use std::collections::BTreeMap;

use ropewalk_protocol::{
    AgentId, AskEnd, AskOption, Asked, Event, EventBody, Held, HoldReason, InteractionId, ItemEnded, ItemId, ItemKind,
    ItemStarted, ItemStatus, NoticeKind, PromptId, SessionId, Stream, TurnId,
};

use super::answer;
use super::cost::Counts;
use super::settled::{Ended, Known, Outcome};
use super::text::{self, Text};

/// What is to be printed, or done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// What the agent says: more of its text.
    Text(String),
    /// What it does, in a line.
    Line(String),
    /// It asks, and the turn waits.
    Asked(Box<Asked>),
    /// A question needs no answer any more; how it was answered, or why not.
    Closed(InteractionId, String),
    /// Unless something else follows at once, nothing will any more: why.
    Gone(String),
    /// Something follows after all.
    Back,
}

impl Said {
    /// The question that is closed by it.
    pub(super) const fn closed(&self) -> Option<InteractionId> {
        match self {
            Said::Closed(interaction, _) => Some(*interaction),
            _ => None,
        }
    }
}

/// A turn, from its prompt on.
#[derive(Debug)]
pub(super) struct Story {
    session: SessionId,
    agent: AgentId,
    prompt: PromptId,
    turn: Option<TurnId>,
    /// The turn ran already, and the agent has not said whether it took the prompt into it.
    is_on_its_way: bool,
    /// How the turn ended meanwhile.
    ended_meanwhile: Option<Ended>,
    items: BTreeMap<ItemId, Item>,
    /// Texts since the last tool call: the answer, if nothing else follows.
    answer: Vec<ItemId>,
    asks: BTreeMap<InteractionId, Vec<AskOption>>,
    /// A question is open that the machine cancelled the turn for.
    asked_and_cancelled: bool,
    /// The rule that the next answer follows.
    ruled: Option<String>,
    /// The prompt waits, or has its turn.
    is_queued: bool,
    /// Why the agent is given no prompts, if it is not.
    held: Option<HoldReason>,
    /// What the agent said of its model's limit, if it has done nothing since.
    limited: Option<String>,
    counts: Counts,
    ended: Option<Ended>,
}

#[derive(Debug)]
struct Item {
    turn: Option<TurnId>,
    kind: ItemKind,
    /// It is of a sub-agent.
    nested: bool,
    title: String,
    input: String,
    told: bool,
    text: Text,
}

impl Story {
    pub(super) fn new(session: SessionId, agent: AgentId, prompt: PromptId, counts: Counts) -> Self {
        Self {
            session,
            agent,
            prompt,
            turn: None,
            is_on_its_way: false,
            ended_meanwhile: None,
            items: BTreeMap::new(),
            answer: Vec::new(),
            asks: BTreeMap::new(),
            asked_and_cancelled: false,
            ruled: None,
            is_queued: false,
            held: None,
            limited: None,
            counts,
            ended: None,
        }
    }

    /// The agent was held before.
    pub(super) fn was_held(&mut self, reason: HoldReason) {
        self.held = Some(reason);
    }

    /// Whether an event is of this agent, or of its session as a whole.
    pub(super) fn is_about(&self, event: &Event) -> bool {
        event.stream == Stream::Agent(self.session, self.agent) || event.stream == Stream::Session(self.session)
    }

    /// The prompt was given to the agent.
    pub(super) fn has_started(&self) -> bool {
        self.turn.is_some()
    }

    /// How the turn ended, once it has.
    pub(super) fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// The agent, its session and the prompt.
    pub(super) fn names(&self) -> (SessionId, AgentId, PromptId) {
        (self.session, self.agent, self.prompt)
    }

    /// What is known by now, for the last line.
    pub(super) fn known(&self) -> Known {
        let texts = self.answer.iter().filter_map(|item| self.items.get(item)).map(|item| item.text.whole());
        let texts: Vec<&str> = texts.map(str::trim_end).filter(|text| !text.is_empty()).collect();
        Known {
            session: Some(self.session),
            agent: Some(self.agent),
            // A turn has its prompt's id, unless the prompt went into another one.
            turn: Some(self.turn.unwrap_or_else(|| TurnId::from(self.prompt.uuid()))),
            text: texts.join("\n\n"),
            cost: self.counts.cost(),
        }
    }

    /// Takes an event in.
    pub(super) fn apply(&mut self, event: &Event, said: &mut Vec<Said>) {
        if !self.is_about(event) {
            return;
        }
        if self.ended.is_some() {
            return afterwards(&event.body, said);
        }
        if self.is_told_no_more(&event.body) {
            return;
        }
        match &event.body {
            EventBody::SessionEnded(ended) => said.push(Said::Gone(format!("the session has ended: {}", ended.reason))),
            EventBody::SessionDeleted(_) => said.push(Said::Gone("the session was deleted".to_owned())),
            EventBody::AgentClosed(closed) => said.push(Said::Gone(format!("the agent has ended: {}", closed.reason))),
            EventBody::RunFailed(failed) => {
                said.push(Said::Gone(format!("the agent could not be started: {}", failed.reason)));
            }
            EventBody::RunEnded(ended) => said.push(Said::Gone(format!("the agent's process {}", ended.outcome))),
            EventBody::RunAsked(_) => {
                self.counts.run_began();
                said.push(Said::Back);
            }
            EventBody::PromptWithdrawn(withdrawn) if withdrawn.prompt == self.prompt => {
                self.ended = Some(Ended::new(Outcome::Cancelled, "the prompt was taken back"));
            }
            EventBody::PromptQueued(queued) if queued.prompt == self.prompt => {
                self.is_queued = true;
                self.leave();
                self.wait();
            }
            EventBody::AgentJoined(joined) if joined.agent == self.agent => self.is_queued = true,
            EventBody::Held(held) => {
                said.push(Said::Line(parked(held)));
                self.held = Some(held.reason.clone());
                self.wait();
            }
            EventBody::Released(_) => self.held = None,
            EventBody::BudgetWarned(warned) => said.push(Said::Line(format!("[{}]", warned.budget))),
            EventBody::Looped(looped) => {
                let (times, title) = (looped.items.len(), text::line(&looped.title));
                said.push(Said::Line(format!("[it goes round in circles: {times} times {title}]")));
            }
            EventBody::PromptSteered(steered) if steered.prompt == self.prompt => self.join(steered.turn),
            EventBody::PromptTaken(taken) if taken.prompt == self.prompt => {
                self.is_on_its_way = false;
                self.ended = self.ended_meanwhile.take();
            }
            EventBody::TurnStarted(started) if started.prompt == Some(self.prompt) => {
                self.turn = Some(started.turn);
                said.push(Said::Back);
            }
            EventBody::CancelAsked(asked) if self.is_open(Some(asked.turn)) => {
                self.asked_and_cancelled = event.cause.is_none() && !self.asks.is_empty();
                said.push(Said::Line(format!("[cancelling the turn: {}]", asked.reason)));
            }
            EventBody::TurnEnded(ended) if self.is_open(Some(ended.turn)) => {
                self.end(Ended::from(&ended.outcome), said)
            }
            EventBody::Used(used) => {
                let in_turn = self.is_open(used.turn) || (used.turn.is_none() && self.turn.is_some());
                self.counts.apply(&used.usage, in_turn);
            }
            EventBody::Noticed(noticed) if noticed.kind != NoticeKind::Opaque && self.turn.is_some() => {
                if noticed.kind == NoticeKind::RateLimited {
                    self.limited = Some(text::line(&noticed.text).to_owned());
                }
                let until = noticed.until.map(|until| format!(" (until {until})")).unwrap_or_default();
                said.push(Said::Line(format!(
                    "[{}: {}{until}]",
                    text::notice(noticed.kind),
                    text::line(&noticed.text)
                )));
            }
            body => {
                self.apply_ask(body, event, said);
                self.apply_item(body, said);
            }
        }
    }

    /// The agent will not say any more whether it took the prompt into a turn that has ended: it ends with that.
    fn is_told_no_more(&mut self, body: &EventBody) -> bool {
        let is_gone = matches!(
            body,
            EventBody::RunEnded(_)
                | EventBody::RunFailed(_)
                | EventBody::AgentClosed(_)
                | EventBody::SessionEnded(_)
                | EventBody::SessionDeleted(_)
        );
        if is_gone {
            self.ended = self.ended_meanwhile.take();
        }
        self.ended.is_some()
    }

    /// A prompt that an agent is not given waits, and nobody knows for how long.
    fn wait(&mut self) {
        if let (Some(reason), None, true) = (&self.held, self.turn, self.is_queued) {
            let outcome = match reason {
                HoldReason::RateLimited { .. } => Outcome::RateLimited,
                HoldReason::Asked {} | HoldReason::Budget(_) | HoldReason::Loop { .. } => Outcome::Limited,
            };
            self.ended = Some(Ended::new(outcome, format!("the agent is parked: {reason}; the prompt waits")));
        }
    }

    /// The prompt went into a turn that runs already: what is open of it goes on.
    fn join(&mut self, turn: TurnId) {
        (self.turn, self.is_on_its_way) = (Some(turn), true);
        let is_said = |item: &Item| item.kind == ItemKind::Text && !item.nested && item.turn == Some(turn);
        self.answer = self.items.iter().filter(|(_, item)| is_said(item)).map(|(id, _)| *id).collect();
    }

    /// The prompt did not go into the turn that ran: it waits for its own.
    fn leave(&mut self) {
        (self.turn, self.is_on_its_way, self.ended_meanwhile) = (None, false, None);
        self.answer.clear();
        self.asks.clear();
    }

    fn is_open(&self, turn: Option<TurnId>) -> bool {
        self.turn.is_some() && self.turn == turn
    }

    fn end(&mut self, ended: Ended, said: &mut Vec<Said>) {
        let open: Vec<ItemId> = self.items.keys().copied().collect();
        open.iter().for_each(|item| self.end_text(*item, said));
        let ended = match (ended.outcome, &self.held, &self.limited) {
            (Outcome::Cancelled, Some(reason @ (HoldReason::Budget(_) | HoldReason::Loop { .. })), _) => {
                Ended::new(Outcome::Limited, reason.to_string())
            }
            (Outcome::Cancelled, ..) if self.asked_and_cancelled => {
                Ended::new(Outcome::Asked, "the agent asked, and nobody is there to answer")
            }
            (Outcome::Failed, _, Some(limit)) => Ended::new(Outcome::RateLimited, limit),
            _ => ended,
        };
        // The turn may have ended before the agent had the prompt.
        let of = if self.is_on_its_way { &mut self.ended_meanwhile } else { &mut self.ended };
        *of = Some(ended);
    }

    fn apply_ask(&mut self, body: &EventBody, event: &Event, said: &mut Vec<Said>) {
        match body {
            EventBody::Asked(asked) if self.turn.is_some() && (asked.turn.is_none() || asked.turn == self.turn) => {
                self.asks.insert(asked.interaction, asked.options.clone());
                said.push(Said::Asked(Box::new(asked.clone())));
            }
            EventBody::Answered(answered) => {
                if let Some(options) = self.asks.remove(&answered.interaction) {
                    let by = match (&event.cause, self.ruled.take()) {
                        (Some(cause), _) => format!("by {}", cause.client),
                        (None, Some(rule)) => format!("by the rule “{rule}”"),
                        (None, None) => "by policy".to_owned(),
                    };
                    let told = format!("{} ({by})", answer::told(&answered.answer, &options));
                    said.push(Said::Closed(answered.interaction, told));
                }
            }
            EventBody::RuleApplied(applied) => self.ruled = Some(applied.rule.to_string()),
            EventBody::AskClosed(closed) if self.asks.contains_key(&closed.interaction) => {
                let why = match closed.reason {
                    AskEnd::Expired => "expired: nobody answered in time",
                    AskEnd::Cancelled => "of no use any more",
                    AskEnd::AgentGone => "the agent's process is gone",
                };
                // One that was closed by the cancelling of its turn is what the turn was cancelled for.
                if closed.reason != AskEnd::Cancelled {
                    self.asks.remove(&closed.interaction);
                }
                said.push(Said::Closed(closed.interaction, why.to_owned()));
            }
            _ => {}
        }
    }

    fn apply_item(&mut self, body: &EventBody, said: &mut Vec<Said>) {
        match body {
            EventBody::ItemStarted(started) => self.start(started, said),
            EventBody::ItemChanged(changed) => {
                let ours = self.turn;
                if let Some(item) = self.items.get_mut(&changed.item) {
                    (item.title, item.input) = (changed.title.clone(), changed.input.clone());
                    if item.is_of(ours) {
                        item.tell_call(false, said);
                    }
                }
            }
            EventBody::ItemDelta(delta) => self.say(delta.item, |text| text.preview(&delta.text), said),
            EventBody::ItemText(piece) => self.say(piece.item, |text| text.settle(piece.first, &piece.text), said),
            EventBody::ItemEnded(ended) => self.end_item(ended, said),
            _ => {}
        }
    }

    fn start(&mut self, started: &ItemStarted, said: &mut Vec<Said>) {
        self.limited = None;
        let nested = started.parent.is_some();
        let mut item = Item {
            turn: started.turn,
            kind: started.kind,
            nested,
            title: started.title.clone(),
            input: started.input.clone(),
            told: false,
            text: Text::default(),
        };
        if !item.is_of(self.turn) {
            // Another turn's, which the prompt may still go into.
            self.items.insert(started.item, item);
            return;
        }
        match started.kind {
            ItemKind::Text if !nested => self.answer.push(started.item),
            ItemKind::Tool | ItemKind::FileChange if !nested => {
                for item in self.answer.drain(..) {
                    // What is still open is kept for what it prints.
                    if self.items.get(&item).is_some_and(|item| item.text.has_ended()) {
                        self.items.remove(&item);
                    }
                }
            }
            _ => {}
        }
        item.tell_call(false, said);
        self.items.insert(started.item, item);
    }

    fn say(&mut self, item: ItemId, more: impl FnOnce(&mut Text) -> Option<String>, said: &mut Vec<Said>) {
        // The output of a tool is not printed, and what a sub-agent says is its own.
        let wanted = |item: &&mut Item| matches!(item.kind, ItemKind::Text | ItemKind::Plan) && !item.nested;
        let Some(item) = self.items.get_mut(&item).filter(wanted) else { return };
        let more = more(&mut item.text);
        if item.kind == ItemKind::Text && item.is_of(self.turn) {
            said.extend(more.filter(|more| !more.is_empty()).map(Said::Text));
        }
    }

    /// The next thing begins on a line of its own.
    fn end_text(&mut self, item: ItemId, said: &mut Vec<Said>) {
        if let Some(item) = self.items.get_mut(&item)
            && item.kind == ItemKind::Text
            && item.is_of(self.turn)
            && item.text.end()
        {
            said.push(Said::Text("\n".to_owned()));
        }
    }

    fn end_item(&mut self, ended: &ItemEnded, said: &mut Vec<Said>) {
        self.end_text(ended.item, said);
        let Some(item) = self.items.get_mut(&ended.item) else { return };
        if !item.is_of(self.turn) {
            self.items.remove(&ended.item);
            return;
        }
        item.tell_call(true, said);
        if item.kind == ItemKind::Plan {
            said.push(Said::Line(format!("plan: {}", item.text.whole().trim_end().replace('\n', "\n      "))));
        }
        let how = match ended.status {
            ItemStatus::Completed => None,
            ItemStatus::Failed => Some("failed"),
            ItemStatus::Declined => Some("not allowed"),
            ItemStatus::Cancelled => Some("cancelled"),
            ItemStatus::Orphaned => Some("left open"),
        };
        if let Some(how) = how.filter(|_| matches!(item.kind, ItemKind::Tool | ItemKind::FileChange)) {
            said.push(Said::Line(format!("{}  {how}: {}", item.indent(), text::line(&item.title))));
        }
        if !self.answer.contains(&ended.item) {
            self.items.remove(&ended.item);
        }
    }
}

/// What the end of a turn brings with it: it was the last one for now.
fn afterwards(body: &EventBody, said: &mut Vec<Said>) {
    match body {
        EventBody::BudgetWarned(warned) => said.push(Said::Line(format!("[{}]", warned.budget))),
        EventBody::Held(held) => said.push(Said::Line(parked(held))),
        _ => {}
    }
}

fn parked(held: &Held) -> String {
    let until = held.until.map(|until| format!(" until {until}")).unwrap_or_default();
    format!("[parked{until}: {}]", held.reason)
}

impl Item {
    /// It is of this turn, which is known.
    fn is_of(&self, turn: Option<TurnId>) -> bool {
        turn.is_some() && self.turn == turn
    }

    fn indent(&self) -> &'static str {
        if self.nested { "  " } else { "" }
    }

    /// Tells of a tool call, once, as soon as it is known what it is called with; at the latest when it ends.
    fn tell_call(&mut self, at_the_end: bool, said: &mut Vec<Said>) {
        let is_call = matches!(self.kind, ItemKind::Tool | ItemKind::FileChange);
        let input = text::input(&self.input);
        if !is_call || self.told || (input.is_empty() && !at_the_end) {
            return;
        }
        self.told = true;
        said.push(Said::Line(text::call(self.indent(), &self.title, &input)));
    }
}

#[cfg(test)]
mod tests;
