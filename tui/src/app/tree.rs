//! The sessions and their agents as a tree: what the daemon says of them, filtered and put in order.

use std::collections::BTreeMap;

use ropewalk_protocol::{AgentState, AgentView, SessionId, SessionState, SessionView, Timestamp, TurnOutcome};

use super::matching::passes;
use super::place::{Place, Target};

/// What an agent, a program or a session is doing, as one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// It waits for a person.
    Waiting,
    /// It has a turn and has said nothing for long.
    Stalled,
    /// It has a turn.
    Working,
    /// It has a turn that is to end.
    Stopping,
    /// A program that is no agent runs.
    Running,
    /// It was asked for and is not ready.
    Starting,
    /// It is held.
    Parked,
    /// It takes prompts and has none, and its newest turn came to no good end.
    TurnFailed,
    /// It takes prompts and has none.
    Idle,
    /// Its process is gone; the next prompt starts it.
    Stopped,
    /// It is ending.
    Ending,
    /// It ended otherwise than it should.
    Failed,
    /// It ended.
    Ended,
    /// There is nothing in it.
    Empty,
}

impl Condition {
    /// The word people read.
    pub const fn word(self) -> &'static str {
        match self {
            Condition::Waiting => "waiting for you",
            Condition::Stalled => "stalled",
            Condition::Working => "working",
            Condition::Stopping => "stopping",
            Condition::Running => "running",
            Condition::Starting => "starting",
            Condition::Parked => "parked",
            Condition::TurnFailed => "turn failed",
            Condition::Idle => "idle",
            Condition::Stopped => "stopped",
            Condition::Ending => "ending",
            Condition::Failed => "failed",
            Condition::Ended => "ended",
            Condition::Empty => "empty",
        }
    }

    /// Nothing of it goes on.
    pub const fn is_over(self) -> bool {
        matches!(self, Condition::Failed | Condition::Ended)
    }

    /// How long it is so is worth counting in seconds.
    pub const fn is_busy(self) -> bool {
        matches!(
            self,
            Condition::Working | Condition::Stopping | Condition::Starting | Condition::Waiting | Condition::Stalled
        )
    }

    /// What an agent or a program is doing, and since when as far as that is told.
    pub fn of(agent: &AgentView) -> (Self, Option<Timestamp>) {
        let Some(structured) = &agent.structured else {
            let condition = match (&agent.outcome, &agent.failure) {
                _ if agent.has_failed() => Condition::Failed,
                (Some(_), _) | (_, Some(_)) => Condition::Ended,
                (None, None) if agent.pid.is_some() => Condition::Running,
                (None, None) => Condition::Starting,
            };
            return (condition, None);
        };
        let condition = match structured.status.state {
            AgentState::Starting => Condition::Starting,
            AgentState::Working | AgentState::Stalled | AgentState::Waiting if structured.cancelling.is_some() => {
                Condition::Stopping
            }
            AgentState::Working => Condition::Working,
            AgentState::Waiting => Condition::Waiting,
            AgentState::Stalled => Condition::Stalled,
            AgentState::Idle => match structured.last_turn.as_ref().map(|turn| &turn.outcome) {
                Some(TurnOutcome::Failed { .. } | TurnOutcome::Interrupted { .. }) => Condition::TurnFailed,
                Some(TurnOutcome::Completed | TurnOutcome::Cancelled) | None => Condition::Idle,
            },
            AgentState::Parked => Condition::Parked,
            AgentState::Stopped => Condition::Stopped,
            AgentState::Closed => Condition::Ended,
        };
        let asked_at = structured.cancelling.as_ref().filter(|_| condition == Condition::Stopping);
        (condition, Some(asked_at.map_or(structured.status.since, |asked| asked.since)))
    }

    fn of_session(session: &SessionView) -> (Self, Timestamp) {
        let own = match session.status.state {
            SessionState::Empty => Condition::Empty,
            SessionState::Starting => Condition::Starting,
            SessionState::Ending => Condition::Ending,
            SessionState::Ended if session.has_failed() => Condition::Failed,
            SessionState::Ended => Condition::Ended,
            SessionState::Stopped => Condition::Stopped,
            SessionState::Running => Condition::Running,
        };
        let since = session.status.since;
        if !matches!(session.status.state, SessionState::Running | SessionState::Stopped) {
            return (own, since);
        }
        // What needs a person most is what the session is.
        let each = session.agents.iter().map(Condition::of).filter(|(condition, _)| !condition.is_over());
        let most = each.min_by_key(|(condition, _)| *condition);
        most.map_or((own, since), |(condition, at)| (condition, at.unwrap_or(since)))
    }
}

/// A line of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeRow {
    /// What is shown when it is opened.
    pub target: Target,
    /// Its session.
    pub session: SessionId,
    /// 0 for a session, more for its agents.
    pub depth: u16,
    /// What people call it.
    pub name: String,
    /// The provider, for an agent.
    pub provider: String,
    /// What it is doing.
    pub condition: Condition,
    /// Since when.
    pub since: Timestamp,
    /// Something came to an end there that was not looked at.
    pub is_unread: bool,
    /// Millionths of a US dollar, if it is told.
    pub cost: Option<u64>,
    /// Prompts that wait.
    pub queued: u32,
    /// Questions that are open.
    pub asks: u32,
    /// The directory, before the first session of it, where those of several are listed.
    pub heading: Option<String>,
}

/// The sessions, as the daemon told of them last.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tree {
    sessions: BTreeMap<SessionId, SessionView>,
    /// All of them have come.
    pub is_complete: bool,
    /// What is typed to find some.
    pub filter: String,
    /// Sessions that ended are listed too.
    pub shows_ended: bool,
    /// The line that is selected.
    pub selected: Option<Target>,
}

impl Tree {
    /// What the daemon says of a session now.
    pub fn put(&mut self, session: SessionView) {
        // An answer may be older than what is known.
        if self.sessions.get(&session.session).is_none_or(|known| known.last_seq <= session.last_seq) {
            self.sessions.insert(session.session, session);
        }
    }

    /// It is there no more.
    pub fn remove(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    /// All of them are told of anew.
    pub fn clear(&mut self) {
        self.sessions.clear();
        self.is_complete = false;
    }

    /// One session.
    pub fn get(&self, session: SessionId) -> Option<&SessionView> {
        self.sessions.get(&session)
    }

    /// All sessions, oldest first.
    pub fn sessions(&self) -> impl DoubleEndedIterator<Item = &SessionView> {
        self.sessions.values()
    }

    /// The agent that a part of the screen shows.
    pub fn agent(&self, target: Target) -> Option<&AgentView> {
        let session = self.get(target.session()?)?;
        session.agents.iter().find(|agent| target_of(session.session, agent) == target)
    }

    /// Whether a session is of this directory, or of one below it.
    pub fn is_here(session: &SessionView, directory: &str) -> bool {
        let below = |workspace: &str| workspace.strip_prefix(directory.trim_end_matches('/')).map(str::to_owned);
        let workspace = session.workspace.as_deref().and_then(below);
        workspace.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The lines, the newest session of this directory first.
    pub fn rows(&self, directory: &str, place: &Place) -> Vec<TreeRow> {
        let mut listed: Vec<_> = self
            .sessions
            .values()
            .rev()
            .map(|session| (Self::is_here(session, directory), session))
            .filter(|(is_here, _)| place.all_projects || *is_here)
            .collect();
        if place.all_projects {
            listed.sort_by(|(a_here, a), (b_here, b)| b_here.cmp(a_here).then_with(|| a.workspace.cmp(&b.workspace)));
        }
        let mut rows: Vec<TreeRow> = Vec::new();
        let mut before = None;
        for (_, session) in listed {
            let mut of_session = rows_of(session, place);
            let is_shown = of_session.iter().any(|row| place.panes.contains(&row.target));
            let is_over = of_session.first().is_some_and(|row| row.condition.is_over());
            let searched = || {
                let words = of_session.iter().flat_map(|row| [row.name.as_str(), &row.provider, row.condition.word()]);
                words.chain(session.workspace.as_deref()).collect::<Vec<_>>().join(" ")
            };
            let passes = if self.filter.is_empty() {
                !is_over || self.shows_ended || is_shown
            } else {
                passes(&self.filter, &searched())
            };
            if !passes {
                continue;
            }
            let workspace = session.workspace.clone().unwrap_or_else(|| "no directory".to_owned());
            if let Some(first) =
                of_session.first_mut().filter(|_| place.all_projects && before.as_ref() != Some(&workspace))
            {
                first.heading = Some(workspace.clone());
            }
            before = Some(workspace);
            rows.append(&mut of_session);
        }
        rows
    }

    /// Where a session's work is to be seen: its first agent, or its program.
    pub fn home(&self, session: SessionId) -> Option<Target> {
        let session = self.get(session)?;
        let alive = session.agents.iter().find(|agent| !Condition::of(agent).0.is_over());
        alive.or(session.agents.first()).map(|agent| target_of(session.session, agent))
    }
}

/// What shows an agent.
pub fn target_of(session: SessionId, agent: &AgentView) -> Target {
    match agent.structured {
        Some(_) => Target::Agent(session, agent.agent),
        None => Target::Terminal(session, agent.terminal),
    }
}

/// What people call a session.
pub fn name_of(session: &SessionView) -> String {
    // A name has no character in it that needs to be taken out; an id has none either.
    session.name.clone().unwrap_or_else(|| session.session.to_string().chars().take(13).collect())
}

/// What people call an agent, or a program.
pub fn agent_name(agent: &AgentView) -> String {
    let name = match &agent.structured {
        Some(structured) => structured.name.clone(),
        None => agent
            .argv
            .first()
            .map(|program| program.rsplit('/').next().unwrap_or(program).to_owned())
            .unwrap_or_default(),
    };
    crate::text::clean::one_line(&name)
}

fn rows_of(session: &SessionView, place: &Place) -> Vec<TreeRow> {
    let (condition, since) = Condition::of_session(session);
    let agents: Vec<TreeRow> =
        ordered(session).into_iter().map(|(depth, agent)| row_of(session, agent, depth, place)).collect();
    let head = TreeRow {
        target: agents.first().map_or(Target::Start, |row| row.target),
        session: session.session,
        depth: 0,
        name: name_of(session),
        provider: agents.first().map(|row| row.provider.clone()).unwrap_or_default(),
        condition,
        since,
        is_unread: agents.iter().any(|row| row.is_unread),
        cost: agents.iter().fold(None, |sum, row| match (sum, row.cost) {
            (None, cost) => cost,
            (sum, None) => sum,
            (Some(sum), Some(cost)) => Some(sum + cost),
        }),
        queued: agents.iter().map(|row| row.queued).sum(),
        asks: agents.iter().map(|row| row.asks).sum(),
        heading: None,
    };
    let mut rows = vec![head];
    if agents.len() > 1 {
        rows.extend(agents);
    }
    rows
}

/// A session's agents, each below the one it works for.
fn ordered(session: &SessionView) -> Vec<(u16, &AgentView)> {
    fn below<'a>(
        session: &'a SessionView,
        parent: Option<&AgentView>,
        depth: u16,
        into: &mut Vec<(u16, &'a AgentView)>,
    ) {
        for agent in &session.agents {
            let of = agent.structured.as_ref().and_then(|structured| structured.parent);
            let of = of.filter(|of| session.agents.iter().any(|agent| agent.agent == *of));
            let is_listed = into.iter().any(|(_, listed)| listed.agent == agent.agent);
            if of == parent.map(|parent| parent.agent) && !is_listed && depth < 8 {
                into.push((depth, agent));
                below(session, Some(agent), depth + 1, into);
            }
        }
    }
    let mut agents = Vec::new();
    below(session, None, 1, &mut agents);
    agents
}

fn row_of(session: &SessionView, agent: &AgentView, depth: u16, place: &Place) -> TreeRow {
    let (condition, since) = Condition::of(agent);
    let structured = agent.structured.as_deref();
    let seen = place.seen.get(&agent.agent).copied().unwrap_or_default();
    let ended = structured.and_then(|structured| structured.last_turn.as_ref());
    let is_unread = ended.is_some_and(|ended| ended.evidence > seen && ended.outcome != TurnOutcome::Cancelled);
    TreeRow {
        target: target_of(session.session, agent),
        session: session.session,
        depth,
        name: agent_name(agent),
        provider: agent.provider.clone(),
        condition,
        since: since.unwrap_or(session.status.since),
        is_unread,
        cost: structured.and_then(|structured| structured.usage.cost_micro_usd),
        queued: structured.map_or(0, |structured| structured.queued),
        asks: structured.map_or(0, |structured| structured.asks),
        heading: None,
    }
}
