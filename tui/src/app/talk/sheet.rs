//! What was said, laid out on paper: block by block, each kept for as long as it does not change.

use std::ops::Range;
use std::rc::Rc;

use ratatui::text::Line;

use super::{Paper, Talk};
use crate::app::reading::Blocks;
use crate::text::part::{End, Look, part, turn_end_in_full};

/// Laid-out blocks that are kept: some screens full.
const LAID_OUT_BLOCKS_MAX: usize = 2_048;

/// A block as it was laid out, and what that followed from.
pub(super) struct LaidOut {
    mark: (u64, Look, bool),
    width: u16,
    lines: Rc<Vec<Line<'static>>>,
}

/// A talk on paper.
pub(super) struct Sheet<'a> {
    pub(super) talk: &'a Talk,
    pub(super) paper: Paper<'a>,
}

impl Sheet<'_> {
    pub(super) fn lines(&self, turn: i64, block: usize) -> Rc<Vec<Line<'static>>> {
        let Some(known) = self.talk.turn(turn) else { return Rc::default() };
        let is_turned = self.talk.turned.contains(&(turn, block));
        let is_running = known.turn.is_some() && known.outcome.is_none();
        let is_selected = self.talk.selected == Some((turn, block));
        let look = Look { is_open: self.talk.is_open != is_turned, is_running, is_selected };
        let revision = known.parts.get(block).map_or(known.revision, |part| part.revision);
        let usage = self.talk.history.usage(known);
        // A turn's cost may become known without a change of the turn.
        let is_counted = block == known.parts.len() && usage.is_some();
        let (mark, width) = ((revision, look, is_counted), self.paper.width);
        let mut laid_out = self.talk.laid_out.borrow_mut();
        if let Some(kept) = laid_out.get(&(turn, block))
            && (kept.mark, kept.width) == (mark, width)
        {
            return kept.lines.clone();
        }
        self.talk.layouts.set(self.talk.layouts.get() + 1);
        let mut lines = match known.parts.get(block) {
            Some(said) => part(&said.part, &look, width, self.paper.theme),
            // What is between turns, or goes on, has no end to tell of.
            None if known.turn.is_none() || known.outcome.is_none() => Vec::new(),
            None => {
                let took = known.ended_at.map(|ended| ended.since(known.at)).filter(|_| known.is_begun);
                let end = End { outcome: known.outcome.as_ref(), took, usage: usage.as_ref() };
                turn_end_in_full(&end, width, self.paper.theme)
            }
        };
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        let lines = Rc::new(lines);
        if laid_out.len() >= LAID_OUT_BLOCKS_MAX {
            laid_out.clear();
        }
        laid_out.insert((turn, block), LaidOut { mark, width, lines: lines.clone() });
        lines
    }
}

impl Blocks for Sheet<'_> {
    fn turns(&self) -> Range<i64> {
        self.talk.turns()
    }

    fn blocks(&self, turn: i64) -> usize {
        // The last one is the line that ends the turn.
        self.talk.turn(turn).map_or(0, |turn| turn.parts.len() + 1)
    }

    fn height(&self, turn: i64, block: usize) -> usize {
        self.lines(turn, block).len()
    }
}
