//! OpenAI Responses: codex.

use serde_json::{Value, json};

use super::reply::{Asked, Block, INPUT_TOKENS, Kind, OUTPUT_TOKENS, Reply, Tool, Turn};
use super::{Dialect, list, texts};

pub(super) struct Responses;

impl Dialect for Responses {
    fn read(&self, _path: &str, body: &Value) -> Asked {
        let mut asked = Asked {
            stream: body["stream"] == true,
            model: body["model"].as_str().unwrap_or_default().to_owned(),
            tools: list(&body["tools"]).iter().filter_map(tool).collect(),
            turns: texts(&body["input"]).into_iter().map(Turn::User).collect(),
        };
        for item in list(&body["input"]) {
            match item["type"].as_str().unwrap_or("message") {
                "message" if item["role"] == "user" => {
                    asked.turns.extend(texts(&item["content"]).into_iter().map(Turn::User));
                }
                "message" if item["role"] == "assistant" => asked.turns.push(Turn::Assistant),
                // Instructions of the system or the developer.
                "message" => {}
                // The newest models' tools come this way.
                "additional_tools" => asked.tools.extend(list(&item["tools"]).iter().filter_map(tool)),
                "function_call_output" | "custom_tool_call_output" => {
                    asked.turns.push(Turn::ToolResult(texts(&item["output"]).concat()));
                }
                _ => asked.turns.push(Turn::Assistant),
            }
        }
        asked
    }

    fn begin(&self, reply: &Reply) -> String {
        event("response.created", json!({"response": response(reply, "in_progress", Vec::new())}))
    }

    fn open(&self, reply: &Reply, at: usize) -> String {
        let mut item = finished(reply, at);
        item["status"] = json!("in_progress");
        match &reply.blocks[at].kind {
            Kind::Text => item["content"] = json!([]),
            Kind::Thinking => item["summary"] = json!([]),
            Kind::Call { freeform: true, .. } => item["input"] = json!(""),
            Kind::Call { .. } => item["arguments"] = json!(""),
        }
        let added = event("response.output_item.added", json!({"output_index": at, "item": item}));
        let part = json!({"item_id": item_id(reply, at), "output_index": at});
        added
            + &match &reply.blocks[at].kind {
                Kind::Text => {
                    let empty =
                        json!({"content_index": 0, "part": {"type": "output_text", "text": "", "annotations": []}});
                    event("response.content_part.added", with(&part, empty))
                }
                Kind::Thinking => {
                    let empty = json!({"summary_index": 0, "part": {"type": "summary_text", "text": ""}});
                    event("response.reasoning_summary_part.added", with(&part, empty))
                }
                Kind::Call { .. } => String::new(),
            }
    }

    fn delta(&self, reply: &Reply, at: usize, chunk: &str) -> String {
        let part = json!({"item_id": item_id(reply, at), "output_index": at, "delta": chunk});
        match &reply.blocks[at].kind {
            Kind::Text => event("response.output_text.delta", with(&part, json!({"content_index": 0}))),
            Kind::Thinking => event("response.reasoning_summary_text.delta", with(&part, json!({"summary_index": 0}))),
            Kind::Call { freeform: true, .. } => event("response.custom_tool_call_input.delta", part),
            Kind::Call { .. } => event("response.function_call_arguments.delta", part),
        }
    }

    fn close(&self, reply: &Reply, at: usize) -> String {
        event("response.output_item.done", json!({"output_index": at, "item": finished(reply, at)}))
    }

    fn end(&self, reply: &Reply) -> String {
        event("response.completed", json!({"response": self.whole(reply)}))
    }

    fn broken(&self) -> String {
        let error = json!({"code": "server_error", "message": "scripted mid-stream error"});
        event("response.failed", json!({"response": {"object": "response", "status": "failed", "error": error}}))
    }

    fn whole(&self, reply: &Reply) -> Value {
        response(reply, "completed", (0..reply.blocks.len()).map(|at| finished(reply, at)).collect())
    }

    fn failure(&self, status: u16) -> Value {
        failure(status)
    }
}

/// The body of an error of both of OpenAI's APIs.
pub(super) fn failure(status: u16) -> Value {
    let kind = match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        429 => "rate_limit_exceeded",
        _ => "server_error",
    };
    json!({"error": {"message": format!("scripted error {status}"), "type": kind, "code": kind, "param": null}})
}

fn tool(declared: &Value) -> Option<Tool> {
    let freeform = declared["type"] == "custom";
    let name = declared["name"].as_str()?.to_owned();
    let properties = declared["parameters"]["properties"].as_object().cloned().unwrap_or_default();
    (freeform || declared["type"] == "function").then_some(Tool { name, properties, freeform })
}

fn event(kind: &str, value: Value) -> String {
    format!("event: {kind}\ndata: {}\n\n", with(&json!({"type": kind}), value))
}

fn with(some: &Value, more: Value) -> Value {
    let mut all = some.clone();
    if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
        all.extend(more);
    }
    all
}

fn response(reply: &Reply, status: &str, output: Vec<Value>) -> Value {
    json!({
        "id": format!("resp_{}", reply.id),
        "object": "response",
        "created_at": 1_700_000_000,
        "status": status,
        "model": reply.model,
        "output": output,
        "usage": {
            "input_tokens": INPUT_TOKENS,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": OUTPUT_TOKENS,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
        },
    })
}

fn item_id(reply: &Reply, at: usize) -> String {
    let prefix = match reply.blocks[at].kind {
        Kind::Text => "msg",
        Kind::Thinking => "rs",
        Kind::Call { .. } => "fc",
    };
    format!("{prefix}_{}_{at}", reply.id)
}

fn finished(reply: &Reply, at: usize) -> Value {
    let block: &Block = &reply.blocks[at];
    let item = match &block.kind {
        Kind::Text => {
            let content = json!([{"type": "output_text", "text": block.whole(), "annotations": []}]);
            json!({"type": "message", "role": "assistant", "content": content})
        }
        Kind::Thinking => json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": block.whole()}]}),
        Kind::Call { id, name, freeform: true } => {
            json!({"type": "custom_tool_call", "call_id": id, "name": name, "input": block.whole()})
        }
        Kind::Call { id, name, .. } => {
            let call = json!({"type": "function_call", "call_id": id, "arguments": block.whole()});
            match name.split_once('/') {
                Some((namespace, name)) => with(&call, json!({"namespace": namespace, "name": name})),
                None => with(&call, json!({"name": name})),
            }
        }
    };
    with(&item, json!({"id": item_id(reply, at), "status": "completed"}))
}
