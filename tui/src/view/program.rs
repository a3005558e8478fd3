//! A program's screen, cell by cell.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ropewalk_projections::screen::{CellView, Colour, PenView};
use ropewalk_protocol::TerminalId;

use crate::app::state::State;

use super::put;

/// Draws it; where its cursor is, if that is to be seen.
pub(super) fn draw(buffer: &mut Buffer, state: &State, terminal: TerminalId, area: Rect) -> Option<Position> {
    let theme = &state.theme;
    let live = state.lives.get(&terminal)?;
    if !live.is_known {
        let text = live.failed.clone().unwrap_or_else(|| "…".to_owned());
        put(buffer, area, &Line::styled(text, theme.faint));
        return None;
    }
    let rows = usize::from(area.height);
    let back = live.back.min(live.screen.scrollback_len());
    let above: Vec<_> = live.screen.scrollback_rows(back).take(rows).collect();
    for (row, y) in above.iter().zip(area.top()..) {
        cells(buffer, Rect { y, height: 1, ..area }, row.cells());
    }
    let shown = u16::try_from(above.len()).unwrap_or(u16::MAX);
    for row in 0..area.height.saturating_sub(shown) {
        cells(buffer, Rect { y: area.y + shown + row, height: 1, ..area }, live.screen.row_cells(row));
    }
    let word = match (back, live.closed_at, live.is_cut, &live.failed) {
        (1.., ..) => format!(" {back} lines back; {} returns ", state.key_of(crate::app::action::Action::Bottom)),
        (_, _, _, Some(reason)) => format!(" {reason} "),
        (_, Some(_), ..) => " the program has ended ".to_owned(),
        (_, _, true, _) => " the connection is cut; this may be old ".to_owned(),
        _ => String::new(),
    };
    if !word.is_empty() {
        put(
            buffer,
            Rect { y: area.bottom().saturating_sub(1), height: 1, ..area },
            &Line::styled(word, theme.waiting.add_modifier(Modifier::REVERSED)),
        );
    }
    let (column, row) = live.screen.cursor();
    let cursor = Position::new(area.x + column, area.y + row);
    (back == 0 && live.screen.cursor_visible() && area.contains(cursor)).then_some(cursor)
}

fn cells<'a>(buffer: &mut Buffer, area: Rect, cells: impl Iterator<Item = CellView<'a>>) {
    for cell in cells {
        if cell.column + u16::from(cell.width) > area.width {
            break;
        }
        let mut text = [0; 4];
        let character: &str = cell.character.encode_utf8(&mut text);
        let place = (area.x + cell.column, area.y);
        if cell.marks.is_empty() {
            buffer.set_stringn(place.0, place.1, character, usize::from(cell.width), style(cell.pen));
        } else {
            buffer.set_stringn(
                place.0,
                place.1,
                format!("{character}{}", cell.marks),
                usize::from(cell.width),
                style(cell.pen),
            );
        }
    }
}

fn style(pen: PenView) -> Style {
    let mut style = Style::reset().fg(colour(pen.foreground)).bg(colour(pen.background));
    let attributes = [
        (pen.bold, Modifier::BOLD),
        (pen.dim, Modifier::DIM),
        (pen.italic, Modifier::ITALIC),
        (pen.underline > 0, Modifier::UNDERLINED),
        (pen.blink, Modifier::SLOW_BLINK),
        (pen.reverse, Modifier::REVERSED),
        (pen.hidden, Modifier::HIDDEN),
        (pen.strike, Modifier::CROSSED_OUT),
    ];
    for (is_on, modifier) in attributes {
        if is_on {
            style = style.add_modifier(modifier);
        }
    }
    style
}

fn colour(colour: Colour) -> Color {
    match colour {
        Colour::Default => Color::Reset,
        Colour::Indexed(index) => Color::Indexed(index),
        Colour::Rgb(red, green, blue) => Color::Rgb(red, green, blue),
    }
}
