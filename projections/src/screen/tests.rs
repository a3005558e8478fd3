use super::*;

fn screen(cols: u16, rows: u16, bytes: &str) -> Screen {
    let mut screen = Screen::new(Size { cols, rows });
    screen.feed(bytes.as_bytes());
    screen
}

fn rows(screen: &Screen) -> Vec<String> {
    (0..screen.size().rows).map(|row| screen.row_text(row)).collect()
}

#[track_caller]
fn check(bytes: &str, expected: [&str; 4]) {
    assert_eq!(rows(&screen(6, 4, bytes)), expected, "{bytes:?}");
}

#[test]
fn text_wraps_at_the_margin_when_the_next_character_comes() {
    check("abcdef", ["abcdef", "", "", ""]);
    assert_eq!(screen(6, 4, "abcdef").cursor(), (5, 0));
    check("abcdefg", ["abcdef", "g", "", ""]);
    check("abcdef\rX", ["Xbcdef", "", "", ""]);
    check("\x1b[?7labcdefgh", ["abcdeh", "", "", ""]);
}

#[test]
fn wide_characters_wrap_whole_and_break_whole() {
    check("abcde字", ["abcde", "字", "", ""]);
    check("字字\x1b[2Gx", [" x字", "", "", ""]);
    check("字字\x1b[3Gx", ["字x", "", "", ""]);
    check("a字b\x1b[2G\x1b[@", ["a 字b", "", "", ""]);
    check("a字b\x1b[3G\x1b[P", ["a b", "", "", ""]);
    check("abcd字\x1b[1G\x1b[@", [" abcd", "", "", ""]);
    assert_eq!(rows(&screen(1, 2, "字a")), ["a", ""]);
}

#[test]
fn marks_join_the_character_before() {
    check("e\u{301}x", ["e\u{301}x", "", "", ""]);
    check("abcdef\u{301}", ["abcdef\u{301}", "", "", ""]);
    check("字\u{fe0f}", ["字\u{fe0f}", "", "", ""]);
    check("\u{301}a", ["a", "", "", ""]);
    let marks = "\u{301}".repeat(20);
    assert_eq!(screen(6, 4, &format!("a{marks}")).row_text(0).chars().count(), 1 + row::CELL_MARKS_MAX);
}

#[test]
fn lines_leave_at_the_top_into_the_scrollback() {
    let screen = screen(6, 2, "one\r\ntwo\r\nthree\r\nfour");
    assert_eq!(rows(&screen), ["three", "four"]);
    assert_eq!(screen.scrollback_text(9), ["one", "two"]);
    assert_eq!(screen.scrollback_text(1), ["two"]);
}

#[test]
fn only_a_region_that_begins_at_the_top_feeds_the_scrollback() {
    let text = "a\r\nb\r\nc\r\nd";
    let lower = screen(6, 4, &format!("{text}\x1b[2;3r\x1b[3H\n"));
    assert_eq!((rows(&lower), lower.scrollback_len()), (["a", "c", "", "d"].map(String::from).to_vec(), 0));
    let upper = screen(6, 4, &format!("{text}\x1b[1;3r\x1b[3H\n"));
    assert_eq!(rows(&upper), ["b", "c", "", "d"]);
    assert_eq!(upper.scrollback_text(9), ["a"]);
    let cleared = screen(6, 4, &format!("{text}\x1b[2J"));
    assert_eq!(cleared.scrollback_len(), 0);
    assert_eq!(screen(6, 4, "a\n\n\n\n\n\x1b[3J").scrollback_len(), 0);
}

#[test]
fn lines_and_characters_are_inserted_and_deleted() {
    check("a\r\nb\r\nc\r\nd\x1b[2H\x1b[L", ["a", "", "b", "c"]);
    check("a\r\nb\r\nc\r\nd\x1b[2H\x1b[2M", ["a", "d", "", ""]);
    check("abcdef\x1b[2G\x1b[2@", ["a  bcd", "", "", ""]);
    check("abcdef\x1b[2G\x1b[2P", ["adef", "", "", ""]);
    check("abcdef\x1b[2G\x1b[2X", ["a  def", "", "", ""]);
    check("abc\x1b[1G\x1b[4hxy", ["xyabc", "", "", ""]);
    check("a\x1bM\x1bM", ["", "", "a", ""]);
}

#[test]
fn the_display_is_erased_in_parts() {
    let text = "abc\r\ndef\r\nghi\x1b[2;2H";
    check(&format!("{text}\x1b[J"), ["abc", "d", "", ""]);
    check(&format!("{text}\x1b[1J"), ["", "  f", "ghi", ""]);
    check(&format!("{text}\x1b[K"), ["abc", "d", "ghi", ""]);
    check(&format!("{text}\x1b[1K"), ["abc", "  f", "ghi", ""]);
    check(&format!("{text}\x1b#8"), ["EEEEEE"; 4]);
}

#[test]
fn erased_cells_keep_the_background() {
    let restored = screen(4, 1, "\x1b[1;44m\x1b[K").restore(0);
    assert!(String::from_utf8_lossy(&restored).contains("\x1b[0;44m    "), "{}", restored.escape_ascii());
}

#[test]
fn tabs_charsets_and_repeats() {
    let tabs = screen(30, 1, "\ta\x1b[3g\x1b[5G\x1bH\r\tb\tc");
    assert_eq!(tabs.row_text(0), format!("    b   a{}c", " ".repeat(20)));
    check("\x1b(0qx\x1b(Bq\x1b)0\x0eq\x0fq", ["─│q─q", "", "", ""]);
    check("a\x1b[3b", ["aaaa", "", "", ""]);
    check("a\x1b[99b", ["aaaaaa", "", "", ""]);
    check("a\x1b[m\x1b[3b", ["a", "", "", ""]);
}

#[test]
fn the_alternate_screen_leaves_the_primary_one_alone() {
    let mut screen = screen(6, 4, "ab\x1b[?1049h\x1b[Hxyz\n\n\n\n\n\n");
    assert!(screen.alternate());
    assert_eq!((rows(&screen).concat(), screen.scrollback_len()), (String::new(), 0));
    screen.feed(b"\x1b[?1049l");
    assert_eq!((screen.row_text(0), screen.cursor(), screen.alternate()), ("ab".into(), (2, 0), false));
}

#[test]
fn origin_mode_counts_rows_from_the_region() {
    check("\x1b[2;3r\x1b[?6hA\x1b[9;9HB", ["", "A", "     B", ""]);
    check("\x1b[2;3H\x1b7\x1b[H\x1b8X", ["", "  X", "", ""]);
}

#[test]
fn strings_are_skipped_and_titles_kept() {
    check("a\x1b_x\ny\x1b\\b\x1bPq\n\x1b\\c\x1b]8;;http://x\x07d\x1b^z\x18e", ["abcde", "", "", ""]);
    assert_eq!(screen(6, 4, "\x1b]2;a;b\x07").title(), "a;b");
    assert_eq!(screen(6, 4, "\x1b]0;a\x1b\\").title(), "a");
    assert_eq!(screen(6, 4, "\x1b]0;a\x18b").title(), "");
    assert_eq!(screen(6, 4, &format!("\x1b]2;{}\x07", "é".repeat(9000))).title().len(), 4094);
}

#[test]
fn malformed_text_shows_replacements() {
    let mut screen = Screen::new(Size { cols: 8, rows: 1 });
    screen.feed(b"a\xe2\x82b\xffc\xf0\x9f\x1b[md\xc2\x9be");
    assert_eq!(screen.row_text(0), "a\u{fffd}b\u{fffd}c\u{fffd}de");
}

#[test]
fn modes_are_reported() {
    let screen = screen(6, 4, "\x1b[?1;25l\x1b[?1;1002;1006;2004h\x1b[>5u\x1b[4 q");
    let modes = screen.modes();
    assert!(modes.application_cursor && modes.bracketed_paste && !screen.cursor_visible());
    assert_eq!((modes.mouse, modes.mouse_encoding), (MouseTracking::Drag, MouseEncoding::Sgr));
    assert_eq!((modes.keyboard.flags(), modes.cursor_style), (5, 4));
}

#[test]
fn shrinking_pushes_rows_only_as_far_as_the_cursor_needs() {
    let mut screen = screen(6, 4, "a\r\nb\r\nc");
    screen.resize(Size { cols: 6, rows: 2 });
    assert_eq!((rows(&screen), screen.cursor()), (vec!["b".into(), "c".into()], (1, 1)));
    assert_eq!(screen.scrollback_text(9), ["a"]);
    screen.resize(Size { cols: 6, rows: 3 });
    assert_eq!(rows(&screen), ["b", "c", ""]);
}

#[test]
fn shrinking_under_the_alternate_screen_keeps_the_prompt() {
    let mut screen = screen(6, 4, "a\r\nb\r\nc\r\n$\x1b[?1049h\x1b[H");
    screen.resize(Size { cols: 6, rows: 2 });
    screen.feed(b"\x1b[?1049l!");
    assert_eq!(rows(&screen), ["c", "$!"]);
}

#[test]
fn a_snapshot_may_leave_scrollback_out() {
    let whole = screen(6, 2, "one\r\ntwo\r\nthree\r\nfour");
    let mut part = Screen::new(whole.size());
    part.feed(&whole.restore(1));
    assert_eq!((rows(&part), part.scrollback_text(9)), (rows(&whole), vec!["two".to_owned()]));
}

#[test]
fn full_scrollback_restores_line_by_line() {
    let mut whole = Screen::new(Size { cols: 20, rows: 5 });
    for number in 0..12_000 {
        whole.feed(format!("\x1b[3{}mline {number} 字\x1b[K\r\n", number % 8).as_bytes());
    }
    let mut other = Screen::new(whole.size());
    other.feed(&whole.restore(usize::MAX));
    assert!(other.observe() == whole.observe());
    assert!(Screen::from_state(&whole.state()).state() == whole.state());
}

#[test]
fn huge_counts_and_sizes_are_bounded() {
    let mut screen = Screen::new(Size { cols: u16::MAX, rows: 0 });
    assert_eq!(screen.size(), Size { cols: 1000, rows: 1 });
    for last in b'@'..=b'~' {
        screen.feed(format!("x\x1b[65535;65535;65535{}", char::from(last)).as_bytes());
    }
}

#[test]
fn regression_controls_before_a_cancelled_string_count() {
    assert_eq!(screen(6, 4, "\x1b\n\x1b]2;t\x18x").row_text(1), "x");
}

#[test]
fn regression_characters_wider_than_two_cells_take_two() {
    assert_eq!(screen(6, 4, "\u{17d8}").cursor(), (2, 0));
}

/// Prints tell that `vte` is in its ground state.
#[derive(Default)]
struct Prints(usize);

impl vte::Perform for Prints {
    fn print(&mut self, _character: char) {
        self.0 += 1;
    }
}

#[test]
fn ground_is_where_the_parser_says_it_is() {
    let alphabet = b"\x1b\x1b\x1b[]PX_^\\0;:?<m #\x07\x18\x1a\n\x7f\x9c";
    let mut seed = 1u32;
    for _ in 0..20_000 {
        let mut parser = Parser::default();
        let mut pending = Pending::default();
        for _ in 0..8 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let byte = alphabet[(seed >> 8) as usize % alphabet.len()];
            if pending.is_ground() && byte != ESCAPE {
                continue;
            }
            pending.follow(&[byte]);
            parser.advance(&mut Unheard, &[byte]);
        }
        let mut again = Parser::default();
        again.advance(&mut Unheard, pending.bytes());
        for mut parser in [parser, again] {
            let mut prints = Prints::default();
            parser.advance(&mut prints, b"!");
            assert_eq!(prints.0 == 1, pending.is_ground(), "{}", pending.bytes().escape_ascii());
        }
    }
}

#[test]
fn a_screen_restored_within_a_smaller_window_is_cut_and_neither_wraps_nor_scrolls() {
    let whole = screen(10, 4, "0123456789abc\r\nsecond row\r\nthird\x1b[1;31m!");
    let mut small = screen(6, 3, "");
    small.feed(&whole.restore_within(small.size(), 100));
    assert_eq!(rows(&small), ["abc", "second", "third!"], "the rows at the cursor are kept, the columns cut");
    let mut large = screen(20, 8, "");
    large.feed(&whole.restore_within(large.size(), 0));
    assert_eq!(rows(&large)[..4], rows(&whole)[..], "a larger window shows it all");
}
