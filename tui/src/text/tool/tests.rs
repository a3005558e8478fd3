use serde_json::json;

use super::*;
use crate::text::theme::Theme;

fn of(title: &str, input: &Value) -> String {
    summary(title, &input.to_string()).to_string()
}

fn full(input: &str, width: u16) -> Vec<String> {
    in_full(input, width, &Theme::dark()).iter().map(ToString::to_string).collect()
}

#[test]
fn a_difference_in_the_input_is_counted() {
    let change = "Index: /w/w.txt\n=====\n--- /w/w.txt\n+++ /w/w.txt\n@@ -0,0 +1,1 @@\n+hello\n";
    let input = json!({"filepath": "/w/w.txt", "diff": change});
    assert_eq!(of("/w/w.txt", &input), "edit /w/w.txt +1 -0");
    assert_eq!(of("note", &json!({"path": "a", "diff": "none"})), "note (diff: none, path: a)");
}

#[test]
fn calls_of_every_agent_are_told_in_a_line() {
    for (title, input, expected) in [
        (
            "Bash: Runs the tests",
            json!({"command": "cargo test --workspace", "description": "Runs the tests"}),
            "$ cargo test --workspace",
        ),
        ("/bin/bash -lc 'touch x'", json!({"command": "/bin/bash -lc 'touch x'", "cwd": "/w"}), "$ touch x"),
        ("bash", json!({"command": ["bash", "-lc", "cargo test | tail"]}), "$ cargo test | tail"),
        ("rm", json!({"command": ["rm", "-rf", "a b"]}), "$ rm -rf 'a b'"),
        ("Bash", json!({"command": "cat <<E > f\nx\nE\n"}), "$ cat <<E > f (+2 lines)"),
        ("Read: src/main.rs", json!({"file_path": "src/main.rs", "offset": 10, "limit": 31}), "read src/main.rs:10-40"),
        ("read: src/main.rs", json!({"filePath": "src/main.rs"}), "read src/main.rs"),
        ("ReadFile", json!({"absolute_path": "/w/a.rs", "limit": 5}), "read /w/a.rs:1-5"),
        (
            "Edit: a.rs",
            json!({"file_path": "a.rs", "old_string": "a\nb\n", "new_string": "a\nx\ny\n"}),
            "edit a.rs +2 -1",
        ),
        ("edit: a.rs", json!({"filePath": "a.rs", "oldString": "a", "newString": "b"}), "edit a.rs +1 -1"),
        (
            "MultiEdit",
            json!({"file_path": "a.rs", "edits": [{"old_string": "a", "new_string": "b"}, {"old_string": "c", "new_string": ""}]}),
            "edit a.rs +1 -2",
        ),
        ("Write: n.txt", json!({"file_path": "n.txt", "content": "1\n2\n"}), "write n.txt +2 -0"),
        (
            "a.rs, b.rs",
            json!({"changes": [{"path": "a.rs", "kind": {"type": "add"}}, {"path": "b.rs", "kind": {"type": "add"}}]}),
            "add a.rs, b.rs",
        ),
        ("Grep", json!({"pattern": "fn main", "path": "src"}), "search fn main in src"),
        ("glob: **/*.rs", json!({"pattern": "**/*.rs"}), "find **/*.rs"),
        ("WebFetch", json!({"url": "https://x.y/z", "prompt": "what is it"}), "fetch https://x.y/z"),
        ("webSearch: rust", json!({"query": "rust"}), "search rust"),
        (
            "Task: look",
            json!({"subagent_type": "explore", "description": "look around", "prompt": "…"}),
            "agent explore: look around",
        ),
        (
            "TodoWrite",
            json!({"todos": [{"content": "a", "status": "completed"}, {"content": "b", "status": "pending"}]}),
            "plan: 1 of 2 done",
        ),
        ("mem.store", json!({"key": "k", "n": 1}), "mem.store (key: k, n: 1)"),
        ("Skill: review", json!({"skill": "review"}), "Skill: review"),
        ("think", json!({}), "think"),
        ("", json!(null), "tool"),
    ] {
        assert_eq!(of(title, &input), expected, "{title} {input}");
    }
}

#[test]
fn what_is_not_understood_is_short_and_what_is_not_json_is_shown() {
    let long = of("mem.store", &json!({"text": "x".repeat(500)}));
    assert!(long.starts_with("mem.store (text: xxx") && long.ends_with("x…)") && long.len() < 200, "{long}");
    assert_eq!(summary("run", "touch x | y").to_string(), "run (touch x | y)");
    assert_eq!(summary("run touch x", "touch x").to_string(), "run touch x");
}

#[test]
fn a_line_hides_no_command_behind_another() {
    let hidden = json!({"command": "rm -rf ~\rls"});
    assert_eq!(of("Bash", &hidden), "$ rm -rf ~\\rls");
    assert_eq!(of("Bash", &json!({"command": "ls \u{202e}x"})), "$ ls \\u{202e}x");
    assert_eq!(of("x\u{1b}[2Jy", &json!({})), "x\\u{1b}[2Jy");
    // A shell within a shell is shown, where taking it away would change what is meant.
    assert_eq!(of("", &json!({"command": "bash -c 'a' && rm 'b'"})), "$ bash -c 'a' && rm 'b'");
}

#[test]
fn all_of_a_command_is_shown() {
    let command = format!("echo a\necho {}\n  echo c", "b".repeat(50));
    let input = json!({"command": command, "timeout": 5, "description": "says things", "env": {"A": "1"}}).to_string();
    assert_eq!(
        full(&input, 40),
        [
            "$ echo a",
            &format!("  echo {}", "b".repeat(33)),
            &format!("  {}", "b".repeat(17)),
            "    echo c",
            "description: says things",
            "env:",
            "  A: 1",
            "timeout: 5"
        ]
    );
    assert_eq!(full(r#"{"cmd":["sh","-c","x y"],"command":[]}"#, 40), ["$ sh -c 'x y'", "command: []"]);
}

#[test]
fn every_argument_of_an_unknown_tool_is_shown() {
    let input = json!({
        "a": "", "b": null, "c": [1, "x"], "d": [{"e": "f"}, {"g": [{"h": 1}]}], "text": "one\ntwo\n", "z": true
    });
    assert_eq!(
        full(&input.to_string(), 40),
        [
            "a: \"\"",
            "b: null",
            "c: [1,\"x\"]",
            "d:",
            "  -",
            "    e: f",
            "  -",
            "    g:",
            "      -",
            "        h: 1",
            "text:",
            "  one",
            "  two",
            "z: true"
        ]
    );
    assert_eq!(full("touch x", 40), ["touch x"]);
    assert_eq!(full("\"touch x\"", 40), ["touch x"]);
    assert_eq!((full("null", 40), full("{}", 40)), (vec![], vec![]));
}

#[test]
fn an_edit_is_shown_as_a_difference_without_anything_left_out() {
    let same = "s\n".repeat(10);
    let input =
        json!({"file_path": "a.rs", "old_string": format!("{same}a"), "new_string": format!("{same}b"), "all": true});
    let shown = full(&input.to_string(), 40);
    assert_eq!(shown[..3], ["file_path: a.rs", "all: true", " s"]);
    assert_eq!(shown[11..], [" s", "-a", "+b"]);
    let none = json!({"old_string": "x", "new_string": "x"}).to_string();
    assert_eq!(full(&none, 40), ["= x"]);
    let told = json!({"metadata": {"diff": "@@ -1 +1 @@\n-a\n+b\n"}}).to_string();
    assert_eq!(full(&told, 40), ["metadata:", "  diff:", "    @@ -1 +1 @@", "    1 -a", "    1 +b"]);
}

#[test]
fn what_deceives_is_visible() {
    let theme = Theme::dark();
    let input = json!({"command": format!("ls{}; rm -rf ~ \u{202e}x\u{1b}[8m", " ".repeat(300))}).to_string();
    let lines = in_full(&input, 80, &theme);
    assert_eq!(lines[0].to_string(), "$ ls<300 blanks>; rm -rf ~ \\u{202e}x\\u{1b}[8m");
    let escaped: Vec<_> = lines[0].spans.iter().filter(|span| span.style == theme.escaped).collect();
    assert_eq!(escaped.len(), 3);
    assert_eq!(full("{\"na\\u001bme\":1}", 80), ["na\\u{1b}me: 1"]);
}

#[test]
fn an_input_that_was_cut_says_so() {
    let shown = full(r#"{"command":"rm -rf "#, 80);
    assert_eq!(shown, [r#"{"command":"rm -rf "#, "! this is not all of it: the agent gave more than is kept"]);
}

#[test]
fn any_width_will_do() {
    let input = json!({"command": "漢 x", "d": [{"old_string": "a", "new_string": "b"}]}).to_string();
    for width in 0..30 {
        assert_eq!(in_full(&input, width, &Theme::dark()).is_empty(), width == 0, "{width}");
    }
}

#[test]
fn whatever_a_tool_is_called_with_none_of_it_is_missing() {
    let pieces = [
        "Ω",
        "Жй Э",
        " ",
        "\n",
        "漢",
        "\t",
        "\u{202e}",
        "\u{1b}[2J",
        "'",
        "\\",
        "ΦΦΦΦΦΦΦΦΦΦΦΦΦΦΦ",
        "@@ -1 +1 @@\n",
        "--- ",
    ];
    let names = ["command", "old_string", "new_string", "content", "x", "file_path", "diff"];
    let mut state = 5_u64;
    let mut below = |end: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % end
    };
    for _ in 0..1000 {
        let mut input = serde_json::Map::new();
        for _ in 0..below(5) {
            let text: String = (0..below(9)).map(|_| pieces[below(pieces.len())]).collect();
            let value = if below(3) == 0 { json!([{"y": text}, [text]]) } else { json!(text) };
            input.insert(names[below(names.len())].to_owned(), value);
        }
        let width = 1 + below(40) as u16;
        let shown: String = full(&Value::Object(input.clone()).to_string(), width).concat();
        assert!(shown.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{shown:?}");
        // Letters tell whether anything was left out; how often each is there, in whatever order fields are shown.
        for letter in ['Ω', 'Ж', 'й', 'Э', 'Φ', '漢'] {
            let count = |text: &str| text.chars().filter(|c| *c == letter).count();
            let of = |name: &str| input.get(name).map_or(0, |value| count(&value.to_string()));
            let others = names.iter().filter(|name| !["old_string", "new_string"].contains(name));
            // What an edit leaves as it is stands there once.
            let given = others.map(|name| of(name)).sum::<usize>() + of("old_string").max(of("new_string"));
            assert!(count(&shown) >= given, "{letter} of {input:?} in {shown:?}");
        }
    }
}
