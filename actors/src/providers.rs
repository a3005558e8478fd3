//! Providers: each turns one family of agents into the same turns, items, questions and usage.
//!
//! A provider is pure. It says how its program is started, what to write to it, and what the lines mean that it writes. Its
//! parser is a fold of the run's output from byte 0 and of nothing else, so that after a crash it is made again of what is
//! stored, and a better parser can tell again what an older one missed. Names that an agent gives to things are kept as they
//! are; ids of ours are given to them by the agent's core.

mod acp;
mod claude;
mod codex;
pub(crate) mod lines;
mod mcp;
mod opencode;
#[cfg(test)]
pub(crate) mod recorded;
mod rpc;
pub(crate) mod scripted;
mod wants;

use std::fmt::Debug;

use ropewalk_protocol::{
    Answer, AskKind, AskOption, ItemKind, ItemStatus, NoticeKind, Program, Timestamp, TurnOutcome, Usage, limits,
};
use serde::{Deserialize, Serialize};

/// What an agent said, in one vocabulary. Texts are within their bounds: see [`pieces`] and [`cut`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Observed {
    /// A step of the greeting is done: the one with this number may follow, see [`Outgoing::Greet`].
    Greeted { step: u8 },
    /// As [`Observed::Greeted`], and the agent has given the conversation its name, which the step needs: it is the greeting's
    /// `resume` from here on. In one observation, so that no crash comes between the name and the step.
    Opened { step: u8, conversation: String },
    /// The agent takes prompts, or told anew what it is. What it does not tell is `None`.
    Ready { conversation: Option<String>, version: Option<String>, model: Option<String>, mode: Option<String> },
    /// The agent will not work: not logged in, no such conversation, another version. Its turn, if one is open, has failed.
    Refused { reason: String },
    /// The agent shows that it has the prompt of the open turn; the turn's name, if the agent has one for it.
    Confirmed { name: Option<String> },
    /// The agent has this prompt in its turn, by our id of it.
    SteerTaken { prompt: String },
    /// The agent did not take this prompt into its turn, by our id of it: it is to be a turn of its own.
    SteerRefused { prompt: String },
    /// The agent begins a turn that nobody asked for.
    Began { name: Option<String> },
    /// An item begins. One that is open already under this key is left as it is.
    ItemStarted {
        key: String,
        #[serde(default)]
        parent: Option<String>,
        kind: ItemKind,
        #[serde(default)]
        title: String,
        #[serde(default)]
        input: String,
    },
    /// The agent told more of an item.
    ItemChanged { key: String, title: String, input: String },
    /// A preview of an item's text.
    Delta { key: String, text: String },
    /// A piece of an item's whole text; the first takes the place of all deltas.
    Text { key: String, first: bool, text: String },
    /// The item is settled.
    ItemEnded { key: String, status: ItemStatus },
    /// The agent asks. The request is in the line itself: it is given back to encode the answer.
    Asked {
        key: String,
        #[serde(default)]
        item: Option<String>,
        kind: AskKind,
        title: String,
        #[serde(default)]
        detail: String,
        #[serde(default)]
        options: Vec<AskOption>,
        /// What it wants to do, all of it; nothing: that cannot be told.
        #[serde(default)]
        wants: Vec<Want>,
    },
    /// The agent asks for something that no client of ours serves: it is told so at once, and nobody is asked.
    Unsupported { key: String },
    /// The agent needs no answer any more.
    AskClosed { key: String },
    /// What something cost.
    Used(Usage),
    /// Something beside the work.
    Noticed {
        kind: NoticeKind,
        text: String,
        #[serde(default)]
        until: Option<Timestamp>,
    },
    /// The open turn is settled.
    TurnEnded { outcome: TurnOutcome },
    /// The agent's own record of an earlier run tells how this turn, by our id of it, ended: it may be the one that the run's end
    /// left open. A prompt whose turn is not told before `Ready` is not the last one in the record.
    Settled { turn: String, outcome: TurnOutcome },
}

/// Something that an agent wants to do, as its question tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Want {
    /// A command for a shell.
    Shell { command: String },
    /// A program.
    Run { argv: Vec<String> },
    /// A file, and where its path really leads once links are followed: that is found out where it is needed.
    Read {
        path: String,
        #[serde(default)]
        real: Option<String>,
    },
    /// A file that is written, moved or deleted.
    Write {
        path: String,
        #[serde(default)]
        real: Option<String>,
    },
    /// An address.
    Fetch { url: String },
    /// Any other tool.
    Tool { name: String },
    /// The tool's own name, beside what is done by it: rules may forbid it by that.
    Called { name: String },
    /// The directory in which it is done.
    At { directory: String },
}

/// Something to write to an agent. In JSON, as the scripted agent reads it: `{"prompt": {"turn": …}}`. All that is needed to encode it is in it, so that it can be written again after a crash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outgoing {
    /// A step of the greeting; 0 is written as soon as the process runs.
    Greet { step: u8, greeting: Greeting },
    /// A prompt, as a turn of its own. `turn` is our id of it, which may serve to know the agent's answer by. The model and the
    /// mode that are wanted now are for agents that are told with every prompt.
    Prompt {
        turn: String,
        conversation: Option<String>,
        text: String,
        #[serde(default)]
        model: Option<String>,
        #[serde(default)]
        mode: Option<String>,
    },
    /// A prompt into the running turn.
    Steer { prompt: String, conversation: Option<String>, turn: Option<String>, text: String },
    /// The running turn is to end. Questions that are open then are denied right after it: some agents wait for their answers.
    Interrupt { conversation: Option<String>, turn: Option<String> },
    /// An answer. The request lies in the run's output: [`Provider::encode`] gets the line.
    Answer { key: String, answer: Answer, offset: u64, length: u64 },
    /// Another model or mode, from now on.
    Settings { conversation: Option<String>, model: Option<String>, mode: Option<String> },
}

/// What an agent is greeted with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Greeting {
    /// The absolute directory it works in.
    pub(crate) directory: String,
    /// The conversation it is to go on with.
    pub(crate) resume: Option<String>,
    /// The model it is to use.
    pub(crate) model: Option<String>,
    /// The mode it is to work in.
    pub(crate) mode: Option<String>,
    /// It is given an MCP server, with this command line. That is empty until the greeting is written: where the daemon's
    /// files lie is known only then, and none of it is stored.
    pub(crate) mcp: Option<Vec<String>>,
}

/// How a process is to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Starting<'a> {
    /// The program and its first arguments, where somebody named them.
    pub(crate) command: &'a [String],
    /// What it is greeted with: some agents take it as arguments.
    pub(crate) greeting: &'a Greeting,
    /// An id for a new conversation, for agents that take one.
    pub(crate) fresh: String,
}

/// What agents of a family can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Abilities {
    /// It takes prompts into a running turn.
    pub(crate) steers: bool,
    /// It goes on with a conversation in another process.
    pub(crate) resumes: bool,
    /// It ends a cancelled turn only once all that it asked is answered.
    pub(crate) asks_hold_cancel: bool,
    /// It takes the first prompt without having been greeted: nothing is to be waited for.
    pub(crate) ready_at_once: bool,
}

/// A family of agents.
pub(crate) trait Provider: Debug + Send + Sync {
    /// Its name, as in `--provider`.
    fn name(&self) -> &'static str;
    /// What its agents can do.
    fn abilities(&self) -> Abilities;
    /// The program that is looked for where nobody names one; `None`: one must be named.
    fn program(&self) -> Option<&'static str>;
    /// The whole command line.
    fn argv(&self, starting: &Starting<'_>) -> Vec<String>;
    /// Names and values that the process's environment gets besides.
    fn environment(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }
    /// Gives the process an MCP server, by this command line, where that is not part of the greeting.
    fn give_mcp_server(&self, _server: &[String], _program: &mut Program) {}
    /// A parser that has seen nothing.
    fn parser(&self) -> Box<dyn Parser>;
    /// The bytes to write, its line ends with them; empty: nothing is written. `request`: the line that an answer is to.
    fn encode(&self, outgoing: &Outgoing, request: Option<&[u8]>) -> Vec<u8>;
}

/// What the lines of one run mean.
pub(crate) trait Parser: Send + Sync {
    /// Takes a line in, without its end. Must not fail: what it does not know it tells as `opaque`.
    fn line(&mut self, line: &[u8], seen: &mut Vec<Observed>);
    /// A line was passed over because it is longer than any may be.
    fn too_long(&mut self, bytes: u64, seen: &mut Vec<Observed>) {
        let text = format!("a line of {bytes} bytes was passed over: it is longer than any may be");
        seen.push(Observed::Noticed { kind: NoticeKind::Warning, text, until: None });
    }
}

/// Every provider of structured agents.
pub(crate) const ALL: &[&dyn Provider] =
    &[&claude::Claude, &codex::Codex, &opencode::OpenCode, &acp::Acp, &scripted::Scripted];

/// The provider of this name.
pub(crate) fn named(name: &str) -> Option<&'static dyn Provider> {
    ALL.iter().copied().find(|provider| provider.name() == name)
}

/// The text in pieces that fit into an event each, at most [`limits::ITEM_TEXT_BYTES_MAX`] of it; at least one.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = cut(text, limits::ITEM_TEXT_BYTES_MAX);
    let mut is_first = true;
    std::iter::from_fn(move || {
        if rest.is_empty() && !std::mem::take(&mut is_first) {
            return None;
        }
        is_first = false;
        let piece = cut(rest, limits::ITEM_PIECE_BYTES_MAX);
        rest = &rest[piece.len()..];
        Some(piece)
    })
}

/// As much of a text as fits.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// Tells an item's whole text.
pub(crate) fn tell_text(key: &str, text: &str, seen: &mut Vec<Observed>) {
    for (number, piece) in pieces(text).enumerate() {
        seen.push(Observed::Text { key: key.to_owned(), first: number == 0, text: piece.to_owned() });
    }
}

/// Tells more of an item's text.
pub(crate) fn tell_delta(key: &str, text: &str, seen: &mut Vec<Observed>) {
    for piece in pieces(text).filter(|piece| !piece.is_empty()) {
        seen.push(Observed::Delta { key: key.to_owned(), text: piece.to_owned() });
    }
}

/// Tells of a line that means nothing to this build.
pub(crate) fn tell_opaque(line: &[u8], seen: &mut Vec<Observed>) {
    let text = String::from_utf8_lossy(&line[..line.len().min(limits::ITEM_PIECE_BYTES_MAX)]).into_owned();
    let text = cut(&text, limits::ITEM_PIECE_BYTES_MAX).to_owned();
    seen.push(Observed::Noticed { kind: NoticeKind::Opaque, text, until: None });
}

/// About how many bytes this takes in an event.
pub(crate) fn weight(observed: &Observed) -> usize {
    const ABOUT: usize = 200;
    ABOUT
        + match observed {
            Observed::Delta { text, .. } | Observed::Text { text, .. } | Observed::Noticed { text, .. } => text.len(),
            Observed::ItemStarted { title, input, .. } | Observed::ItemChanged { title, input, .. } => {
                title.len() + input.len()
            }
            Observed::Asked { title, detail, options, .. } => {
                title.len()
                    + detail.len()
                    + options.iter().map(|option| option.id.len() + option.name.len()).sum::<usize>()
            }
            Observed::Refused { reason } => 2 * reason.len(),
            Observed::TurnEnded { outcome: TurnOutcome::Failed { reason } | TurnOutcome::Interrupted { reason } } => {
                reason.len()
            }
            _ => 0,
        }
}

/// A title within its bound, on one line.
pub(crate) fn title(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    cut(line, limits::ITEM_TITLE_BYTES_MAX).to_owned()
}

/// JSON of what a tool is called with, or as much of it as there is room for.
pub(crate) fn input(value: &serde_json::Value) -> String {
    let text = value.to_string();
    cut(&text, limits::ITEM_INPUT_BYTES_MAX).to_owned()
}
