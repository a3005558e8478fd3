//! What is read anew: the conversation's record when it is gone on with, and snapshots after a gap in the events.

use ropewalk_protocol::TurnOutcome;
use serde_json::Value;

use super::super::super::{Observed, tell_opaque};
use super::super::turn_of;
use super::fields::text;
use super::{End, Wire, end_of};

impl Wire {
    /// The end of the conversation, as an earlier run left it: nothing of it runs any more.
    pub(super) fn history(&mut self, messages: &Value, seen: &mut Vec<Observed>) {
        let mut turn = None;
        let mut end = None;
        for message in list(messages) {
            let info = &message["info"];
            let Some(id) = text(info, "id") else {
                continue;
            };
            match text(info, "role") {
                Some("user") => {
                    if let Some(of_ours) = turn_of(id) {
                        (turn, end) = (Some(of_ours), None);
                    }
                    self.last_user = id.max(self.last_user.as_str()).to_owned();
                }
                Some("assistant") => {
                    end = Some(end_of(info));
                    self.last_message = id.max(self.last_message.as_str()).to_owned();
                }
                _ => {}
            }
        }
        if let Some(turn) = turn {
            seen.push(Observed::Settled { turn, outcome: outcome(end) });
        }
    }

    /// What the server says now, after events were missed.
    pub(super) fn snapshot(&mut self, what: &str, said: &Value, seen: &mut Vec<Observed>) {
        if text(said, "session") != self.session.as_deref() || said["status"].as_u64() != Some(200) {
            return;
        }
        let body = &said["body"];
        match what {
            "message" => self.messages(body, seen),
            "permission" | "question" => {
                let prefix = if what == "permission" { "per_" } else { "que_" };
                let is_ours =
                    |session: &str| self.session.as_deref() == Some(session) || self.children.contains_key(session);
                let requests = list(body).iter().filter(|request| text(request, "sessionID").is_some_and(is_ours));
                // Those of an aborted turn stay there for ever.
                let requests = requests.filter(|request| self.items.has(text(&request["tool"], "messageID")));
                self.asks.listed(prefix, requests, &self.items, seen);
            }
            "status" => {
                // Who is idle is not listed.
                let idle = serde_json::json!({ "type": "idle" });
                let session = self.session.clone().unwrap_or_default();
                let status = body.get(&session).unwrap_or(&idle);
                self.status(status, true, seen);
            }
            _ => tell_opaque(said.to_string().as_bytes(), seen),
        }
    }

    /// Messages and their parts, told as if they changed just now: what is known already changes nothing.
    fn messages(&mut self, messages: &Value, seen: &mut Vec<Observed>) {
        for message in list(messages) {
            let Some(id) = text(&message["info"], "id") else {
                continue;
            };
            let begun = self.turn.as_ref().map_or(self.last_user.as_str(), |turn| turn.user.as_str());
            if id < begun {
                continue;
            }
            // Its parts first: the message that is closed may end the turn once `idle` was seen.
            let mut open = message["info"].clone();
            if let Some(info) = open.as_object_mut() {
                info.remove("error");
                info.insert("time".to_owned(), Value::Null);
            }
            let is_open =
                self.turn.as_ref().and_then(|turn| turn.message.as_ref()).is_none_or(|last| last.end.is_none());
            if is_open || id > self.last_message.as_str() {
                self.message(&open, seen);
            }
            list(&message["parts"]).iter().for_each(|part| self.part(part, seen));
            self.message(&message["info"], seen);
        }
    }
}

fn outcome(end: Option<Option<End>>) -> TurnOutcome {
    let cut = |reason: &str| TurnOutcome::Interrupted { reason: reason.to_owned() };
    match end {
        None => cut("opencode had the prompt and had not begun to answer"),
        Some(None) => cut("opencode was cut off in its answer"),
        Some(Some(End::Tools)) => cut("opencode was cut off between two calls of the model, or was refused a tool"),
        Some(Some(End::Done)) => TurnOutcome::Completed,
        Some(Some(End::Aborted)) => TurnOutcome::Cancelled,
        Some(Some(End::Failed(reason))) => TurnOutcome::Failed { reason },
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
