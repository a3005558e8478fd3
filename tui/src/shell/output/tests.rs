use proptest::prelude::*;
use proptest::test_runner::Config;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ropewalk_projections::screen::{CellView, Colour, PenView, Screen};

use super::*;

/// Words on a frame.
#[derive(Debug, Clone)]
struct Words {
    x: u16,
    y: u16,
    text: String,
    style: Style,
}

/// What happens to a canvas.
#[derive(Debug, Clone)]
enum Step {
    Draw(Vec<Words>, Cursor),
    Clear,
    Resize(Size),
}

fn render(frame: &mut Frame<'_>, words: &[Words], cursor: Cursor) {
    let area = frame.area();
    for Words { x, y, text, style } in words.iter().filter(|words| area.contains((words.x, words.y).into())) {
        frame.buffer_mut().set_string(*x, *y, text, *style);
    }
    if let Some(cursor) = cursor.filter(|cursor| area.contains(*cursor)) {
        frame.set_cursor_position(cursor);
    }
}

/// What can be told by looking. Of a blank that is its background and its lines.
fn look(screen: &Screen) -> (Vec<String>, Option<(u16, u16)>) {
    let pen = |cell: &CellView<'_>| match cell.character {
        ' ' => PenView { foreground: Colour::Default, bold: false, dim: false, italic: false, ..cell.pen },
        _ => cell.pen,
    };
    let is_seen = |cell: &CellView<'_>| cell.character != ' ' || pen(cell) != PenView::default();
    let told = |cell: CellView<'_>| format!("{} {}{:?}", cell.column, cell, pen(&cell));
    let rows = (0..screen.size().rows).flat_map(|row| {
        let cells = screen.row_cells(row).filter(is_seen).map(told);
        [format!("row {row}")].into_iter().chain(cells).collect::<Vec<_>>()
    });
    (rows.collect(), screen.cursor_visible().then(|| screen.cursor()))
}

fn size() -> impl Strategy<Value = Size> {
    (1u16..24, 1u16..6).prop_map(|(cols, rows)| Size { cols, rows })
}

fn style() -> impl Strategy<Value = Style> {
    let colours = || prop::sample::select(vec![Color::Reset, Color::Red, Color::Indexed(99), Color::Rgb(1, 2, 3)]);
    let modifiers = vec![
        Modifier::empty(),
        Modifier::BOLD,
        Modifier::DIM,
        Modifier::BOLD | Modifier::DIM,
        Modifier::REVERSED | Modifier::UNDERLINED,
        Modifier::ITALIC | Modifier::CROSSED_OUT,
    ];
    (colours(), colours(), prop::sample::select(modifiers))
        .prop_map(|(fg, bg, modifiers)| Style::new().fg(fg).bg(bg).add_modifier(modifiers))
}

fn words() -> impl Strategy<Value = Words> {
    let letters = prop::sample::select(vec!["a", "b", " ", "│", "字", "é", "e\u{301}", "😀", "❤\u{fe0f}"]);
    let text = prop::collection::vec(letters, 1..8).prop_map(|letters| letters.concat());
    (0u16..24, 0u16..6, text, style()).prop_map(|(x, y, text, style)| Words { x, y, text, style })
}

fn step() -> impl Strategy<Value = Step> {
    let cursor = prop::option::of((0u16..24, 0u16..6).prop_map(Position::from));
    prop_oneof![
        8 => (prop::collection::vec(words(), 0..6), cursor).prop_map(|(words, cursor)| Step::Draw(words, cursor)),
        1 => Just(Step::Clear),
        1 => size().prop_map(Step::Resize),
    ]
}

proptest! {
    #![proptest_config(Config { cases: 1000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn what_differs_makes_the_same_screen_as_all_of_it(at_first in size(), steps in prop::collection::vec(step(), 1..10)) {
        let mut canvas = Canvas::new(at_first, true);
        let mut screen = Screen::new(at_first);
        for step in steps {
            match step {
                Step::Draw(words, cursor) => {
                    screen.feed(&canvas.draw(|frame| render(frame, &words, cursor)));
                    prop_assert!(!screen.modes().synchronized);
                    let mut whole = Screen::new(canvas.size());
                    whole.feed(&Canvas::new(canvas.size(), true).draw(|frame| render(frame, &words, cursor)));
                    prop_assert_eq!(look(&screen), look(&whole));
                    let again = canvas.draw(|frame| render(frame, &words, cursor));
                    prop_assert_eq!(again, b"", "nothing changed");
                }
                Step::Clear => {
                    canvas.clear();
                    screen.feed(b"\x1b[31;1mgarbage\x1b[2;3r\x1b[?7l\x1b[4h\x0e");
                }
                Step::Resize(size) => {
                    canvas.resize(size);
                    screen.resize(size);
                }
            }
        }
    }
}

fn words_at(x: u16, y: u16, text: &str) -> Words {
    Words { x, y, text: text.to_owned(), style: Style::new() }
}

#[test]
fn a_frame_is_what_differs_shown_at_once() {
    let mut canvas = Canvas::new(Size { cols: 20, rows: 3 }, true);
    let first = canvas.draw(|frame| render(frame, &[words_at(0, 0, "hello")], None));
    let text = String::from_utf8(first).unwrap();
    assert!(text.starts_with("\x1b[?2026h\x1b[?25l") && text.ends_with("\x1b[?2026l") && text.contains("hello"));
    let second = canvas.draw(|frame| render(frame, &[words_at(0, 0, "hallo")], None));
    let text = String::from_utf8(second).unwrap();
    assert!(text.contains("\x1b[1;2Ha") && !text.contains("llo") && !text.contains("?25"), "{text:?}");
    let moved = canvas.draw(|frame| render(frame, &[words_at(0, 0, "hallo")], Some(Position { x: 2, y: 1 })));
    assert_eq!(moved, b"\x1b[?2026h\x1b[2;3H\x1b[?25h\x1b[?2026l");
    let hidden = canvas.draw(|frame| render(frame, &[words_at(0, 0, "hallo")], None));
    assert_eq!(hidden, b"\x1b[?2026h\x1b[?25l\x1b[?2026l");
    assert_eq!(canvas.draw(|frame| render(frame, &[words_at(0, 0, "hallo")], None)), b"");
}

#[test]
fn a_popup_over_half_a_wide_character_is_whole() {
    let size = Size { cols: 10, rows: 1 };
    let mut canvas = Canvas::new(size, true);
    let mut screen = Screen::new(size);
    screen.feed(&canvas.draw(|frame| render(frame, &[words_at(0, 0, "字字字")], None)));
    screen.feed(&canvas.draw(|frame| render(frame, &[words_at(0, 0, "字字字"), words_at(1, 0, "│x│")], None)));
    assert_eq!(screen.row_text(0), " │x│字");
    screen.feed(&canvas.draw(|frame| render(frame, &[words_at(0, 0, "字字字")], None)));
    assert_eq!(screen.row_text(0), "字字字");
}

#[test]
fn without_colours_the_rest_of_a_style_stays() {
    let size = Size { cols: 10, rows: 2 };
    let mut screen = Screen::new(size);
    let style = Style::new().fg(Color::Rgb(1, 2, 3)).bg(Color::Red).add_modifier(Modifier::BOLD | Modifier::REVERSED);
    let area = Rect { x: 0, y: 1, width: 10, height: 1 };
    screen.feed(&Canvas::new(size, false).draw(|frame| {
        frame.buffer_mut().set_style(area, style);
        frame.buffer_mut().set_string(0, 1, "words", style.add_modifier(Modifier::DIM | Modifier::UNDERLINED));
    }));
    let pens: Vec<PenView> = screen.row_cells(1).map(|cell| cell.pen).collect();
    assert_eq!(pens.len(), 10);
    assert!(pens.iter().all(|pen| pen.bold && pen.reverse));
    assert!(pens[..5].iter().all(|pen| pen.dim && pen.underline == 1));
    assert!(pens.iter().all(|pen| (pen.foreground, pen.background) == (Colour::Default, Colour::Default)));
}
