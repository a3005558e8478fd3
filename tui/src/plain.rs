//! The client without a screen, for screen readers and braille lines: what happens is told line by line, what is typed is taken
//! line by line. The state is the same; this is another view of it.

use std::collections::BTreeSet;
use std::io;

use ropewalk_protocol::{AskKind, InteractionId, InteractionView};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::{Instant, sleep_until};

use crate::app::event::{Effect, Event, Link};
use crate::app::overlay::Overlay;
use crate::app::place::Target;
use crate::app::state::{Opening, State};
use crate::app::talk::Talk;
use crate::app::tree::{agent_name, name_of};
use crate::run::{RunError, Start};
use crate::session::Session;
use crate::store::Store;
use crate::text::part::{End, Look, part, turn_end};
use crate::text::theme::Theme;
use crate::text::tool;

/// Lines are not wrapped: whoever reads them does that.
const WIDTH: u16 = 2_000;

/// What was told already.
#[derive(Debug, Default)]
struct Told {
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

/// Runs a client that prints lines and takes lines, until its input ends.
///
/// # Errors
/// A file, or the output, failed.
pub async fn run(start: Start) -> Result<Option<u8>, RunError> {
    let directory = start.wire.directory.to_string_lossy().into_owned();
    let store = Store::open(&start.state, &directory)?;
    let settings = crate::app::settings::Settings { is_plain: true, ..start.settings };
    let opening = Opening {
        settings,
        directory,
        home: start.home,
        host: start.host,
        providers: start.providers,
        place: store.place(),
        drafts: Default::default(),
        sent: store.sent(),
        size: ropewalk_protocol::Size { cols: 80, rows: 24 },
    };
    let mut state = State::new(opening, (start.now)());
    let (mut session, mut events) = Session::start(start.wire, store.clone());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut told = Told::default();
    let mut wants = Default::default();
    let mut is_ended = false;
    loop {
        // A program's screen is not told, so its size is left to those who see it.
        let wanted = crate::app::event::Wants { terminals: Default::default(), ..state.wants() };
        if wanted != wants {
            session.follow(&wanted);
            wants = wanted;
        }
        for line in told.news(&mut state) {
            say(&line)?;
        }
        // What was typed is sent, and what comes of it is told, before it leaves.
        if is_ended && state.is_quiet() {
            break;
        }
        let wake = wants.wake.map(|wake| Instant::now() + wake.since((start.now)()));
        let effects = tokio::select! {
            // What is typed means what is there: it waits until that is known.
            line = lines.next_line(), if !is_ended && state.is_ready() => match line? {
                Some(line) => state.typed_line(&line, (start.now)()),
                None => {
                    is_ended = true;
                    Vec::new()
                }
            },
            event = events.recv() => match event {
                Some(event) => state.update(event, (start.now)()),
                None => break,
            },
            () = async { match wake { Some(at) => sleep_until(at).await, None => std::future::pending().await } } => {
                state.update(Event::Woken, (start.now)())
            }
        };
        let mut leaves = false;
        for effect in effects {
            match session.carry_out(effect) {
                Some(Effect::Quit) => leaves = true,
                Some(Effect::Notify(text)) => say(&format!("! {text}"))?,
                _ => {}
            }
        }
        if leaves {
            break;
        }
    }
    store.settle();
    Ok(None)
}

fn say(line: &str) -> io::Result<()> {
    use io::Write;
    let mut out = io::stdout().lock();
    writeln!(out, "{}", crate::text::clean::visible_line(line.trim_end()))?;
    out.flush()
}

impl Told {
    /// What is new, as lines.
    fn news(&mut self, state: &mut State) -> Vec<String> {
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
                lines.extend(question(ask));
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
                lines.extend(state.asks.iter().flat_map(question));
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
        if self.target != Some(target) && state.tree.is_complete {
            *self = Self { target: Some(target), parts: BTreeSet::new(), from: None, ..std::mem::take(self) };
            let name = state.session().map(name_of);
            lines.push(match (target, name, state.agent()) {
                (Target::Start, ..) => {
                    let agent =
                        state.providers.get(state.provider).map_or("no agent", |provider| provider.label.as_str());
                    format!("what you type starts a session with {agent}")
                }
                (Target::Terminal(..), Some(name), _) => {
                    format!("{name} is a program's terminal; `ropewalk attach {name}` shows it")
                }
                (_, Some(name), Some(agent)) => format!("what you type goes to {name}/{}", agent_name(agent)),
                _ => "…".to_owned(),
            });
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
                        ropewalk_projections::transcript::Part::Item(item) => item.status.is_some(),
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

fn question(ask: &InteractionView) -> Vec<String> {
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
    lines
}
