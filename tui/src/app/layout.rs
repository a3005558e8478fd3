//! Where everything is on the screen: a function of the window and of what is shown.

use ratatui::layout::Rect;

use super::place::{Arrangement, Target};
use super::state::{Focus, State};

/// From this width on the sessions are beside what is said.
pub const WIDE_COLUMNS: u16 = 100;
/// A pane that is narrower cannot be read.
const PANE_COLUMNS_MIN: u16 = 36;
const PANE_ROWS_MIN: u16 = 6;

/// A pane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pane {
    /// All of it.
    pub whole: Rect,
    /// Its heading, one line.
    pub head: Rect,
    /// What it shows.
    pub body: Rect,
}

/// Where everything is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// The sessions, if they are seen.
    pub tree: Option<Rect>,
    /// What is said, or programs: as many as the panes there are; those without room are empty.
    pub panes: Vec<Pane>,
    /// The prompt; none for a program.
    pub composer: Rect,
    /// The daemon, the budget, the client's own words.
    pub status: Rect,
    /// Keys that may be pressed now.
    pub hints: Rect,
}

/// Where everything is.
pub fn layout(state: &State) -> Layout {
    let (width, height) = (state.size.cols, state.size.rows);
    let mut rest = Rect::new(0, 0, width, height);
    let hints = take_bottom(&mut rest, 1);
    let status = take_bottom(&mut rest, 1);
    let is_wide = width >= WIDE_COLUMNS;
    let tree = if is_wide {
        Some(take_left(&mut rest, (width / 4).clamp(28, 44)))
    } else {
        (state.focus == Focus::Tree).then_some(rest)
    };
    if let (true, Some(_)) = (is_wide, tree) {
        // A line between the sessions and what is said.
        take_left(&mut rest, 1);
    }
    let composer = if matches!(state.target(), Target::Terminal(..)) {
        Rect { height: 0, ..rest }
    } else {
        let rows = composer_rows(state, rest);
        take_bottom(&mut rest, rows)
    };
    let panes = panes(rest, state.place.panes.len(), state.place.focused, state.place.arrangement);
    Layout { tree, panes, composer, status, hints }
}

/// How many lines the prompt takes: with a line above it, at most a third of the screen.
fn composer_rows(state: &State, rest: Rect) -> u16 {
    let inner = usize::from(rest.width.saturating_sub(3)).max(1);
    let lines = state.composer().map_or(1, |composer| {
        let rows = |line: &String| unicode_width::UnicodeWidthStr::width(line.as_str()) / inner + 1;
        composer.editor.area().lines().iter().map(rows).sum::<usize>()
    });
    let most = usize::from(rest.height / 3).max(1);
    u16::try_from(lines.clamp(1, most)).unwrap_or(1) + 1
}

fn panes(rest: Rect, count: usize, focused: usize, arrangement: Arrangement) -> Vec<Pane> {
    let alone = |shown: Rect| (0..count).map(|at| if at == focused { pane(shown) } else { Pane::default() }).collect();
    let parts = u16::try_from(count).unwrap_or(1).max(1);
    let (columns, rows) = match arrangement {
        Arrangement::Single => (1, 1),
        Arrangement::Split => (parts, 1),
        Arrangement::Grid => {
            let columns = (1..=parts).find(|columns| columns * columns >= parts).unwrap_or(1);
            (columns, parts.div_ceil(columns))
        }
    };
    let fits = rest.width / columns >= PANE_COLUMNS_MIN && rest.height / rows >= PANE_ROWS_MIN;
    if columns * rows == 1 || !fits {
        return alone(rest);
    }
    (0..parts)
        .map(|at| {
            let (column, row) = (at % columns, at / columns);
            // The last row's panes share its width.
            let in_row = if row + 1 == rows { parts - row * columns } else { columns };
            let x = |column: u16| {
                rest.x + u16::try_from(u32::from(rest.width) * u32::from(column) / u32::from(in_row)).unwrap_or(0)
            };
            let y = |row: u16| {
                rest.y + u16::try_from(u32::from(rest.height) * u32::from(row) / u32::from(rows)).unwrap_or(0)
            };
            // A line between panes.
            let gap = u16::from(column + 1 < in_row);
            pane(Rect::new(x(column), y(row), x(column + 1) - x(column) - gap, y(row + 1) - y(row)))
        })
        .collect()
}

fn pane(whole: Rect) -> Pane {
    let mut body = whole;
    let head = take_top(&mut body, 1);
    Pane { whole, head, body }
}

fn take_bottom(rest: &mut Rect, rows: u16) -> Rect {
    let rows = rows.min(rest.height);
    rest.height -= rows;
    Rect { y: rest.y + rest.height, height: rows, ..*rest }
}

fn take_top(rest: &mut Rect, rows: u16) -> Rect {
    let rows = rows.min(rest.height);
    let taken = Rect { height: rows, ..*rest };
    rest.y += rows;
    rest.height -= rows;
    taken
}

fn take_left(rest: &mut Rect, columns: u16) -> Rect {
    let columns = columns.min(rest.width);
    let taken = Rect { width: columns, ..*rest };
    rest.x += columns;
    rest.width -= columns;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panes_fill_the_room_and_do_not_overlap() {
        let rest = Rect::new(30, 2, 170, 50);
        for arrangement in [Arrangement::Single, Arrangement::Split, Arrangement::Grid] {
            for count in 1..=4 {
                let panes = panes(rest, count, 0, arrangement);
                assert_eq!(panes.len(), count);
                let shown: Vec<_> = panes.iter().map(|pane| pane.whole).filter(|whole| whole.area() > 0).collect();
                assert!(
                    shown.iter().all(|whole| rest.intersection(*whole) == *whole),
                    "{arrangement:?} {count} {shown:?}"
                );
                for (at, one) in shown.iter().enumerate() {
                    assert!(shown[at + 1..].iter().all(|other| one.intersection(*other).area() == 0));
                }
            }
        }
    }

    #[test]
    fn without_room_the_one_with_the_focus_is_alone() {
        let narrow = panes(Rect::new(0, 0, 80, 20), 3, 1, Arrangement::Split);
        assert_eq!(narrow.iter().map(|pane| pane.whole.width).collect::<Vec<_>>(), [0, 80, 0]);
        assert_eq!(panes(Rect::new(0, 0, 0, 0), 2, 0, Arrangement::Grid).len(), 2);
    }
}
