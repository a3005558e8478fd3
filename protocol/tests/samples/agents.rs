//! Samples of what structured agents say and are told.

use ropewalk_protocol::*;

use super::{AGENT, AT, ERRORS, LATER, RUN, SESSION, TERMINAL, id, limited, program};

pub(crate) const PARENT: AgentId = AgentId::from_bytes(id(0xa0));
pub(crate) const PROMPT: PromptId = PromptId::from_bytes(id(0xe1));
pub(crate) const NEXT_PROMPT: PromptId = PromptId::from_bytes(id(0xe2));
pub(crate) const TURN: TurnId = TurnId::from_bytes(id(0xe1));
pub(crate) const ITEM: ItemId = ItemId::from_bytes(id(0x31));
pub(crate) const CHILD_ITEM: ItemId = ItemId::from_bytes(id(0x32));
pub(crate) const INTERACTION: InteractionId = InteractionId::from_bytes(id(0x41));

fn text(text: &str) -> String {
    text.to_owned()
}

fn prompt_queued(delivery: Delivery) -> PromptQueued {
    PromptQueued { prompt: PROMPT, text: text("say \"hi\"\nin Czech – ahoj"), delivery }
}

fn run_asked() -> RunAsked {
    RunAsked { run: RUN, output: TERMINAL, errors: ERRORS, argv: ["claude", "-p", "--verbose"].map(text).to_vec() }
}

fn joined() -> AgentJoined {
    AgentJoined {
        agent: AGENT,
        provider: text("claude"),
        name: text("reviewer"),
        parent: Some(PARENT),
        command: ["node", "claude.js"].map(text).to_vec(),
        directory: text("/home/ada/work"),
        model: Some(text("sonnet")),
        mode: Some(text("plan")),
        on_ask: OnAsk::WaitMillis(90_000),
        run: run_asked(),
        prompt: Some(prompt_queued(Delivery::AfterTurn)),
        terms: Box::new(limited::terms()),
    }
}

fn bare_joined(on_ask: OnAsk) -> AgentJoined {
    AgentJoined {
        parent: None,
        command: Vec::new(),
        model: None,
        mode: None,
        on_ask,
        prompt: None,
        terms: Box::default(),
        ..joined()
    }
}

fn item_started(kind: ItemKind) -> ItemStarted {
    ItemStarted {
        item: ITEM,
        key: text("msg_01/2"),
        turn: Some(TURN),
        parent: None,
        kind,
        title: String::new(),
        input: String::new(),
    }
}

fn option(id: &str, name: &str, effect: AskEffect) -> AskOption {
    AskOption { id: text(id), name: text(name), effect }
}

/// Options of every effect.
fn options() -> Vec<AskOption> {
    vec![
        option("once", "Yes", AskEffect::Allow),
        option("always", "Yes, and do not ask again", AskEffect::AllowAlways),
        option("no", "No", AskEffect::Deny),
        option("never", "No, and do not ask again", AskEffect::DenyAlways),
        option("edit", "Let me change it", AskEffect::Other),
    ]
}

fn asked() -> Asked {
    Asked {
        interaction: INTERACTION,
        key: text("5b1c-08"),
        turn: Some(TURN),
        item: Some(ITEM),
        kind: AskKind::Permission,
        title: text("Bash: rm -r build"),
        detail: text("{\"command\":\"rm -r build\"}"),
        options: options(),
        expires: Some(LATER),
        offset: 70_000,
        length: 300,
    }
}

fn usage(scope: UsageScope) -> Usage {
    Usage {
        scope,
        input_tokens: 70_000,
        cached_tokens: 60_000,
        output_tokens: 300,
        cost_micro_usd: Some(2187),
        context_tokens: Some(70_300),
        context_tokens_max: Some(200_000),
    }
}

fn bare_usage(scope: UsageScope) -> Usage {
    Usage {
        input_tokens: 0,
        cached_tokens: 0,
        cost_micro_usd: None,
        context_tokens: None,
        context_tokens_max: None,
        ..usage(scope)
    }
}

fn noticed(kind: NoticeKind, words: &str, until: Option<Timestamp>) -> EventBody {
    Noticed { kind, text: text(words), until }.into()
}

/// At least one body of every kind that structured agents have, and every variant of what is in it.
pub(crate) fn bodies() -> Vec<(&'static str, EventBody)> {
    let mut bodies = lives();
    bodies.extend(prompts());
    bodies.extend(turns());
    bodies.extend(items());
    bodies.extend(asks());
    bodies.extend(asides());
    bodies
}

fn lives() -> Vec<(&'static str, EventBody)> {
    let ready = AgentReady {
        run: RUN,
        conversation: Some(text("5f0c-77")),
        version: Some(text("2.0.14")),
        model: Some(text("claude-sonnet-4-5")),
        mode: Some(text("acceptEdits")),
    };
    let unsaid = AgentReady { conversation: None, version: None, model: None, mode: None, ..ready.clone() };
    vec![
        ("", joined().into()),
        ("-bare", bare_joined(OnAsk::Wait).into()),
        ("-deny", bare_joined(OnAsk::Deny).into()),
        ("-fail", bare_joined(OnAsk::Fail).into()),
        ("", run_asked().into()),
        ("", ready.into()),
        ("-bare", unsaid.into()),
        ("", AgentGreeted { run: RUN, step: 2, conversation: Some(text("conversation")), input: 300 }.into()),
        ("", AgentRefused { run: RUN, reason: text("not logged in") }.into()),
        ("", AgentCloseAsked {}.into()),
        ("", AgentClosed { reason: text("asked to end") }.into()),
        ("", OutputConsumed { run: RUN, offset: 5_000_000_000, part: 3, written: 300 }.into()),
        ("", SettingsChanged { model: Some(text("opus")), mode: Some(text("plan")), input: 7 }.into()),
        ("-bare", SettingsChanged { model: None, mode: None, input: 0 }.into()),
    ]
}

fn prompts() -> Vec<(&'static str, EventBody)> {
    vec![
        ("", prompt_queued(Delivery::AfterTurn).into()),
        ("-steer", prompt_queued(Delivery::Steer).into()),
        ("-interrupt", prompt_queued(Delivery::Interrupt).into()),
        ("", PromptEdited { prompt: PROMPT, text: text("say it twice") }.into()),
        ("", PromptMoved { prompt: PROMPT, before: Some(NEXT_PROMPT) }.into()),
        ("-last", PromptMoved { prompt: PROMPT, before: None }.into()),
        ("", PromptWithdrawn { prompt: PROMPT }.into()),
        ("", PromptSteered { turn: TURN, prompt: NEXT_PROMPT, input: 300 }.into()),
    ]
}

pub(crate) fn prompt_taken() -> (&'static str, EventBody) {
    ("", PromptTaken { turn: TURN, prompt: NEXT_PROMPT }.into())
}

fn turns() -> Vec<(&'static str, EventBody)> {
    let ended = |outcome| TurnEnded { turn: TURN, outcome }.into();
    vec![
        ("", TurnStarted { turn: TURN, prompt: Some(PROMPT), run: RUN, input: 300 }.into()),
        ("-by_itself", TurnStarted { turn: TURN, prompt: None, run: RUN, input: 0 }.into()),
        ("", TurnConfirmed { turn: TURN, name: Some(text("turn_7")) }.into()),
        ("-bare", TurnConfirmed { turn: TURN, name: None }.into()),
        ("", CancelAsked { turn: TURN, reason: text("somebody asked for it"), input: 301 }.into()),
        ("", CancelInsisted { turn: TURN }.into()),
        ("-completed", ended(TurnOutcome::Completed)),
        ("-cancelled", ended(TurnOutcome::Cancelled)),
        ("-failed", ended(TurnOutcome::Failed { reason: text("the model said 500") })),
        ("-interrupted", ended(TurnOutcome::Interrupted { reason: text("its process is gone") })),
    ]
}

fn items() -> Vec<(&'static str, EventBody)> {
    let tool = ItemStarted {
        item: CHILD_ITEM,
        parent: Some(ITEM),
        title: text("Bash: ls"),
        input: text("{\"command\":\"ls\"}"),
        ..item_started(ItemKind::Tool)
    };
    let between = ItemStarted { turn: None, ..item_started(ItemKind::Opaque) };
    let ended = |status| ItemEnded { item: ITEM, status }.into();
    vec![
        ("", tool.into()),
        ("-text", item_started(ItemKind::Text).into()),
        ("-thinking", item_started(ItemKind::Thinking).into()),
        ("-plan", item_started(ItemKind::Plan).into()),
        ("-file_change", item_started(ItemKind::FileChange).into()),
        ("-opaque", between.into()),
        ("", ItemChanged { item: ITEM, title: text("Bash: ls -l"), input: text("{\"command\":\"ls -l\"}") }.into()),
        ("", ItemDelta { item: ITEM, text: text("příl") }.into()),
        ("-first", ItemText { item: ITEM, first: true, text: text("příliš ") }.into()),
        ("-more", ItemText { item: ITEM, first: false, text: text("žluťoučký") }.into()),
        ("-completed", ended(ItemStatus::Completed)),
        ("-failed", ended(ItemStatus::Failed)),
        ("-declined", ended(ItemStatus::Declined)),
        ("-cancelled", ended(ItemStatus::Cancelled)),
        ("-orphaned", ended(ItemStatus::Orphaned)),
    ]
}

fn asks() -> Vec<(&'static str, EventBody)> {
    let choice = Asked {
        kind: AskKind::Choice,
        item: None,
        title: text("Which colour?"),
        options: vec![option("0", "red", AskEffect::Other), option("1", "green", AskEffect::Other)],
        ..asked()
    };
    let question = Asked {
        turn: None,
        item: None,
        kind: AskKind::Question,
        title: text("What is it for?"),
        detail: String::new(),
        options: Vec::new(),
        expires: None,
        ..asked()
    };
    let answered = |answer| Answered { interaction: INTERACTION, answer, input: 300 }.into();
    let closed = |reason, input| AskClosed { interaction: INTERACTION, reason, input }.into();
    vec![
        ("", asked().into()),
        ("-choice", choice.into()),
        ("-question", question.into()),
        ("-allow", answered(Answer::Allow { always: false })),
        ("-allow_always", answered(Answer::Allow { always: true })),
        ("-deny", answered(Answer::Deny { reason: None })),
        ("-deny_because", answered(Answer::Deny { reason: Some(text("it is precious")) })),
        ("-choose", answered(Answer::Choose { option: text("edit") })),
        ("-text", answered(Answer::Text { text: text("for people") })),
        ("-expired", closed(AskEnd::Expired, 300)),
        ("-cancelled", closed(AskEnd::Cancelled, 0)),
        ("-agent_gone", closed(AskEnd::AgentGone, 0)),
    ]
}

fn asides() -> Vec<(&'static str, EventBody)> {
    let used = |turn, usage| Used { turn, usage }.into();
    vec![
        ("-turn", used(Some(TURN), usage(UsageScope::Turn))),
        ("-call", used(Some(TURN), bare_usage(UsageScope::Call))),
        ("-run", used(None, usage(UsageScope::Run))),
        ("-total", used(None, bare_usage(UsageScope::Total))),
        ("-retry", noticed(NoticeKind::Retry, "the model said 500: attempt 2 of 10", None)),
        ("-rate_limited", noticed(NoticeKind::RateLimited, "you have used your 5 hours", Some(LATER))),
        ("-warning", noticed(NoticeKind::Warning, "the model is deprecated", None)),
        ("-opaque", noticed(NoticeKind::Opaque, "{\"type\":\"of_the_future\"}", None)),
    ]
}

/// A structured agent to start, with everything said of it.
pub(crate) fn spec() -> AgentSpec {
    AgentSpec {
        provider: text("claude"),
        name: Some(text("reviewer")),
        command: ["node", "claude.js"].map(text).to_vec(),
        directory: text("/home/ada/work"),
        environment: program().environment,
        model: Some(text("sonnet")),
        mode: Some(text("plan")),
        on_ask: OnAsk::WaitMillis(90_000),
        prompt: Some(text("say hi")),
        terms: limited::terms(),
    }
}

/// A structured agent to start, with nothing said of it that need not be.
pub(crate) fn bare_spec(on_ask: OnAsk) -> AgentSpec {
    AgentSpec {
        name: None,
        command: Vec::new(),
        environment: [].into(),
        model: None,
        mode: None,
        on_ask,
        prompt: None,
        terms: AgentTerms::default(),
        ..spec()
    }
}

pub(crate) fn commands() -> Vec<(&'static str, Command)> {
    let (session, agent, prompt) = (SESSION, AGENT, PROMPT);
    let create =
        |agent| Command::SessionCreate { name: None, workspace: None, program: None, size: None, agent: Some(agent) };
    let spawn = |agent, parent| Command::AgentSpawn { session, agent: Box::new(agent), parent };
    let say = |delivery, environment| Command::AgentPrompt {
        session,
        agent,
        text: text("say \"hi\""),
        delivery,
        environment,
    };
    let answer = |answer| Command::InteractionAnswer { session, agent, interaction: INTERACTION, answer };
    vec![
        ("session.create, an agent", create(Box::new(spec()))),
        ("agent.spawn", spawn(spec(), Some(PARENT))),
        ("agent.spawn, bare", spawn(bare_spec(OnAsk::Wait), None)),
        ("agent.spawn, that asks nobody", spawn(bare_spec(OnAsk::Deny), None)),
        ("agent.spawn, that must not ask", spawn(bare_spec(OnAsk::Fail), None)),
        ("agent.prompt", say(Delivery::Interrupt, program().environment)),
        ("agent.prompt, steering", say(Delivery::Steer, [].into())),
        ("agent.prompt, bare", say(Delivery::AfterTurn, [].into())),
        ("prompt.edit", Command::PromptEdit { session, agent, prompt, text: text("say it twice") }),
        ("prompt.move", Command::PromptMove { session, agent, prompt, before: Some(NEXT_PROMPT) }),
        ("prompt.move, to the end", Command::PromptMove { session, agent, prompt, before: None }),
        ("prompt.withdraw", Command::PromptWithdraw { session, agent, prompt }),
        ("agent.cancel", Command::AgentCancel { session, agent, hard: false, turn: None }),
        ("agent.cancel, hard", Command::AgentCancel { session, agent, hard: true, turn: Some(TURN) }),
        ("interaction.answer, allow", answer(Answer::Allow { always: true })),
        ("interaction.answer, deny", answer(Answer::Deny { reason: Some(text("it is precious")) })),
        ("interaction.answer, choose", answer(Answer::Choose { option: text("edit") })),
        ("interaction.answer, text", answer(Answer::Text { text: text("for people") })),
        ("agent.set", Command::AgentSet { session, agent, model: Some(text("opus")), mode: Some(text("plan")) }),
        ("agent.end", Command::AgentEnd { session, agent }),
    ]
}

pub(crate) fn queries() -> Vec<(&'static str, Query)> {
    vec![
        ("interactions.list", Query::InteractionsList { session: Some(SESSION), after: Some(INTERACTION) }),
        ("interactions.list, bare", Query::InteractionsList { session: None, after: None }),
        ("prompts.list", Query::PromptsList { session: SESSION, agent: AGENT }),
    ]
}

/// A structured agent, as lists show it.
pub(crate) fn view() -> AgentView {
    let usage = UsageTotal {
        turns: 3,
        input_tokens: 70_000,
        cached_tokens: 60_000,
        output_tokens: 300,
        cost_micro_usd: Some(2187),
        context_tokens: Some(70_300),
        context_tokens_max: Some(200_000),
    };
    let outcome = TurnOutcome::Failed { reason: text("the model said 500") };
    let structured = StructuredView {
        name: text("reviewer"),
        parent: Some(PARENT),
        status: AgentStatus { state: AgentState::Waiting, since: LATER, evidence: Seq(12) },
        errors: ERRORS,
        conversation: Some(text("5f0c-77")),
        version: Some(text("2.0.14")),
        model: Some(text("opus")),
        mode: Some(text("plan")),
        turn: Some(TURN),
        cancelling: Some(CancelView { since: Timestamp::from_unix_micros(7), hard: true, evidence: Seq(9) }),
        last_turn: Some(SettledTurn { turn: TURN, outcome, evidence: Seq(9) }),
        queued: 2,
        asks: 1,
        usage,
        budget: limited::counted().0,
        spent: limited::counted().1,
        held: Some(limited::hold()),
    };
    AgentView {
        end_asked: false,
        agent: AGENT,
        provider: text("claude"),
        argv: run_asked().argv,
        run: RUN,
        terminal: TERMINAL,
        pid: Some(4711),
        start_ticks: Some(1_234_567_890_123),
        outcome: None,
        failure: None,
        structured: Some(Box::new(structured)),
    }
}

/// A structured agent that has done nothing yet, as lists show it.
pub(crate) fn bare_view() -> AgentView {
    let structured = StructuredView {
        name: text("claude"),
        parent: None,
        status: AgentStatus { state: AgentState::Starting, since: AT, evidence: Seq(2) },
        errors: ERRORS,
        conversation: None,
        version: None,
        model: None,
        mode: None,
        turn: None,
        cancelling: None,
        last_turn: None,
        queued: 0,
        asks: 0,
        usage: UsageTotal::default(),
        budget: Budget::default(),
        spent: Spent::default(),
        held: None,
    };
    AgentView { pid: None, start_ticks: None, structured: Some(Box::new(structured)), ..view() }
}

pub(crate) fn query_results() -> Vec<(&'static str, QueryResult)> {
    let asked = asked();
    let interaction = InteractionView {
        interaction: INTERACTION,
        session: SESSION,
        agent: AGENT,
        name: text("reviewer"),
        turn: asked.turn,
        kind: asked.kind,
        title: asked.title,
        detail: asked.detail,
        options: asked.options,
        at: AT,
        seq: Seq(12),
        expires: asked.expires,
    };
    let bare = InteractionView {
        turn: None,
        kind: AskKind::Question,
        detail: String::new(),
        options: Vec::new(),
        expires: None,
        ..interaction.clone()
    };
    let prompt = PromptView {
        prompt: PROMPT,
        seq: Seq(7),
        at: AT,
        delivery: Delivery::Steer,
        preview: text("say \"hi\""),
        bytes: 30_000,
    };
    vec![
        ("interactions", QueryResult::Interactions { interactions: vec![interaction, bare], more: true }),
        ("prompts", QueryResult::Prompts { prompts: vec![prompt] }),
    ]
}

pub(crate) fn command_results() -> Vec<(&'static str, CommandResult)> {
    vec![
        ("agent.spawned", CommandResult::AgentSpawned { agent: AGENT, prompt: Some(PROMPT) }),
        ("agent.spawned, bare", CommandResult::AgentSpawned { agent: AGENT, prompt: None }),
        ("prompt.queued", CommandResult::PromptQueued { prompt: PROMPT }),
    ]
}
