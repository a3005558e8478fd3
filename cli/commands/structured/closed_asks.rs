//! Questions that are closed: they are in no list, and the log still tells of them.

use ropewalk_protocol::{Event, EventBody, InteractionView, Query, QueryResult, Seq, Stream, Timestamp};
use ropewalk_transport::client::Client;

use super::unexpected;
use crate::exit::Failure;

/// Pages of the log that are read back at most.
const PAGES_MAX: usize = 32;

/// So much of an id is needed: `ropewalk asks` shows no less.
const PREFIX_CHARS_MIN: usize = 8;

/// Clocks may have been set back by so much between a question and what happened around it.
const SLACK_MILLIS: u64 = 60_000;

/// The newest question whose id begins like this, as it was asked.
pub(super) async fn find(client: &Client, prefix: &str) -> Result<Option<InteractionView>, Failure> {
    let prefix = prefix.to_ascii_lowercase();
    let Some(since) = asked_since(&prefix) else { return Ok(None) };
    let mut before = Seq(u64::MAX);
    for _ in 0..PAGES_MAX {
        let query =
            Query::EventsPage { session: None, agent: None, after: Seq::ZERO, before: Some(before), limit: None };
        let QueryResult::Events { events, more, next, .. } = client.query(query).await?.result else {
            return Err(unexpected());
        };
        if let Some(found) = events.iter().rev().find_map(|event| asked(event, &prefix)) {
            return Ok(Some(found));
        }
        // The rest is older than the question.
        let is_before = events.first().is_some_and(|first| first.at < since);
        match next.filter(|_| more && !is_before) {
            Some(next) => before = next,
            None => return Ok(None),
        }
    }
    Ok(None)
}

/// The earliest moment at which a question was asked whose id begins like this: ids begin with the time in milliseconds.
fn asked_since(prefix: &str) -> Option<Timestamp> {
    if prefix.len() < PREFIX_CHARS_MIN {
        return None;
    }
    let digits: String = prefix.chars().filter(|char| *char != '-').take(12).collect();
    let millis = u64::from_str_radix(&format!("{digits:0<12}"), 16).ok()?;
    Some(Timestamp::from_unix_micros(millis.saturating_sub(SLACK_MILLIS).saturating_mul(1000)))
}

fn asked(event: &Event, prefix: &str) -> Option<InteractionView> {
    let (Stream::Agent(session, agent), EventBody::Asked(asked)) = (event.stream, &event.body) else { return None };
    asked.interaction.to_string().starts_with(prefix).then(|| InteractionView {
        interaction: asked.interaction,
        session,
        agent,
        name: String::new(),
        turn: asked.turn,
        kind: asked.kind,
        title: asked.title.clone(),
        detail: asked.detail.clone(),
        options: asked.options.clone(),
        at: event.at,
        seq: event.seq,
        expires: asked.expires,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_since_when_there_may_have_been_the_question() {
        let millis = |prefix: &str| asked_since(prefix).map(|since| since.unix_micros() / 1000);
        let whole = 0x0192_f0c1_2b7a - SLACK_MILLIS;
        assert_eq!(millis("0192f0c1-2b7a-7c3e-8d11-5a2f3c4d5e51"), Some(whole));
        assert_eq!(millis("0192f0c1-2b"), Some(0x0192_f0c1_2b00 - SLACK_MILLIS));
        assert_eq!((millis("0192f0c"), millis("question")), (None, None), "too little, and no id at all");
    }
}
