//! Anthropic Messages: claude.

use serde_json::{Value, json};

use super::reply::{Asked, Block, INPUT_TOKENS, Kind, OUTPUT_TOKENS, Reply, Tool, Turn};
use super::{Dialect, list, texts};

pub(super) struct Messages;

impl Dialect for Messages {
    fn read(&self, _path: &str, body: &Value) -> Asked {
        let mut turns = Vec::new();
        for message in list(&body["messages"]) {
            let content = &message["content"];
            if message["role"] == "assistant" {
                turns.push(Turn::Assistant);
            } else {
                let results = list(content).iter().filter(|block| block["type"] == "tool_result");
                turns.extend(results.map(|block| Turn::ToolResult(texts(&block["content"]).concat())));
                turns.extend(texts(content).into_iter().map(Turn::User));
            }
        }
        let tool = |tool: &Value| Tool {
            name: tool["name"].as_str().unwrap_or_default().to_owned(),
            properties: tool["input_schema"]["properties"].as_object().cloned().unwrap_or_default(),
            freeform: false,
        };
        Asked {
            stream: body["stream"] == true,
            model: body["model"].as_str().unwrap_or_default().to_owned(),
            tools: list(&body["tools"]).iter().map(tool).collect(),
            turns,
        }
    }

    fn begin(&self, reply: &Reply) -> String {
        let mut message = message(reply, Vec::new());
        message["stop_reason"] = Value::Null;
        message["usage"]["output_tokens"] = json!(1);
        event(&json!({"type": "message_start", "message": message}))
    }

    fn open(&self, reply: &Reply, at: usize) -> String {
        let mut content = finished(&reply.blocks[at]);
        match &reply.blocks[at].kind {
            Kind::Text => content["text"] = json!(""),
            Kind::Thinking => {
                content["thinking"] = json!("");
                content["signature"] = json!("");
            }
            Kind::Call { .. } => content["input"] = json!({}),
        }
        event(&json!({"type": "content_block_start", "index": at, "content_block": content}))
    }

    fn delta(&self, reply: &Reply, at: usize, chunk: &str) -> String {
        let delta = match reply.blocks[at].kind {
            Kind::Text => json!({"type": "text_delta", "text": chunk}),
            Kind::Thinking => json!({"type": "thinking_delta", "thinking": chunk}),
            Kind::Call { .. } => json!({"type": "input_json_delta", "partial_json": chunk}),
        };
        event(&json!({"type": "content_block_delta", "index": at, "delta": delta}))
    }

    fn close(&self, reply: &Reply, at: usize) -> String {
        let stop = event(&json!({"type": "content_block_stop", "index": at}));
        if reply.blocks[at].kind != Kind::Thinking {
            return stop;
        }
        let delta = json!({"type": "signature_delta", "signature": SIGNATURE});
        event(&json!({"type": "content_block_delta", "index": at, "delta": delta})) + &stop
    }

    fn end(&self, reply: &Reply) -> String {
        let delta = json!({"stop_reason": stop_reason(reply), "stop_sequence": null});
        let usage = json!({"output_tokens": OUTPUT_TOKENS});
        event(&json!({"type": "message_delta", "delta": delta, "usage": usage}))
            + &event(&json!({"type": "message_stop"}))
    }

    fn broken(&self) -> String {
        event(&self.failure(529))
    }

    fn whole(&self, reply: &Reply) -> Value {
        message(reply, reply.blocks.iter().map(finished).collect())
    }

    fn failure(&self, status: u16) -> Value {
        let kind = match status {
            400 => "invalid_request_error",
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            429 => "rate_limit_error",
            529 => "overloaded_error",
            _ => "api_error",
        };
        json!({"type": "error", "error": {"type": kind, "message": format!("scripted error {status}")}})
    }
}

const SIGNATURE: &str = "c2lnbmF0dXJl";

fn event(value: &Value) -> String {
    format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap_or_default())
}

fn stop_reason(reply: &Reply) -> &'static str {
    if reply.has_calls() { "tool_use" } else { "end_turn" }
}

fn message(reply: &Reply, content: Vec<Value>) -> Value {
    json!({
        "id": format!("msg_{}", reply.id),
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": content,
        "stop_reason": stop_reason(reply),
        "stop_sequence": null,
        "usage": {
            "input_tokens": INPUT_TOKENS,
            "output_tokens": OUTPUT_TOKENS,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
        },
    })
}

fn finished(block: &Block) -> Value {
    match &block.kind {
        Kind::Text => json!({"type": "text", "text": block.whole()}),
        Kind::Thinking => json!({"type": "thinking", "thinking": block.whole(), "signature": SIGNATURE}),
        Kind::Call { id, name, .. } => json!({"type": "tool_use", "id": id, "name": name, "input": block.input()}),
    }
}
