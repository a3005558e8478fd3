//! Lines that no opencode writes.

use serde_json::{Value, json};

use super::*;

#[test]
fn no_line_whatever_is_in_it_makes_the_parser_fail() {
    let lines: Vec<String> =
        [PERMISSIONS, CANCELLED, ERRORS].iter().flat_map(|recorded| bridged(recorded, 1, 1)).collect();
    for (number, line) in lines.iter().enumerate() {
        let (mut parser, mut seen) = (OpenCode.parser(), Vec::new());
        let before = lines[..number].iter().rev().take(40).rev();
        before.for_each(|line| parser.line(line.as_bytes(), &mut seen));
        for cut in (0..line.len()).step_by(41) {
            parser.line(&line.as_bytes()[..cut], &mut seen);
        }
        parser.line(line.as_bytes(), &mut seen);
    }
    for hostile in
        ["", "null", "[]", "7", "{}", "{\"event\":7}", "{\"event\":{\"type\":\"message.updated\"}}", "\u{0}", "\"é"]
    {
        assert!(matches!(parsed(&[hostile])[..], [Observed::Noticed { kind: NoticeKind::Opaque, .. }]), "{hostile:?}");
    }
    let mut seen = Vec::new();
    OpenCode.parser().line(b"\xff\xfe{", &mut seen);
    assert_eq!(opaque(&seen).len(), 1);
}

#[test]
fn known_fields_of_other_types_make_nothing_fail() {
    fn twist(value: &Value, turn: usize, twisted: &mut Vec<Value>, whole: &dyn Fn(Value) -> Value) {
        let others = [Value::Null, json!(-1), json!("x".repeat(3000)), json!([[]]), json!({ "id": 7 }), json!(1e300)];
        twisted.push(whole(others[turn % others.len()].clone()));
        if let Value::Object(fields) = value {
            for (number, (name, field)) in fields.iter().enumerate() {
                let around = |inner: Value| {
                    let mut fields = fields.clone();
                    fields.insert(name.clone(), inner);
                    whole(Value::Object(fields))
                };
                twist(field, turn + number + 1, twisted, &around);
            }
        }
    }
    let lines: Vec<String> = bridged(PERMISSIONS, 1, 1).into_iter().chain(lines(BRIDGED)).collect();
    let (mut parser, mut seen) = (OpenCode.parser(), Vec::new());
    for (turn, line) in lines.iter().enumerate() {
        let mut twisted = Vec::new();
        twist(&serde_json::from_str(line).unwrap(), turn, &mut twisted, &|value| value);
        for line in twisted {
            parser.line(line.to_string().as_bytes(), &mut seen);
        }
        parser.line(line.as_bytes(), &mut seen);
        for observed in seen.drain(..) {
            if let Observed::Text { text, .. } | Observed::Delta { text, .. } | Observed::Noticed { text, .. } =
                observed
            {
                assert!(text.len() <= ropewalk_protocol::limits::ITEM_PIECE_BYTES_MAX);
            }
        }
    }
}
