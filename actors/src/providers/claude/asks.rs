//! What Claude Code asks for, and how it is answered. Pure.

use ropewalk_protocol::{Answer, AskEffect, AskKind, AskOption, limits};
use serde_json::{Map, Value, json};

use super::super::{Observed, input, title, wants};
use super::items::tool_title;

/// The tool by which the model asks people.
const QUESTIONS: &str = "AskUserQuestion";
const DENIED: &str = "The user denied this.";
const UNKNOWN: &str = "This is not known here and cannot be answered.";
const OPTIONS_MAX: usize = 64;

/// The question that a control request of the program's is.
pub(super) fn asked(key: String, request: &Value) -> Observed {
    if request["subtype"] != "can_use_tool" {
        return Observed::Unsupported { key };
    }
    let item = request["tool_use_id"].as_str().map(super::items::word);
    let detail = input(&request["input"]);
    let (kind, title, options) = match questions(request) {
        Some(questions) => question(questions),
        None => (AskKind::Permission, permission_title(request), permission_options(request)),
    };
    let wants = wants::of_tool(request["tool_name"].as_str().unwrap_or_default(), &request["input"]);
    Observed::Asked { key, item, kind, title, detail, options, wants }
}

/// The same question, where a turn ended over it. The line it is then seen in is not the request: what needs the request, such as
/// a rule from now on, cannot be chosen any more.
pub(super) fn again(asked: &Observed) -> Option<Observed> {
    let mut again = asked.clone();
    let Observed::Asked { item, kind: AskKind::Permission, options, .. } = &mut again else { return None };
    *item = None;
    options.retain(|option| option.effect != AskEffect::AllowAlways);
    Some(again)
}

/// The questions, if that is what is asked.
fn questions(request: &Value) -> Option<&[Value]> {
    let questions = request["input"]["questions"].as_array()?;
    (request["tool_name"] == QUESTIONS && !questions.is_empty()).then_some(questions)
}

/// One question with options is a choice; anything else is answered in text, several questions by a line each.
fn question(questions: &[Value]) -> (AskKind, String, Vec<AskOption>) {
    let asked: Vec<&str> = questions.iter().filter_map(|question| question["question"].as_str()).collect();
    let options = match questions {
        [only] => only["options"].as_array().map(Vec::as_slice).unwrap_or_default(),
        _ => &[],
    };
    let options: Vec<AskOption> = options.iter().take(OPTIONS_MAX).filter_map(labelled).collect();
    let kind = if options.is_empty() { AskKind::Question } else { AskKind::Choice };
    (kind, title(&asked.join(" / ")), options)
}

fn labelled(choice: &Value) -> Option<AskOption> {
    let label = choice["label"].as_str()?;
    let name = match choice["description"].as_str() {
        Some(description) if !description.is_empty() => format!("{label}: {description}"),
        _ => label.to_owned(),
    };
    Some(option(label, &name, AskEffect::Other))
}

fn permission_title(request: &Value) -> String {
    let tool = request["tool_name"].as_str().unwrap_or("a tool");
    let name = request["display_name"].as_str().unwrap_or(tool);
    match request["description"].as_str() {
        Some(description) if !description.is_empty() => title(&format!("{name}: {description}")),
        _ => tool_title(name, &request["input"]),
    }
}

fn permission_options(request: &Value) -> Vec<AskOption> {
    let mut options = vec![option("allow", "Allow", AskEffect::Allow)];
    let lasting = lasting(request);
    if !lasting.is_empty() {
        let name = format!("Allow, and from now on in this conversation: {}", in_words(&lasting));
        options.push(option("allow_always", &name, AskEffect::AllowAlways));
    }
    options.push(option("deny", "Deny", AskEffect::Deny));
    options
}

fn option(id: &str, name: &str, effect: AskEffect) -> AskOption {
    AskOption { id: title(id), name: title(name), effect }
}

/// What the program suggests to allow from now on, for its process only: the user's settings are not ours to write. A mode, which
/// allows much that was not asked for, is taken only where no rule is suggested.
fn lasting(request: &Value) -> Vec<Value> {
    let suggested = request["permission_suggestions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_rule = |update: &&Value| update["type"] == "addRules" && update["behavior"] == "allow";
    let wanted: Vec<&Value> = if suggested.iter().any(|update| is_rule(&update)) {
        suggested.iter().filter(|update| is_rule(update) || update["type"] == "addDirectories").collect()
    } else {
        let is_mode = |update: &&Value| update["type"] == "setMode" && update["mode"] != "bypassPermissions";
        suggested.iter().filter(is_mode).collect()
    };
    let mut lasting: Vec<Value> = wanted.into_iter().take(OPTIONS_MAX).cloned().collect();
    for update in lasting.iter_mut().filter_map(Value::as_object_mut) {
        update.insert("destination".to_owned(), json!("session"));
    }
    lasting
}

fn in_words(lasting: &[Value]) -> String {
    let mut words = Vec::new();
    for update in lasting {
        for rule in update["rules"].as_array().into_iter().flatten() {
            let tool = rule["toolName"].as_str().unwrap_or("a tool");
            words.push(rule["ruleContent"].as_str().map_or(tool.to_owned(), |of| format!("{tool}({of})")));
        }
        let directories = update["directories"].as_array().into_iter().flatten().filter_map(Value::as_str);
        words.extend(directories.map(|directory| format!("in {directory}")));
        words.extend(update["mode"].as_str().map(|mode| format!("mode {mode}")));
    }
    words.join(", ")
}

/// The line that answers. `line`: the request, as the program wrote it.
pub(super) fn answer(key: &str, answer: &Answer, line: Option<&[u8]>) -> Value {
    let line: Value = line.and_then(|line| serde_json::from_slice(line).ok()).unwrap_or_default();
    let (id, request) = (line["request_id"].as_str().unwrap_or(key), &line["request"]);
    let is_known = request["subtype"].as_str().is_none_or(|subtype| subtype == "can_use_tool");
    let response = if is_known {
        json!({"subtype": "success", "request_id": id, "response": decision(answer, request)})
    } else {
        json!({"subtype": "error", "request_id": id, "error": UNKNOWN})
    };
    json!({"type": "control_response", "response": response})
}

fn decision(answer: &Answer, request: &Value) -> Value {
    let text = match answer {
        Answer::Allow { always } => return allow(request, *always),
        Answer::Deny { reason } => return deny(reason.as_deref().unwrap_or(DENIED)),
        Answer::Choose { option: text } | Answer::Text { text } => text,
    };
    if let Some(questions) = questions(request) {
        let mut input = request["input"].clone();
        if let Some(input) = input.as_object_mut() {
            input.insert("answers".to_owned(), Value::Object(answers(questions, text)));
        }
        return json!({"behavior": "allow", "updatedInput": input});
    }
    match (answer, text.as_str()) {
        (Answer::Choose { .. }, "allow") => allow(request, false),
        (Answer::Choose { .. }, "allow_always") => allow(request, true),
        (Answer::Choose { .. }, _) => deny(DENIED),
        _ => deny(text),
    }
}

fn allow(request: &Value, always: bool) -> Value {
    let mut decision = json!({"behavior": "allow"});
    if request["input"].is_object() {
        decision["updatedInput"] = request["input"].clone();
    }
    let lasting = if always { lasting(request) } else { Vec::new() };
    if !lasting.is_empty() {
        decision["updatedPermissions"] = Value::Array(lasting);
    }
    decision
}

/// The model reads what it is denied with: an empty text would tell it nothing.
fn deny(message: &str) -> Value {
    json!({"behavior": "deny", "message": if message.trim().is_empty() { DENIED } else { message }})
}

/// The answer to each question: a line each where there are as many, else the whole text.
fn answers(questions: &[Value], text: &str) -> Map<String, Value> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let are_lines = questions.len() > 1 && lines.len() == questions.len();
    let asked = questions.iter().enumerate().filter_map(|(number, question)| {
        let answer = if are_lines { lines[number] } else { text.trim() };
        Some((question["question"].as_str()?.to_owned(), json!(answer)))
    });
    asked.take(limits::ITEMS_OPEN_MAX).collect()
}
