//! All projections, folded together up to one place in the log.

use ropewalk_protocol::{Code, Event, Rejection, Seq, SessionId, SessionView, Timestamp};

use crate::{Agents, Interactions, Policies, Sessions, Terminals};

/// How many matches an ambiguous reference lists.
const MATCHES_MAX: usize = 10;

/// What is read, true at [`Projections::seq`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Projections {
    pub(crate) seq: Seq,
    pub(crate) sessions: Sessions,
    pub(crate) agents: Agents,
    pub(crate) terminals: Terminals,
    pub(crate) interactions: Interactions,
    pub(crate) policies: Policies,
}

impl Projections {
    /// Takes an event in. One that was taken in before changes nothing.
    pub fn apply(&mut self, event: &Event) {
        if event.seq <= self.seq {
            return;
        }
        self.seq = event.seq;
        self.sessions.apply(event);
        let before = self.agents.today(event);
        self.agents.apply(event);
        self.policies.apply(event, before, self.agents.today(event));
        self.terminals.apply(event);
        self.interactions.apply(event, &self.agents);
    }

    /// Everything up to here is folded in.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// The sessions.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The agents.
    pub fn agents(&self) -> &Agents {
        &self.agents
    }

    /// The terminals.
    pub fn terminals(&self) -> &Terminals {
        &self.terminals
    }

    /// The open questions.
    pub fn interactions(&self) -> &Interactions {
        &self.interactions
    }

    /// Budgets and rules.
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// One session, as lists show it at this time: silence is told by the clock only.
    pub fn session(&self, id: SessionId, now: Timestamp) -> Option<SessionView> {
        let session = self.sessions.get(id)?;
        Some(SessionView {
            session: id,
            name: session.name.clone(),
            workspace: session.workspace.clone(),
            created_at: session.created_at,
            status: session.status.clone(),
            end_reason: session.end_reason.clone(),
            last_seq: session.last_seq,
            agents: self.agents.of(id).map(|agent| agent.view(now)).collect(),
            terminals: self.terminals.of(id).collect(),
        })
    }

    /// A page of sessions after this one as they are at this time, oldest first, and whether more follow.
    pub fn page(&self, after: Option<SessionId>, limit: usize, now: Timestamp) -> (Vec<SessionView>, bool) {
        let mut ids = self.sessions.after(after).map(|(id, _)| id);
        let page = ids.by_ref().take(limit).filter_map(|id| self.session(id, now)).collect();
        (page, ids.next().is_some())
    }

    /// The session that a name, an id or a unique prefix of an id means.
    ///
    /// # Errors
    /// `not_found`, or `ambiguous` with what matches.
    pub fn find(&self, reference: &str) -> Result<SessionId, Rejection> {
        if let Some(id) = self.sessions.named(reference) {
            return Ok(id);
        }
        if let Ok(id) = reference.parse::<SessionId>() {
            return self.sessions.get(id).map(|_| id).ok_or_else(|| Rejection::not_found(format_args!("session {id}")));
        }
        let prefix = reference.to_ascii_lowercase();
        let starts = |id: &SessionId| !prefix.is_empty() && id.to_string().starts_with(&prefix);
        let mut matches: Vec<SessionId> = self.sessions.after(None).map(|(id, _)| id).filter(starts).collect();
        match matches.len() {
            0 => {
                let shown: String = reference.chars().take(80).collect();
                Err(Rejection::not_found(format_args!("session {shown:?}")))
            }
            1 => Ok(matches.remove(0)),
            count => {
                let mut rejection = Rejection::new(Code::Ambiguous, format!("{reference:?} matches {count} sessions"));
                rejection.matches = matches.iter().take(MATCHES_MAX).map(|id| self.label(*id)).collect();
                Err(rejection)
            }
        }
    }

    fn label(&self, id: SessionId) -> String {
        match self.sessions.get(id).and_then(|session| session.name.as_ref()) {
            Some(name) => format!("{id} {name}"),
            None => id.to_string(),
        }
    }
}
