//! What is said with one agent, as far as it is known here, and where a person reads in it.

mod finding;
mod sheet;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use ratatui::text::Line;
use ropewalk_projections::transcript::{History, Part, PastTurn};
use ropewalk_protocol::{AgentId, Event, GapReason, Seq, SessionId, TurnId};

use crate::text::theme::Theme;

use self::sheet::{LaidOut, Sheet};
use super::event::OlderPage;
use super::reading::{self, Blocks, Spot};

/// How far back it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Older {
    /// Nothing was asked for.
    Unknown,
    /// What came before this is on its way.
    Asked(Seq),
    /// There are older parts, before this place.
    More(Seq),
    /// There is nothing older.
    Whole,
    /// They could not be read, before this place.
    Failed(Seq, String),
}

/// Something that a person looks for further back than what is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// This event.
    Seq(Seq),
    /// The text that is searched for.
    Found,
    /// The very beginning.
    Top,
}

/// How what is said is laid out.
#[derive(Debug, Clone, Copy)]
pub struct Paper<'a> {
    /// Cells in a line.
    pub width: u16,
    /// The colours.
    pub theme: &'a Theme,
}

/// What is said with one agent.
pub struct Talk {
    /// The session.
    pub session: SessionId,
    /// The agent.
    pub agent: AgentId,
    history: History,
    /// What is on top; `None`: the end is at the bottom, and stays there.
    at: Option<Spot>,
    /// The block that is selected.
    pub selected: Option<(i64, usize)>,
    /// Blocks that are shown otherwise than all are: open or folded.
    turned: BTreeSet<(i64, usize)>,
    /// Thinking and output are shown.
    pub is_open: bool,
    /// How far back it is known.
    pub older: Older,
    /// What is looked for.
    pub goal: Option<Goal>,
    /// What is searched for.
    pub search: String,
    /// Events that will not come.
    pub gaps: Vec<(Seq, Seq, GapReason)>,
    /// Something was said below what is seen.
    pub has_news: bool,
    laid_out: RefCell<HashMap<(i64, usize), LaidOut>>,
    /// How many blocks were ever laid out.
    layouts: Cell<u64>,
}

impl Talk {
    /// One of which nothing is known.
    pub fn new(session: SessionId, agent: AgentId) -> Self {
        Self {
            session,
            agent,
            history: History::new(agent),
            at: None,
            selected: None,
            turned: BTreeSet::new(),
            is_open: false,
            older: Older::Unknown,
            goal: None,
            search: String::new(),
            gaps: Vec::new(),
            has_news: false,
            laid_out: RefCell::default(),
            layouts: Cell::default(),
        }
    }

    /// The turn with this number.
    pub fn turn(&self, turn: i64) -> Option<&PastTurn> {
        usize::try_from(turn - self.base()).ok().and_then(|at| self.history.turns().get(at))
    }

    /// The number of the first turn that is known.
    fn base(&self) -> i64 {
        self.history.first()
    }

    /// The numbers of the turns that are known.
    pub fn turns(&self) -> Range<i64> {
        self.base()..self.base() + i64::try_from(self.len()).unwrap_or(0)
    }

    /// How many turns are known.
    pub fn len(&self) -> usize {
        self.history.turns().len()
    }

    /// Nothing is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The oldest event that is known.
    pub fn from(&self) -> Option<Seq> {
        self.history.from()
    }

    /// The part of a block; `None` for the line that ends a turn.
    pub fn part(&self, (turn, block): (i64, usize)) -> Option<&Part> {
        self.turn(turn)?.parts.get(block).map(|part| &part.part)
    }

    /// Takes in what was said now.
    pub fn apply(&mut self, event: &Event) {
        self.history.apply(event);
        self.has_news |= self.at.is_some();
    }

    /// Events that will not come.
    pub fn gap(&mut self, from: Seq, to: Seq, reason: GapReason) {
        self.gaps.push((from, to, reason));
    }

    /// Takes in an older page, oldest first. What is seen and selected stays.
    pub fn prepend(&mut self, page: &OlderPage) {
        let seam = self.base();
        let before = self.turn(seam).map_or(0, PastTurn::first);
        self.history.prepend(&page.events, page.next.is_some());
        self.gaps.splice(0..0, page.gaps.iter().map(|gap| (gap.from, gap.to, gap.reason)));
        // The turn that was the first one may have got parts in front.
        let added = before - self.turn(seam).map_or(before, PastTurn::first);
        let added = usize::try_from(added).unwrap_or(0);
        let moved = |turn: i64, block: usize| if turn == seam { block + added } else { block };
        if let Some(at) = &mut self.at {
            at.block = moved(at.turn, at.block);
        }
        self.selected = self.selected.map(|(turn, block)| (turn, moved(turn, block)));
        self.turned = self.turned.iter().map(|(turn, block)| (*turn, moved(*turn, *block))).collect();
        self.laid_out.borrow_mut().retain(|(turn, _), _| *turn != seam);
        self.older = page.next.map_or(Older::Whole, Older::More);
    }

    /// Whether the end is seen, and what comes.
    pub fn follows(&self) -> bool {
        self.at.is_none()
    }

    /// The event that is on top, or is being gone to; `None` at the end.
    pub fn reads_at(&self) -> Option<Seq> {
        if let Some(Goal::Seq(seq)) = self.goal {
            return Some(seq);
        }
        let at = self.at?;
        let turn = self.turn(at.turn)?;
        Some(turn.parts.get(at.block).map_or(turn.seq, |part| part.seq))
    }

    /// To the end.
    pub fn follow(&mut self) {
        (self.at, self.selected, self.has_news, self.goal) = (None, None, false, None);
    }

    /// The lines of a page, each with the block it is of.
    pub fn page(&self, paper: Paper<'_>, height: usize) -> Vec<((i64, usize), Line<'static>)> {
        let sheet = Sheet { talk: self, paper };
        let Some(top) = self.top(&sheet, height) else { return Vec::new() };
        let mut lines = Vec::with_capacity(height);
        for (turn, block, range) in reading::page(&sheet, top, height) {
            let laid_out = sheet.lines(turn, block);
            lines.extend(laid_out[range].iter().map(|line| ((turn, block), line.clone())));
        }
        lines
    }

    fn top(&self, sheet: &Sheet<'_>, height: usize) -> Option<Spot> {
        match self.at {
            Some(at) => reading::known(sheet, at),
            None => reading::end(sheet, height),
        }
    }

    /// Scrolls by so many lines, up if negative; whether older parts are wanted.
    pub fn scroll(&mut self, lines: i64, paper: Paper<'_>, height: usize) -> bool {
        let sheet = Sheet { talk: self, paper };
        let Some(top) = self.top(&sheet, height) else { return true };
        let count = usize::try_from(lines.unsigned_abs()).unwrap_or(usize::MAX);
        if lines < 0 {
            let (to, missing) = reading::up(&sheet, top, count);
            let wants = missing > 0 || reading::up(&sheet, to, 4 * height).1 > 0;
            self.at = Some(to).filter(|to| Some(*to) != reading::end(&sheet, height) || self.at.is_some());
            return wants;
        }
        let to = reading::down(&sheet, top, count);
        // At the end there is a line more: the one that says that this is the past goes.
        match (to, reading::end(&sheet, height + 1)) {
            (Some(to), Some(end)) if to < end => self.at = Some(to),
            _ => self.follow(),
        }
        false
    }

    /// To the first line that is known; whether older parts are wanted.
    pub fn to_top(&mut self) -> bool {
        self.at = Some(Spot { turn: self.base(), block: 0, line: 0 });
        let is_whole = self.older == Older::Whole;
        self.goal = (!is_whole).then_some(Goal::Top);
        !is_whole
    }

    /// To the turn before or after what is on top; whether older parts are wanted.
    pub fn to_turn(&mut self, forth: bool, paper: Paper<'_>, height: usize) -> bool {
        let sheet = Sheet { talk: self, paper };
        let Some(top) = self.top(&sheet, height) else { return true };
        let within = top.block > 0 || top.line > 0;
        let to = if forth {
            top.turn + 1
        } else if within {
            top.turn
        } else {
            top.turn - 1
        };
        if to < self.base() {
            return true;
        }
        let spot = Spot { turn: to, block: 0, line: 0 };
        match reading::end(&sheet, height) {
            Some(end) if self.turn(to).is_some() && spot < end => {
                self.at = Some(spot);
                self.selected = Some((to, 0));
            }
            _ => self.follow(),
        }
        false
    }

    /// Selects what was said before or after what is selected, and shows it; whether older parts are wanted.
    pub fn select(&mut self, forth: bool, paper: Paper<'_>, height: usize) -> bool {
        let sheet = Sheet { talk: self, paper };
        let to = match self.selected {
            Some(from) => reading::neighbour(&sheet, from, forth),
            None => {
                let shown = reading::page(
                    &sheet,
                    self.top(&sheet, height).unwrap_or(Spot { turn: self.base(), block: 0, line: 0 }),
                    height,
                );
                let found = if forth { shown.first() } else { shown.last() };
                found.map(|(turn, block, _)| (*turn, *block))
            }
        };
        let Some(to) = to else { return !forth && self.older != Older::Whole };
        self.selected = Some(to);
        self.reveal(to, paper, height);
        false
    }

    /// Has a block on the page.
    pub fn reveal(&mut self, (turn, block): (i64, usize), paper: Paper<'_>, height: usize) {
        let sheet = Sheet { talk: self, paper };
        let Some(top) = self.top(&sheet, height) else { return };
        let shown = reading::page(&sheet, top, height);
        let whole = sheet.height(turn, block);
        if shown.iter().any(|(t, b, lines)| (*t, *b) == (turn, block) && lines.len() == whole.min(height)) {
            return;
        }
        let start = Spot { turn, block, line: 0 };
        self.at = match reading::end(&sheet, height) {
            Some(end) if start >= end => None,
            // What lies above is shown from its first line; what lies below ends the page.
            _ if start <= top => Some(start),
            _ => Some(reading::up(&sheet, start, height.saturating_sub(whole)).0),
        };
    }

    /// Opens or folds the selected block.
    pub fn turn_over(&mut self) {
        if let Some(selected) = self.selected
            && !self.turned.remove(&selected)
        {
            self.turned.insert(selected);
        }
    }

    /// Opens or folds all.
    pub fn fold(&mut self) {
        self.is_open = !self.is_open;
        self.turned.clear();
    }

    /// How many blocks were laid out so far: what looking at it has cost.
    pub fn layouts(&self) -> u64 {
        self.layouts.get()
    }

    /// Whether the end of a turn is known.
    pub fn has_ended(&self, turn: TurnId) -> bool {
        self.history.turns().iter().rev().any(|known| known.turn == Some(turn) && known.outcome.is_some())
    }

    /// Everything is laid out anew: in other colours.
    pub fn forget_layout(&self) {
        self.laid_out.borrow_mut().clear();
    }
}
