//! `ropewalk agents`.

use ropewalk_protocol::{AgentView, StructuredView};

use super::super::sessions::ago;
use super::super::{Context, find};
use super::cost::dollars;
use super::reference::structured;
use crate::exit::{Failure, OK};
use crate::print;

pub(super) async fn agents(context: &Context, reference: &str) -> Result<u8, Failure> {
    let session = find(&context.client().await?, reference).await?;
    let agents: Vec<_> = structured(&session).collect();
    if context.json {
        agents.iter().try_for_each(|(agent, _)| print::json(agent))?;
        return Ok(OK);
    }
    if agents.is_empty() {
        print::talk(&format!("no structured agents; `ropewalk spawn {reference} --provider …` starts one"));
        return Ok(OK);
    }
    let header = ["ID", "NAME", "PROVIDER", "STATE", "SINCE", "MODEL", "MODE", "QUEUE", "ASKS", "TOKENS", "COST"];
    let header = header.map(str::to_owned).to_vec();
    let rows: Vec<_> = [header].into_iter().chain(agents.iter().copied().map(row)).collect();
    print::bytes(print::table(&rows).as_bytes());
    for (view, held) in agents.iter().filter_map(|(_, view)| Some((view, view.held.as_ref()?))) {
        let until = held.until.map(|until| format!(" until {until}")).unwrap_or_default();
        print::talk(&format!(
            "{} is held{until}: {}",
            print::plain(&view.name),
            print::plain(&held.reason.to_string())
        ));
    }
    Ok(OK)
}

/// What it is doing, and that it is to stop.
fn state(view: &StructuredView) -> String {
    let state = view.status.state.name();
    match &view.cancelling {
        Some(_) => format!("{state} (cancelling)"),
        None => state.to_owned(),
    }
}

fn row((agent, view): (&AgentView, &StructuredView)) -> Vec<String> {
    let or_dash = |text: &Option<String>| text.as_deref().map_or("-".to_owned(), print::plain);
    let usage = &view.usage;
    vec![
        agent.agent.to_string(),
        print::plain(&view.name),
        print::plain(&agent.provider),
        state(view),
        ago(view.status.since),
        or_dash(&view.model),
        or_dash(&view.mode),
        view.queued.to_string(),
        view.asks.to_string(),
        usage.input_tokens.saturating_add(usage.output_tokens).to_string(),
        dollars(usage.cost_micro_usd),
    ]
}
