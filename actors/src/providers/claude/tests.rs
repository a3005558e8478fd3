//! The provider against what the program itself wrote.

use std::collections::BTreeMap;

use ropewalk_protocol::{
    Answer, AskEffect, AskKind, ItemKind, ItemStatus, NoticeKind, TurnOutcome, Usage, UsageScope, limits,
};

use super::*;
use crate::providers::lines::{Line, Lines};
use crate::providers::recorded::text_of;
use crate::providers::{Greeting, Observed};

macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!("../../../tests/exchanges/claude/", $name, ".ndjson"))
    };
}

/// Recorded with the program itself, 2.1.329; catalogues, times and most names that nothing reads are cut out of the lines.
const PLAIN: &str = recorded!("plain");
const THINK: &str = recorded!("think");
const PERMISSIONS: &str = recorded!("permissions");
const CANCEL: &str = recorded!("cancel");
const ERRORS: &str = recorded!("errors");
const MODES: &str = recorded!("modes");
const RESUME: &str = recorded!("resume");
/// A sub-agent in the background, and the turn that its end begins: prompts without a name.
const TASKS: &str = recorded!("tasks");
/// The same with prompts that have one; questions; files that change.
const BACKGROUND: &str = recorded!("background");
/// A rule for the conversation; a command of the program's own.
const ALWAYS: &str = recorded!("always");
/// A prompt that the conversation has already.
const TWICE: &str = recorded!("twice");
/// Interrupts before the prompt is taken up, and before the model begins.
const TAKEN_BACK: &str = recorded!("taken-back");
/// Nobody is logged in.
const STRANGER: &str = recorded!("stranger");
/// 2.1.197, which tells less.
const OLDER: &str = recorded!("older");
/// Another program that speaks as this one.
const QWEN: &str = recorded!("qwen");
const ALL: [&str; 15] = [
    PLAIN,
    THINK,
    PERMISSIONS,
    CANCEL,
    ERRORS,
    MODES,
    RESUME,
    TASKS,
    BACKGROUND,
    ALWAYS,
    TWICE,
    TAKEN_BACK,
    STRANGER,
    QWEN,
    OLDER,
];

/// The lines of each process of an exchange, in one direction.
fn processes(recorded: &str, direction: &str) -> Vec<Vec<String>> {
    let mut processes = vec![Vec::new()];
    for record in recorded.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let line = record["line"].as_str().unwrap().to_owned();
        if line.starts_with("argv") && !processes.last().unwrap().is_empty() {
            processes.push(Vec::new());
        } else if record["dir"] == direction {
            processes.last_mut().unwrap().push(line);
        }
    }
    processes
}

fn parsed(lines: &[String]) -> Vec<Observed> {
    let (mut parser, mut seen) = (Claude.parser(), Vec::new());
    lines.iter().for_each(|line| parser.line(line.as_bytes(), &mut seen));
    seen
}

/// What the only process of an exchange was seen to do.
fn seen(recorded: &str) -> Vec<Observed> {
    let processes = processes(recorded, "<");
    assert_eq!(processes.iter().filter(|lines| !lines.is_empty()).count(), 1);
    parsed(&processes[0])
}

/// Turns and their ends, in a word each.
fn turns(seen: &[Observed]) -> Vec<String> {
    let word = |observed: &Observed| match observed {
        Observed::Confirmed { name } => {
            Some(format!("confirmed {}", name.as_deref().map_or("", |name| &name[name.len() - 2..])))
        }
        Observed::Began { .. } => Some("began".to_owned()),
        Observed::TurnEnded { outcome } => Some(outcome.to_string()),
        Observed::Refused { reason } => Some(format!("refused: {reason}")),
        _ => None,
    };
    seen.iter().filter_map(word).collect()
}

/// How each item ended.
fn ends(seen: &[Observed]) -> BTreeMap<&str, ItemStatus> {
    let end = |observed: &'_ Observed| match observed {
        Observed::ItemEnded { status, .. } => Some(*status),
        _ => None,
    };
    seen.iter().filter_map(|observed| Some((key(observed)?, end(observed)?))).collect()
}

fn key(observed: &Observed) -> Option<&str> {
    match observed {
        Observed::ItemStarted { key, .. } | Observed::ItemEnded { key, .. } | Observed::Text { key, .. } => Some(key),
        Observed::Asked { key, .. } | Observed::Delta { key, .. } | Observed::ItemChanged { key, .. } => Some(key),
        _ => None,
    }
}

fn usages(seen: &[Observed]) -> Vec<&Usage> {
    seen.iter().filter_map(|observed| if let Observed::Used(usage) = observed { Some(usage) } else { None }).collect()
}

fn notices(seen: &[Observed], wanted: NoticeKind) -> Vec<&str> {
    let text = |observed| match observed {
        &Observed::Noticed { kind, ref text, .. } if kind == wanted => Some(text.as_str()),
        _ => None,
    };
    seen.iter().filter_map(text).collect()
}

/// Every question of an exchange as it was asked, with its line.
fn asks(recorded: &str) -> Vec<(Observed, String)> {
    let (mut parser, mut asks) = (Claude.parser(), Vec::new());
    for line in processes(recorded, "<").concat() {
        let mut seen = Vec::new();
        parser.line(line.as_bytes(), &mut seen);
        asks.extend(
            seen.into_iter().filter(|seen| matches!(seen, Observed::Asked { .. })).map(|ask| (ask, line.clone())),
        );
    }
    asks
}

fn answered(line: &str, answer: Answer) -> Value {
    let outgoing = Outgoing::Answer { key: "a key".to_owned(), answer, offset: 0, length: 0 };
    let bytes = Claude.encode(&outgoing, Some(line.as_bytes()));
    assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 1);
    serde_json::from_slice(&bytes).unwrap()
}

/// What was written to the program and begins so.
fn written(recorded: &str, kind: &str) -> Vec<Value> {
    let lines = processes(recorded, ">").concat();
    let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["type"] == kind).collect()
}

mod answers;
mod hostile;
mod reading;
