//! What people ask for while many agents stream: scripted agents, each a process that says something a hundred times a second.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use ropewalk_protocol::{
    AgentId, AgentSpec, Command, CommandResult, Delivery, EventBody, OnAsk, SessionId, Stream, SubscribeAfter,
    SubscribeParams,
};
use ropewalk_transport::client::{Client, SubscriptionItem};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::figures::Figure;
use super::lab::{Home, millis, quantile, rate, wrong};
use crate::commands::{change, unexpected};
use crate::connect;
use crate::exit::Failure;

const AGENTS: usize = 50;
/// What an agent says at a time, a hundred times a second.
const WORDS: &str = "a few words of an answer ";
const PAUSE_MILLIS: u64 = 10;
/// How long after one pair of commands the next is sent: somebody types.
const BETWEEN: Duration = Duration::from_millis(20);

type Agent = (SessionId, AgentId);

pub(super) async fn measure(home: &Home) -> Result<Vec<Figure>, Failure> {
    let seconds = home.amount(20, 4);
    let deltas = seconds * 1000 / PAUSE_MILLIS;
    let script = home.directory.join("script");
    let words = format!("on prompt\n confirm\n repeat {deltas}\n delta \"{WORDS}\"\n sleep {PAUSE_MILLIS}\n done\n");
    std::fs::write(&script, words)?;
    let client = connect::connect_running(&home.paths).await?;
    let params = SubscribeParams { session: None, after: SubscribeAfter::NOW, log: None, only: None };
    let follower = connect::connect_running(&home.paths).await?;
    let (_, mut items) = follower.subscribe(params).await?;
    let mut agents = Vec::new();
    for _ in 0..AGENTS {
        agents.push(spawn(&client, &script).await?);
    }
    until_ready(&mut items).await?;

    // The same commands while nobody says anything.
    let mut limit = ask(&client, &agents, Duration::from_secs(seconds.div_ceil(4))).await?;
    let began = Instant::now();
    for agent in &agents {
        prompt(&client, *agent, Delivery::AfterTurn).await?;
    }
    let counted = tokio::spawn(count(items, deltas as usize * WORDS.len()));
    let mut times = ask(&client, &agents, Duration::from_secs(seconds)).await?;
    let told = counted.await.map_err(|error| Failure::because("counting", error))??;
    let took = began.elapsed();

    let what = |what: &str| format!("prompt and withdraw beside {AGENTS} agents that stream, {what}");
    let mut figure = |part: f64, name: &str| {
        let (time, least) = (quantile(&mut times, part), quantile(&mut limit, part));
        Figure::new("agents", what(name), "ms", millis(time)).beside(millis(least))
    };
    let total = deltas * AGENTS as u64;
    Ok(vec![
        figure(0.5, "p50"),
        figure(0.99, "p99").goal("<= 50 ms"),
        Figure::new(
            "agents",
            format!("pieces of {total} said, none lost"),
            "/s",
            rate(told / WORDS.len() as u64, took),
        )
        .beside(AGENTS as f64 * 1000.0 / PAUSE_MILLIS as f64),
    ])
}

async fn spawn(client: &Client, script: &Path) -> Result<Agent, Failure> {
    let own = std::env::current_exe()?;
    let word = |path: &Path| path.to_str().map(str::to_owned).ok_or_else(|| wrong("a path is not UTF-8"));
    let agent = AgentSpec {
        provider: "scripted".to_owned(),
        name: None,
        command: vec![word(&own)?, "scripted-agent".to_owned(), word(script)?],
        directory: "/".to_owned(),
        environment: BTreeMap::new(),
        model: None,
        mode: None,
        on_ask: OnAsk::Wait,
        prompt: None,
        terms: Default::default(),
    };
    let (name, workspace, program, size) = (None, None, None, None);
    let create = Command::SessionCreate { name, workspace, program, size, agent: Some(Box::new(agent)) };
    match change(client, create).await?.result {
        CommandResult::SessionCreated { session, agent: Some(agent), .. } => Ok((session, agent)),
        _ => Err(unexpected()),
    }
}

async fn events(items: &mut mpsc::Receiver<SubscriptionItem>) -> Result<Vec<ropewalk_protocol::Event>, Failure> {
    loop {
        match items.recv().await {
            Some(SubscriptionItem::Events(events)) => return Ok(events),
            Some(SubscriptionItem::Live(_)) => {}
            Some(SubscriptionItem::Failed(rejection)) => return Err(rejection.into()),
            other => return Err(wrong(format!("instead of events came {other:.80?}"))),
        }
    }
}

async fn until_ready(items: &mut mpsc::Receiver<SubscriptionItem>) -> Result<(), Failure> {
    let mut ready = 0;
    while ready < AGENTS {
        let is_ready = |event: &&ropewalk_protocol::Event| matches!(event.body, EventBody::AgentReady(_));
        ready += events(items).await?.iter().filter(is_ready).count();
    }
    Ok(())
}

/// Counts what each agent says until all have ended their turn: `bytes` each, or some were lost.
async fn count(mut items: mpsc::Receiver<SubscriptionItem>, bytes: usize) -> Result<u64, Failure> {
    let mut said: BTreeMap<Stream, usize> = BTreeMap::new();
    let mut ended = 0;
    while ended < AGENTS {
        for event in events(&mut items).await? {
            match event.body {
                EventBody::ItemDelta(delta) => *said.entry(event.stream).or_default() += delta.text.len(),
                EventBody::TurnEnded(_) => ended += 1,
                _ => {}
            }
        }
    }
    if said.len() != AGENTS || said.values().any(|said| *said != bytes) {
        return Err(wrong(format!("not all that was said arrived: {:?} of {bytes} bytes each", said.values())));
    }
    Ok(said.values().map(|said| *said as u64).sum())
}

async fn prompt(client: &Client, (session, agent): Agent, delivery: Delivery) -> Result<CommandResult, Failure> {
    let (text, environment) = ("say something".to_owned(), BTreeMap::new());
    Ok(change(client, Command::AgentPrompt { session, agent, text, delivery, environment }).await?.result)
}

/// Has a prompt wait and takes it back, with one agent after the other; the agents are held meanwhile if they have no turn.
async fn ask(client: &Client, agents: &[Agent], time: Duration) -> Result<Vec<Duration>, Failure> {
    for (session, agent) in agents.iter().copied() {
        change(client, Command::AgentHold { session, agent }).await?;
    }
    let (began, mut times) = (Instant::now(), Vec::new());
    for agent in agents.iter().copied().cycle() {
        if began.elapsed() >= time {
            break;
        }
        let asked = Instant::now();
        let CommandResult::PromptQueued { prompt } = prompt(client, agent, Delivery::AfterTurn).await? else {
            return Err(unexpected());
        };
        times.push(asked.elapsed());
        let (withdrawn, (session, agent)) = (Instant::now(), agent);
        change(client, Command::PromptWithdraw { session, agent, prompt }).await?;
        times.push(withdrawn.elapsed());
        sleep(BETWEEN).await;
    }
    for (session, agent) in agents.iter().copied() {
        change(client, Command::AgentRelease { session, agent }).await?;
    }
    Ok(times)
}
