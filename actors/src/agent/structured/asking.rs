//! Questions: those that are open, and what became of those that are closed. The first answer counts; whoever comes later is
//! told whose that was.

use ropewalk_protocol::{Answer, AskClosed, AskEnd, EventBody, InteractionId, Timestamp};

use super::{CLOSED_ASKS_KEPT, OpenAsk, Structured};
use crate::providers::{Outgoing, cut};

/// As much of an answer as who comes late is told.
const ANSWER_BYTES_MAX: usize = 200;

impl Structured {
    pub(super) fn apply_to_asks(&mut self, at: Timestamp, by: Option<&str>, body: &EventBody) {
        match body {
            EventBody::Asked(asked) => self.asks.push(OpenAsk {
                id: asked.interaction,
                key: asked.key.clone(),
                item: asked.item,
                kind: asked.kind,
                options: asked.options.clone(),
                offset: asked.offset,
                length: asked.length,
                expires: asked.expires,
            }),
            EventBody::Answered(answered) => {
                let rule = self.ruled.take_if(|(of, _)| *of == answered.interaction).map(|(_, rule)| rule);
                let ask = self.asks.iter().find(|ask| ask.id == answered.interaction);
                let (item, options) = ask.map(|ask| (ask.item, ask.options.as_slice())).unwrap_or_default();
                let who = match (by, rule) {
                    (Some(client), _) => client.to_owned(),
                    (None, Some(rule)) => format!("the rule “{rule}”"),
                    (None, None) => "policy".to_owned(),
                };
                let answer = cut(&words(&answered.answer, options), ANSWER_BYTES_MAX).to_owned();
                let how = format!("{who} answered it at {at}: {answer}");
                if matches!(answered.answer, Answer::Deny { .. }) {
                    self.items.iter_mut().filter(|open| Some(open.id) == item).for_each(|open| open.is_declined = true);
                }
                self.close_ask(answered.interaction, how, answered.answer.clone(), answered.input);
            }
            EventBody::AskClosed(AskClosed { interaction, reason, input }) => {
                // An answer without a reason is what agents take for a cancel.
                let (how, why) = match reason {
                    AskEnd::Expired => {
                        let why = "nobody answered in time";
                        (format!("it expired at {at}: {why}"), Some(why.to_owned()))
                    }
                    AskEnd::Cancelled => (format!("it was cancelled at {at}"), None),
                    AskEnd::AgentGone => (format!("the agent that asked is gone since {at}"), None),
                };
                self.close_ask(*interaction, how, Answer::Deny { reason: why }, *input);
            }
            _ => {}
        }
    }

    fn close_ask(&mut self, interaction: InteractionId, how: String, answer: Answer, input: u64) {
        let Some(place) = self.asks.iter().position(|ask| ask.id == interaction) else { return };
        let OpenAsk { key, offset, length, .. } = self.asks.remove(place);
        if self.closed_asks.len() == CLOSED_ASKS_KEPT {
            self.closed_asks.pop_front();
        }
        self.closed_asks.push_back((interaction, how));
        self.life.push(input, Outgoing::Answer { key, answer, offset, length });
    }
}

/// An answer, for people.
fn words(answer: &Answer, options: &[ropewalk_protocol::AskOption]) -> String {
    match answer {
        Answer::Allow { always: false } => "allowed".to_owned(),
        Answer::Allow { always: true } => "allowed, from now on".to_owned(),
        Answer::Deny { reason: None } => "denied".to_owned(),
        Answer::Deny { reason: Some(reason) } => format!("denied: {reason}"),
        Answer::Text { text } => text.clone(),
        Answer::Choose { option } => {
            let name = options.iter().find(|known| known.id == *option).map(|known| &known.name);
            name.unwrap_or(option).clone()
        }
    }
}
