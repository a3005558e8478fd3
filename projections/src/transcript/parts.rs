//! What a turn is made of, and how each part of it changes as more is told.

use ropewalk_protocol::{
    Answer, AskEnd, AskKind, AskOption, Asked, Event, EventBody, InteractionId, ItemId, ItemKind, ItemStarted,
    ItemStatus, NoticeKind, PromptId, Rule, Seq, Timestamp, limits,
};
use serde::Serialize;

use crate::timeline;

/// Something that was said or done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Somebody said it to the agent.
    Prompt(Prompt),
    /// The agent said, thought or did it.
    Item(Item),
    /// The agent asked.
    Question(Question),
    /// The agent said it beside its work.
    Notice(Notice),
    /// It became of the agent: a budget, a hold, how a turn really ended.
    Remark(Remark),
}

/// What somebody said to an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Prompt {
    /// Its id.
    pub prompt: PromptId,
    /// It.
    pub text: String,
    /// The client it came from.
    pub client: Option<String>,
    /// It was said into a turn that ran already.
    pub steered: bool,
    /// It came too late for that turn: it waits again, for a turn of its own.
    pub late: bool,
}

/// What an agent said, thought or did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Its id.
    pub item: ItemId,
    /// The tool call it is part of, for what a sub-agent does.
    pub parent: Option<ItemId>,
    /// What it is.
    pub kind: ItemKind,
    /// What people read: a tool's name and what it is for.
    pub title: String,
    /// What a tool was called with, as JSON.
    pub input: String,
    /// What was said, or a tool's output: a preview until the whole of it is told.
    pub text: String,
    /// How it ended, once it has.
    pub status: Option<ItemStatus>,
    /// The whole text is being told: what was previewed does not count any more.
    #[serde(skip)]
    is_told: bool,
    /// There was more of it than is kept.
    #[serde(skip)]
    is_full: bool,
}

/// What an agent asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Question {
    /// Its id.
    pub interaction: InteractionId,
    /// The tool call it is about.
    pub item: Option<ItemId>,
    /// What was asked for.
    pub kind: AskKind,
    /// What people read.
    pub title: String,
    /// What was to be done, as JSON.
    pub detail: String,
    /// The ways to answer.
    pub options: Vec<AskOption>,
    /// When it was asked.
    pub at: Timestamp,
    /// What was answered, if anything was.
    pub answer: Option<Given>,
    /// Why it was closed without an answer.
    pub closed: Option<AskEnd>,
    /// The rule that says what became of it, if one did.
    pub rule: Option<Rule>,
}

/// An answer that was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Given {
    /// It.
    pub answer: Answer,
    /// The client it came from; `None`: the session's own rules.
    pub client: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// What an agent said beside its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// What kind of thing.
    pub kind: NoticeKind,
    /// It.
    pub text: String,
    /// When the agent goes on, if it told.
    pub until: Option<Timestamp>,
}

/// What became of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// The event that says so.
    pub seq: Seq,
    /// It, in a sentence.
    pub text: String,
}

/// The item that this tells more of.
pub(super) fn item_of(body: &EventBody) -> Option<ItemId> {
    match body {
        EventBody::ItemChanged(changed) => Some(changed.item),
        EventBody::ItemDelta(delta) => Some(delta.item),
        EventBody::ItemText(piece) => Some(piece.item),
        EventBody::ItemEnded(ended) => Some(ended.item),
        _ => None,
    }
}

/// The question that this tells more of.
pub(super) fn question_of(body: &EventBody) -> Option<InteractionId> {
    match body {
        EventBody::Answered(answered) => Some(answered.interaction),
        EventBody::RuleApplied(applied) => Some(applied.interaction),
        EventBody::AskClosed(closed) => Some(closed.interaction),
        _ => None,
    }
}

pub(super) fn remark(event: &Event) -> Remark {
    let text = timeline::entry(event).map(|entry| entry.text).unwrap_or_default();
    Remark { seq: event.seq, text }
}

impl Item {
    pub(super) fn begin(started: &ItemStarted) -> Self {
        Self {
            item: started.item,
            parent: started.parent,
            kind: started.kind,
            title: started.title.clone(),
            input: started.input.clone(),
            text: String::new(),
            status: None,
            is_told: false,
            is_full: false,
        }
    }

    /// More is told of it.
    pub(super) fn follow(&mut self, body: &EventBody) {
        match body {
            EventBody::ItemChanged(changed) => {
                self.title.clone_from(&changed.title);
                self.input.clone_from(&changed.input);
            }
            EventBody::ItemDelta(delta) if !self.is_told => self.push(&delta.text),
            EventBody::ItemText(piece) => {
                if piece.first || !self.is_told {
                    self.text.clear();
                    (self.is_told, self.is_full) = (true, false);
                }
                self.push(&piece.text);
            }
            EventBody::ItemEnded(ended) => self.status = Some(ended.status),
            _ => {}
        }
    }

    /// Adds to the text, as far as there is room. Where it is cut does not depend on the pieces it comes in.
    fn push(&mut self, piece: &str) {
        if self.is_full {
            return;
        }
        let room = limits::ITEM_TEXT_BYTES_MAX.saturating_sub(self.text.len());
        let fits = piece.floor_char_boundary(room);
        self.is_full = fits < piece.len();
        self.text.push_str(&piece[..fits]);
    }
}

impl Question {
    pub(super) fn begin(asked: &Asked, at: Timestamp) -> Self {
        Self {
            interaction: asked.interaction,
            item: asked.item,
            kind: asked.kind,
            title: asked.title.clone(),
            detail: asked.detail.clone(),
            options: asked.options.clone(),
            at,
            answer: None,
            closed: None,
            rule: None,
        }
    }

    /// More is told of it.
    pub(super) fn follow(&mut self, event: &Event) {
        match &event.body {
            EventBody::Answered(answered) => {
                self.answer = Some(Given { answer: answered.answer.clone(), client: client(event), at: event.at });
            }
            EventBody::RuleApplied(applied) => self.rule = Some(applied.rule.clone()),
            EventBody::AskClosed(closed) => self.closed = Some(closed.reason),
            _ => {}
        }
    }
}

pub(super) fn client(event: &Event) -> Option<String> {
    event.cause.as_ref().map(|cause| cause.client.clone())
}
