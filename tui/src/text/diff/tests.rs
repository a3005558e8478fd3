use super::*;

fn shown(rows: &[Row<'_>], width: u16) -> Vec<String> {
    lines(rows, width, &Theme::dark()).iter().map(ToString::to_string).collect()
}

fn between_shown(old: &str, new: &str, context: usize) -> Vec<String> {
    shown(&between(old, new, context), 80)
}

#[test]
fn a_unified_difference_has_numbers_from_its_hunks() {
    let text = "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -9,3 +9,3 @@ fn x\n same\n-- old\n+new\n last\n\\ No newline at end of file\n";
    assert!(is_unified(text));
    let rows: Vec<Row<'_>> = unified(text).collect();
    assert_eq!(
        shown(&rows, 80),
        [
            "diff --git a/f b/f",
            "--- a/f",
            "+++ b/f",
            "@@ -9,3 +9,3 @@ fn x",
            " 9  same",
            "10 -- old",
            "10 +new",
            "11  last",
            "\\ No newline at end of file"
        ]
    );
    assert_eq!(Counts::of(rows).to_string(), "+1 -1");
}

#[test]
fn a_line_that_looks_like_the_name_of_a_file_is_a_line_inside_of_a_hunk() {
    let rows: Vec<Row<'_>> = unified("@@ -1,2 +1,1 @@\n--- gone\n kept\n--- next\n+++ next\n").collect();
    assert_eq!((rows[1].kind, rows[1].text, rows[1].number), (RowKind::Removed, "-- gone", Some(1)));
    assert_eq!(rows[3].kind, RowKind::File);
}

#[test]
fn what_is_no_difference_is_none() {
    for text in ["", "--- a title ---\ntext", "@@ nothing", "plain", "-1\n+2"] {
        assert!(!is_unified(text), "{text:?}");
    }
    assert!(is_unified("\n@@ -1 +1 @@\n-a\n+b"));
}

#[test]
fn long_rows_go_on_under_their_text() {
    let rows: Vec<Row<'_>> = unified("@@ -1 +1 @@\n-0123456789abcdef\n+b\n").collect();
    assert_eq!(shown(&rows, 13)[1..], ["1 -0123456789", "   abcdef", "1 +b"]);
}

#[test]
fn rows_have_their_styles_and_nothing_stays_unseen() {
    let theme = Theme::dark();
    let rows: Vec<Row<'_>> = unified("@@ -1 +1 @@\n-a\u{1b}[2Kb\n+\tb\n").collect();
    let drawn = lines(&rows, 80, &theme);
    assert_eq!(drawn[1].to_string(), "1 -a\\u{1b}[2Kb");
    assert!(drawn[1].spans.iter().any(|span| span.style == theme.escaped));
    assert_eq!(drawn[2].to_string(), "1 +    b");
    assert_eq!(drawn[2].spans[1].style, theme.added);
}

#[test]
fn two_texts_differ_where_they_do() {
    let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n";
    let new = old.replace("5\n", "five\n").replace("11\n", "");
    assert_eq!(
        between_shown(old, &new, 1),
        [" 4", "-5", "+five", " 6", "…", " 10", "-11", " 12"],
        "with a mark for what is left out"
    );
    assert_eq!(between_shown("a\nb\n", "a\nx\nb\ny\n", 3), [" a", "+x", " b", "+y"]);
    assert_eq!(between_shown("", "a\nb\n", 3), ["+a", "+b"]);
    assert_eq!(between_shown("a\n", "a\n", 3), Vec::<String>::new());
    assert_eq!(between_shown("a", "a\n", 3), ["-a", "+a"], "the end of the last line came");
    assert_eq!(between_shown("a\nb", "a\nc", usize::MAX), [" a", "-b", "+c"]);
}

#[test]
fn whatever_the_texts_are_one_becomes_the_other() {
    let mut state = 3_u64;
    let mut below = |end: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % end
    };
    for _ in 0..300 {
        let mut text = || (0..below(9)).map(|_| format!("{}\n", below(4))).collect::<String>();
        let (old, new) = (text(), text());
        let rows = between(&old, &new, usize::MAX);
        let is_changed = old != new;
        let side = |but: RowKind| {
            rows.iter().filter(|row| row.kind != but).map(|row| format!("{}\n", row.text)).collect::<String>()
        };
        if is_changed {
            assert_eq!((side(RowKind::Added), side(RowKind::Removed)), (old, new));
        } else {
            assert!(rows.is_empty());
        }
    }
}

#[test]
fn texts_that_are_too_long_to_compare_are_gone_and_come() {
    let (old, new) = ("a\nb\n".repeat(2000), "b\nc\n".repeat(2000));
    let counts = Counts::of(between(&old, &new, 3));
    assert_eq!(counts, Counts { added: 4000, removed: 4000 });
}
