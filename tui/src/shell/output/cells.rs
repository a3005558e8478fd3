//! Cells as the bytes that write them.

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr;

/// SGR's codes for what is on.
const ATTRIBUTES: &[(Modifier, &str)] = &[
    (Modifier::BOLD, ";1"),
    (Modifier::DIM, ";2"),
    (Modifier::ITALIC, ";3"),
    (Modifier::UNDERLINED, ";4"),
    (Modifier::SLOW_BLINK, ";5"),
    (Modifier::RAPID_BLINK, ";6"),
    (Modifier::REVERSED, ";7"),
    (Modifier::HIDDEN, ";8"),
    (Modifier::CROSSED_OUT, ";9"),
];

/// Makes of each wide character two cells that belong together: the second looks as the first, so that it differs from a
/// blank; one of which a half is covered goes as a whole, else it would hide what covers it.
pub(super) fn join_wide(buffer: &mut Buffer) {
    let width = usize::from(buffer.area.width);
    if width == 0 {
        return;
    }
    for row in buffer.content.chunks_mut(width) {
        for column in 0..row.len() {
            let [first, rest @ ..] = &mut row[column..] else {
                continue;
            };
            if first.symbol().is_ascii() || first.symbol().width() < 2 {
                continue;
            }
            match rest.first_mut() {
                Some(second) if second.symbol() == " " => {
                    (second.fg, second.bg, second.modifier) = (first.fg, first.bg, first.modifier);
                }
                _ => {
                    first.set_symbol(" ");
                }
            }
        }
    }
}

/// Appends what writes these cells. It begins and ends with nothing turned on.
pub(super) fn write<'a>(bytes: &mut Vec<u8>, cells: impl Iterator<Item = (u16, u16, &'a Cell)>, has_colours: bool) {
    let plain = (Color::Reset, Color::Reset, Modifier::empty());
    let (mut style, mut next, mut covered) = (plain, None, None);
    for (x, y, cell) in cells {
        if covered == Some((x, y)) {
            continue;
        }
        if next != Some((x, y)) {
            go_to(bytes, x, y);
        }
        let colours = if has_colours { (cell.fg, cell.bg) } else { (Color::Reset, Color::Reset) };
        if style != (colours.0, colours.1, cell.modifier) {
            style = (colours.0, colours.1, cell.modifier);
            put_on(bytes, style);
        }
        let symbol = cell.symbol();
        let is_one = symbol.chars().nth(1).is_none();
        let width = symbol.width();
        if width > 1 && !is_one {
            // Terminals differ in how wide it is: what it may leave free is blank.
            bytes.extend_from_slice(b"  ");
            go_to(bytes, x, y);
        }
        bytes.extend_from_slice(symbol.as_bytes());
        covered = (width > 1).then_some((x.saturating_add(1), y));
        next = (is_one && width == 1).then_some((x.saturating_add(1), y));
    }
    if style != plain {
        bytes.extend_from_slice(b"\x1b[0m");
    }
}

pub(super) fn go_to(bytes: &mut Vec<u8>, x: u16, y: u16) {
    bytes.extend_from_slice(format!("\x1b[{};{}H", u32::from(y) + 1, u32::from(x) + 1).as_bytes());
}

fn put_on(bytes: &mut Vec<u8>, (foreground, background, modifier): (Color, Color, Modifier)) {
    bytes.extend_from_slice(b"\x1b[0");
    for (_, code) in ATTRIBUTES.iter().filter(|(attribute, _)| modifier.contains(*attribute)) {
        bytes.extend_from_slice(code.as_bytes());
    }
    for code in [colour(foreground, 30), colour(background, 40)].into_iter().flatten() {
        bytes.extend_from_slice(code.as_bytes());
    }
    bytes.push(b'm');
}

/// The code of a colour, where `first` is that of black; none for the terminal's own.
fn colour(colour: Color, first: u8) -> Option<String> {
    let named = |index: u8| format!(";{}", if index < 8 { first + index } else { first + 60 - 8 + index });
    Some(match colour {
        Color::Reset => return None,
        Color::Black => named(0),
        Color::Red => named(1),
        Color::Green => named(2),
        Color::Yellow => named(3),
        Color::Blue => named(4),
        Color::Magenta => named(5),
        Color::Cyan => named(6),
        Color::Gray => named(7),
        Color::DarkGray => named(8),
        Color::LightRed => named(9),
        Color::LightGreen => named(10),
        Color::LightYellow => named(11),
        Color::LightBlue => named(12),
        Color::LightMagenta => named(13),
        Color::LightCyan => named(14),
        Color::White => named(15),
        Color::Indexed(index) => format!(";{};5;{index}", first + 8),
        Color::Rgb(red, green, blue) => format!(";{};2;{red};{green};{blue}", first + 8),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(cells: &[(u16, u16, Cell)], has_colours: bool) -> String {
        let mut bytes = Vec::new();
        write(&mut bytes, cells.iter().map(|(x, y, cell)| (*x, *y, cell)), has_colours);
        String::from_utf8(bytes).unwrap()
    }

    fn cell(symbol: &'static str, fg: Color, bg: Color, modifier: Modifier) -> Cell {
        let mut cell = Cell::new(symbol);
        (cell.fg, cell.bg, cell.modifier) = (fg, bg, modifier);
        cell
    }

    #[test]
    fn a_style_is_said_once() {
        let red = |symbol| cell(symbol, Color::Red, Color::Reset, Modifier::BOLD);
        let cells = [(0, 0, red("a")), (1, 0, red("b")), (2, 0, Cell::new("c")), (5, 1, Cell::new("d"))];
        assert_eq!(written(&cells, true), "\x1b[1;1H\x1b[0;1;31mab\x1b[0mc\x1b[2;6Hd");
        assert_eq!(written(&cells, false), "\x1b[1;1H\x1b[0;1mab\x1b[0mc\x1b[2;6Hd");
    }

    #[test]
    fn every_colour_has_its_code() {
        let table = [
            (Color::Black, Color::White, ";30;107"),
            (Color::Gray, Color::DarkGray, ";37;100"),
            (Color::LightRed, Color::Cyan, ";91;46"),
            (Color::Indexed(200), Color::Rgb(1, 2, 3), ";38;5;200;48;2;1;2;3"),
        ];
        for (fg, bg, codes) in table {
            let cells = [(0, 0, cell("x", fg, bg, Modifier::empty()))];
            assert_eq!(written(&cells, true), format!("\x1b[1;1H\x1b[0{codes}mx\x1b[0m"));
        }
    }

    #[test]
    fn where_a_terminal_is_after_an_emoji_is_not_guessed() {
        let cells = [(0, 0, Cell::new("❤\u{fe0f}")), (1, 0, Cell::new(" ")), (2, 0, Cell::new("x"))];
        assert_eq!(written(&cells, true), "\x1b[1;1H  \x1b[1;1H❤\u{fe0f}\x1b[1;3Hx");
        let cells = [(0, 0, Cell::new("字")), (2, 0, Cell::new("x"))];
        assert_eq!(written(&cells, true), "\x1b[1;1H字\x1b[1;3Hx");
    }
}
