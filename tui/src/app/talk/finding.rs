//! Finding something in what was said: an event, a text, the newest answer, what is selected.

use ropewalk_projections::transcript::Part;
use ropewalk_protocol::Seq;

use super::sheet::Sheet;
use super::{Goal, Older, Paper, Talk};
use crate::app::reading::{Blocks, Spot};

impl Talk {
    /// To the block that holds this event, if it is known; whether older parts are wanted.
    pub fn to_seq(&mut self, seq: Seq) -> bool {
        if self.from().is_none_or(|from| from > seq) && self.older != Older::Whole {
            self.goal = Some(Goal::Seq(seq));
            return true;
        }
        self.goal = None;
        let turns = self.history.turns();
        let at = turns.partition_point(|turn| turn.seq <= seq).saturating_sub(1);
        if let Some(turn) = turns.get(at) {
            let block = turn.parts.partition_point(|part| part.seq <= seq).saturating_sub(1);
            let turn = self.base() + i64::try_from(at).unwrap_or(0);
            self.at = Some(Spot { turn, block, line: 0 });
            self.selected = Some((turn, block));
        }
        false
    }

    /// To the next place of what is searched for, further back or further on; `None`: there is none in what is known.
    pub fn find(&mut self, back: bool, paper: Paper<'_>, height: usize) -> Option<()> {
        let needle = self.search.to_lowercase();
        if needle.is_empty() {
            return Some(());
        }
        let sheet = Sheet { talk: self, paper };
        let from = self.selected.or_else(|| {
            let turns = sheet.turns();
            let beyond = if back { (turns.end, 0) } else { (turns.start - 1, 0) };
            Some(beyond)
        })?;
        let holds = |turn: i64, block: usize| {
            self.part((turn, block)).is_some_and(|part| words(part).any(|text| text.to_lowercase().contains(&needle)))
        };
        let turns = sheet.turns();
        let all = turns
            .flat_map(|turn| (0..self.turn(turn).map_or(0, |turn| turn.parts.len())).map(move |block| (turn, block)));
        let found = if back {
            all.rev().filter(|at| *at < from).find(|(turn, block)| holds(*turn, *block))
        } else {
            { all }.filter(|at| *at > from).find(|(turn, block)| holds(*turn, *block))
        }?;
        self.selected = Some(found);
        self.reveal(found, paper, height);
        Some(())
    }

    /// The newest thing that the agent said.
    pub fn newest_answer(&self) -> Option<&str> {
        let parts = self.history.turns().iter().rev().flat_map(|turn| turn.parts.iter().rev());
        parts.into_iter().find_map(|part| match &part.part {
            Part::Item(item) if item.kind == ropewalk_protocol::ItemKind::Text && !item.text.is_empty() => {
                Some(item.text.as_str())
            }
            _ => None,
        })
    }

    /// What is selected, as text.
    pub fn selected_text(&self) -> Option<String> {
        let part = self.part(self.selected?)?;
        let texts: Vec<&str> = words(part).filter(|text| !text.is_empty()).collect();
        match part {
            Part::Item(item) if item.kind == ropewalk_protocol::ItemKind::Text => Some(item.text.clone()),
            _ => Some(texts.join("\n")),
        }
    }
}

/// What people read of a part.
fn words(part: &Part) -> impl Iterator<Item = &str> {
    let texts: [&str; 3] = match part {
        Part::Prompt(prompt) => [&prompt.text, "", ""],
        Part::Item(item) => [&item.title, &item.input, &item.text],
        Part::Question(question) => [&question.title, &question.detail, ""],
        Part::Notice(notice) => [&notice.text, "", ""],
        Part::Remark(remark) => [&remark.text, "", ""],
    };
    texts.into_iter()
}
