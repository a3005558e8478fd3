//! What is told of the client's state: what is new in it, as lines.

use std::collections::BTreeSet;

use ropewalk_projections::transcript::Part;
use ropewalk_protocol::{AskKind, InteractionId, InteractionView};

use crate::app::event::Link;
use crate::app::overlay::Overlay;
use crate::app::place::Target;
use crate::app::state::State;
use crate::app::talk::Talk;
use crate::app::tree::{agent_name, name_of};
use crate::text::part::{End, Look, part, turn_end};
use crate::text::theme::Theme;
use crate::text::{tool, units};

/// Lines are not wrapped: whoever reads them does that.
const WIDTH: u16 = 2_000;

/// What was told already.
#[derive(Debug, Default)]
pub struct Told {
    target: Option<Target>,
    /// Parts of the agent, and ends of its turns.
    parts: BTreeSet<(i64, usize)>,
    /// The turn from which on things are told.
    from: Option<i64>,
    asks: BTreeSet<InteractionId>,
    toast: String,
    link: Option<Link>,
    sessions: bool,
}

impl Told {
    /// What is new, as lines.
    pub fn news(&mut self, state: &mut State) -> Vec<String> {
        let mut lines = Vec::new();
        if self.link.as_ref() != Some(&state.link) {
            lines.push(match &state.link {
                Link::Connecting => "connecting".to_owned(),
                Link::Up { .. } => "the daemon answers".to_owned(),
                Link::Lost => "the connection is lost; it is being made again".to_owned(),
                Link::Down { reason } => reason.clone(),
            });
            self.link = Some(state.link.clone());
        }
        if state.tree.is_complete && !self.sessions {
            self.sessions = true;
            let rows = state.rows();
            lines.extend(
                rows.iter()
                    .filter(|row| row.depth == 0)
                    .map(|row| format!("session {}: {}", row.name, row.condition.word())),
            );
            lines.push(
                "type what is to be done; `:help` lists commands; `:attach NAME` goes to a session; `:quit` leaves"
                    .to_owned(),
            );
        }
        self.overlay(state, &mut lines);
        if let Some(toast) = state.toast.as_ref().filter(|toast| toast.text != self.toast) {
            lines.push(toast.text.clone());
        }
        self.toast = state.toast.as_ref().map(|toast| toast.text.clone()).unwrap_or_default();
        self.target(state, &mut lines);
        for ask in &state.asks {
            if self.asks.insert(ask.interaction) {
                lines.extend(question(ask, state));
            }
        }
        lines
    }

    /// What would lie over a screen is told, and closed.
    fn overlay(&mut self, state: &mut State, lines: &mut Vec<String>) {
        match state.overlay.take() {
            Some(Overlay::Pager { title, text, .. }) => {
                lines.push(title);
                lines.extend(text.lines().map(crate::text::clean::one_line));
            }
            Some(Overlay::Help { .. }) => {
                lines.extend(
                    crate::app::verbs::VERBS
                        .iter()
                        .map(|verb| format!(":{} {} - {}", verb.name, verb.usage, verb.help)),
                );
            }
            Some(confirm @ Overlay::Confirm { .. }) => {
                if let Overlay::Confirm { question, .. } = &confirm {
                    let text = format!("{question}. y or n?");
                    if self.toast != text {
                        lines.push(text.clone());
                        self.toast = text;
                    }
                }
                state.overlay = Some(confirm);
            }
            Some(Overlay::Attention(_)) => {
                lines.extend(state.asks.iter().flat_map(|ask| question(ask, state)));
                if state.asks.is_empty() {
                    lines.push("nothing waits for you".to_owned());
                }
            }
            Some(_) => lines.push(
                "this needs a screen; the command line has the same: `:transcript %`, `:queue %`, `:show %`".to_owned(),
            ),
            None => {}
        }
    }

    fn target(&mut self, state: &State, lines: &mut Vec<String>) {
        let target = state.target();
        // It is told once it is known by name: a session that was started just now is so a moment later.
        let goes_to = (self.target != Some(target) && state.tree.is_complete).then(|| goes_to(state)).flatten();
        if let Some(goes_to) = goes_to {
            *self = Self { target: Some(target), parts: BTreeSet::new(), from: None, ..std::mem::take(self) };
            lines.push(goes_to);
        }
        if self.target != Some(target) {
            return;
        }
        if let Some(talk) = target.agent().and_then(|(_, agent)| state.talks.get(&agent)) {
            self.talk(talk, lines);
        }
    }

    /// What was said to its end since it was told of last; of what was said before, the newest turn.
    fn talk(&mut self, talk: &Talk, lines: &mut Vec<String>) {
        let turns = talk.turns();
        if turns.is_empty() {
            return;
        }
        let from = *self.from.get_or_insert(turns.end - 1);
        let theme = Theme::plain();
        for number in from.max(turns.start)..turns.end {
            let Some(turn) = talk.turn(number) else { continue };
            for (block, said) in turn.parts.iter().enumerate() {
                let is_settled = turn.outcome.is_some()
                    || match &said.part {
                        Part::Item(item) => item.status.is_some(),
                        // What is asked is told with the ways to answer it; here follows what became of it.
                        Part::Question(question) => question.answer.is_some() || question.closed.is_some(),
                        _ => true,
                    };
                if is_settled && self.parts.insert((number, block)) {
                    let look = Look { is_open: false, is_running: turn.outcome.is_none(), is_selected: false };
                    lines.extend(part(&said.part, &look, WIDTH, &theme).iter().map(ToString::to_string));
                }
            }
            if turn.turn.is_some() && turn.outcome.is_some() && self.parts.insert((number, usize::MAX)) {
                let end = End {
                    outcome: turn.outcome.as_ref(),
                    took: turn.ended_at.map(|ended| ended.since(turn.at)),
                    usage: None,
                };
                let line = turn_end(&end, 60, &theme).to_string();
                lines.push(line.trim_matches(['-', ' ']).to_owned());
            }
        }
    }
}

/// Where what is typed goes to; `None`: it is not known yet.
fn goes_to(state: &State) -> Option<String> {
    let name = state.session().map(name_of);
    match (state.target(), name, state.agent()) {
        (Target::Start, ..) => {
            let agent = state.providers.get(state.provider).map_or("no agent", |provider| provider.label.as_str());
            Some(format!("what you type starts a session with {agent}"))
        }
        (Target::Terminal(..), Some(name), _) => {
            Some(format!("{name} is a program's terminal; `ropewalk attach {name}` shows it"))
        }
        (_, Some(name), Some(agent)) => Some(format!("what you type goes to {name}/{}", agent_name(agent))),
        _ => None,
    }
}

fn question(ask: &InteractionView, state: &State) -> Vec<String> {
    let mut lines = vec![format!("{} asks: {}", ask.name, crate::text::clean::visible_line(&ask.title))];
    lines.extend(tool::in_full(&ask.detail, WIDTH, &Theme::plain()).iter().map(ToString::to_string));
    if ask.kind != AskKind::Permission {
        lines.extend((1..).zip(&ask.options).map(|(number, option)| format!("{number}. {}", option.name)));
    }
    lines.push(match ask.kind {
        AskKind::Permission => ":answer allow, :answer always, :answer deny REASON".to_owned(),
        AskKind::Choice => ":answer choose NUMBER".to_owned(),
        AskKind::Question => ":answer TEXT".to_owned(),
    });
    let left = ask.expires.map(|expires| units::duration(expires.since(state.now)));
    lines.extend(left.map(|left| format!("in {left} it is denied by itself")));
    lines
}
