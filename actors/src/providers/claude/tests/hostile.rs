//! Whatever comes: cut, mutilated, endless.

use super::*;

fn within_bounds(seen: &[Observed]) {
    for observed in seen {
        match observed {
            Observed::ItemStarted { title, input, .. } | Observed::ItemChanged { title, input, .. } => {
                assert!(title.len() <= limits::ITEM_TITLE_BYTES_MAX && input.len() <= limits::ITEM_INPUT_BYTES_MAX);
            }
            Observed::Text { text, .. } | Observed::Delta { text, .. } | Observed::Noticed { text, .. } => {
                assert!(text.len() <= limits::ITEM_PIECE_BYTES_MAX);
            }
            Observed::Asked { title, detail, options, .. } => {
                assert!(title.len() <= limits::ITEM_TITLE_BYTES_MAX && detail.len() <= limits::ITEM_INPUT_BYTES_MAX);
                assert!(options.len() <= 64);
            }
            Observed::TurnEnded { outcome } => assert!(outcome.to_string().len() <= limits::ITEM_PIECE_BYTES_MAX + 64),
            _ => {}
        }
        assert!(key(observed).is_none_or(|key| key.len() <= limits::AGENT_WORD_BYTES_MAX + 8));
    }
}

#[test]
fn lines_are_read_the_same_however_their_bytes_come() {
    for recorded in [PLAIN, CANCEL, BACKGROUND, QWEN] {
        let bytes = processes(recorded, "<").concat().join("\n") + "\n";
        let read = |length: usize| {
            let (mut parser, mut seen, mut lines) = (Claude.parser(), Vec::new(), Lines::from(0));
            for mut piece in bytes.as_bytes().chunks(length) {
                while let Some(line) = lines.next(&mut piece) {
                    match line {
                        Line::Whole { bytes, .. } => parser.line(bytes, &mut seen),
                        other => panic!("{other:?}"),
                    }
                }
            }
            seen
        };
        let whole = read(bytes.len());
        assert_eq!(whole, seen(recorded));
        for length in [1, 7, 4096] {
            assert_eq!(read(length), whole);
        }
    }
}

#[test]
fn a_text_is_the_same_in_other_deltas() {
    let split = |line: &String| -> Vec<String> {
        let event: Value = serde_json::from_str(line).unwrap();
        let Some(text) = event["event"]["delta"]["text"].as_str() else { return vec![line.clone()] };
        let with = |letter: char| {
            let mut event = event.clone();
            event["event"]["delta"]["text"] = json!(letter.to_string());
            event.to_string()
        };
        text.chars().map(with).collect()
    };
    let lines = processes(PLAIN, "<").remove(0);
    let (coarse, fine) = (parsed(&lines), parsed(&lines.iter().flat_map(split).collect::<Vec<_>>()));
    let key = "msg_8b911647de494eb799612085:0";
    assert!(fine.len() > coarse.len());
    assert_eq!(text_of(&fine, key), text_of(&coarse, key));
}

#[test]
fn lines_that_are_cut_are_kept_as_they_are() {
    for line in ALL.iter().flat_map(|recorded| processes(recorded, "<").concat()).filter(|line| line.len() < 700) {
        let bytes = line.as_bytes();
        let mut parser = Claude.parser();
        for end in 1..bytes.len() {
            let mut seen = Vec::new();
            parser.line(&bytes[..end], &mut seen);
            assert!(matches!(seen[..], [Observed::Noticed { kind: NoticeKind::Opaque, .. }]), "{seen:?}");
        }
    }
}

#[test]
fn nothing_that_a_field_may_hold_is_fatal() {
    let strange = [
        Value::Null,
        json!(true),
        json!(-1),
        json!(1e300),
        json!("x"),
        json!([]),
        json!([1, {}]),
        json!({}),
        json!({"type": 1}),
    ];
    for recorded in ALL {
        for strange in &strange {
            let (mut parser, mut seen) = (Claude.parser(), Vec::new());
            for line in processes(recorded, "<").concat() {
                let whole: Value = serde_json::from_str(&line).unwrap();
                for place in places(&whole, String::new()) {
                    let mut line = whole.clone();
                    *line.pointer_mut(&place).unwrap() = strange.clone();
                    parser.line(line.to_string().as_bytes(), &mut seen);
                    let answer = Answer::Allow { always: true };
                    let outgoing = Outgoing::Answer { key: String::new(), answer, offset: 0, length: 0 };
                    Claude.encode(&outgoing, Some(line.to_string().as_bytes()));
                }
                within_bounds(&seen);
                seen.clear();
            }
        }
    }
}

/// Every place in a value.
fn places(value: &Value, at: String) -> Vec<String> {
    let below: Vec<String> = match value {
        Value::Object(fields) => {
            fields.iter().flat_map(|(name, value)| places(value, format!("{at}/{name}"))).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().flat_map(|(at_item, value)| places(value, format!("{at}/{at_item}"))).collect()
        }
        _ => Vec::new(),
    };
    [at].into_iter().chain(below).collect()
}

#[test]
fn garbage_is_kept_and_bounded() {
    let deep = "[".repeat(100_000);
    let long = format!(r#"{{"type":"{}"}}"#, "x".repeat(100_000));
    for line in ["garbage", "{}", "null", "[]", "\u{0}", "{\"type\":\"news\"}", "é€😀", deep.as_str(), long.as_str()]
    {
        let seen = parsed(&[line.to_owned()]);
        assert!(matches!(seen[..], [Observed::Noticed { kind: NoticeKind::Opaque, .. }]), "{seen:?}");
        within_bounds(&seen);
    }
    assert_eq!(parsed(&[String::new(), "  ".to_owned()]), []);
    let mut seen = Vec::new();
    Claude.parser().line(b"\xff\xfe{\"type\":", &mut seen);
    assert_eq!(seen.len(), 1);
}

#[test]
fn long_names_and_many_items_are_bounded() {
    let name = "n".repeat(10_000);
    let mut lines = Vec::new();
    for number in 0..2_000 {
        lines.push(
            json!({"type": "stream_event", "event": {"type": "content_block_start", "index": number,
            "content_block": {"type": "tool_use", "id": format!("{number}{name}"), "name": name}}})
            .to_string(),
        );
        lines.push(
            json!({"type": "control_request", "request_id": format!("{number}{name}"), "request": {
            "subtype": "can_use_tool", "tool_name": name, "input": {"command": name.repeat(3)}}})
            .to_string(),
        );
        lines.push(
            json!({"type": "assistant", "parent_tool_use_id": format!("{number}"), "message": {"id": name,
            "content": [{"type": "text", "text": name}, {"type": "tool_use", "id": number.to_string(), "name": name}]}})
            .to_string(),
        );
    }
    lines.push(r#"{"type":"result","is_error":true,"errors":["e"]}"#.to_owned());
    let seen = parsed(&lines);
    within_bounds(&seen);
    assert_eq!(turns(&seen).last().unwrap(), "failed: e");
}
