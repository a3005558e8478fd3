//! Gemini's `generateContent`, streamed and not.

use serde_json::{Value, json};

use super::reply::{Asked, Block, INPUT_TOKENS, Kind, OUTPUT_TOKENS, Reply, Tool, Turn};
use super::{Dialect, data, list};

pub(super) struct Gemini;

impl Dialect for Gemini {
    fn read(&self, path: &str, body: &Value) -> Asked {
        let mut turns = Vec::new();
        for content in list(&body["contents"]) {
            if content["role"] == "model" {
                turns.push(Turn::Assistant);
                continue;
            }
            for part in list(&content["parts"]) {
                if let Some(text) = part["text"].as_str() {
                    turns.push(Turn::User(text.to_owned()));
                } else if let Some(response) = part["functionResponse"].get("response") {
                    let output = response["output"].as_str().map_or_else(|| response.to_string(), str::to_owned);
                    turns.push(Turn::ToolResult(output));
                }
            }
        }
        let declared = list(&body["tools"]).iter().flat_map(|tools| list(&tools["functionDeclarations"]));
        let tool = |tool: &Value| {
            let schema = tool.get("parametersJsonSchema").unwrap_or(&tool["parameters"]);
            Tool {
                name: tool["name"].as_str().unwrap_or_default().to_owned(),
                properties: schema["properties"].as_object().cloned().unwrap_or_default(),
                freeform: false,
            }
        };
        let (model, method) = path.rsplit('/').next().unwrap_or_default().split_once(':').unwrap_or_default();
        Asked {
            stream: method == "streamGenerateContent",
            model: model.to_owned(),
            tools: declared.map(tool).collect(),
            turns,
        }
    }

    fn begin(&self, _reply: &Reply) -> String {
        String::new()
    }

    fn open(&self, _reply: &Reply, _at: usize) -> String {
        String::new()
    }

    fn delta(&self, reply: &Reply, at: usize, chunk: &str) -> String {
        match reply.blocks[at].kind {
            Kind::Text => data(&candidate(reply, vec![json!({"text": chunk})])),
            Kind::Thinking => data(&candidate(reply, vec![json!({"text": chunk, "thought": true})])),
            // A call comes whole.
            Kind::Call { .. } => String::new(),
        }
    }

    fn close(&self, reply: &Reply, at: usize) -> String {
        match reply.blocks[at].kind {
            Kind::Text | Kind::Thinking => String::new(),
            Kind::Call { .. } => data(&candidate(reply, vec![finished(&reply.blocks[at])])),
        }
    }

    fn end(&self, reply: &Reply) -> String {
        data(&counted(candidate(reply, vec![json!({"text": ""})])))
    }

    fn broken(&self) -> String {
        data(&self.failure(500))
    }

    fn whole(&self, reply: &Reply) -> Value {
        counted(candidate(reply, reply.blocks.iter().map(finished).collect()))
    }

    fn failure(&self, status: u16) -> Value {
        let name = match status {
            400 => "INVALID_ARGUMENT",
            401 => "UNAUTHENTICATED",
            403 => "PERMISSION_DENIED",
            404 => "NOT_FOUND",
            429 => "RESOURCE_EXHAUSTED",
            503 => "UNAVAILABLE",
            _ => "INTERNAL",
        };
        let mut error = json!({"code": status, "message": format!("scripted error {status}"), "status": name});
        if status == 429 {
            let kind = "type.googleapis.com/google.rpc.RetryInfo";
            error["details"] = json!([{"@type": kind, "retryDelay": "0.2s"}]);
        }
        json!({"error": error})
    }
}

fn candidate(reply: &Reply, parts: Vec<Value>) -> Value {
    json!({
        "candidates": [{"content": {"role": "model", "parts": parts}, "index": 0}],
        "modelVersion": reply.model,
        "responseId": reply.id,
    })
}

/// The last event, or the only answer, says why it ended and what it cost.
fn counted(mut answer: Value) -> Value {
    answer["candidates"][0]["finishReason"] = json!("STOP");
    let total = INPUT_TOKENS + OUTPUT_TOKENS;
    answer["usageMetadata"] =
        json!({"promptTokenCount": INPUT_TOKENS, "candidatesTokenCount": OUTPUT_TOKENS, "totalTokenCount": total});
    answer
}

fn finished(block: &Block) -> Value {
    match &block.kind {
        Kind::Text => json!({"text": block.whole()}),
        Kind::Thinking => json!({"text": block.whole(), "thought": true}),
        Kind::Call { id, name, .. } => json!({"functionCall": {"id": id, "name": name, "args": block.input()}}),
    }
}
