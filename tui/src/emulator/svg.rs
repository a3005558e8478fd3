//! A screen as a picture. It is text, so that it can be read, searched and compared, and small: blank cells cost nothing.

use std::fmt::Write;

use ropewalk_projections::screen::{CellView, PenView, Screen};

use super::Palette;

/// A cell in pixels. Monospaced characters are six tenths as wide as their size.
const CELL_WIDTH: u32 = 9;
const CELL_HEIGHT: u32 = 18;
const FONT_SIZE: u32 = 15;
/// From a row's top to the line its text stands on.
const BASELINE: u32 = 14;
/// Around the screen.
const MARGIN: u32 = 9;
const FONTS: &str = "ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace";

/// What a character looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Style {
    foreground: [u8; 3],
    background: [u8; 3],
    bold: bool,
    dim: bool,
    italic: bool,
    underline: bool,
    strike: bool,
    overline: bool,
    hidden: bool,
}

/// Characters that look the same and are equally wide, side by side.
struct Run {
    column: u32,
    columns: u32,
    width: u8,
    style: Style,
    text: String,
}

/// The picture. The same screen gives the same bytes.
pub fn svg(screen: &Screen, palette: &Palette) -> String {
    let size = screen.size();
    let (width, height) =
        (u32::from(size.cols) * CELL_WIDTH + 2 * MARGIN, u32::from(size.rows) * CELL_HEIGHT + 2 * MARGIN);
    let own = match screen.modes().reverse_video {
        true => (palette.background, palette.foreground),
        false => (palette.foreground, palette.background),
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"{FONTS}\" font-size=\"{FONT_SIZE}\" fill=\"{}\">\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"{}\"/>\n",
        hex(own.0),
        hex(own.1)
    );
    let rows: Vec<Vec<Run>> = (0..size.rows).map(|row| runs(screen.row_cells(row), palette, own)).collect();
    // All backgrounds come before all text: what hangs over a row's edge is not cut.
    for (row, runs) in (0..).zip(&rows) {
        backgrounds(&mut svg, row, runs, own.1);
    }
    if screen.cursor_visible() {
        let (column, row) = screen.cursor();
        // After the last column was written it is still there.
        let x = left(u32::from(column.min(size.cols - 1)));
        let y = MARGIN + u32::from(row) * CELL_HEIGHT;
        rectangle(&mut svg, x, y, CELL_WIDTH, &format!("{}\" fill-opacity=\".5", hex(own.0)));
    }
    for (row, runs) in (0..).zip(&rows) {
        text(&mut svg, row, runs, own.0);
    }
    svg.push_str("</svg>\n");
    svg
}

fn runs<'a>(cells: impl Iterator<Item = CellView<'a>>, palette: &Palette, own: ([u8; 3], [u8; 3])) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for cell in cells {
        let (style, column, columns) = (style(cell.pen, palette, own), u32::from(cell.column), u32::from(cell.width));
        match runs.last_mut() {
            Some(run) if run.style == style && run.width == cell.width && run.column + run.columns == column => {
                run.columns += columns;
                write_text(&mut run.text, &cell);
            }
            _ => {
                let mut text = String::new();
                write_text(&mut text, &cell);
                runs.push(Run { column, columns, width: cell.width, style, text });
            }
        }
    }
    runs
}

fn style(pen: PenView, palette: &Palette, (foreground, background): ([u8; 3], [u8; 3])) -> Style {
    let (foreground, background) =
        (palette.colour(pen.foreground, foreground), palette.colour(pen.background, background));
    let (foreground, background) = if pen.reverse { (background, foreground) } else { (foreground, background) };
    Style {
        foreground,
        background,
        bold: pen.bold,
        dim: pen.dim,
        italic: pen.italic,
        underline: pen.underline > 0,
        strike: pen.strike,
        overline: pen.overline,
        hidden: pen.hidden,
    }
}

fn write_text(text: &mut String, cell: &CellView<'_>) {
    for character in [cell.character].into_iter().chain(cell.marks.chars()) {
        match character {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            // No character of XML.
            '\u{fffe}' | '\u{ffff}' => text.push(char::REPLACEMENT_CHARACTER),
            _ if character.is_control() => text.push(char::REPLACEMENT_CHARACTER),
            _ => text.push(character),
        }
    }
}

fn backgrounds(svg: &mut String, row: u32, runs: &[Run], own: [u8; 3]) {
    let mut runs = runs.iter().filter(|run| run.style.background != own).peekable();
    while let Some(first) = runs.next() {
        let mut end = first.column + first.columns;
        while let Some(next) =
            runs.next_if(|next| next.column == end && next.style.background == first.style.background)
        {
            end += next.columns;
        }
        let (x, y) = (left(first.column), MARGIN + row * CELL_HEIGHT);
        rectangle(svg, x, y, (end - first.column) * CELL_WIDTH, &hex(first.style.background));
    }
}

fn rectangle(svg: &mut String, x: u32, y: u32, width: u32, fill: &str) {
    // A string takes every character.
    _ = writeln!(svg, "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{CELL_HEIGHT}\" fill=\"{fill}\"/>");
}

/// One element a row, and none for a row that is blank.
fn text(svg: &mut String, row: u32, runs: &[Run], own: [u8; 3]) {
    let shown: Vec<String> = runs.iter().filter_map(|run| span(run, own)).collect();
    if !shown.is_empty() {
        let y = MARGIN + row * CELL_HEIGHT + BASELINE;
        _ = writeln!(svg, "<text y=\"{y}\" xml:space=\"preserve\">{}</text>", shown.concat());
    }
}

/// Its width is stated: another font must not move what follows.
fn span(run: &Run, own: [u8; 3]) -> Option<String> {
    let Style { foreground, bold, dim, italic, underline, strike, overline, hidden, .. } = run.style;
    let lines: Vec<&str> = [(underline, "underline"), (overline, "overline"), (strike, "line-through")]
        .into_iter()
        .filter_map(|(is_on, line)| is_on.then_some(line))
        .collect();
    // Blanks show nothing but their lines.
    let (text, before, after) = match lines.is_empty() {
        true => {
            let text = run.text.trim_start_matches(' ');
            let before = run.text.len() - text.len();
            let trimmed = text.trim_end_matches(' ');
            (trimmed, before, text.len() - trimmed.len())
        }
        false => (run.text.as_str(), 0, 0),
    };
    if hidden || text.is_empty() {
        return None;
    }
    let blanks = |count: usize| u32::try_from(count).unwrap_or(0);
    let (x, width) = (left(run.column + blanks(before)), (run.columns - blanks(before) - blanks(after)) * CELL_WIDTH);
    let mut span = format!("<tspan x=\"{x}\" textLength=\"{width}\"");
    let attributes = [
        (foreground != own, format!("fill=\"{}\"", hex(foreground))),
        (bold, "font-weight=\"bold\"".to_owned()),
        (dim, "fill-opacity=\".6\"".to_owned()),
        (italic, "font-style=\"italic\"".to_owned()),
        (!lines.is_empty(), format!("text-decoration=\"{}\"", lines.join(" "))),
    ];
    for (_, attribute) in attributes.iter().filter(|(is_on, _)| *is_on) {
        _ = write!(span, " {attribute}");
    }
    _ = write!(span, ">{text}</tspan>");
    Some(span)
}

fn left(column: u32) -> u32 {
    MARGIN + column * CELL_WIDTH
}

fn hex([red, green, blue]: [u8; 3]) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ropewalk_protocol::Size;

    use super::super::screen;
    use super::*;

    /// The lines of a picture but the first two and the last, which are its frame. The cursor is hidden.
    fn elements(bytes: &str) -> Vec<String> {
        let screen = screen(Size { cols: 20, rows: 3 }, format!("\x1b[?25l{bytes}").as_bytes());
        let picture = svg(&screen, &Palette::DARK);
        let lines: Vec<&str> = picture.lines().collect();
        assert!(lines[0].starts_with("<svg ") && lines[0].ends_with("fill=\"#d4d4d4\">"));
        assert!(lines[1].contains("width=\"198\" height=\"72\"") && lines[lines.len() - 1] == "</svg>");
        lines[2..lines.len() - 1].iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn blank_cells_cost_nothing() {
        assert_eq!(elements(""), [""; 0]);
        assert_eq!(elements("    \r\n\x1b[1m  \x1b[m"), [""; 0]);
        let text = "<text y=\"41\" xml:space=\"preserve\"><tspan x=\"27\" textLength=\"27\">a b</tspan></text>";
        assert_eq!(elements("\r\n  a b  "), [text]);
    }

    #[test]
    fn styles_are_spans() {
        let table = [
            ("\x1b[1mx", "font-weight=\"bold\""),
            ("\x1b[2mx", "fill-opacity=\".6\""),
            ("\x1b[3mx", "font-style=\"italic\""),
            ("\x1b[4mx", "text-decoration=\"underline\""),
            ("\x1b[4;9mx", "text-decoration=\"underline line-through\""),
            ("\x1b[31mx", "fill=\"#e06c75\""),
            ("\x1b[38;5;21mx", "fill=\"#0000ff\""),
            ("\x1b[38;2;1;2;3;1mx", "fill=\"#010203\" font-weight=\"bold\""),
        ];
        for (bytes, attributes) in table {
            let span = format!("<tspan x=\"9\" textLength=\"9\" {attributes}>x</tspan>");
            assert_eq!(elements(bytes), [format!("<text y=\"23\" xml:space=\"preserve\">{span}</text>")]);
        }
        let two =
            "<tspan x=\"9\" textLength=\"9\">a</tspan><tspan x=\"18\" textLength=\"9\" font-weight=\"bold\">b</tspan>";
        assert!(elements("a\x1b[1mb")[0].contains(two));
        assert_eq!(elements("\x1b[8mx"), [""; 0], "hidden");
    }

    #[test]
    fn backgrounds_are_rectangles() {
        let rectangle =
            |x, width, fill| format!("<rect x=\"{x}\" y=\"9\" width=\"{width}\" height=\"18\" fill=\"{fill}\"/>");
        assert_eq!(elements("\x1b[41m \x1b[1m  "), [rectangle(9, 27, "#e06c75")]);
        assert_eq!(elements("\x1b[41m \x1b[42m "), [rectangle(9, 9, "#e06c75"), rectangle(18, 9, "#98c379")]);
        let reverse = elements(" \x1b[7mx");
        assert_eq!(reverse[0], rectangle(18, 9, "#d4d4d4"));
        assert!(reverse[1].contains("fill=\"#1e1e1e\">x<"), "{reverse:?}");
    }

    #[test]
    fn wide_characters_keep_their_place() {
        let row = &elements("a字字b")[0];
        for span in ["x=\"9\" textLength=\"9\">a<", "x=\"18\" textLength=\"36\">字字<", "x=\"54\" textLength=\"9\">b<"]
        {
            assert!(row.contains(span), "{row}");
        }
    }

    #[test]
    fn text_is_no_markup() {
        assert!(elements("<b>&amp;")[0].contains(">&lt;b&gt;&amp;amp;<"));
        assert!(elements("\u{ffff}")[0].contains(">\u{fffd}<"));
    }

    #[test]
    fn the_cursor_is_seen() {
        let picture = svg(&screen(Size { cols: 3, rows: 1 }, b"abc"), &Palette::LIGHT);
        let cursor = "<rect x=\"27\" y=\"9\" width=\"9\" height=\"18\" fill=\"#242424\" fill-opacity=\".5\"/>";
        assert!(picture.contains(cursor), "{picture}");
    }

    proptest! {
        #[test]
        fn a_picture_is_well_formed(bytes in prop::collection::vec(prop::sample::select(b"\x1b[m;14785 <>&'\"ab\xe5\xad\x97\n".to_vec()), 0..200)) {
            let screen = screen(Size { cols: 12, rows: 4 }, &bytes);
            let picture = svg(&screen, &Palette::DARK);
            let mut open: Vec<&str> = Vec::new();
            for tag in picture.split('<').skip(1) {
                let (tag, text) = tag.split_once('>').unwrap();
                prop_assert!(!text.contains('>'));
                match tag.strip_prefix('/') {
                    Some(name) => prop_assert_eq!(open.pop(), Some(name)),
                    None if tag.ends_with('/') => {}
                    None => open.extend(tag.split(' ').next()),
                }
            }
            prop_assert!(open.is_empty());
        }
    }
}
