//! The difference between two texts, line by line.

use super::{Row, RowKind};

/// Pairs of lines that are compared, at most. What is more is told as gone and come.
const PAIRS_MAX: usize = 1 << 18;

/// What changes from one text to the other, with so many lines around that do not.
pub fn between<'a>(old: &'a str, new: &'a str, context: usize) -> Vec<Row<'a>> {
    let (old, new): (Vec<&str>, Vec<&str>) = (split(old), split(new));
    let head = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let room = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(room).take_while(|(old, new)| old == new).count();
    let (old_end, new_end) = (old.len() - tail, new.len() - tail);
    let mut rows: Vec<Row<'a>> = old[..head].iter().map(|line| row(RowKind::Same, line)).collect();
    changed(&old[head..old_end], &new[head..new_end], &mut rows);
    rows.extend(old[old_end..].iter().map(|line| row(RowKind::Same, line)));
    around(rows, context)
}

/// Lines with their ends: a last line that has none is another line.
fn split(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn row<'a>(kind: RowKind, line: &'a str) -> Row<'a> {
    Row { kind, number: None, text: line.strip_suffix('\n').unwrap_or(line) }
}

/// What is the same in both, as far as it can be found in bounded time, stays.
fn changed<'a>(old: &[&'a str], new: &[&'a str], rows: &mut Vec<Row<'a>>) {
    if old.len().saturating_mul(new.len()) > PAIRS_MAX {
        rows.extend(old.iter().map(|line| row(RowKind::Removed, line)));
        rows.extend(new.iter().map(|line| row(RowKind::Added, line)));
        return;
    }
    // How many lines are the same from here to the ends.
    let width = new.len() + 1;
    let mut same = vec![0_u32; (old.len() + 1) * width];
    for at in (0..old.len()).rev() {
        for to in (0..new.len()).rev() {
            same[at * width + to] = if old[at] == new[to] {
                same[(at + 1) * width + to + 1] + 1
            } else {
                same[(at + 1) * width + to].max(same[at * width + to + 1])
            };
        }
    }
    let (mut at, mut to) = (0, 0);
    while at < old.len() || to < new.len() {
        if at < old.len() && to < new.len() && old[at] == new[to] {
            rows.push(row(RowKind::Same, old[at]));
            (at, to) = (at + 1, to + 1);
        } else if to == new.len() || at < old.len() && same[(at + 1) * width + to] >= same[at * width + to + 1] {
            rows.push(row(RowKind::Removed, old[at]));
            at += 1;
        } else {
            rows.push(row(RowKind::Added, new[to]));
            to += 1;
        }
    }
}

/// The rows that changed and so many around them; a mark where some between two changes are left out.
fn around(rows: Vec<Row<'_>>, context: usize) -> Vec<Row<'_>> {
    let changes: Vec<usize> = (0..rows.len()).filter(|at| rows[*at].kind != RowKind::Same).collect();
    let mut kept = Vec::new();
    let mut end = 0;
    for change in changes {
        let begin = change.saturating_sub(context).max(end);
        if begin > end && end > 0 {
            kept.push(Row { kind: RowKind::Hunk, number: None, text: "" });
        }
        let until = change.saturating_add(context).saturating_add(1).min(rows.len());
        kept.extend_from_slice(&rows[begin..until.max(begin)]);
        end = end.max(until);
    }
    kept
}
