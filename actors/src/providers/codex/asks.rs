//! What codex asks, and what it is answered. Pure: a question's options are made again of the request when it is answered.

use ropewalk_protocol::{Answer, AskEffect, AskKind, AskOption};
use serde_json::{Map, Value, json};

use super::items::{Facts, text, word};
use crate::providers::{Observed, input, rpc, title, wants};

/// Options of one question. Codex has six kinds of them; whoever sends more has other things in mind.
const OPTIONS_MAX: usize = 16;

/// The key of the question with this request id.
pub(super) fn key(id: &Value) -> String {
    word(&id.to_string())
}

/// A request, told as a question. `item`: the open item it is about, its key and what it is.
pub(super) fn asked(id: &Value, method: &str, params: &Value, item: Option<(String, Facts)>) -> Observed {
    let (item, facts) = item.unzip();
    let (kind, what, detail) = match method {
        "item/commandExecution/requestApproval" => (AskKind::Permission, command_title(params), rest(params)),
        "item/fileChange/requestApproval" => {
            let (what, changes) = facts.map(|facts| (facts.title, facts.input)).unwrap_or_default();
            let mut detail = rest(params);
            if let (Some(detail), Ok(Value::Object(changes))) = (detail.as_object_mut(), serde_json::from_str(&changes))
            {
                detail.extend(changes);
            }
            (AskKind::Permission, if what.is_empty() { "change files".to_owned() } else { what }, detail)
        }
        "item/permissions/requestApproval" => {
            let reason = text(params, "reason");
            (AskKind::Permission, if reason.is_empty() { "more permissions" } else { reason }.to_owned(), rest(params))
        }
        "mcpServer/elicitation/request" => {
            let kind = if fields(params).is_empty() { AskKind::Permission } else { AskKind::Question };
            (kind, [text(params, "message"), text(params, "title")].concat(), rest(params))
        }
        "item/tool/requestUserInput" => {
            let questions = questions(params);
            let of_options =
                questions.len() == 1 && questions[0]["options"].as_array().is_some_and(|all| !all.is_empty());
            let what = questions.iter().map(|question| text(question, "question")).collect::<Vec<_>>().join(" / ");
            (if of_options { AskKind::Choice } else { AskKind::Question }, what, rest(params))
        }
        _ => return Observed::Unsupported { key: key(id) },
    };
    let wants = match method {
        "item/commandExecution/requestApproval" => wants::of_command(params),
        "item/fileChange/requestApproval" => wants::of_changes(&detail["changes"], &params["grantRoot"]),
        _ => Vec::new(),
    };
    let options = options(method, params, kind);
    Observed::Asked { key: key(id), item, kind, title: title(&what), detail: input(&detail), options, wants }
}

/// The same question for somebody who only has its key when it is answered. `None`: the key is not enough to answer it.
pub(super) fn again(method: &str, asked: &Observed) -> Option<Observed> {
    let mut again = asked.clone();
    let Observed::Asked { item, options, .. } = &mut again else { return None };
    *item = None;
    options.retain(|option| plain(&option.id) == option.id);
    matches!(method, "item/commandExecution/requestApproval" | "item/fileChange/requestApproval").then_some(again)
}

/// The decision that a choice is, where it is none of those that were made for the request.
fn plain(chosen: &str) -> &str {
    match chosen {
        "accept" | "acceptForSession" | "cancel" => chosen,
        _ => "decline",
    }
}

/// What is asked about, without what only says where the question belongs and what can be answered.
fn rest(params: &Value) -> Value {
    const ELSEWHERE: [&str; 9] = [
        "threadId",
        "turnId",
        "itemId",
        "approvalId",
        "startedAtMs",
        "availableDecisions",
        "commandActions",
        "proposedExecpolicyAmendment",
        "proposedNetworkPolicyAmendments",
    ];
    let members = params.as_object().into_iter().flatten();
    let members = members.filter(|(name, value)| !value.is_null() && !ELSEWHERE.contains(&name.as_str()));
    Value::Object(members.map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn command_title(params: &Value) -> String {
    let command = text(params, "command");
    let network = &params["networkApprovalContext"];
    match text(params, "kind") {
        _ if network.is_object() => format!("network: {} {}", text(network, "protocol"), text(network, "host")),
        "writeStdin" => format!("input to a running command: {command}"),
        _ => command.to_owned(),
    }
}

fn questions(params: &Value) -> &[Value] {
    params["questions"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The names of what a tool's server wants to know.
fn fields(params: &Value) -> Vec<&String> {
    params["requestedSchema"]["properties"].as_object().map(|all| all.keys().collect()).unwrap_or_default()
}

fn options(method: &str, params: &Value, kind: AskKind) -> Vec<AskOption> {
    let option = |id: &str, name: &str, effect| AskOption { id: word(id), name: title(name), effect };
    let allow = option("accept", "Allow", AskEffect::Allow);
    let always = option("acceptForSession", "Allow, and the same again in this conversation", AskEffect::AllowAlways);
    let deny = option("decline", "Deny", AskEffect::Deny);
    let cancel = option("cancel", "Deny, and end the turn", AskEffect::Other);
    match (method, kind) {
        ("item/commandExecution/requestApproval", _) => {
            // Those three are taken whether or not they are offered; the rest is offered case by case.
            let offered = amendments(params).into_iter().map(|(id, decision)| {
                let (name, effect) = amendment(decision);
                option(&id, &name, effect)
            });
            [allow, always].into_iter().chain(offered).chain([deny, cancel]).collect()
        }
        ("item/fileChange/requestApproval", _) => vec![allow, always, deny, cancel],
        ("item/permissions/requestApproval", _) => vec![allow, always, deny],
        ("mcpServer/elicitation/request", AskKind::Permission) if persists(params) => vec![allow, always, deny, cancel],
        ("mcpServer/elicitation/request", AskKind::Permission) => vec![allow, deny, cancel],
        ("item/tool/requestUserInput", AskKind::Choice) => {
            let offered = questions(params)[0]["options"].as_array().into_iter().flatten().take(OPTIONS_MAX);
            let named = offered.map(|offer| (text(offer, "label"), text(offer, "description")));
            named.map(|(label, about)| option(label, &format!("{label}: {about}"), AskEffect::Other)).collect()
        }
        _ => Vec::new(),
    }
}

/// The decisions of a request that change a policy, each with an id of its own.
fn amendments(params: &Value) -> Vec<(String, &Value)> {
    let offered = params["availableDecisions"].as_array().into_iter().flatten().filter(|decision| decision.is_object());
    let named = offered.filter_map(|decision| Some((decision.as_object()?.keys().next()?, decision)));
    let numbered = named.take(OPTIONS_MAX).enumerate();
    numbered.map(|(number, (name, decision))| (word(&format!("{name}:{number}")), decision)).collect()
}

fn amendment(decision: &Value) -> (String, AskEffect) {
    let network = &decision["applyNetworkPolicyAmendment"]["network_policy_amendment"];
    let host = text(network, "host");
    match (decision["acceptWithExecpolicyAmendment"]["execpolicy_amendment"].as_array(), text(network, "action")) {
        (Some(words), _) => {
            let words = words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
            (format!("Allow, and from now on whatever begins with `{words}`"), AskEffect::AllowAlways)
        }
        (None, "allow") => (format!("Allow, and from now on everything to {host}"), AskEffect::AllowAlways),
        (None, "deny") => (format!("Deny, and from now on everything to {host}"), AskEffect::DenyAlways),
        (None, _) => (decision.to_string(), AskEffect::Other),
    }
}

/// Whether a tool's server, or codex in its place, takes an allowance for longer.
fn persists(params: &Value) -> bool {
    let persist = &params["_meta"]["persist"];
    *persist == "session" || persist.as_array().is_some_and(|all| all.iter().any(|one| one == "session"))
}

/// The answer to a request as a line. Without the request, which is so for questions that were told [`again`], it is a plain
/// decision. What cannot be made an answer is an error: codex goes on without.
pub(super) fn answer(key: &str, answer: &Answer, request: Option<&[u8]>) -> Vec<u8> {
    let chosen = match answer {
        Answer::Allow { always: false } => "accept",
        Answer::Allow { always: true } => "acceptForSession",
        Answer::Choose { option } => option,
        // Words that nobody asked for allow nothing.
        Answer::Deny { .. } | Answer::Text { .. } => "decline",
    };
    let (id, method, params) = match request.and_then(rpc::parse) {
        Some(rpc::Message::Request { id, method, params }) if self::key(&id) == key => (id, method, params),
        _ => {
            let id = serde_json::from_str(key).unwrap_or(Value::Null);
            return rpc::response(id, json!({"decision": plain(chosen)}), false);
        }
    };
    let result = match method.as_str() {
        "item/commandExecution/requestApproval" | "item/fileChange/requestApproval" => {
            let amendment = amendments(&params).into_iter().find(|(id, _)| id == chosen);
            json!({"decision": amendment.map_or_else(|| json!(plain(chosen)), |(_, decision)| decision.clone())})
        }
        "item/permissions/requestApproval" => {
            let granted = match chosen {
                "accept" | "acceptForSession" => rest(&params["permissions"]),
                _ => json!({}),
            };
            json!({"permissions": granted, "scope": if chosen == "acceptForSession" { "session" } else { "turn" }})
        }
        "mcpServer/elicitation/request" => elicited(&params, chosen, answer),
        "item/tool/requestUserInput" => json!({"answers": told(questions(&params), answer)}),
        _ => return rpc::error(id, rpc::METHOD_NOT_FOUND, &format!("{method} is not known here"), false),
    };
    rpc::response(id, result, false)
}

/// What a tool's server is answered. Text fills its form: JSON of the whole, or a line for each field.
fn elicited(params: &Value, chosen: &str, answer: &Answer) -> Value {
    let fields = fields(params);
    let content = match answer {
        Answer::Text { text } if !fields.is_empty() => match serde_json::from_str(text) {
            Ok(Value::Object(content)) => Some(content),
            _ => Some(by_line(fields.iter().map(|name| name.as_str()), text, |name, line| {
                let is_text = params["requestedSchema"]["properties"][name]["type"] == "string";
                let read = if is_text { None } else { serde_json::from_str(line).ok() };
                read.unwrap_or_else(|| json!(line))
            })),
        },
        _ => None,
    };
    let action = match chosen {
        _ if content.is_some() => "accept",
        "accept" | "acceptForSession" => "accept",
        "cancel" => "cancel",
        _ => "decline",
    };
    let persist = chosen == "acceptForSession" && persists(params);
    let meta = if persist { json!({"persist": "session"}) } else { Value::Null };
    json!({"action": action, "content": content, "_meta": meta})
}

/// The answers to a tool's questions. Text is JSON by the questions' ids, or the only answer, or a line for each.
fn told(questions: &[Value], answer: &Answer) -> Map<String, Value> {
    let ids = || questions.iter().map(|question| text(question, "id"));
    let one = |_: &str, line: &str| json!({"answers": [line]});
    match answer {
        Answer::Choose { option } => {
            let offered = questions.iter().flat_map(|question| question["options"].as_array().into_iter().flatten());
            let label = offered.map(|offer| text(offer, "label")).find(|label| word(label) == *option);
            ids().take(1).map(|id| (id.to_owned(), one(id, label.unwrap_or(option)))).collect()
        }
        Answer::Text { text } => match serde_json::from_str(text) {
            Ok(Value::Object(by_id)) if by_id.keys().all(|id| ids().any(|known| known == id)) => {
                let answers = by_id.into_iter().map(|(id, value)| {
                    let all =
                        if value.is_array() { value } else { json!([value.as_str().unwrap_or(&value.to_string())]) };
                    (id, json!({"answers": all}))
                });
                answers.collect()
            }
            _ => by_line(ids(), text, one),
        },
        // The reason is all that codex hears of a refusal.
        Answer::Deny { reason: Some(reason) } => ids().take(1).map(|id| (id.to_owned(), one(id, reason))).collect(),
        Answer::Deny { reason: None } | Answer::Allow { .. } => Map::new(),
    }
}

/// The first names get a line each, and the last one gets the rest.
fn by_line<'a>(
    names: impl Iterator<Item = &'a str>,
    text: &str,
    value: impl Fn(&str, &str) -> Value,
) -> Map<String, Value> {
    let names: Vec<&str> = names.collect();
    let lines = text.splitn(names.len().max(1), '\n');
    names.iter().zip(lines).map(|(name, line)| ((*name).to_owned(), value(name, line))).collect()
}
