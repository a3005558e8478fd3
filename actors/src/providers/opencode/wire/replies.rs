//! What the bridge says of itself and of our requests.

use ropewalk_protocol::TurnOutcome;
use serde_json::Value;

use super::super::super::{Observed, tell_opaque, title};
use super::fields::{reason, text};
use super::{Wire, warn};

impl Wire {
    /// Something is wrong with the server: while it is not ready, there will be no work.
    pub(super) fn refuse_or_warn(&self, reason: String, seen: &mut Vec<Observed>) {
        match self.session {
            None => seen.push(Observed::Refused { reason }),
            Some(_) => warn(reason, seen),
        }
    }

    /// The bridge is about to send this request: what comes of it follows.
    pub(super) fn sent(&mut self, request: &str) {
        if let Some(turn) = request.strip_prefix("prompt:") {
            self.asked = Some(turn.to_owned());
        } else if request.starts_with("interrupt:")
            && let Some(turn) = &mut self.turn
        {
            turn.is_aborted = true;
        }
    }

    /// The answer to a request of ours.
    pub(super) fn answered(&mut self, request: &str, answer: &Value, line: &[u8], seen: &mut Vec<Observed>) {
        let body = &answer["body"];
        let status = answer["status"].as_u64();
        let problem = match (text(answer, "failed"), status) {
            (Some(failed), _) => Some(title(failed)),
            (None, Some(200..=299)) => None,
            (None, _) => Some(title(&format!("opencode answered {}: {}", answer["status"], reason(body)))),
        };
        let (what, name) = request.split_once(':').unwrap_or((request, ""));
        match (what, name, problem) {
            ("greet", _, None) | ("resume", "0", None) => {
                let Some(id) = text(body, "id") else {
                    return seen.push(Observed::Refused { reason: "opencode told no session".to_owned() });
                };
                self.session = Some(title(id));
                if what == "greet" {
                    self.ready(seen);
                }
            }
            ("greet", _, Some(reason)) | ("resume", "0", Some(reason)) => seen.push(Observed::Refused { reason }),
            ("resume", _, problem) if self.session.is_some() => {
                match problem {
                    None => self.history(body, seen),
                    Some(problem) => warn(format!("the conversation's record cannot be read: {problem}"), seen),
                }
                self.ready(seen);
            }
            ("prompt", turn, Some(reason)) if self.asked.as_deref() == Some(turn) => {
                self.asked = None;
                let outcome = match status {
                    Some(_) => TurnOutcome::Failed { reason },
                    // It may have arrived.
                    None => TurnOutcome::Interrupted { reason },
                };
                seen.push(Observed::TurnEnded { outcome });
            }
            ("answer", key, Some(_)) if status == Some(404) => self.asks.close(key, seen),
            ("resume", ..) | ("prompt" | "interrupt" | "answer", _, None) => {}
            ("prompt" | "interrupt" | "answer", _, Some(problem)) => warn(problem, seen),
            _ => tell_opaque(line, seen),
        }
    }

    pub(super) fn ready(&mut self, seen: &mut Vec<Observed>) {
        let (conversation, version) = (self.session.clone(), self.version.clone());
        seen.push(Observed::Ready { conversation, version, model: self.model.clone(), mode: self.mode.clone() });
    }
}
