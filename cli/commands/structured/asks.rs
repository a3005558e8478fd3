//! `ropewalk asks` and `ropewalk answer`.

use ropewalk_protocol::{Command as Change, InteractionView, Query, QueryResult, Rejection, SessionId};
use ropewalk_transport::client::Client;

use super::super::sessions::ago;
use super::super::{Context, find};
use super::answer::{keys, of_words, told};
use super::reference::{by_prefix, prefixes};
use super::{change, closed_asks, text, unexpected};
use crate::exit::{Failure, OK};
use crate::print;

pub(super) async fn asks(context: &Context, reference: Option<&str>) -> Result<u8, Failure> {
    let client = context.client().await?;
    let session = match reference {
        Some(reference) => Some(find(&client, reference).await?.session),
        None => None,
    };
    let open = open(&client, session).await?;
    if context.json {
        open.iter().try_for_each(print::json)?;
        return Ok(OK);
    }
    if open.is_empty() {
        print::talk("nothing is asked");
        return Ok(OK);
    }
    let ids: Vec<String> = open.iter().map(|view| view.interaction.to_string()).collect();
    let mut all = String::new();
    for (view, id) in open.iter().zip(prefixes(&ids)) {
        let session = view.session.to_string();
        all.push_str(&text::question(view, &id, &session, &ago(view.at)));
    }
    print::bytes(print::plain(&all).as_bytes());
    print::talk("answer with `ropewalk answer ID allow | always | deny [REASON] | choose OPTION | TEXT`");
    Ok(OK)
}

/// Every open question, page by page.
async fn open(client: &Client, session: Option<SessionId>) -> Result<Vec<InteractionView>, Failure> {
    let mut all: Vec<InteractionView> = Vec::new();
    loop {
        let after = all.last().map(|view| view.interaction);
        let answer = client.query(Query::InteractionsList { session, after }).await?;
        let QueryResult::Interactions { interactions, more } = answer.result else {
            return Err(unexpected());
        };
        let is_last = !more || interactions.is_empty();
        all.extend(interactions);
        if is_last {
            return Ok(all);
        }
    }
}

pub(super) async fn answer(context: &Context, id: &str, words: &[String]) -> Result<u8, Failure> {
    let client = context.client().await?;
    let open = open(&client, None).await?;
    let view = match by_prefix(&open, id, "open question", |view| view.interaction.to_string()) {
        Ok(view) => view.clone(),
        // Whoever comes late is told by the daemon who was first.
        Err(rejection) if rejection.matches.is_empty() => {
            closed_asks::find(&client, id).await?.ok_or_else(|| unknown(rejection))?
        }
        Err(rejection) => return Err(rejection.into()),
    };
    let answer = of_words(view.kind, &view.options, words)
        .map_err(|hint| Rejection::invalid(hint.clone()).hint(keys(view.kind)))?;
    let said = told(&answer, &view.options);
    let command =
        Change::InteractionAnswer { session: view.session, agent: view.agent, interaction: view.interaction, answer };
    let done = change(&client, command).await?;
    if context.json {
        print::json(&done)?;
    } else {
        print::talk(&print::plain(&format!("{}: {said}", text::line(&view.title))));
    }
    Ok(OK)
}

fn unknown(rejection: Rejection) -> Rejection {
    rejection.hint("`ropewalk asks` lists what is open; `ropewalk events REF` says who answered what.")
}
