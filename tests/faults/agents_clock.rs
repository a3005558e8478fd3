//! What only a clock tells of agents: that one fell silent, and that a day's budget is there again.

use ropewalk_protocol::{
    AgentSpec, AgentState, AgentStatus, Budget, BudgetOwner, Command, CommandResult, Delivery, Event, EventBody, OnAsk,
    SessionView, limits,
};
use ropewalk_transport::client::Client;

use super::shim::Shim;
use crate::harness::{Home, ROPEWALK, all_events, annotate, block_on, eventually, mint, session};

const DAY_SECONDS: i64 = 24 * 3600;

fn spec(home: &Home, script: &str) -> Box<AgentSpec> {
    let file = home.path().join("script");
    std::fs::write(&file, script).unwrap();
    Box::new(AgentSpec {
        provider: "scripted".to_owned(),
        name: None,
        command: [ROPEWALK, "scripted-agent", file.to_str().unwrap()].map(str::to_owned).to_vec(),
        directory: "/tmp".to_owned(),
        environment: [].into(),
        model: None,
        mode: None,
        on_ask: OnAsk::Wait,
        prompt: Some("go".to_owned()),
        terms: Default::default(),
    })
}

async fn start(client: &Client, spec: Box<AgentSpec>) -> CommandResult {
    let (name, workspace, program, size) = (Some("s".to_owned()), None, None, None);
    let create = Command::SessionCreate { name, workspace, program, size, agent: Some(spec) };
    client.command(mint(), create).await.unwrap().result
}

fn status(view: &SessionView) -> AgentStatus {
    view.agents[0].structured.as_ref().expect("a structured agent").status.clone()
}

/// The agent's status, once it is this.
async fn until(client: &Client, state: AgentState) -> AgentStatus {
    loop {
        let now = status(&session(client, "s").await);
        if now.state == state {
            return now;
        }
        tokio::task::yield_now().await;
    }
}

#[test]
fn an_agent_that_falls_silent_in_its_turn_is_stalled_since_its_last_word_and_works_again_with_the_next() {
    let home = Home::new();
    let shim = Shim::new(&home);
    let _daemon = shim.start(&home).expect("nothing is wrong");
    block_on(async {
        let client = home.client().await;
        let script = "on prompt\n confirm\n delta some\n question Go on?\n delta more\n sleep 600000\n";
        start(&client, spec(&home, script)).await;
        until(&client, AgentState::Waiting).await;
        let silent = i64::try_from(limits::STALL_MILLIS / 1000).unwrap() + 5;
        shim.shift_realtime(silent);
        assert_eq!(status(&session(&client, "s").await).state, AgentState::Waiting, "it is not its turn to speak");
        home.ok(&["answer", &first_question(&home), "yes"]);
        let working = until(&client, AgentState::Working).await;
        // Its last word is told before the clock goes on.
        let says_more = |event: &Event| matches!(&event.body, EventBody::ItemDelta(it) if it.text.ends_with("more"));
        while !all_events(&client).await.iter().any(says_more) {
            tokio::task::yield_now().await;
        }
        shim.shift_realtime(2 * silent);
        let stalled = until(&client, AgentState::Stalled).await;
        assert!(stalled.evidence >= working.evidence && stalled.since >= working.since, "{stalled:?} {working:?}");
        home.ok(&["cancel", "s"]);
        until(&client, AgentState::Idle).await;
    });
}

fn first_question(home: &Home) -> String {
    let listed = home.ok(&["asks", "--json"]);
    let first: serde_json::Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
    first["interaction"].as_str().unwrap().to_owned()
}

#[test]
fn an_agent_that_spent_the_day_s_budget_goes_on_the_next_day() {
    let home = Home::new();
    let shim = Shim::new(&home);
    let _daemon = shim.start(&home).expect("nothing is wrong");
    block_on(async {
        let client = home.client().await;
        let budget = Budget { turns: Some(1), ..Budget::default() };
        client.command(mint(), Command::BudgetSet { of: BudgetOwner::Day {}, budget }).await.unwrap();
        let CommandResult::SessionCreated { session, agent: Some(agent), .. } =
            start(&client, spec(&home, "on prompt\n say done\n")).await
        else {
            panic!("a session with an agent");
        };
        until(&client, AgentState::Parked).await;
        let (text, delivery, environment) = ("again".to_owned(), Delivery::AfterTurn, [].into());
        let prompt = Command::AgentPrompt { session, agent, text, delivery, environment };
        client.command(mint(), prompt).await.unwrap();
        assert!(home.ok(&["queue", "s"]).contains("again"), "it waits for the next day");
        // In this order: a timer that goes off looks at what time it is.
        shim.shift_realtime(DAY_SECONDS);
        shim.shift_monotonic(DAY_SECONDS);
        // A clock that jumps wakes nobody by itself.
        annotate(&client, session, "good morning").await;
        eventually("the prompt is taken", || !home.ok(&["queue", "s"]).contains("again"));
        until(&client, AgentState::Parked).await;
    });
}
