//! OpenAI Chat Completions: opencode, and most that speak to a model of the user's own.

use serde_json::{Value, json};

use super::reply::{Asked, INPUT_TOKENS, Kind, OUTPUT_TOKENS, Reply, Tool, Turn};
use super::{Dialect, data, list, responses, texts};

pub(super) struct Chat;

impl Dialect for Chat {
    fn read(&self, _path: &str, body: &Value) -> Asked {
        let mut turns = Vec::new();
        for message in list(&body["messages"]) {
            let said = || texts(&message["content"]);
            match message["role"].as_str().unwrap_or_default() {
                "user" => turns.extend(said().into_iter().map(Turn::User)),
                "assistant" => turns.push(Turn::Assistant),
                "tool" => turns.push(Turn::ToolResult(said().concat())),
                _ => {}
            }
        }
        let tool = |tool: &Value| Tool {
            name: tool["function"]["name"].as_str().unwrap_or_default().to_owned(),
            properties: tool["function"]["parameters"]["properties"].as_object().cloned().unwrap_or_default(),
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
        chunk(reply, &json!({"role": "assistant", "content": ""}), Value::Null)
    }

    fn open(&self, reply: &Reply, at: usize) -> String {
        match &reply.blocks[at].kind {
            Kind::Call { .. } => {
                let mut call = call(reply, at);
                call["index"] = json!(nth_call(reply, at));
                call["function"]["arguments"] = json!("");
                chunk(reply, &json!({"tool_calls": [call]}), Value::Null)
            }
            Kind::Text | Kind::Thinking => String::new(),
        }
    }

    fn delta(&self, reply: &Reply, at: usize, text: &str) -> String {
        let delta = match reply.blocks[at].kind {
            Kind::Text => json!({"content": text}),
            Kind::Thinking => json!({"reasoning_content": text}),
            Kind::Call { .. } => {
                json!({"tool_calls": [{"index": nth_call(reply, at), "function": {"arguments": text}}]})
            }
        };
        chunk(reply, &delta, Value::Null)
    }

    fn close(&self, _reply: &Reply, _at: usize) -> String {
        String::new()
    }

    fn end(&self, reply: &Reply) -> String {
        let mut usage = head(reply, "chat.completion.chunk");
        usage["choices"] = json!([]);
        usage["usage"] = counted();
        chunk(reply, &json!({}), json!(finish_reason(reply))) + &data(&usage) + "data: [DONE]\n\n"
    }

    fn broken(&self) -> String {
        data(&responses::failure(500))
    }

    fn whole(&self, reply: &Reply) -> Value {
        let said = |wanted: &Kind| -> String {
            reply.blocks.iter().filter(|block| block.kind == *wanted).map(super::reply::Block::whole).collect()
        };
        let is_call = |at: &usize| matches!(reply.blocks[*at].kind, Kind::Call { .. });
        let calls: Vec<Value> = (0..reply.blocks.len()).filter(is_call).map(|at| call(reply, at)).collect();
        let mut message = json!({
            "role": "assistant",
            "content": said(&Kind::Text),
            "reasoning_content": said(&Kind::Thinking),
        });
        if !calls.is_empty() {
            message["tool_calls"] = json!(calls);
        }
        let mut whole = head(reply, "chat.completion");
        whole["choices"] = json!([{"index": 0, "message": message, "finish_reason": finish_reason(reply)}]);
        whole["usage"] = counted();
        whole
    }

    fn failure(&self, status: u16) -> Value {
        responses::failure(status)
    }
}

fn head(reply: &Reply, object: &str) -> Value {
    json!({
        "id": format!("chatcmpl-{}", reply.id),
        "object": object,
        "created": 1_700_000_000,
        "model": reply.model,
    })
}

fn chunk(reply: &Reply, delta: &Value, finish_reason: Value) -> String {
    let mut chunk = head(reply, "chat.completion.chunk");
    chunk["choices"] = json!([{"index": 0, "delta": delta, "finish_reason": finish_reason}]);
    data(&chunk)
}

fn counted() -> Value {
    let total = INPUT_TOKENS + OUTPUT_TOKENS;
    json!({"prompt_tokens": INPUT_TOKENS, "completion_tokens": OUTPUT_TOKENS, "total_tokens": total})
}

fn finish_reason(reply: &Reply) -> &'static str {
    if reply.has_calls() { "tool_calls" } else { "stop" }
}

fn call(reply: &Reply, at: usize) -> Value {
    let block = &reply.blocks[at];
    let Kind::Call { id, name, .. } = &block.kind else {
        return Value::Null;
    };
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": block.whole()}})
}

/// Calls are counted without the texts before them.
fn nth_call(reply: &Reply, at: usize) -> usize {
    reply.blocks[..at].iter().filter(|block| matches!(block.kind, Kind::Call { .. })).count()
}
