//! `ropewalk usage`.

use ropewalk_protocol::{AgentId, SessionId, SessionView, UsageTotal};
use serde::Serialize;

use super::super::{Context, find, sessions};
use super::cost::{dollars, sum};
use super::reference::structured;
use crate::exit::{Failure, OK};
use crate::print;

/// What an agent cost; without any, all of them together.
#[derive(Serialize)]
struct Line {
    session: Option<SessionId>,
    agent: Option<AgentId>,
    name: Option<String>,
    provider: Option<String>,
    usage: UsageTotal,
}

pub(super) async fn usage(context: &Context, reference: Option<&str>) -> Result<u8, Failure> {
    let client = context.client().await?;
    let sessions = match reference {
        Some(reference) => vec![find(&client, reference).await?],
        None => sessions::all(&client).await?,
    };
    let lines = lines(&sessions);
    if context.json {
        lines.iter().try_for_each(print::json)?;
        return Ok(OK);
    }
    let header = ["SESSION", "AGENT", "PROVIDER", "TURNS", "INPUT", "CACHED", "OUTPUT", "CONTEXT", "COST"];
    let header = header.map(str::to_owned).to_vec();
    let name = |line: &Line| {
        let session = sessions.iter().find(|session| Some(session.session) == line.session);
        session
            .map_or("total".to_owned(), |session| session.name.clone().unwrap_or_else(|| session.session.to_string()))
    };
    let rows: Vec<_> = [header].into_iter().chain(lines.iter().map(|line| row(name(line), line))).collect();
    print::bytes(print::table(&rows).as_bytes());
    Ok(OK)
}

/// A line for each agent, and one for all.
fn lines(sessions: &[SessionView]) -> Vec<Line> {
    let of_session = |session: &SessionView| {
        let of_agent = |(agent, view): (&ropewalk_protocol::AgentView, &ropewalk_protocol::StructuredView)| Line {
            session: Some(session.session),
            agent: Some(agent.agent),
            name: Some(view.name.clone()),
            provider: Some(agent.provider.clone()),
            usage: view.usage.clone(),
        };
        structured(session).map(of_agent).collect::<Vec<_>>()
    };
    let mut lines: Vec<Line> = sessions.iter().flat_map(of_session).collect();
    let usage = sum(lines.iter().map(|line| &line.usage));
    lines.push(Line { session: None, agent: None, name: None, provider: None, usage });
    lines
}

fn row(session: String, line: &Line) -> Vec<String> {
    let or_dash = |text: &Option<String>| text.as_deref().map_or("-".to_owned(), print::plain);
    let usage = &line.usage;
    let context = match (usage.context_tokens, usage.context_tokens_max) {
        (None, _) => "-".to_owned(),
        (Some(now), None) => now.to_string(),
        (Some(now), Some(max)) => format!("{now}/{max}"),
    };
    let (turns, input, cached) = (usage.turns, usage.input_tokens, usage.cached_tokens);
    let counts = [turns, input, cached, usage.output_tokens].map(|count| count.to_string());
    let mut row = vec![session, or_dash(&line.name), or_dash(&line.provider)];
    row.extend(counts);
    row.extend([context, dollars(usage.cost_micro_usd)]);
    row
}
