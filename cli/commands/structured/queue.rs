//! `ropewalk queue`.

use ropewalk_protocol::{Command as Change, Delivery, PromptId, PromptView, Query, QueryResult, Rejection, limits};
use ropewalk_transport::client::Client;

use super::super::Context;
use super::super::sessions::ago;
use super::reference::{Found, by_prefix, find_agent};
use super::{change, spec, unexpected};
use crate::args::QueueCommand;
use crate::exit::{Failure, OK};
use crate::print;

pub(super) async fn queue(context: &Context, reference: &str, command: Option<QueueCommand>) -> Result<u8, Failure> {
    let client = context.client().await?;
    let found = find_agent(&client, reference).await?;
    let prompts = list(&client, &found).await?;
    let Some(command) = command else {
        return show(context, &prompts);
    };
    let (session, agent) = (found.session.session, found.agent.agent);
    let (done, command) = match command {
        QueueCommand::Edit { n, text } => {
            let (prompt, text) = (place(&prompts, &n)?, spec::words(&text)?);
            ("edited", Change::PromptEdit { session, agent, prompt, text })
        }
        QueueCommand::Move { n, place: to } => {
            let (prompt, before) = (place(&prompts, &n)?, target(&prompts, &to)?);
            ("moved", Change::PromptMove { session, agent, prompt, before })
        }
        QueueCommand::Withdraw { n } => {
            let prompt = place(&prompts, &n)?;
            ("withdrawn", Change::PromptWithdraw { session, agent, prompt })
        }
    };
    let answer = change(&client, command).await?;
    if context.json {
        print::json(&answer)?;
    } else {
        print::talk(done);
    }
    Ok(OK)
}

async fn list(client: &Client, found: &Found) -> Result<Vec<PromptView>, Failure> {
    let query = Query::PromptsList { session: found.session.session, agent: found.agent.agent };
    match client.query(query).await?.result {
        QueryResult::Prompts { prompts } => Ok(prompts),
        _ => Err(unexpected()),
    }
}

fn show(context: &Context, prompts: &[PromptView]) -> Result<u8, Failure> {
    if context.json {
        prompts.iter().try_for_each(print::json)?;
    } else if prompts.is_empty() {
        print::talk("nothing waits");
    } else {
        let header = ["N", "ID", "WAITS", "WHEN", "PROMPT"].map(str::to_owned).to_vec();
        let rows: Vec<_> = [header].into_iter().chain((1..).zip(prompts).map(row)).collect();
        print::bytes(print::table(&rows).as_bytes());
    }
    Ok(OK)
}

fn row((number, prompt): (usize, &PromptView)) -> Vec<String> {
    let when = match prompt.delivery {
        Delivery::AfterTurn => "after turn",
        Delivery::Steer => "steer",
        Delivery::Interrupt => "interrupt",
    };
    let one_line = print::plain(&prompt.preview).split_whitespace().collect::<Vec<_>>().join(" ");
    let more = if prompt.bytes > prompt.preview.len() as u64 { "…" } else { "" };
    vec![number.to_string(), prompt.prompt.to_string(), ago(prompt.at), when.to_owned(), one_line + more]
}

/// A place from 1, or the beginning of an id. Ids begin with more digits than there are places, or with a zero.
fn place(prompts: &[PromptView], n: &str) -> Result<PromptId, Rejection> {
    let is_place = |number: &usize| *number <= limits::PROMPTS_QUEUED_MAX && !n.starts_with('0');
    if let Some(number) = n.parse().ok().filter(is_place) {
        let prompt = number.checked_sub(1).and_then(|at: usize| prompts.get(at)).map(|prompt| prompt.prompt);
        return prompt.ok_or_else(|| {
            Rejection::not_found(format_args!("prompt {number}: {} wait", prompts.len()))
                .hint("`ropewalk queue REF` lists them; one that was delivered does not wait any more.")
        });
    }
    by_prefix(prompts, n, "prompt", |prompt| prompt.prompt.to_string()).map(|prompt| prompt.prompt)
}

/// What a prompt is to stand before: `before M`, or `last`.
fn target(prompts: &[PromptView], words: &[String]) -> Result<Option<PromptId>, Rejection> {
    match words {
        [last] if last == "last" => Ok(None),
        [before, m] if before == "before" => place(prompts, m).map(Some),
        _ => Err(Rejection::invalid("say `before M`, or `last`")),
    }
}

#[cfg(test)]
mod tests {
    use ropewalk_protocol::{Code, Seq, Timestamp};

    use super::*;

    fn prompt(byte: u8) -> PromptView {
        PromptView {
            prompt: PromptId::from_bytes([byte; 16]),
            seq: Seq(1),
            at: Timestamp::default(),
            delivery: Delivery::AfterTurn,
            preview: "two\nlines".to_owned(),
            bytes: 9,
        }
    }

    #[test]
    fn a_prompt_is_named_by_its_place_or_its_id() {
        let prompts = [prompt(0x01), prompt(0x02), prompt(0x33)];
        let at = |n: &str| place(&prompts, n).map_err(|why| why.code);
        assert_eq!(at("1"), Ok(prompts[0].prompt));
        assert_eq!(at("3"), Ok(prompts[2].prompt));
        assert_eq!(at("4"), Err(Code::NotFound));
        assert_eq!(at("0"), Err(Code::Ambiguous), "two ids begin with it; it is no place");
        assert_eq!(at("02"), Ok(prompts[1].prompt), "the beginning of an id");
        assert_eq!(at("333333"), Ok(prompts[2].prompt));
        assert_eq!(at("x"), Err(Code::NotFound));
        let to = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            target(&prompts, &words).map_err(|why| why.code)
        };
        assert_eq!(to(&["last"]), Ok(None));
        assert_eq!(to(&["before", "1"]), Ok(Some(prompts[0].prompt)));
        for wrong in [&["before"][..], &["1"], &["after", "1"], &["last", "1"]] {
            assert_eq!(to(wrong), Err(Code::InvalidParams), "{wrong:?}");
        }
        assert_eq!(row((1, &prompts[0]))[4], "two lines");
    }
}
