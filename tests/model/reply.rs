//! What the stand-in answers to a request, in no API's words: pure.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::directives::{Directive, parse};

/// What every answer costs, so that a test can say what the agent should count.
pub(crate) const INPUT_TOKENS: u64 = 1_000;
pub(crate) const OUTPUT_TOKENS: u64 = 50;
/// What is said where a request declares no tools: agents ask for a title that way.
pub(crate) const TITLE: &str = "Stand-in title";
/// `[[plain]]` without a text.
pub(crate) const PLAIN: &str = "Hello from the stand-in: plain text in several deltas.";
/// What starts the answer to a tool's result; the result follows.
pub(crate) const AFTER_TOOL: &str = "Final answer after the tool. The tool said: ";

/// A request, as far as the APIs agree on it.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) stream: bool,
    pub(crate) model: String,
    pub(crate) tools: Vec<Tool>,
    pub(crate) turns: Vec<Turn>,
}

/// One piece of the conversation so far.
#[derive(Debug)]
pub(crate) enum Turn {
    User(String),
    Assistant,
    ToolResult(String),
}

/// A tool that the request declares.
#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) name: String,
    /// The `properties` of its schema.
    pub(crate) properties: Map<String, Value>,
    /// It takes a text instead of JSON.
    pub(crate) freeform: bool,
}

/// What happens to a request.
#[derive(Debug)]
pub(crate) enum Answer {
    Say(Reply),
    Refuse(u16),
    Hang,
}

#[derive(Debug)]
pub(crate) struct Reply {
    /// Unlike any other, also among stand-ins: an agent's history outlives them.
    pub(crate) id: String,
    pub(crate) model: String,
    pub(crate) blocks: Vec<Block>,
    pub(crate) end: End,
}

#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) kind: Kind,
    /// The deltas: of a call, of its input.
    pub(crate) chunks: Vec<String>,
    /// Before each delta but the first.
    pub(crate) pause: Duration,
    /// The block waits for this gate.
    pub(crate) gate: Option<String>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Kind {
    Text,
    Thinking,
    Call { id: String, name: String, freeform: bool },
}

/// How a streamed reply ends; one that is not streamed is always whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum End {
    Done,
    /// In the last block, with an error of the API's kind.
    Fails,
    /// In the last block, with the connection.
    Cut,
}

impl Reply {
    pub(crate) fn has_calls(&self) -> bool {
        self.blocks.iter().any(|block| matches!(block.kind, Kind::Call { .. }))
    }
}

impl Block {
    /// The deltas as one.
    pub(crate) fn whole(&self) -> String {
        self.chunks.concat()
    }

    /// A call's input: JSON, or the text that it takes.
    pub(crate) fn input(&self) -> Value {
        serde_json::from_str(&self.whole()).unwrap_or_else(|_| Value::String(self.whole()))
    }
}

impl Asked {
    /// The last user text that has a directive, else the last one.
    pub(crate) fn prompt(&self) -> Option<&str> {
        let texts = || self.turns.iter().filter_map(Turn::user);
        texts().rfind(|text| !parse(text).is_empty()).or_else(|| texts().next_back())
    }

    /// Decides. A directive is done once: whatever the agent comes back with after it is answered with a text.
    pub(crate) fn answer(&self, id: String) -> Answer {
        let at = self.turns.iter().rposition(|turn| turn.user().is_some_and(|text| !parse(text).is_empty()));
        let since = &self.turns[at.map_or(0, |at| at + 1)..];
        let result = since.iter().rev().find_map(|turn| match turn {
            Turn::ToolResult(text) => Some(text),
            Turn::User(_) | Turn::Assistant => None,
        });
        let directives = if self.tools.is_empty() {
            vec![Directive::Plain(TITLE.to_owned())]
        } else if let Some(result) = result {
            vec![Directive::Plain(format!("{AFTER_TOOL}{}", result.chars().take(200).collect::<String>()))]
        } else if since.iter().any(|turn| matches!(turn, Turn::Assistant)) {
            vec![Directive::Plain(String::new())]
        } else {
            at.and_then(|at| self.turns[at].user()).map_or_else(|| vec![Directive::Plain(String::new())], parse)
        };
        self.follow(directives, id)
    }

    fn follow(&self, directives: Vec<Directive>, id: String) -> Answer {
        let mut reply = Reply { id, model: self.model.clone(), blocks: Vec::new(), end: End::Done };
        let mut gate = None;
        for directive in directives {
            let first = reply.blocks.len();
            match directive {
                Directive::Plain(text) if text.is_empty() => reply.say(PLAIN),
                Directive::Plain(text) => reply.say(&text),
                Directive::Think => {
                    reply.push(Kind::Thinking, "Let me think about this step by step. First, nothing. Second, done.");
                    reply.say("Thought about it; the answer is 42.");
                }
                Directive::Bash(command) => {
                    reply.say("I will run a command now. ");
                    reply.call(self.bash(&command));
                }
                Directive::TwoTools(command) => {
                    reply.say("I will run two commands now. ");
                    reply.call(self.bash(&command));
                    reply.call(self.bash(&command));
                }
                Directive::Write { path, text } => {
                    reply.say("I will write a file now. ");
                    reply.call(self.write(&path, &text));
                }
                Directive::Call { name, input } => {
                    let freeform = self.tools.iter().any(|tool| tool.name == name && tool.freeform);
                    reply.call(Some(Call { name, input, freeform }));
                }
                Directive::Slow { count, pause_ms } => {
                    reply.blocks.push(Block {
                        kind: Kind::Text,
                        chunks: (1..=count).map(|number| format!("tick{number} ")).collect(),
                        pause: Duration::from_millis(pause_ms),
                        gate: None,
                    });
                }
                Directive::Gate(name) => gate = Some(name),
                Directive::Err(status) => return Answer::Refuse(status),
                Directive::Hang => return Answer::Hang,
                Directive::MidErr => {
                    reply.say("This text breaks off with an error ");
                    reply.end = End::Fails;
                }
                Directive::Drop => {
                    reply.say("This text breaks off with the connection ");
                    reply.end = End::Cut;
                }
                Directive::Count => {
                    let count = self.turns.iter().filter_map(Turn::user).filter(|text| !parse(text).is_empty()).count();
                    reply.say(&format!("I can see {count} user turns."));
                }
            }
            if let Some(block) = reply.blocks.get_mut(first) {
                block.gate = gate.take();
            }
        }
        Answer::Say(reply)
    }

    fn bash(&self, command: &str) -> Option<Call> {
        let shells = ["Bash", "bash", "exec_command", "shell_command", "shell", "run_shell_command"];
        let tool = self.tool(&shells)?;
        let takes_words = tool.properties.get("command").is_some_and(|schema| schema["type"] == "array");
        let words = if takes_words { json!(["bash", "-c", command]) } else { json!(command) };
        Some(tool.call(&[
            ("command", words),
            ("cmd", json!(command)),
            ("description", json!("Runs a scripted command")),
            ("is_background", json!(false)),
        ]))
    }

    fn write(&self, path: &str, text: &str) -> Option<Call> {
        let Some(tool) = self.tool(&["Write", "write", "write_file", "apply_patch"]) else {
            return self.bash(&format!("printf '%s\\n' '{text}' > {path}"));
        };
        let patch = format!("*** Begin Patch\n*** Add File: {path}\n+{text}\n*** End Patch\n");
        if tool.freeform {
            return Some(Call { name: tool.name.clone(), input: Value::String(patch), freeform: true });
        }
        let path = json!(path);
        let (file_path, same) = (path.clone(), path.clone());
        Some(tool.call(&[
            ("file_path", file_path),
            ("filePath", same),
            ("path", path),
            ("content", json!(text)),
            ("input", json!(patch)),
        ]))
    }

    fn tool(&self, names: &[&str]) -> Option<&Tool> {
        names.iter().find_map(|name| self.tools.iter().find(|tool| tool.name == *name))
    }
}

impl Turn {
    fn user(&self) -> Option<&str> {
        match self {
            Self::User(text) => Some(text),
            Self::Assistant | Self::ToolResult(_) => None,
        }
    }
}

struct Call {
    name: String,
    input: Value,
    freeform: bool,
}

impl Tool {
    /// A call with those of the arguments that the tool declares.
    fn call(&self, arguments: &[(&str, Value)]) -> Call {
        let declared = arguments.iter().filter(|(name, _)| self.properties.contains_key(*name));
        let input = declared.map(|(name, value)| ((*name).to_owned(), value.clone())).collect::<Map<_, _>>();
        Call { name: self.name.clone(), input: Value::Object(input), freeform: false }
    }
}

impl Reply {
    fn say(&mut self, text: &str) {
        self.push(Kind::Text, text);
    }

    fn call(&mut self, call: Option<Call>) {
        let Some(Call { name, input, freeform }) = call else {
            return self.say("There is no tool for that.");
        };
        let id = format!("call_{}_{}", self.id, self.blocks.len());
        let input = match input {
            Value::String(text) if freeform => text,
            input => input.to_string(),
        };
        self.push(Kind::Call { id, name, freeform }, &input);
    }

    fn push(&mut self, kind: Kind, text: &str) {
        let chunks = text.split_inclusive(' ').map(str::to_owned).collect();
        self.blocks.push(Block { kind, chunks, pause: Duration::ZERO, gate: None });
    }
}

/// A tool's name and what it takes: nothing, if it takes a text.
type Declared = (&'static str, &'static [&'static str]);

fn asked(tools: &[Declared], turns: Vec<Turn>) -> Asked {
    let tool = |(name, properties): &Declared| Tool {
        name: (*name).to_owned(),
        properties: properties.iter().map(|name| ((*name).to_owned(), json!({"type": "string"}))).collect(),
        freeform: properties.is_empty(),
    };
    Asked { stream: true, model: "m".to_owned(), tools: tools.iter().map(tool).collect(), turns }
}

fn said(asked: &Asked) -> Reply {
    match asked.answer("1".to_owned()) {
        Answer::Say(reply) => reply,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_tool_is_picked_from_those_declared_with_the_arguments_it_declares() {
    let cases: [(&[Declared], Value); 4] = [
        (
            &[("Read", &["file_path"]), ("Bash", &["command", "description"])],
            json!({"command": "ls", "description": "Runs a scripted command"}),
        ),
        (&[("exec_command", &["cmd", "workdir"])], json!({"cmd": "ls"})),
        (&[("run_shell_command", &["command", "is_background"])], json!({"command": "ls", "is_background": false})),
        (&[("bash", &["command"])], json!({"command": "ls"})),
    ];
    for (tools, input) in cases {
        let reply = said(&asked(tools, vec![Turn::User("[[bash ls]]".to_owned())]));
        let (name, _) = tools.last().unwrap();
        assert!(matches!(&reply.blocks[1].kind, Kind::Call { name: called, .. } if called == name), "{reply:?}");
        assert_eq!(reply.blocks[1].input(), input);
    }
}

#[test]
fn a_file_is_written_by_a_tool_a_patch_or_a_shell() {
    let write = || vec![Turn::User("[[write a.txt some text]]".to_owned())];
    let reply = said(&asked(&[("write", &["filePath", "content"])], write()));
    assert_eq!(reply.blocks[1].input(), json!({"filePath": "a.txt", "content": "some text"}));
    let reply = said(&asked(&[("exec_command", &["cmd"]), ("apply_patch", &[])], write()));
    assert!(reply.blocks[1].whole().starts_with("*** Begin Patch\n*** Add File: a.txt\n+some text\n"));
    let reply = said(&asked(&[("exec_command", &["cmd"])], write()));
    assert_eq!(reply.blocks[1].input(), json!({"cmd": "printf '%s\\n' 'some text' > a.txt"}));
    let reply = said(&asked(&[("read", &["path"])], write()));
    assert_eq!(reply.blocks[1].whole(), "There is no tool for that.");
}

#[test]
fn the_last_text_with_a_directive_counts_and_is_done_once() {
    let user = |text: &str| Turn::User(text.to_owned());
    let tools: &[Declared] = &[("bash", &["command"])];
    let reply = said(&asked(tools, vec![user("[[bash ls]]"), Turn::Assistant, user("[[count]]"), user("<reminder>")]));
    assert_eq!(reply.blocks[0].whole(), "I can see 2 user turns.");
    let result = Turn::ToolResult("a.txt [[bash again]]".to_owned());
    let reply = said(&asked(tools, vec![user("[[bash ls]]"), Turn::Assistant, result, user("<reminder>")]));
    assert_eq!(reply.blocks[0].whole(), format!("{AFTER_TOOL}a.txt [[bash again]]"));
    let reply = said(&asked(tools, vec![user("[[bash ls]]"), Turn::Assistant, user("go on")]));
    assert_eq!(reply.blocks[0].whole(), PLAIN);
    let reply = said(&asked(&[], vec![user("[[err 500]]")]));
    assert_eq!(reply.blocks[0].whole(), TITLE, "no tools: a title is asked for");
}
