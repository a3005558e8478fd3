//! Where a person reads in something long that is laid out a block at a time: only what is seen, or passed, is ever laid out.

use std::ops::Range;

/// A line of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    /// The turn; turns keep their number when older ones are put in front.
    pub(super) turn: i64,
    /// The block within it.
    pub(super) block: usize,
    /// The line within that.
    pub(super) line: usize,
}

/// Something long, in turns of blocks of lines.
pub(super) trait Blocks {
    /// The turns there are.
    fn turns(&self) -> Range<i64>;
    /// How many blocks a turn has.
    fn blocks(&self, turn: i64) -> usize;
    /// How many lines a block has; it may be none.
    fn height(&self, turn: i64, block: usize) -> usize;
}

/// The block after this one.
fn after(of: &impl Blocks, turn: i64, block: usize) -> Option<(i64, usize)> {
    if block + 1 < of.blocks(turn) {
        return Some((turn, block + 1));
    }
    (turn + 1..of.turns().end).find(|turn| of.blocks(*turn) > 0).map(|turn| (turn, 0))
}

/// The block before this one.
fn before(of: &impl Blocks, turn: i64, block: usize) -> Option<(i64, usize)> {
    if block > 0 {
        return Some((turn, block - 1));
    }
    (of.turns().start..turn).rev().find(|turn| of.blocks(*turn) > 0).map(|turn| (turn, of.blocks(turn) - 1))
}

fn first(of: &impl Blocks) -> Option<(i64, usize)> {
    of.turns().find(|turn| of.blocks(*turn) > 0).map(|turn| (turn, 0))
}

fn last(of: &impl Blocks) -> Option<(i64, usize)> {
    of.turns().rev().find(|turn| of.blocks(*turn) > 0).map(|turn| (turn, of.blocks(turn) - 1))
}

/// The line that is on top when the end is at the bottom of a page; `None` if there is nothing.
pub(super) fn end(of: &impl Blocks, page: usize) -> Option<Spot> {
    let (mut turn, mut block) = last(of)?;
    let mut left = page;
    loop {
        let height = of.height(turn, block);
        if height >= left {
            return Some(Spot { turn, block, line: height - left });
        }
        left -= height;
        match before(of, turn, block) {
            Some(next) => (turn, block) = next,
            None => return Some(Spot { turn, block, line: 0 }),
        }
    }
}

/// So many lines further up; with how many of them there were not.
pub(super) fn up(of: &impl Blocks, from: Spot, lines: usize) -> (Spot, usize) {
    let Spot { mut turn, mut block, mut line } = from;
    let mut left = lines;
    while left > line {
        left -= line;
        match before(of, turn, block) {
            Some(next) => (turn, block) = next,
            None => return (Spot { turn, block, line: 0 }, left),
        }
        line = of.height(turn, block);
    }
    (Spot { turn, block, line: line - left }, 0)
}

/// So many lines further down; `None` where that is beyond the end.
pub(super) fn down(of: &impl Blocks, from: Spot, lines: usize) -> Option<Spot> {
    let Spot { mut turn, mut block, line } = from;
    let mut left = lines + line;
    loop {
        let height = of.height(turn, block);
        if left < height {
            return Some(Spot { turn, block, line: left });
        }
        left -= height;
        (turn, block) = after(of, turn, block)?;
    }
}

/// The blocks of a page from this line on: which, from which line, how many lines.
pub(super) fn page(of: &impl Blocks, from: Spot, lines: usize) -> Vec<(i64, usize, Range<usize>)> {
    let Spot { mut turn, mut block, line } = from;
    let mut skipped = line;
    let mut left = lines;
    let mut found = Vec::new();
    while left > 0 {
        let height = of.height(turn, block);
        let shown = height.saturating_sub(skipped).min(left);
        if shown > 0 {
            found.push((turn, block, skipped..skipped + shown));
        }
        left -= shown;
        skipped = 0;
        match after(of, turn, block) {
            Some(next) => (turn, block) = next,
            None => break,
        }
    }
    found
}

/// A spot that is there, next to one that may not be any more.
pub(super) fn known(of: &impl Blocks, spot: Spot) -> Option<Spot> {
    let turns = of.turns();
    if turns.contains(&spot.turn) && spot.block < of.blocks(spot.turn) {
        let height = of.height(spot.turn, spot.block);
        return Some(Spot { line: spot.line.min(height.saturating_sub(1)), ..spot });
    }
    let (turn, block) = if spot.turn < turns.start { first(of)? } else { last(of)? };
    Some(Spot { turn, block, line: 0 })
}

/// The block before or after this one that somebody may select: one with lines.
pub(super) fn neighbour(of: &impl Blocks, from: (i64, usize), forth: bool) -> Option<(i64, usize)> {
    let mut at = from;
    loop {
        at = if forth { after(of, at.0, at.1)? } else { before(of, at.0, at.1)? };
        if of.height(at.0, at.1) > 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns from -1, each with blocks of these heights.
    struct Fixed(Vec<Vec<usize>>);

    impl Blocks for Fixed {
        fn turns(&self) -> Range<i64> {
            -1..self.0.len() as i64 - 1
        }
        fn blocks(&self, turn: i64) -> usize {
            self.0[(turn + 1) as usize].len()
        }
        fn height(&self, turn: i64, block: usize) -> usize {
            self.0[(turn + 1) as usize][block]
        }
    }

    fn all(of: &Fixed) -> Vec<Spot> {
        let lines = |turn: i64, block: usize| (0..of.height(turn, block)).map(move |line| Spot { turn, block, line });
        of.turns().flat_map(|turn| (0..of.blocks(turn)).flat_map(move |block| lines(turn, block))).collect()
    }

    #[test]
    fn every_line_is_passed_once_up_and_down() {
        let of = Fixed(vec![vec![2, 0, 3], vec![], vec![1], vec![0, 4]]);
        let spots = all(&of);
        assert_eq!(spots.len(), 10);
        for (at, spot) in spots.iter().enumerate() {
            for lines in 0..12 {
                assert_eq!(down(&of, *spot, lines), spots.get(at + lines).copied(), "{spot:?} + {lines}");
                let (higher, missing) = up(&of, *spot, lines);
                assert_eq!((higher, missing), (spots[at.saturating_sub(lines)], lines.saturating_sub(at)));
                let shown: usize = page(&of, *spot, lines).iter().map(|(_, _, lines)| lines.len()).sum();
                assert_eq!(shown, lines.min(spots.len() - at));
            }
        }
        for lines in 1..12 {
            assert_eq!(end(&of, lines), Some(spots[spots.len().saturating_sub(lines)]));
        }
    }

    #[test]
    fn nothing_is_no_place() {
        let of = Fixed(vec![vec![], vec![]]);
        assert_eq!(end(&of, 5), None);
        assert_eq!(known(&of, Spot { turn: 0, block: 0, line: 0 }), None);
        let of = Fixed(vec![vec![2], vec![1]]);
        assert_eq!(known(&of, Spot { turn: 9, block: 0, line: 0 }), Some(Spot { turn: 0, block: 0, line: 0 }));
        assert_eq!(known(&of, Spot { turn: -1, block: 0, line: 9 }), Some(Spot { turn: -1, block: 0, line: 1 }));
        assert_eq!(neighbour(&of, (0, 0), false), Some((-1, 0)));
        assert_eq!(neighbour(&of, (0, 0), true), None);
    }
}
