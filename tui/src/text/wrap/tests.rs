use ratatui::style::{Modifier, Stylize};

use super::*;

fn rows(lines: &[Line<'_>]) -> Vec<String> {
    lines.iter().map(|line| line.spans.iter().map(|span| span.content.as_ref()).collect()).collect()
}

fn wrapped(text: &str, width: u16) -> Vec<String> {
    rows(&wrap(&[Span::raw(text.to_owned())], width, &Indent::default()))
}

fn cut_hard(text: &str, width: u16) -> Vec<String> {
    rows(&hard_wrap(&[Span::raw(text.to_owned())], width, &Indent::default()))
}

#[test]
fn rows_end_at_words_where_they_can() {
    assert_eq!(wrapped("the quick brown fox", 10), ["the quick", "brown fox"]);
    assert_eq!(wrapped("a  b   c", 4), ["a  b", "c"], "blanks within a row stay");
    assert_eq!(wrapped("  indented", 20), ["  indented"]);
    assert_eq!(wrapped("see abcdefghijkl now", 5), ["see", "abcde", "fghij", "kl", "now"]);
    assert_eq!(wrapped("", 5), [""]);
    assert_eq!(wrapped("     x", 3), ["x"], "blanks wider than the row are at a break");
}

#[test]
fn wide_characters_are_never_cut_and_marks_stay_where_they_belong() {
    assert_eq!(wrapped("漢字漢字", 5), ["漢字", "漢字"]);
    assert_eq!(wrapped("漢字。漢", 4), ["漢", "字。", "漢"], "no row begins with a full stop");
    assert_eq!(wrapped("ab漢", 3), ["ab", "漢"]);
    assert_eq!(cut_hard("a漢b", 2), ["a", "漢", "b"]);
    assert_eq!(cut_hard("e\u{301}e\u{301}", 1), ["e\u{301}", "e\u{301}"]);
    let spans = [Span::raw("e").bold(), Span::raw("\u{301}x")];
    assert_eq!(rows(&wrap(&spans, 1, &Indent::default())), ["e\u{301}", "x"], "also in the next span");
    assert_eq!(wrapped("👩‍👩‍👧👍🏽", 2), ["👩‍👩‍👧", "👍🏽"]);
}

#[test]
fn what_stands_before_the_text_hangs() {
    let indent = Indent::hanging(Span::raw("- "));
    assert_eq!(rows(&wrap(&[Span::raw("one two three")], 12, &indent)), ["- one two", "  three"]);
    let quote = Indent::each(Span::raw("| "));
    assert_eq!(rows(&hard_wrap(&[Span::raw("0123456789abc")], 12, &quote)), ["| 0123456789", "| abc"]);
    let deep = Indent::hanging(Span::raw("              - "));
    assert_eq!(rows(&wrap(&[Span::raw("one two three")], 10, &deep)), ["- one two", "  three"], "text has room");
    assert_eq!(rows(&wrap(&[Span::raw("漢x")], 1, &deep)), ["漢", "x"]);
}

#[test]
fn styles_are_kept_and_equal_ones_are_one_span() {
    let spans = [Span::raw("plain "), Span::raw("bo").bold(), Span::raw("ld").bold(), Span::raw(" end")];
    let lines = wrap(&spans, 80, &Indent::default());
    assert_eq!(lines[0].spans.len(), 3);
    assert_eq!(lines[0].spans[1], Span::raw("bold").bold());
    let broken = wrap(&spans, 8, &Indent::default());
    assert_eq!(rows(&broken), ["plain", "bold end"]);
    assert!(broken[1].spans[0].style.add_modifier.contains(Modifier::BOLD));
}

#[test]
fn what_is_cut_says_so() {
    assert_eq!(cut("short", 5, "…"), "short");
    assert_eq!(cut("longer text", 8, "…"), "longer…");
    assert_eq!(cut("漢字漢字", 6, "…"), "漢字…");
    assert_eq!(cut("abcdef", 2, "..."), "..");
    assert_eq!(cut("abc", 0, "…"), "");
}

/// Pieces of which any text may be made.
const PIECES: [&str; 14] =
    ["a", "bc", " ", "  ", "漢", "字。", "e\u{301}", "👩‍👩‍👧", "\u{a0}", "-", "longwordlongword", "\u{200b}", "ﷺ", "ก็"];

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

#[test]
fn whatever_is_wrapped_is_kept_but_for_blanks_and_no_row_is_too_wide() {
    let mut random = Random(7);
    let dense = |text: &str| text.chars().filter(|c| *c != ' ').collect::<String>();
    for _ in 0..3000 {
        let spans: Vec<Span<'static>> = (0..random.below(8))
            .map(|number| {
                let text: String = (0..random.below(6)).map(|_| PIECES[random.below(PIECES.len())]).collect();
                if number % 2 == 0 { Span::raw(text) } else { Span::raw(text).bold() }
            })
            .collect();
        let text: String = spans.iter().map(|span| span.content.as_ref()).collect();
        let width = random.below(12) as u16;
        let indent = [Indent::default(), Indent::hanging(Span::raw("* "))][random.below(2)].clone();
        for (lines, keeps_blanks) in [(wrap(&spans, width, &indent), false), (hard_wrap(&spans, width, &indent), true)]
        {
            if width == 0 {
                assert!(lines.is_empty());
                continue;
            }
            for line in &lines {
                let row: Vec<&str> = line.spans.iter().flat_map(|span| span.content.graphemes(true)).collect();
                let is_one = row.iter().filter(|grapheme| grapheme_cells(grapheme) > 0).count() == 1;
                let taken = line_cells(&line.spans);
                assert!(taken <= usize::from(width) || is_one, "{taken} of {width}: {row:?} of {text:?}");
            }
            let kept: String = rows(&lines).concat().replace('*', "");
            assert_eq!(dense(&kept), dense(&text), "at {width}");
            if keeps_blanks && indent.first.is_empty() {
                assert_eq!(kept, text, "at {width}");
            }
        }
    }
}
