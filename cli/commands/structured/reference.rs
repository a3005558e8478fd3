//! REF/AGENT: which agent is meant.

use ropewalk_protocol::{AgentId, AgentState, AgentView, Code, Rejection, SessionView, StructuredView};
use ropewalk_transport::client::Client;

use super::super::find;
use crate::exit::Failure;
use crate::print;

/// An agent of a session.
pub(super) struct Found {
    pub(super) session: SessionView,
    pub(super) agent: AgentView,
}

/// The agent that a reference means.
pub(super) async fn find_agent(client: &Client, reference: &str) -> Result<Found, Failure> {
    let (session, agent) = split(reference);
    let session = find(client, session).await?;
    let agent = pick(&session, agent)?.clone();
    Ok(Found { session, agent })
}

/// The session's part of a reference, and the agent's. No session's name holds a slash.
pub(super) fn split(reference: &str) -> (&str, Option<&str>) {
    match reference.split_once('/') {
        Some((session, agent)) => (session, Some(agent)),
        None => (reference, None),
    }
}

/// A session's structured agents.
pub(super) fn structured(session: &SessionView) -> impl Iterator<Item = (&AgentView, &StructuredView)> {
    session.agents.iter().filter_map(|agent| Some((agent, agent.structured.as_deref()?)))
}

/// The agent of this name or id, or with this beginning of an id; without any, the only one that takes prompts.
pub(in crate::commands) fn pick<'a>(
    session: &'a SessionView,
    wanted: Option<&str>,
) -> Result<&'a AgentView, Rejection> {
    let all: Vec<_> = structured(session).collect();
    let name = session.name.clone().unwrap_or_else(|| session.session.to_string());
    let Some(wanted) = wanted else {
        let open: Vec<_> = all.iter().filter(|(_, view)| view.status.state != AgentState::Closed).collect();
        return match (open.as_slice(), all.as_slice()) {
            ([(agent, _)], _) | ([], [(agent, _)]) => Ok(agent),
            ([], []) => Err(Rejection::not_found(format_args!("structured agent in session {name}"))
                .hint(format!("`ropewalk spawn {name} --provider …` starts one."))),
            _ => Err(ambiguous(&all, format!("session {name} has several agents"), &name)),
        };
    };
    if let Some((agent, _)) = all.iter().find(|(_, view)| view.name == wanted) {
        return Ok(agent);
    }
    let prefix = wanted.to_ascii_lowercase();
    let begins = |agent: &AgentView| !prefix.is_empty() && agent.agent.to_string().starts_with(&prefix);
    let matching: Vec<_> = all.iter().copied().filter(|(agent, _)| begins(agent)).collect();
    match matching.as_slice() {
        [(agent, _)] => Ok(agent),
        [] => Err(Rejection::not_found(format_args!("agent {:?} in session {name}", print::plain(wanted)))
            .hint(format!("`ropewalk agents {name}` lists them."))),
        _ => Err(ambiguous(&matching, format!("several agents' ids begin with {wanted}"), &name)),
    }
}

/// This agent and all that work for it, directly or for one that does.
pub(super) fn family(session: &SessionView, root: AgentId) -> Vec<(&AgentView, &StructuredView)> {
    let mut members = vec![root];
    loop {
        let joins = |(agent, view): &(&AgentView, &StructuredView)| {
            !members.contains(&agent.agent) && view.parent.is_some_and(|parent| members.contains(&parent))
        };
        let more: Vec<AgentId> = structured(session).filter(joins).map(|(agent, _)| agent.agent).collect();
        if more.is_empty() {
            return structured(session).filter(|(agent, _)| members.contains(&agent.agent)).collect();
        }
        members.extend(more);
    }
}

fn ambiguous(matching: &[(&AgentView, &StructuredView)], message: String, session: &str) -> Rejection {
    let hint = format!("Name one: {session}/NAME.");
    let mut rejection = Rejection::new(Code::Ambiguous, message).hint(hint);
    rejection.matches =
        matching.iter().map(|(agent, view)| format!("{}  {}", agent.agent, print::plain(&view.name))).collect();
    rejection
}

/// The one thing whose id begins like this.
pub(super) fn by_prefix<'a, T>(
    all: &'a [T],
    prefix: &str,
    what: &str,
    id: impl Fn(&T) -> String,
) -> Result<&'a T, Rejection> {
    let wanted = prefix.to_ascii_lowercase();
    let matching: Vec<&T> = all.iter().filter(|one| !wanted.is_empty() && id(one).starts_with(&wanted)).collect();
    match matching.as_slice() {
        [one] => Ok(one),
        [] => Err(Rejection::not_found(format_args!("{what} {:?}", print::plain(prefix)))),
        _ => {
            let mut rejection = Rejection::new(Code::Ambiguous, format!("several ids begin with {wanted}"));
            rejection.matches = matching.into_iter().map(id).collect();
            Err(rejection)
        }
    }
}

/// As much of each id as tells it from the others.
pub(super) fn prefixes(ids: &[String]) -> Vec<String> {
    let shared = |a: &str, b: &str| a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let of = |(at, id): (usize, &String)| {
        let others = ids.iter().enumerate().filter(|(other, _)| *other != at);
        let length = others.map(|(_, other)| shared(id, other) + 1).max().unwrap_or(0);
        id.chars().take(length.max(8)).collect()
    };
    ids.iter().enumerate().map(of).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use ropewalk_protocol::{
        AgentStatus, RunId, Seq, SessionId, SessionState, SessionStatus, TerminalId, Timestamp, UsageTotal,
    };

    use super::*;

    pub(in crate::commands::structured) fn agent(byte: u8, name: &str, state: AgentState) -> AgentView {
        let view = StructuredView {
            name: name.to_owned(),
            parent: None,
            status: AgentStatus { state, since: Timestamp::default(), evidence: Seq(1) },
            errors: TerminalId::from_bytes([0; 16]),
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
            budget: Default::default(),
            spent: Default::default(),
            held: None,
        };
        AgentView {
            end_asked: false,
            agent: AgentId::from_bytes([byte; 16]),
            provider: "scripted".to_owned(),
            argv: Vec::new(),
            run: RunId::from_bytes([0; 16]),
            terminal: TerminalId::from_bytes([0; 16]),
            pid: None,
            start_ticks: None,
            outcome: None,
            failure: None,
            structured: Some(Box::new(view)),
        }
    }

    fn session(agents: Vec<AgentView>) -> SessionView {
        SessionView {
            session: SessionId::from_bytes([9; 16]),
            name: Some("s".to_owned()),
            workspace: None,
            created_at: Timestamp::default(),
            status: SessionStatus { state: SessionState::Running, since: Timestamp::default(), evidence: Seq(1) },
            end_reason: None,
            last_seq: Seq(1),
            agents,
            terminals: Vec::new(),
        }
    }

    fn name(session: &SessionView, wanted: Option<&str>) -> Result<String, Code> {
        let picked = pick(session, wanted).map_err(|rejection| rejection.code)?;
        Ok(picked.structured.as_ref().map(|view| view.name.clone()).unwrap_or_default())
    }

    #[test]
    fn a_family_is_an_agent_and_all_below_it() {
        let below = |byte, name, parent: u8| {
            let mut agent = agent(byte, name, AgentState::Idle);
            if let Some(view) = &mut agent.structured {
                view.parent = Some(AgentId::from_bytes([parent; 16]));
            }
            agent
        };
        // The grandchild stands before its parent.
        let root = agent(2, "root", AgentState::Idle);
        let all = vec![below(1, "grandchild", 3), root, below(3, "child", 2), agent(4, "stranger", AgentState::Idle)];
        let session = session(all);
        let names = |root: u8| -> Vec<&str> {
            family(&session, AgentId::from_bytes([root; 16])).iter().map(|(_, view)| view.name.as_str()).collect()
        };
        assert_eq!(names(2), ["grandchild", "root", "child"]);
        assert_eq!(names(3), ["grandchild", "child"]);
        assert_eq!(names(4), ["stranger"]);
    }

    #[test]
    fn an_agent_is_named_or_the_only_one() {
        assert_eq!(split("work/one"), ("work", Some("one")));
        assert_eq!(split("work"), ("work", None));
        let terminal = AgentView { structured: None, ..agent(7, "", AgentState::Idle) };
        assert_eq!(name(&session(vec![terminal.clone()]), None), Err(Code::NotFound), "a program is no agent");
        let one = session(vec![terminal, agent(0x10, "one", AgentState::Idle)]);
        assert_eq!(name(&one, None), Ok("one".to_owned()));
        let closed = || agent(0x11, "two", AgentState::Closed);
        let two = session(vec![agent(0x10, "one", AgentState::Stopped), closed()]);
        assert_eq!(name(&two, None), Ok("one".to_owned()), "the other one takes no prompts");
        assert_eq!(name(&session(vec![closed()]), None), Ok("two".to_owned()), "it has a past");
        let two = session(vec![agent(0x10, "one", AgentState::Idle), agent(0x11, "two", AgentState::Idle)]);
        assert_eq!(name(&two, None), Err(Code::Ambiguous));
        assert_eq!(name(&two, Some("two")), Ok("two".to_owned()));
        assert_eq!(name(&two, Some("11")), Ok("two".to_owned()), "a prefix of its id");
        assert_eq!(name(&two, Some("1")), Err(Code::Ambiguous));
        assert_eq!(name(&two, Some("")), Err(Code::NotFound));
        assert_eq!(name(&two, Some("three")), Err(Code::NotFound));
        // A name goes before a prefix.
        let named = session(vec![agent(0x10, "11", AgentState::Idle), agent(0x11, "two", AgentState::Idle)]);
        assert_eq!(name(&named, Some("11")), Ok("11".to_owned()));
    }

    #[test]
    fn ids_are_told_apart_by_their_beginnings() {
        let ids = ["0192f0c1-2b7a", "0192f0c1-2b8a", "ffff0000-0000"].map(str::to_owned);
        assert_eq!(prefixes(&ids), ["0192f0c1-2b7", "0192f0c1-2b8", "ffff0000"]);
        let found = |prefix: &str| by_prefix(&ids, prefix, "question", String::clone).map_err(|why| why.code).cloned();
        assert_eq!(found("FFFF"), Ok(ids[2].clone()));
        assert_eq!(found("0192"), Err(Code::Ambiguous));
        assert_eq!(found(""), Err(Code::NotFound));
    }
}
