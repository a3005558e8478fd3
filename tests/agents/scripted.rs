//! Structured agents under fault, with agents that do what a script says: many that ask at once, kills at any moment, those
//! that flood or never end, and what they leave behind.

use std::collections::BTreeSet;
use std::path::PathBuf;

use ropewalk_protocol::{
    AgentSpec, AgentState, Answer, Asked, Code, Command, CommandResult, EventBody, ItemKind, OnAsk, TurnOutcome,
};
use rustix::process::Signal;

use super::driven::Driven;
use crate::harness::{Home, ROPEWALK, block_on, eventually, kill_and_wait, mint, process_exists, resident_kib, verify};

/// What a neighbour's agent may add to the daemon's memory.
const GROWTH_KIB_MAX: u64 = 64 * 1024;

/// A script and what its agents took.
pub(super) struct Scripted {
    pub(super) home: Home,
}

impl Scripted {
    pub(super) fn new() -> Self {
        Self { home: Home::started() }
    }

    fn log(&self) -> PathBuf {
        self.home.path().join("taken")
    }

    pub(super) fn spec(&self, name: &str, script: &str) -> AgentSpec {
        let file = self.home.path().join(format!("{name}.script"));
        // An agent that was started before may be reading it.
        if !file.exists() {
            std::fs::write(&file, script).unwrap();
        }
        let command = [ROPEWALK, "scripted-agent", file.to_str().unwrap()].map(str::to_owned).to_vec();
        let log = self.log().to_str().unwrap().to_owned();
        AgentSpec {
            provider: "scripted".to_owned(),
            name: None,
            command,
            directory: "/tmp".to_owned(),
            environment: [("SCRIPTED_LOG".to_owned(), log), ("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
            model: None,
            mode: None,
            on_ask: OnAsk::Wait,
            prompt: None,
            terms: Default::default(),
        }
    }

    /// How often a prompt was taken.
    fn taken(&self, text: &str) -> usize {
        std::fs::read_to_string(self.log()).unwrap_or_default().lines().filter(|line| line.contains(text)).count()
    }
}

fn allow() -> Answer {
    Answer::Allow { always: false }
}

pub(super) async fn spawn(driven: &Driven, spec: AgentSpec) -> ropewalk_protocol::AgentId {
    let command = Command::AgentSpawn { session: driven.session, agent: Box::new(spec), parent: Some(driven.agent) };
    match driven.client.command(mint(), command).await.unwrap().result {
        CommandResult::AgentSpawned { agent, .. } => agent,
        other => panic!("{other:?}"),
    }
}

/// Approvals were lost with a client or a restart, answered twice, or nailed to the wrong call.
#[test]
fn seven_asks() {
    const ASK: &str = "on prompt\n confirm\n ask May I write {prompt}?\n allowed\n say wrote {prompt}\n denied\n say left {prompt}\n done\n";
    let scripted = Scripted::new();
    block_on(async {
        let mut first = scripted.spec("ask", ASK);
        first.prompt = Some("file 0".to_owned());
        let mut driven = Driven::start(&scripted.home, first).await;
        for number in 1..7 {
            let mut next = scripted.spec("ask", ASK);
            next.prompt = Some(format!("file {number}"));
            spawn(&driven, next).await;
        }
        driven.question(6).await;
        scripted.home.kill_daemon();
        scripted.home.start();
        let mut driven = driven.again(&scripted.home).await;
        let open = driven.open_questions().await;
        let titles: BTreeSet<String> = open.iter().map(|open| open.title.clone()).collect();
        let expected: BTreeSet<String> = (0..7).map(|number| format!("May I write file {number}?")).collect();
        assert_eq!(titles, expected, "all seven are listed after the restart");
        assert!(open.iter().all(|open| open.turn.is_some()));

        // Two clients answer one question: one wins, and the other is told.
        let other = driven.again(&scripted.home).await;
        let session = driven.session;
        let answer = |open: &ropewalk_protocol::InteractionView, answer| Command::InteractionAnswer {
            session,
            agent: open.agent,
            interaction: open.interaction,
            answer,
        };
        let (one, two) = tokio::join!(
            driven.client.command(mint(), answer(&open[0], allow())),
            other.client.command(mint(), answer(&open[0], Answer::Deny { reason: None })),
        );
        let refused: Vec<Code> =
            [&one, &two].iter().filter_map(|answer| answer.as_ref().err()).map(|no| no.code).collect();
        assert_eq!(refused, [Code::AlreadyAnswered]);
        for open in &open[1..] {
            driven.client.command(mint(), answer(open, allow())).await.unwrap();
        }
        driven.event("agent.turn_ended", 6).await;
        let said: Vec<String> = driven
            .events
            .iter()
            .filter_map(|event| match &event.body {
                EventBody::ItemText(text) => Some(text.text.clone()),
                _ => None,
            })
            .collect();
        for open in &open[1..] {
            let file = open.title.trim_start_matches("May I write ").trim_end_matches('?');
            let wrote = said.iter().filter(|said| **said == format!("wrote {file}")).count();
            assert_eq!(wrote, 1, "{file}: {said:?}");
        }
        assert_eq!(driven.open_questions().await, []);
        driven.is_settled();
    });
}

/// A question that nobody answered in time is shown as expired, and an answer that comes later runs nothing.
#[test]
fn an_answer_after_the_question_expired_runs_nothing() {
    let scripted = Scripted::new();
    block_on(async {
        let script = "on prompt\n confirm\n ask May I?\n allowed\n say ran\n denied\n say left\n done\n";
        let mut spec = scripted.spec("late", script);
        spec.on_ask = OnAsk::WaitMillis(300);
        let mut driven = Driven::start(&scripted.home, spec).await;
        let prompt = driven.prompt("go").await;
        let question: Asked = driven.question(0).await;
        driven.event("agent.ask_closed", 0).await;
        let refused = driven.answer(&question, allow()).await.unwrap_err();
        assert_eq!(refused.code, Code::AlreadyAnswered);
        assert!(refused.message.contains("expired"), "{refused}");
        assert_eq!(driven.outcome(prompt).await, TurnOutcome::Completed);
        assert_eq!(driven.said(prompt), "left");
    });
}

/// The daemon is killed again and again while prompts are queued, delivered and answered: each of them is one turn.
#[test]
fn kill9_among_prompts() {
    const PROMPTS: usize = 24;
    let scripted = Scripted::new();
    block_on(async {
        let script = "on prompt\n confirm\n delta half of\n sleep 30\n say half of {prompt} and the rest\n";
        let mut driven = Driven::start(&scripted.home, scripted.spec("kills", script)).await;
        let mut prompts = Vec::new();
        for number in 0..PROMPTS {
            prompts.push(driven.prompt(&format!("prompt-{number:02}.")).await);
            if number % 3 == 1 {
                // At another moment of a turn each time.
                let name = ["agent.turn_started", "agent.turn_confirmed", "agent.item_delta", "agent.turn_ended"]
                    [number / 3 % 4];
                let count = driven.count(name);
                driven.event(name, count).await;
                scripted.home.kill_daemon();
                scripted.home.start();
                driven = driven.again(&scripted.home).await;
            }
        }
        for (number, prompt) in prompts.iter().enumerate() {
            assert_eq!(driven.outcome(*prompt).await, TurnOutcome::Completed, "{}", driven.story());
            assert_eq!(driven.said(*prompt), format!("half of prompt-{number:02}. and the rest"));
            assert_eq!(scripted.taken(&format!("prompt-{number:02}.")), 1, "it was taken once");
        }
        assert_eq!(driven.count("agent.turn_started"), PROMPTS);
        driven.is_settled();
        assert_eq!(verify(&driven.client).await.damage, []);
    });
}

/// Each does its worst; what it does is told, and the one beside them is as quick as ever.
#[test]
fn an_agent_that_does_its_worst_harms_nobody_else() {
    let scripted = Scripted::new();
    let worst = [
        ("flood", "on prompt\n confirm\n flood 8000000\n", TurnOutcome::Completed),
        ("line", "on prompt\n confirm\n line 12000000\n say after\n", TurnOutcome::Completed),
        ("longer", "on prompt\n confirm\n line 20000000\n say after\n", TurnOutcome::Completed),
        ("garbage", "on prompt\n repeat 500\n garbage\n done\n say after\n", TurnOutcome::Completed),
        ("half", "on prompt\n confirm\n half\n", TurnOutcome::Interrupted { reason: String::new() }),
    ];
    block_on(async {
        let before = resident_kib(scripted.home.daemon_pid());
        let mut bad = Vec::new();
        for (name, script, outcome) in &worst {
            let mut driven = Driven::start(&scripted.home, scripted.spec(name, script)).await;
            let prompt = driven.prompt("go").await;
            driven.event("agent.turn_started", 0).await;
            bad.push((name, driven, prompt, outcome));
        }
        let deaf = Driven::start(&scripted.home, scripted.spec("deaf", "deaf\n")).await;
        let unread = deaf.prompt(&"never read ".repeat(2000)).await;
        let mut good =
            Driven::start(&scripted.home, scripted.spec("good", "on prompt\n confirm\n say {prompt}\n")).await;
        for number in 0..20 {
            let text = format!("good {number}");
            let prompt = good.prompt(&text).await;
            assert_eq!(good.outcome(prompt).await, TurnOutcome::Completed);
            assert_eq!(good.said(prompt), text);
        }
        for (name, mut driven, prompt, expected) in bad {
            let outcome = driven.outcome(prompt).await;
            let is_same = std::mem::discriminant(&outcome) == std::mem::discriminant(expected);
            assert!(is_same, "{name}: {outcome:?}");
            if *name == "longer" {
                assert!(driven.story().contains("longer than any may be"), "{}", driven.story());
            }
        }
        let grown = resident_kib(scripted.home.daemon_pid()).saturating_sub(before);
        assert!(grown < GROWTH_KIB_MAX, "the daemon grew by {grown} KiB");
        assert_eq!(deaf.state().await, AgentState::Starting);
        let withdraw = Command::PromptWithdraw { session: deaf.session, agent: deaf.agent, prompt: unread };
        deaf.client.command(mint(), withdraw).await.unwrap();
    });
}

/// An agent that does not end its turn when it is asked to is made to.
#[test]
fn an_agent_that_ignores_a_cancel_is_ended() {
    let scripted = Scripted::new();
    block_on(async {
        let script = "on prompt\n confirm\n delta begun\n hang\n";
        let mut driven = Driven::start(&scripted.home, scripted.spec("stubborn", script)).await;
        let prompt = driven.prompt("go").await;
        driven.event("agent.item_delta", 0).await;
        driven.cancel().await;
        assert_eq!(driven.outcome(prompt).await, TurnOutcome::Cancelled);
        driven.event("agent.run_ended", 0).await;
        assert_eq!(driven.state().await, AgentState::Stopped);
        driven.is_settled();
    });
}

/// Who does not want to wait for that has the process ended with the turn, and what was said meanwhile starts it again.
#[test]
fn a_hard_cancel_ends_the_process_at_once_and_what_waits_starts_it_again() {
    let scripted = Scripted::new();
    block_on(async {
        let script = "on prompt\n confirm\n delta begun\n hang\n";
        let mut driven = Driven::start(&scripted.home, scripted.spec("stubborn", script)).await;
        let first = driven.prompt("go").await;
        driven.event("agent.item_delta", 0).await;
        let process = driven.pid();
        let second = driven.prompt("go on").await;
        driven.cancel_hard().await;
        assert_eq!(driven.outcome(first).await, TurnOutcome::Cancelled);
        driven.event("agent.item_delta", 1).await;
        assert!(!process_exists(process));
        assert_eq!(driven.state().await, AgentState::Working);
        driven.cancel_hard().await;
        assert_eq!(driven.outcome(second).await, TurnOutcome::Cancelled);
        driven.event("agent.run_ended", 1).await;
        driven.is_settled();
    });
}

/// An agent that was killed was shown as working.
#[test]
fn liveness_truth_of_agents() {
    let scripted = Scripted::new();
    block_on(async {
        let script = "on prompt\n confirm\n delta begun\n sleep 600000\n";
        let mut driven = Driven::start(&scripted.home, scripted.spec("killed", script)).await;
        let prompt = driven.prompt("go").await;
        driven.event("agent.item_delta", 0).await;
        assert_eq!(driven.state().await, AgentState::Working);
        kill_and_wait(driven.pid(), Signal::KILL);
        let outcome = driven.outcome(prompt).await;
        assert!(matches!(outcome, TurnOutcome::Interrupted { .. }), "{outcome:?}");
        driven.event("agent.run_ended", 0).await;
        assert_eq!(driven.state().await, AgentState::Stopped);
    });
}

/// An agent's children in sessions of their own went on after the agent, for ever.
#[test]
fn no_orphans_of_agents() {
    let scripted = Scripted::new();
    block_on(async {
        let script = "on prompt\n confirm\n spawn-child 600\n say {child}\n";
        let mut driven = Driven::start(&scripted.home, scripted.spec("children", script)).await;
        let mut children = Vec::new();
        for _ in 0..3 {
            let prompt = driven.prompt("go").await;
            assert_eq!(driven.outcome(prompt).await, TurnOutcome::Completed, "{}", driven.story());
            children.push(driven.said(prompt).parse::<u32>().expect("a process id"));
        }
        assert!(children.iter().all(|child| process_exists(*child)));
        scripted.home.kill_daemon();
        scripted.home.start();
        let mut driven = driven.again(&scripted.home).await;
        driven.end().await;
        driven.event("session.ended", 0).await;
        eventually("nothing of the agent lives", || !children.iter().any(|child| process_exists(*child)));
    });
}

/// Fifty agents stream at once: nothing is lost, and what each said is whole.
#[test]
fn fifty_agents_stream_and_nothing_is_lost() {
    const AGENTS: usize = 50;
    let scripted = Scripted::new();
    block_on(async {
        let script = "on prompt\n confirm\n repeat 100\n delta \"0123456789\"\n sleep 10\n done\n";
        let mut agents = Vec::new();
        for _ in 0..AGENTS {
            let driven = Driven::start(&scripted.home, scripted.spec("stream", script)).await;
            let prompt = driven.prompt("go").await;
            agents.push((driven, prompt));
        }
        for (mut driven, prompt) in agents {
            assert_eq!(driven.outcome(prompt).await, TurnOutcome::Completed, "{}", driven.story());
            assert_eq!(driven.said(prompt), "0123456789".repeat(100));
            assert_eq!(driven.items_of(prompt, ItemKind::Text).len(), 1);
            driven.is_settled();
        }
    });
}
