//! What the token of a run is good for, for how long, and where it is to be found.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use ropewalk_protocol::{
    Answer, AttachParams, Budget, BudgetOwner, Code, Command, CommandId, Delivery, InteractionId, PromptId, Query,
    QueryResult, Rejection, RequestMethod, ResizeParams, RulesOwner, Seq, SessionId, Size, StopParams, Stopped,
    SubscribeAfter, SubscribeParams, TerminalId,
};
use ropewalk_transport::client::{Client, ClientError, Dial, Io, SubscriptionItem};
use serde_json::{Value, json};
use tokio::net::UnixStream;

use super::{Team, scripted, taken, token_file};
use crate::harness::{Home, all_events, block_on, create, eventually, mint, options};

/// Connections that show this token.
fn showing(home: &Home, token: String) -> Dial {
    let socket = home.socket();
    Arc::new(move || {
        let (socket, token) = (socket.clone(), token.clone());
        Box::pin(async move { Ok((Box::new(UnixStream::connect(socket).await?) as Box<dyn Io>, Some(token))) })
    })
}

async fn connect(home: &Home, token: &str) -> Result<Client, Code> {
    let client = Client::connect(showing(home, token.to_owned()), options(false)).await;
    client.map_err(|error| match error {
        ClientError::Refused(rejection) => rejection.code,
        ClientError::Unreachable(reason) => panic!("{reason}"),
    })
}

fn follow(session: Option<SessionId>) -> SubscribeParams {
    SubscribeParams { session, after: SubscribeAfter::NOW, log: None, only: None }
}

fn code<T: std::fmt::Debug>(answer: Result<T, Rejection>) -> Code {
    let rejection = answer.unwrap_err();
    assert!(!rejection.hint.is_empty() && !rejection.message.is_empty());
    rejection.code
}

#[test]
fn a_runs_token_reads_its_session_prompts_the_others_and_does_no_more() {
    block_on(async {
        let team = Team::start().await;
        let token = std::fs::read_to_string(team.token_file().await).unwrap();
        let client = connect(&team.home, &token).await.unwrap();
        let (session, lead, helper) = (team.session, team.lead, team.helper);
        let other = create(&team.client, Some("other")).await;
        let terminal = TerminalId::from_bytes(*team.view().await.agents[0].terminal.as_bytes());
        let elsewhere = super::spawn(&team.client, other, scripted(&team.home, "elsewhere", false)).await;

        let queries = [
            Query::SessionGet { reference: session.to_string() },
            Query::PromptsList { session, agent: helper },
            Query::InteractionsList { session: Some(session), after: None },
            Query::EventsPage { session: Some(session), agent: None, after: Seq::ZERO, before: None, limit: None },
        ];
        for query in queries {
            assert!(client.query(query.clone()).await.is_ok(), "{query:?}");
        }
        let prompt = |session, agent, environment| Command::AgentPrompt {
            session,
            agent,
            text: "by token".to_owned(),
            delivery: Delivery::AfterTurn,
            environment,
        };
        client.command(mint(), prompt(session, helper, Default::default())).await.unwrap();
        client.subscribe(follow(Some(session))).await.unwrap();
        eventually("the prompt", || team.taken("by token") == 1);

        let spec = Box::new(scripted(&team.home, "more", false));
        let (interaction, waiting) = (InteractionId::from_bytes([1; 16]), PromptId::from_bytes([1; 16]));
        let path = [("PATH".to_owned(), "/tmp".to_owned())];
        let commands = [
            prompt(session, lead, Default::default()),
            prompt(other, elsewhere, Default::default()),
            prompt(session, helper, path.into()),
            Command::SessionCreate { name: None, workspace: None, program: None, size: None, agent: None },
            Command::SessionRename { session, name: "mine".to_owned() },
            Command::SessionAnnotate { session, text: "x".to_owned() },
            Command::SessionEnd { session },
            Command::SessionDelete { session },
            Command::TerminalResize { session, terminal, size: Size::DEFAULT },
            Command::AgentSpawn { session, agent: spec, parent: None },
            Command::PromptEdit { session, agent: helper, prompt: waiting, text: "x".to_owned() },
            Command::PromptMove { session, agent: helper, prompt: waiting, before: None },
            Command::PromptWithdraw { session, agent: helper, prompt: waiting },
            Command::AgentCancel { session, agent: helper, hard: false, turn: None },
            Command::InteractionAnswer { session, agent: lead, interaction, answer: Answer::Allow { always: true } },
            Command::AgentSet { session, agent: helper, model: Some("m".to_owned()), mode: None },
            Command::AgentHold { session, agent: helper },
            Command::AgentRelease { session, agent: lead },
            Command::BudgetSet { of: BudgetOwner::Agent { session, agent: lead }, budget: Budget::default() },
            Command::BudgetSet { of: BudgetOwner::Day {}, budget: Budget::default() },
            Command::RulesSet { of: RulesOwner::Session { session }, rules: Vec::new() },
            Command::AgentEnd { session, agent: helper },
        ];
        let before = all_events(&team.client).await.len();
        for command in commands {
            assert_eq!(code(client.command(mint(), command.clone()).await), Code::Forbidden, "{command:?}");
        }
        // A known id is no way round: its receipt is not told either.
        let rename = Command::SessionRename { session: other, name: "renamed".to_owned() };
        let id: CommandId = mint();
        team.client.command(id, rename.clone()).await.unwrap();
        assert_eq!(code(client.command(id, rename).await), Code::Forbidden);

        let queries = [
            Query::SessionGet { reference: other.to_string() },
            Query::SessionGet { reference: "renamed".to_owned() },
            Query::SessionGet { reference: "not there".to_owned() },
            Query::SessionsList { after: None, limit: None },
            Query::SessionTimeline { session, before: None, limit: None },
            Query::EventsPage { session: None, agent: None, after: Seq::ZERO, before: None, limit: None },
            Query::EventsPage { session: Some(other), agent: None, after: Seq::ZERO, before: None, limit: None },
            Query::TerminalScreen { terminal, scrollback: 0 },
            Query::InteractionsList { session: None, after: None },
            Query::InteractionsList { session: Some(other), after: None },
            Query::PromptsList { session: other, agent: elsewhere },
            Query::PolicyGet { session: Some(session) },
            Query::DaemonInfo {},
            Query::LogStats {},
            Query::LogVerify {},
            Query::LogRecord { seq: Seq(1) },
            Query::LogExport { file: "/tmp/never".to_owned() },
        ];
        for query in queries {
            assert_eq!(code(client.query(query.clone()).await), Code::Forbidden, "{query:?}");
        }
        assert_eq!(code(client.subscribe(follow(None)).await), Code::Forbidden);
        assert_eq!(code(client.subscribe(follow(Some(other))).await), Code::Forbidden);
        let attach = AttachParams { terminal, after: Some(0), size: None, view_only: true, scrollback: 0 };
        assert_eq!(code(client.attach(attach).await), Code::Forbidden);
        let resize = RequestMethod::TerminalResize(ResizeParams { terminal, size: Size::DEFAULT });
        assert_eq!(code(client.request::<Value>(resize).await), Code::NotAttached);
        for all in [false, true] {
            let stop = RequestMethod::DaemonStop(StopParams { all });
            assert_eq!(code(client.request::<Stopped>(stop).await), Code::Forbidden);
        }
        let metrics = get(&team.home, "/metrics", &token);
        assert!(metrics.starts_with("HTTP/1.1 403") && metrics.contains("forbidden"), "{metrics}");
        let after = all_events(&team.client).await;
        let asked = after[before..].iter().filter(|event| event.cause.is_some());
        let told: Vec<_> = asked.map(|event| event.body.name()).collect();
        assert_eq!(told, ["session.renamed"], "what was refused left nothing in the log");
    });
}

/// One HTTP exchange on the daemon's port, with this token.
fn get(home: &Home, path: &str, token: &str) -> String {
    use std::io::{Read, Write};
    let port = u16::try_from(home.discovery()["port"].as_u64().unwrap()).unwrap();
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let headers = format!("Host: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nConnection: close");
    write!(stream, "GET {path} HTTP/1.1\r\n{headers}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_token_dies_with_its_run() {
    block_on(async {
        let team = Team::start().await;
        let file = team.token_file().await;
        let first = team.run_of(team.lead).await;
        let token = std::fs::read_to_string(&file).unwrap();
        let client = connect(&team.home, &token).await.unwrap();
        let (_, mut items) = client.subscribe(follow(Some(team.session))).await.unwrap();
        let die = |text: &str| Command::AgentPrompt {
            session: team.session,
            agent: team.lead,
            text: text.to_owned(),
            delivery: Delivery::AfterTurn,
            environment: Default::default(),
        };
        team.client.command(mint(), die("die now")).await.unwrap();
        let failed = loop {
            match items.recv().await.expect("a last word") {
                SubscriptionItem::Failed(rejection) => break rejection,
                SubscriptionItem::Events(events) => {
                    assert!(events.iter().all(|event| event.body.name() != "agent.run_ended"), "{events:?}");
                }
                _ => {}
            }
        };
        assert_eq!(failed.code, Code::Unauthenticated);
        let own = Query::SessionGet { reference: team.session.to_string() };
        assert_eq!(code(client.query(own.clone()).await), Code::Unauthenticated, "an open connection is refused");
        assert_eq!(connect(&team.home, &token).await.err(), Some(Code::Unauthenticated), "and so is hello");
        eventually("the file's end", || !file.exists());

        // The next run has another token; the first one stays dead.
        team.client.command(mint(), die("live on")).await.unwrap();
        eventually("the prompt", || team.taken("live on") == 1);
        let second = team.run_of(team.lead).await;
        assert_ne!(first, second);
        let fresh = std::fs::read_to_string(token_file(&team.home, second)).unwrap();
        assert_ne!(fresh, token);
        assert!(connect(&team.home, &fresh).await.unwrap().query(own).await.is_ok());
        assert_eq!(connect(&team.home, &token).await.err(), Some(Code::Unauthenticated));
        assert!(!token_file(&team.home, team.run_of(team.helper).await).exists(), "who has no server has no token");
        // One that was never made, though it is well formed.
        let (ids, proof) = fresh.rsplit_once('.').unwrap();
        let flipped: String = proof.chars().map(|digit| if digit == '0' { '1' } else { '0' }).collect();
        assert_eq!(connect(&team.home, &format!("{ids}.{flipped}")).await.err(), Some(Code::Unauthenticated));

        team.client.command(mint(), Command::SessionEnd { session: team.session }).await.unwrap();
        crate::harness::ended(&team.client, team.session).await;
        eventually("no token", || std::fs::read_dir(team.home.path().join("runtime/runs")).unwrap().next().is_none());
    });
}

#[test]
fn a_token_outlives_the_daemon_and_is_found_nowhere_but_in_its_file() {
    block_on(async {
        let home = Home::new();
        let runs = home.path().join("runtime/runs");
        std::fs::create_dir_all(&runs).unwrap();
        std::fs::set_permissions(home.path().join("runtime"), PermissionsExt::from_mode(0o700)).unwrap();
        let stale = runs.join("0190b0a0-0000-7000-8000-000000000000");
        std::fs::write(&stale, "a run of a daemon before").unwrap();
        home.start();
        assert!(!stale.exists(), "what was left is removed at the start");

        let team = Team::of(home).await;
        let file = team.token_file().await;
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(&runs)), (0o600, 0o700));
        let token = std::fs::read_to_string(&file).unwrap();
        let mut mcp = team.mcp().await;
        mcp.ok("agent_send", json!({"agent": "helper", "text": "before"}));

        team.home.kill_daemon();
        // Whoever cleans up there does not lock an agent out: the daemon makes the token again.
        std::fs::remove_file(&file).unwrap();
        team.home.start();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), token, "the agent lives on, and so does its token");
        assert!(connect(&team.home, &token).await.is_ok());
        let sent = mcp.ok("agent_send", json!({"agent": "helper", "text": "after"}));
        let waited = mcp.ok("agent_wait", json!({"agent": "helper", "prompt": sent["prompt"]}));
        assert_eq!(waited["text"], "did after");
        assert_eq!((taken(&team.home, "before"), taken(&team.home, "after")), (1, 1));

        std::fs::rename(team.home.path().join("runtime"), team.home.path().join("gone")).unwrap();
        eventually("the token, put back with all the rest", || file.exists());
        assert_eq!((std::fs::read_to_string(&file).unwrap(), mode(&file), mode(&runs)), (token.clone(), 0o600, 0o700));

        let proof = token.rsplit_once('.').unwrap().1;
        let client = team.home.client().await;
        let events = all_events(&client).await;
        assert!(events.len() > 10);
        assert!(!serde_json::to_string(&events).unwrap().contains(proof), "in the log");
        let session =
            match client.query(Query::SessionGet { reference: team.session.to_string() }).await.unwrap().result {
                QueryResult::Session { session } => serde_json::to_string(&session).unwrap(),
                other => panic!("{other:?}"),
            };
        assert!(!session.contains(proof) && !session.contains("token-file"), "{session}");
        for place in ["data", "state"] {
            assert!(!holds(&team.home.path().join(place), proof), "in a file of {place}");
        }
        for process in std::fs::read_dir("/proc").unwrap().flatten() {
            for file in ["cmdline", "environ"] {
                let text = std::fs::read(process.path().join(file)).unwrap_or_default();
                assert!(!String::from_utf8_lossy(&text).contains(proof), "in {file} of {:?}", process.path());
            }
        }
    });
}

/// Whether any file below has this text in it.
fn holds(directory: &Path, text: &str) -> bool {
    std::fs::read_dir(directory).unwrap().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return holds(&path, text);
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}
