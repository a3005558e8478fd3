//! Lines that no agent should write.

use ropewalk_protocol::limits;
use serde_json::{Value, json};

use super::*;

/// That everything fits into an event.
fn assert_bounded(seen: &[Observed]) {
    for observed in seen {
        let texts = match observed {
            Observed::ItemStarted { title, input, .. } | Observed::ItemChanged { title, input, .. } => {
                [(title, limits::ITEM_TITLE_BYTES_MAX), (input, limits::ITEM_INPUT_BYTES_MAX)]
            }
            Observed::Asked { title, detail, options, .. } => {
                assert!(options.len() <= 16);
                [(title, limits::ITEM_TITLE_BYTES_MAX), (detail, limits::ITEM_INPUT_BYTES_MAX)]
            }
            Observed::Delta { key, text } | Observed::Text { key, text, .. } => {
                [(key, 2 * limits::AGENT_WORD_BYTES_MAX), (text, limits::ITEM_PIECE_BYTES_MAX)]
            }
            Observed::Noticed { text, .. } | Observed::Refused { reason: text } => {
                [(text, limits::EVENT_BYTES_MAX / 2), (text, limits::EVENT_BYTES_MAX / 2)]
            }
            _ => continue,
        };
        assert!(texts.iter().all(|(text, max)| text.len() <= *max), "{observed:?}");
    }
}

/// Every value with one part of it replaced by another type.
fn spoilt(value: &Value) -> Vec<Value> {
    let mut spoilt = vec![Value::Null, json!(-7), json!(1e300), json!("…"), json!([]), json!({}), json!([[0]])];
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                for member in self::spoilt(member) {
                    let mut members = members.clone();
                    members.insert(name.clone(), member);
                    spoilt.push(Value::Object(members));
                }
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate().take(2) {
                for item in self::spoilt(item) {
                    let mut items = items.clone();
                    items[at] = item;
                    spoilt.push(Value::Array(items));
                }
            }
        }
        _ => {}
    }
    spoilt
}

#[test]
fn wrong_types_do_no_harm() {
    for exchange in EXCHANGES {
        let lines = replies(exchange);
        let mut parser = Acp.parser();
        let mut seen = Vec::new();
        for line in lines.iter().take(24) {
            parser.line(line.as_bytes(), &mut seen);
            for spoilt in spoilt(&serde_json::from_str(line).expect("a line is JSON")) {
                let line = spoilt.to_string();
                parser.line(line.as_bytes(), &mut seen);
                let answer = Answer::Allow { always: true };
                let outgoing = Outgoing::Answer { key: String::new(), answer, offset: 0, length: 0 };
                Acp.encode(&outgoing, Some(line.as_bytes()));
            }
            assert_bounded(&seen);
            seen.clear();
        }
    }
}

#[test]
fn lines_that_are_cut_off_are_kept_as_they_are() {
    for exchange in EXCHANGES {
        let mut parser = Acp.parser();
        for line in replies(exchange) {
            let mut seen = Vec::new();
            for end in (1..line.len()).step_by(7) {
                parser.line(&line.as_bytes()[..end], &mut seen);
                assert!(matches!(seen[..], [Observed::Noticed { .. }]), "{seen:?}");
                seen.clear();
            }
            parser.line(line.as_bytes(), &mut seen);
        }
    }
    let mut seen = Vec::new();
    let deep = "[".repeat(100_000);
    for garbage in [&b""[..], b"\0", b"\xff\xff", b"null", b"[1]", b"\"x\"", deep.as_bytes()] {
        Acp.parser().line(garbage, &mut seen);
    }
    assert!(seen.iter().all(|seen| matches!(seen, Observed::Noticed { .. })), "{seen:?}");
    assert_bounded(&seen);
}

#[test]
fn the_same_lines_say_the_same_however_a_text_is_cut() {
    for exchange in EXCHANGES {
        let lines = replies(exchange);
        let whole = told(&seen(&lines));
        assert_eq!(told(&seen(&lines)), whole);
        // A chunk as one for each character.
        let mut finer = Vec::new();
        for line in lines {
            let message: Value = serde_json::from_str(&line).expect("a line is JSON");
            let text = message["params"]["update"]["content"]["text"].as_str().unwrap_or_default().to_owned();
            if text.is_empty() {
                finer.push(line);
            }
            for character in text.chars() {
                let mut message = message.clone();
                message["params"]["update"]["content"]["text"] = json!(character.to_string());
                finer.push(message.to_string());
            }
        }
        assert_eq!(told(&seen(&finer)), whole);
    }
}

#[test]
fn a_flood_is_bounded() {
    let update = |update: Value| json!({"method": "session/update", "params": {"update": update}}).to_string();
    let mut lines = vec![r#"{"id":"greet:1","result":{"sessionId":"s"}}"#.to_owned()];
    let long = "é".repeat(limits::ITEM_TEXT_BYTES_MAX / 3);
    let content = json!({"type": "text", "text": long});
    for _ in 0..3 {
        lines.push(update(json!({"sessionUpdate": "agent_message_chunk", "content": content})));
    }
    for number in 0..2 * limits::ITEMS_OPEN_MAX {
        let content = json!([{"type": "content", "content": {"type": "text", "text": "x".repeat(64 * 1024)}}]);
        let title = "t".repeat(2000);
        lines.push(update(
            json!({"sessionUpdate": "tool_call", "toolCallId": format!("{number:0>300}"), "title": title,
            "status": "in_progress", "content": content, "rawInput": {"a": "b".repeat(40_000)}}),
        ));
    }
    lines.push(r#"{"id":"prompt:t","error":{"code":1,"message":7,"data":null}}"#.to_owned());
    let seen = seen(&lines);
    assert_bounded(&seen);
    let text = text_of(&seen, "chunks#1");
    assert!(text.len() <= limits::ITEM_TEXT_BYTES_MAX && text.len() > limits::ITEM_TEXT_BYTES_MAX - 4);
    let previewed = seen.iter().map(|seen| match seen {
        Observed::Delta { key, text } if key != "chunks#1" => text.len(),
        _ => 0,
    });
    assert!(previewed.sum::<usize>() <= 8 * limits::ITEM_TEXT_BYTES_MAX + limits::ITEMS_OPEN_MAX * 64 * 1024);
    assert_eq!(told(&seen).last().map(String::as_str), Some("end failed: error 1"));
}
