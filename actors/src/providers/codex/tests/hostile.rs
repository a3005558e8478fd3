//! What codex would never write.

use ropewalk_protocol::limits;

use super::*;

/// That everything fits into an event.
fn assert_bounded(seen: &[Observed]) {
    let word = |word: &str| assert!(word.len() <= 3 * limits::AGENT_WORD_BYTES_MAX, "{} bytes", word.len());
    for observed in seen {
        match observed {
            Observed::ItemStarted { key, title, input, .. } | Observed::ItemChanged { key, title, input } => {
                word(key);
                assert!(title.len() <= limits::ITEM_TITLE_BYTES_MAX && input.len() <= limits::ITEM_INPUT_BYTES_MAX);
            }
            Observed::Asked { key, title, detail, options, .. } => {
                word(key);
                assert!(title.len() <= limits::ITEM_TITLE_BYTES_MAX && detail.len() <= limits::ITEM_INPUT_BYTES_MAX);
                assert!(options.len() <= 20);
                options.iter().for_each(|option| assert!(option.name.len() <= limits::ITEM_TITLE_BYTES_MAX));
                options.iter().for_each(|option| word(&option.id));
            }
            Observed::Delta { text, .. }
            | Observed::Text { text, .. }
            | Observed::Noticed { text, .. }
            | Observed::Refused { reason: text }
            | Observed::TurnEnded {
                outcome: TurnOutcome::Failed { reason: text } | TurnOutcome::Interrupted { reason: text },
            } => {
                assert!(text.len() <= limits::ITEM_PIECE_BYTES_MAX, "{} bytes", text.len());
            }
            Observed::Ready { conversation, version, model, mode } => {
                [conversation, version, model, mode].into_iter().flatten().for_each(|one| word(one));
            }
            Observed::SteerTaken { prompt } | Observed::SteerRefused { prompt } => word(prompt),
            Observed::Settled { turn, .. } => word(turn),
            Observed::Unsupported { key } => word(key),
            Observed::Confirmed { name } | Observed::Began { name } => name.iter().for_each(|name| word(name)),
            Observed::Greeted { .. }
            | Observed::Opened { .. }
            | Observed::ItemEnded { .. }
            | Observed::AskClosed { .. }
            | Observed::Used(_)
            | Observed::TurnEnded { .. } => {}
        }
    }
}

/// Every way to put something else in the place of one value.
fn spoiled(value: &Value, other: &Value, tell: &mut dyn FnMut(Value)) {
    tell(other.clone());
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                spoiled(member, other, &mut |spoiled| {
                    let mut members = members.clone();
                    members.insert(name.clone(), spoiled);
                    tell(Value::Object(members));
                });
            }
        }
        Value::Array(values) => {
            for (at, one) in values.iter().enumerate() {
                spoiled(one, other, &mut |spoiled| {
                    let mut values = values.clone();
                    values[at] = spoiled;
                    tell(Value::Array(values));
                });
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn garbage_is_kept_as_it_came() {
    let deep = "[".repeat(10_000);
    for line in [&b""[..], b"garbage", b"{}", b"[1]", b"null", b"\xff\xfe{", b"{\"method\":7}", deep.as_bytes()] {
        let [Observed::Noticed { kind: NoticeKind::Opaque, .. }] = &observed(&[line])[..] else { panic!("{line:?}") };
    }
    for line in ["{\"method\":\"thread/unheard/of\",\"params\":{}}", "{\"id\":\"whose:1\",\"result\":{}}"] {
        let [Observed::Noticed { kind: NoticeKind::Opaque, text, .. }] = &observed(&[line])[..] else {
            panic!("{line:?}")
        };
        assert_eq!(text, line);
    }
}

#[test]
fn half_a_line_is_only_half_a_line() {
    for recorded in EXCHANGES {
        let lines = written(recorded);
        for (at, line) in lines.iter().enumerate() {
            let (mut parser, mut seen) = (Codex.parser(), Vec::new());
            lines[..at].iter().for_each(|line| parser.line(line.as_bytes(), &mut seen));
            seen.clear();
            // A step that is no divisor of anything, so that every kind of place is met somewhere.
            for end in (0..line.len()).step_by(7) {
                parser.line(&line.as_bytes()[..end], &mut seen);
            }
            assert_eq!(seen.len(), line.len().div_ceil(7));
            assert_bounded(&seen);
        }
    }
}

#[test]
fn fields_of_other_types_are_survived() {
    let others = [json!(null), json!(-7), json!(1e300), json!("x"), json!(["x"]), json!({"type": "x"}), json!(true)];
    let mut spoilt = 0;
    for recorded in EXCHANGES {
        let lines = written(recorded);
        let mut known = std::collections::BTreeSet::new();
        for (at, line) in lines.iter().enumerate() {
            let message: Value = serde_json::from_str(line).unwrap();
            if !known.insert(format!("{}{}", message["method"], message["params"]["item"]["type"])) {
                continue;
            }
            for other in &others {
                spoiled(&message, other, &mut |message| {
                    let (mut parser, mut seen) = (Codex.parser(), Vec::new());
                    let spoilt_line = message.to_string();
                    let around = lines[..at]
                        .iter()
                        .rev()
                        .take(8)
                        .rev()
                        .chain([&spoilt_line, line])
                        .chain(lines[at + 1..].iter().take(3));
                    around.for_each(|line| parser.line(line.as_bytes(), &mut seen));
                    assert_bounded(&seen);
                    spoilt += 1;
                });
            }
        }
    }
    assert!(spoilt > 10_000, "{spoilt}");
}

#[test]
fn whatever_is_long_is_cut() {
    let long = json!("\u{20ac}x\n".repeat(250_000));
    for recorded in [exchange!("perm"), exchange!("patch"), exchange!("settings")] {
        let lines = written(recorded);
        let mut known = std::collections::BTreeSet::new();
        for line in &lines {
            let message: Value = serde_json::from_str(line).unwrap();
            if !known.insert(format!("{}{}", message["method"], message["params"]["item"]["type"])) {
                continue;
            }
            // One value of each message at a time is enough of it: the first is the message itself.
            let mut number = 0;
            spoiled(&message, &json!("LONG"), &mut |message| {
                number += 1;
                if number % 5 == 2 {
                    let line = message.to_string().replace("\"LONG\"", &long.to_string());
                    let (mut parser, mut seen) = (Codex.parser(), Vec::new());
                    parser.line(line.as_bytes(), &mut seen);
                    assert_bounded(&seen);
                }
            });
        }
    }
}

#[test]
fn what_never_ends_costs_bounded_memory() {
    let (mut parser, mut seen) = (wire::Wire::default(), Vec::new());
    let mut held = [0; 2];
    for number in 0..6000 {
        let params = json!({"threadId": format!("t{number}"), "turnId": format!("u{number}"), "message": format!("w{number}"),
            "item": {"type": "commandExecution", "id": format!("i{number}"), "receiverThreadIds": [format!("r{number}")]},
            "turn": {"id": format!("u{number}"), "status": "inProgress"}, "tokenUsage": {"total": {"totalTokens": number}}});
        for method in
            ["turn/started", "item/started", "warning", "thread/tokenUsage/updated", "turn/completed", "turn/started"]
        {
            parser.line(json!({"method": method, "params": params}).to_string().as_bytes(), &mut seen);
        }
        let asked = json!({"id": number, "method": "item/commandExecution/requestApproval", "params": params});
        parser.line(asked.to_string().as_bytes(), &mut seen);
        if number % 3000 == 2999 {
            held[number / 3000] = format!("{parser:?}").len();
        }
    }
    assert!(held[1] < held[0] + held[0] / 20, "what is remembered has an end: {held:?}");
    assert_bounded(&seen);
    assert!(seen.len() < 6000 * 200, "and no line makes many: {}", seen.len());
}
