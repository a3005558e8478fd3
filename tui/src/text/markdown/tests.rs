use super::*;

fn styled(text: &str, width: u16) -> Vec<Line<'static>> {
    markdown(text, false, width, &Theme::dark())
}

fn rows(text: &str, width: u16) -> Vec<String> {
    strings(&styled(text, width))
}

fn strings(lines: &[Line<'_>]) -> Vec<String> {
    lines.iter().map(ToString::to_string).collect()
}

fn style_of(lines: &[Line<'static>], text: &str) -> Style {
    let span = lines.iter().flat_map(|line| &line.spans).find(|span| span.content == text);
    span.unwrap_or_else(|| panic!("{text:?} is no span of {lines:?}")).style
}

#[test]
fn text_has_its_styles() {
    let lines = styled("# Head\nplain **strong** *soft* `code` ~~gone~~ ***both***", 80);
    assert_eq!(strings(&lines), ["Head", "", "plain strong soft code gone both"]);
    let theme = Theme::dark();
    assert_eq!(style_of(&lines, "strong"), theme.strong);
    assert_eq!(style_of(&lines, "soft"), theme.emphasis);
    assert_eq!(style_of(&lines, "code"), theme.code);
    assert!(style_of(&lines, "gone").add_modifier.contains(Modifier::CROSSED_OUT));
    assert!(style_of(&lines, "both").add_modifier.contains(Modifier::BOLD | Modifier::ITALIC));
    assert!(style_of(&lines, "Head").add_modifier.contains(Modifier::BOLD | Modifier::UNDERLINED));
}

#[test]
fn lists_hang_and_nest() {
    let text =
        "Do:\n\n1. first thing to do\n2. second\n   - inner one\n   - inner two\n\n     more of it\n10. last\n\nThen.";
    assert_eq!(
        rows(text, 16),
        [
            "Do:",
            "",
            "1. first thing",
            "   to do",
            "2. second",
            "   - inner one",
            "   - inner two",
            "",
            "     more of it",
            "3. last",
            "",
            "Then."
        ]
    );
    assert_eq!(rows("- [x] done\n- [ ] open\n-\n", 20), ["- [x] done", "- [ ] open", "- "]);
}

#[test]
fn a_list_looks_the_same_with_empty_lines_in_it() {
    assert_eq!(rows("- a\n- b\n- c", 20), rows("- a\n\n- b\n\n- c", 20));
}

#[test]
fn code_is_as_it_is_written() {
    let text = "Look:\n```rust\nfn main() {\n\n    let long = \"some words here\";\n}\n```\nafter";
    assert_eq!(
        rows(text, 24),
        [
            "Look:",
            "",
            "  rust",
            "  fn main() {",
            "  ",
            "      let long = \"some w",
            "  ords here\";",
            "  }",
            "",
            "after"
        ]
    );
    let lines = styled(text, 24);
    assert_eq!(style_of(&lines, "  rust"), Theme::dark().faint);
    assert_eq!(style_of(&lines, "fn main() {"), Theme::dark().code);
    assert_eq!(rows("- a\n  ```\n  x\n  ```", 20), ["- a", "", "    x"]);
}

#[test]
fn quotes_have_a_bar_and_rules_go_across() {
    assert_eq!(rows("> one two three\n> - four\n\nend", 12), ["│ one two", "│ three", "│", "│ - four", "", "end"]);
    assert_eq!(rows("a\n\n---\n\nb", 5), ["a", "", "─────", "", "b"]);
    assert_eq!(strings(&markdown("---", false, 3, &Theme::plain())), ["---"]);
}

#[test]
fn tables_are_columns_where_they_fit() {
    let table = "| name | n |\n|:--|--:|\n| a | 1 |\n| longer | 漢字 |\n";
    assert_eq!(rows(table, 30), ["name   │    n", "───────┼─────", "a      │    1", "longer │ 漢字"]);
    assert_eq!(rows(table, 10), ["name: a", "n: 1", "", "name:", "  longer", "n: 漢字"]);
    assert_eq!(rows("| a | b |\n|---|---|", 3), ["a", "b"]);
    assert_eq!(rows("- x\n\n  | a |\n  |---|\n  | b |", 20), ["- x", "", "  a", "  ─", "  b"]);
}

#[test]
fn links_show_where_they_lead() {
    assert_eq!(rows("see [here](http://x.y/z) now", 80), ["see here (http://x.y/z) now"]);
    assert_eq!(rows("<http://x.y> and [http://x.y](http://x.y)", 80), ["http://x.y and http://x.y"]);
    assert_eq!(rows("[http://good](http://evil)", 80), ["http://good (http://evil)"]);
    assert_eq!(rows("![a picture](p.png)", 80), ["a picture (p.png)"]);
    assert_eq!(style_of(&styled("[here](u)", 80), "here"), Theme::dark().link);
}

#[test]
fn html_is_text() {
    assert_eq!(rows("<div>\n<b>x</b>\n</div>\n\na <br> b", 80), ["<div>", "<b>x</b>", "</div>", "", "a <br> b"]);
}

#[test]
fn ends_of_lines_stay() {
    assert_eq!(rows("one\ntwo\n\nthree", 80), ["one", "two", "", "three"]);
}

#[test]
fn a_character_by_its_number_is_as_harmless_as_any() {
    for text in ["a&#27;[2Jb&#x202e;c", "`a`\u{1b}[2J", "[a](b&#27;[2J)", "```&#27;[2J\nx\n```", "    a\u{1b}]0;t\x07b"]
    {
        let shown = rows(text, 80).concat();
        assert!(!shown.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?} gives {shown:?}");
    }
}

#[test]
fn text_that_is_being_written_only_grows() {
    let text = "Intro with **bold words** and `code`.\n\n## Steps\n\n1. one *thing*\n2. two\n\n```rust\nlet a = 1;\n// *\n```\n\
                \nSee [page](http://x.y) for ~~all~~ most.\n\n- last\n- item\n";
    let mut before: Vec<String> = Vec::new();
    for (end, _) in text.char_indices() {
        let now = strings(&markdown(&text[..end], true, 40, &Theme::dark()));
        let kept = before.len().saturating_sub(1);
        assert_eq!(now.get(..kept), before.get(..kept), "at {:?}", &text[..end]);
        let (old, new) = (before.last().map_or("", String::as_str), now.get(kept).map_or("", String::as_str));
        // Whether brackets are a link's is known only when its address begins.
        let (old, new) = (old.replace(['[', ']'], ""), new.replace(['[', ']'], ""));
        assert!(new.starts_with(old.trim_end()), "{old:?} became {new:?} at {:?}", &text[..end]);
        before = now;
    }
    assert_eq!(strings(&markdown(text, true, 40, &Theme::dark())), rows(text, 40));
}

#[test]
fn hostile_nesting_costs_no_more_than_its_text() {
    let deep = format!("{}a\n{}", ">".repeat(5000), "b\n".repeat(20_000));
    let lines = styled(&deep, 80);
    assert_eq!(lines.len(), 20_001);
    assert!(lines.iter().all(|line| line.spans.len() <= NESTING_MAX + 1));
    let open = format!("{})", "[a](".repeat(5000));
    assert!(!markdown(&open, true, 80, &Theme::dark()).is_empty());
}

#[test]
fn any_width_will_do() {
    let text = "# h\n\n- a\n  > quoted `code`\n\n| a | b |\n|--|--|\n| 漢 | d |\n\n```\ncode\n```\n---\n";
    for width in 0..40 {
        for line in styled(text, width) {
            assert!(line.width() <= usize::from(width.max(2)), "{line:?} at {width}");
        }
    }
}

#[test]
fn whatever_is_written_is_laid_out_within_its_width() {
    let pieces = [
        "a", " ", "\n", "\n\n", "- ", "1. ", "> ", "```", "`", "**", "_", "~~", "# ", "|", "|--|", "[b](", ")", "<c>",
        "漢", "    ", "&#27;", "\\", "---\n", "[ ] ", "![",
    ];
    let mut state = 11_u64;
    let mut below = |end: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % end
    };
    for _ in 0..4000 {
        let text: String = (0..below(24)).map(|_| pieces[below(pieces.len())]).collect();
        let width = below(30) as u16;
        for line in markdown(&text, below(2) == 0, width, &Theme::dark()) {
            assert!(line.width() <= usize::from(width.max(2)), "{line:?} of {text:?} at {width}");
            assert!(!line.to_string().chars().any(char::is_control), "{line:?} of {text:?}");
        }
    }
}
