//! What a scripted agent writes: lines of JSON, as `actors` reads them for provider `scripted`. Pure.

use std::time::SystemTime;

use ropewalk_protocol::{
    AskEffect, AskKind, AskOption, ItemKind, ItemStatus, NoticeKind, Timestamp, TurnOutcome, Usage, limits,
};
use serde_json::{Value, json};

pub(super) fn ready(conversation: &str, model: Option<&str>, mode: Option<&str>) -> Value {
    json!({
        "type": "ready",
        "conversation": conversation,
        "version": env!("CARGO_PKG_VERSION"),
        "model": model.unwrap_or("scripted"),
        "mode": mode.unwrap_or("default"),
    })
}

pub(super) fn refused(reason: &str) -> Value {
    json!({"type": "refused", "reason": reason})
}

pub(super) fn confirmed() -> Value {
    json!({"type": "confirmed", "name": null})
}

pub(super) fn steer_taken(prompt: &Value) -> Value {
    json!({"type": "steer_taken", "prompt": prompt})
}

pub(super) fn steer_refused(prompt: &Value) -> Value {
    json!({"type": "steer_refused", "prompt": prompt})
}

pub(super) fn item_started(key: &str, kind: ItemKind, title: &str, input: &str) -> Value {
    json!({"type": "item_started", "key": key, "kind": kind, "title": title, "input": input})
}

pub(super) fn delta(key: &str, text: &str) -> Value {
    json!({"type": "delta", "key": key, "text": text})
}

pub(super) fn item_ended(key: &str, status: ItemStatus) -> Value {
    json!({"type": "item_ended", "key": key, "status": status})
}

/// An item's whole text, in pieces.
pub(super) fn text(key: &str, text: &str) -> Vec<Value> {
    let mut rest = &text[..text.floor_char_boundary(limits::ITEM_TEXT_BYTES_MAX)];
    let mut pieces = Vec::new();
    while pieces.is_empty() || !rest.is_empty() {
        let (piece, more) = rest.split_at(rest.floor_char_boundary(limits::ITEM_PIECE_BYTES_MAX));
        pieces.push(json!({"type": "text", "key": key, "first": pieces.is_empty(), "text": piece}));
        rest = more;
    }
    pieces
}

pub(super) fn asked(key: &str, kind: AskKind, title: &str, detail: &str, options: &[AskOption]) -> Value {
    let wants: Vec<Value> = if kind == AskKind::Permission { wants(title).into_iter().collect() } else { Vec::new() };
    json!({
        "type": "asked", "key": key, "kind": kind, "title": title, "detail": detail, "options": options, "wants": wants,
    })
}

/// What a title says that is to be done, as rules are held against it.
fn wants(title: &str) -> Option<Value> {
    let (action, what) = title.split_once(' ')?;
    Some(match action {
        "run" => json!({"shell": {"command": what}}),
        "read" | "write" => json!({action: {"path": what}}),
        "fetch" => json!({"fetch": {"url": what}}),
        "tool" => json!({"tool": {"name": what}}),
        _ => return None,
    })
}

/// The ways to answer a permission.
pub(super) fn permission() -> Vec<AskOption> {
    let option = |id: &str, name: &str, effect| AskOption { id: id.to_owned(), name: name.to_owned(), effect };
    vec![
        option("allow", "Allow once", AskEffect::Allow),
        option("always", "Allow from now on", AskEffect::AllowAlways),
        option("deny", "Deny", AskEffect::Deny),
    ]
}

pub(super) fn choice(names: &[String]) -> Vec<AskOption> {
    let option = |(number, name): (usize, &String)| AskOption {
        id: format!("option-{number}"),
        name: name.clone(),
        effect: AskEffect::Other,
    };
    (1..).zip(names).map(option).collect()
}

pub(super) fn used(usage: &Usage) -> Value {
    let mut value = json!(usage);
    value["type"] = "used".into();
    value
}

pub(super) fn noticed(kind: NoticeKind, text: &str) -> Value {
    let until = text.strip_prefix('+').and_then(|text| text.split_once(' '));
    match until.and_then(|(seconds, text)| Some((seconds.parse::<u64>().ok()?, text))) {
        Some((seconds, text)) => {
            let until = Timestamp::from(SystemTime::now()).plus_millis(seconds.saturating_mul(1000));
            json!({"type": "noticed", "kind": kind, "text": text, "until": until})
        }
        None => json!({"type": "noticed", "kind": kind, "text": text}),
    }
}

pub(super) fn turn_ended(outcome: &TurnOutcome) -> Value {
    json!({"type": "turn_ended", "outcome": outcome})
}

/// Lines that mean nothing.
pub(super) const GARBAGE: &[&[u8]] = &[
    b"not json",
    b"{",
    b"[]",
    b"null",
    b"",
    br#"{"type":"no_such_thing"}"#,
    br#"{"type":"delta","key":7}"#,
    br#"{"type":"item_ended","key":"never began","status":"completed"}"#,
    b"\xff\xfe\x00\x1b[2J",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_into_pieces_and_loses_nothing() {
        let long = "ä".repeat(limits::ITEM_PIECE_BYTES_MAX);
        let pieces = text("k", &long);
        assert!(pieces.len() > 1 && pieces[0]["first"] == true && pieces[1]["first"] == false);
        let whole: String = pieces.iter().filter_map(|piece| piece["text"].as_str()).collect();
        assert_eq!(whole, long);
        assert_eq!(text("k", "").len(), 1);
    }

    #[test]
    fn lines_have_a_type_and_the_protocols_words() {
        assert_eq!(turn_ended(&TurnOutcome::Completed), json!({"type": "turn_ended", "outcome": "completed"}));
        let failed = turn_ended(&TurnOutcome::Failed { reason: "no".to_owned() });
        assert_eq!(failed["outcome"]["failed"]["reason"], "no");
        assert_eq!(item_started("k", ItemKind::FileChange, "t", "")["kind"], "file_change");
    }
}
