//! The MCP server by which agents drive each other: its tools, what the token of a run is good for, and real programs that
//! use it.

mod real;
mod scope;
mod tools;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command as Process, Stdio};

use ropewalk_protocol::{
    AgentId, AgentSpec, AgentTerms, Command, CommandResult, OnAsk, Query, QueryResult, RunId, SessionId, SessionView,
};
use ropewalk_transport::client::Client;
use serde_json::{Value, json};

use crate::harness::{Home, ROPEWALK, mint};

/// What the agents do: answer, at once or late, ask, hang, die.
const SCRIPT: &str = "resume
on prompt /^ask/
  confirm
  say before it asks
  ask May I?
on prompt /^hang/
  confirm
  hang
on prompt /^slow/
  confirm
  sleep 2000
  say done slowly
on prompt /^die/
  confirm
  exit 3
on prompt
  confirm
  say did {prompt}
";

/// A session of two scripted agents: `lead`, which has the MCP server, and `helper`, which has not.
struct Team {
    home: Home,
    client: Client,
    session: SessionId,
    lead: AgentId,
    helper: AgentId,
}

impl Team {
    async fn start() -> Self {
        Self::of(Home::started()).await
    }

    async fn of(home: Home) -> Self {
        let client = home.client().await;
        let agent = Some(Box::new(scripted(&home, "lead", true)));
        let create = Command::SessionCreate { name: None, workspace: None, program: None, size: None, agent };
        let CommandResult::SessionCreated { session, agent: Some(lead), .. } =
            client.command(mint(), create).await.unwrap().result
        else {
            panic!("a session of an agent");
        };
        let helper = spawn(&client, session, scripted(&home, "helper", false)).await;
        Self { home, client, session, lead, helper }
    }

    async fn view(&self) -> SessionView {
        view(&self.client, self.session).await
    }

    async fn run_of(&self, agent: AgentId) -> RunId {
        self.view().await.agents.into_iter().find(|one| one.agent == agent).unwrap().run
    }

    /// Where the lead's token lies, once it is there: its process is started after that.
    async fn token_file(&self) -> PathBuf {
        let run = self.run_of(self.lead).await;
        crate::harness::eventually("the lead's process", || token_file(&self.home, run).exists());
        token_file(&self.home, run)
    }

    /// The MCP server as the lead's program would start it.
    async fn mcp(&self) -> Mcp {
        Mcp::start(&self.token_file().await)
    }

    /// How often a prompt was taken by any of the agents.
    fn taken(&self, text: &str) -> usize {
        taken(&self.home, text)
    }
}

impl Drop for Team {
    /// An agent that hangs does not see that whoever held it is gone.
    fn drop(&mut self) {
        self.home.run(&["daemon", "stop", "--all"]);
    }
}

fn token_file(home: &Home, run: RunId) -> PathBuf {
    home.path().join("runtime/runs").join(run.to_string())
}

fn taken(home: &Home, text: &str) -> usize {
    let log = std::fs::read_to_string(home.path().join("taken")).unwrap_or_default();
    log.lines().filter(|line| line.contains(text)).count()
}

fn scripted(home: &Home, name: &str, mcp: bool) -> AgentSpec {
    let file = home.path().join("script");
    if !file.exists() {
        std::fs::write(&file, SCRIPT).unwrap();
    }
    let log = home.path().join("taken").to_str().unwrap().to_owned();
    AgentSpec {
        provider: "scripted".to_owned(),
        name: Some(name.to_owned()),
        command: [ROPEWALK, "scripted-agent", file.to_str().unwrap()].map(str::to_owned).to_vec(),
        directory: "/tmp".to_owned(),
        environment: [("SCRIPTED_LOG".to_owned(), log), ("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
        model: None,
        mode: None,
        on_ask: OnAsk::Wait,
        prompt: None,
        terms: AgentTerms { mcp, ..AgentTerms::default() },
    }
}

async fn spawn(client: &Client, session: SessionId, spec: AgentSpec) -> AgentId {
    let command = Command::AgentSpawn { session, agent: Box::new(spec), parent: None };
    match client.command(mint(), command).await.unwrap().result {
        CommandResult::AgentSpawned { agent, .. } => agent,
        other => panic!("{other:?}"),
    }
}

async fn view(client: &Client, session: SessionId) -> SessionView {
    match client.query(Query::SessionGet { reference: session.to_string() }).await.unwrap().result {
        QueryResult::Session { session } => session,
        other => panic!("{other:?}"),
    }
}

/// A server on pipes, and its client.
struct Mcp {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    /// What it said of itself.
    welcome: Value,
    next: u64,
}

impl Mcp {
    fn start(token_file: &Path) -> Self {
        let mut process = Process::new(ROPEWALK);
        // Some agents give their servers no environment.
        process.args(["mcp", "--token-file"]).arg(token_file).env_clear();
        let mut child = process.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (to, from) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut mcp = Self { child, to, from, welcome: Value::Null, next: 1 };
        let client = json!({"name": "test", "version": "0"});
        let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
        mcp.welcome = mcp.request("initialize", params)["result"].clone();
        mcp.write(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        mcp
    }

    fn write(&mut self, message: &Value) {
        writeln!(self.to.as_ref().unwrap(), "{message}").unwrap();
    }

    fn send(&mut self, method: &str, params: Value) -> u64 {
        let id = self.next;
        self.next += 1;
        self.write(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    fn receive(&mut self) -> Value {
        let mut line = String::new();
        assert!(self.from.read_line(&mut line).unwrap() > 0, "the server ended");
        serde_json::from_str(&line).unwrap()
    }

    fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        let answer = self.receive();
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    /// Calls a tool: whether that is an error, and what it answers.
    fn call(&mut self, tool: &str, arguments: Value) -> (bool, Value) {
        let answer = self.request("tools/call", json!({"name": tool, "arguments": arguments}));
        let result = &answer["result"];
        let text = result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {answer}"));
        let value = serde_json::from_str(text).unwrap_or_else(|_| text.into());
        (result["isError"] == true, value)
    }

    fn ok(&mut self, tool: &str, arguments: Value) -> Value {
        let (is_error, value) = self.call(tool, arguments);
        assert!(!is_error, "{value}");
        value
    }

    /// The code of a refusal, which says what to do next.
    fn refused(&mut self, tool: &str, arguments: Value) -> String {
        let (is_error, value) = self.call(tool, arguments);
        let error = &value["error"];
        assert!(is_error, "{value}");
        assert!(!error["message"].as_str().unwrap().is_empty() && !error["hint"].as_str().unwrap().is_empty());
        error["code"].as_str().unwrap().to_owned()
    }

    /// Ends its input, and waits until it has ended by itself.
    fn end(mut self) {
        drop(self.to.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Mcp {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
