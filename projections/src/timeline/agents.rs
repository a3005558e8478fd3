//! Sentences of what structured agents do. Whose it is, the event's stream tells.

use ropewalk_protocol::{Answer, AskEnd, Budget, Delivery, EventBody, ItemKind, ItemStatus, NoticeKind, PromptQueued};

/// How much of a text a sentence quotes.
const QUOTED_CHARS: usize = 120;

pub(super) fn sentence(body: &EventBody) -> Option<String> {
    let sentence = match body {
        EventBody::AgentJoined(joined) => {
            let prompt = joined.prompt.as_ref().map(|prompt| format!("; {}", queued(prompt))).unwrap_or_default();
            format!("agent {} ({}) joined in {}{prompt}", joined.name, joined.provider, joined.directory)
        }
        EventBody::RunAsked(asked) => format!("{} is to run again", asked.argv.join(" ")),
        EventBody::AgentReady(ready) => {
            let told = [("version", &ready.version), ("model", &ready.model), ("mode", &ready.mode)];
            let told = told.into_iter().filter_map(|(what, told)| Some(format!(", {what} {}", told.as_ref()?)));
            format!("agent takes prompts{}", told.collect::<String>())
        }
        EventBody::AgentRefused(refused) => format!("agent will not work: {}", quote(&refused.reason)),
        EventBody::AgentCloseAsked(_) => "agent asked to end".to_owned(),
        EventBody::AgentClosed(closed) => format!("agent ended: {}", closed.reason),
        EventBody::SettingsChanged(changed) => {
            let told = [("model", &changed.model), ("mode", &changed.mode)];
            let told = told.into_iter().filter_map(|(what, to)| Some(format!("{what} {}", to.as_ref()?)));
            format!("agent is to use {}", told.collect::<Vec<_>>().join(" and "))
        }
        EventBody::PromptQueued(prompt) => queued(prompt),
        EventBody::PromptEdited(edited) => format!("prompt changed to {}", quote(&edited.text)),
        EventBody::PromptMoved(moved) => match moved.before {
            Some(_) => "prompt moved before another".to_owned(),
            None => "prompt moved to the end".to_owned(),
        },
        EventBody::PromptWithdrawn(_) => "prompt withdrawn".to_owned(),
        EventBody::PromptSteered(_) => "prompt goes into the running turn".to_owned(),
        EventBody::TurnStarted(started) => match started.prompt {
            Some(_) => "turn started".to_owned(),
            None => "agent began a turn by itself".to_owned(),
        },
        EventBody::TurnConfirmed(_) | EventBody::PromptTaken(_) => "agent has the prompt".to_owned(),
        EventBody::CancelAsked(asked) => format!("turn is to end: {}", asked.reason),
        EventBody::CancelInsisted(_) => "turn is to end at once, with the agent's process".to_owned(),
        EventBody::TurnEnded(ended) => format!("turn {}", ended.outcome),
        EventBody::ItemStarted(started) => match started.kind {
            // What an agent says and thinks is known once it is told.
            ItemKind::Text | ItemKind::Thinking => return None,
            ItemKind::Tool => format!("tool: {}", quote(&started.title)),
            ItemKind::Plan => "plan".to_owned(),
            ItemKind::FileChange => format!("change of files: {}", quote(&started.title)),
            ItemKind::Opaque => format!("unknown: {}", quote(&started.title)),
        },
        EventBody::ItemEnded(ended) => match ended.status {
            ItemStatus::Completed => return None,
            ItemStatus::Failed => "a step failed".to_owned(),
            ItemStatus::Declined => "a step was declined".to_owned(),
            ItemStatus::Cancelled => "a step was cancelled".to_owned(),
            ItemStatus::Orphaned => "a step was left without an end".to_owned(),
        },
        EventBody::Asked(asked) => format!("agent asks: {}", quote(&asked.title)),
        EventBody::Answered(answered) => format!("answered: {}", answer(&answered.answer)),
        EventBody::AskClosed(closed) => match closed.reason {
            AskEnd::Expired => "question expired: nobody answered in time".to_owned(),
            AskEnd::Cancelled => "question was taken back".to_owned(),
            AskEnd::AgentGone => "question is of no use: the agent is gone".to_owned(),
        },
        EventBody::Noticed(noticed) => {
            let until = noticed.until.map(|until| format!(", until {until}")).unwrap_or_default();
            format!("{}: {}{until}", notice(noticed.kind), quote(&noticed.text))
        }
        EventBody::AgentBudgetSet(set) => format!("agent may cost {}", budget(&set.budget)),
        EventBody::Held(held) => {
            let until = held.until.map(|until| format!(", until {until}")).unwrap_or_default();
            format!("agent is held{until}: {}", held.reason)
        }
        EventBody::Released(_) => "agent goes on".to_owned(),
        EventBody::BudgetWarned(warned) => format!("{}: it runs out", warned.budget),
        EventBody::Looped(looped) => {
            format!("agent goes round in circles: {} calls of {}", looped.items.len(), quote(&looped.title))
        }
        EventBody::RuleApplied(applied) => format!("the rule “{}” applies", applied.rule),
        EventBody::TurnSettled(settled) => format!("by the agent's own record the turn {}", settled.outcome),
        // Numbers, pieces of texts, and how far an output is taken in.
        _ => return None,
    };
    Some(sentence)
}

fn queued(prompt: &PromptQueued) -> String {
    let when = match prompt.delivery {
        Delivery::AfterTurn => "",
        Delivery::Steer => ", into the running turn",
        Delivery::Interrupt => ", at once",
    };
    format!("prompt{when}: {}", quote(&prompt.text))
}

fn answer(answer: &Answer) -> String {
    match answer {
        Answer::Allow { always: false } => "allowed".to_owned(),
        Answer::Allow { always: true } => "allowed from now on".to_owned(),
        Answer::Deny { reason: None } => "denied".to_owned(),
        Answer::Deny { reason: Some(reason) } => format!("denied: {}", quote(reason)),
        Answer::Choose { option } => quote(option),
        Answer::Text { text } => quote(text),
    }
}

pub(super) fn budget(budget: &Budget) -> String {
    let Budget { cost_micro_usd, tokens, turns, time_millis } = budget;
    let bounds = [
        cost_micro_usd.map(|micros| format!("${:.2}", micros as f64 / 1e6)),
        tokens.map(|tokens| format!("{tokens} tokens")),
        turns.map(|turns| format!("{turns} turns")),
        time_millis.map(|millis| format!("{} s of turns", millis / 1000)),
    ];
    let bounds: Vec<String> = bounds.into_iter().flatten().collect();
    if bounds.is_empty() { "anything".to_owned() } else { format!("at most {}", bounds.join(", ")) }
}

const fn notice(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Retry => "tries again",
        NoticeKind::RateLimited => "rate limited",
        NoticeKind::Warning => "warning",
        NoticeKind::Opaque => "unknown message",
    }
}

/// The beginning of a text, on one line.
fn quote(text: &str) -> String {
    let mut words = text.split_whitespace();
    let mut line = words.next().unwrap_or_default().to_owned();
    let mut is_cut = false;
    for word in words {
        if line.len() > QUOTED_CHARS {
            is_cut = true;
            break;
        }
        line.push(' ');
        line.push_str(word);
    }
    if let Some((end, _)) = line.char_indices().nth(QUOTED_CHARS) {
        line.truncate(end);
        is_cut = true;
    }
    if is_cut { line + "…" } else { line }
}
