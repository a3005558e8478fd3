//! What codex has used, and what is left. Pure.

use std::collections::BTreeMap;

use ropewalk_protocol::{NoticeKind, Timestamp, Usage, UsageScope};
use serde_json::Value;

use super::items::{text, word};
use super::trouble::{bounded, is_limit, reason};
use super::wire::THREADS_MAX;
use crate::providers::Observed;

/// What was counted so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Tokens that each thread has used, to know what is new.
    used: BTreeMap<String, u64>,
    /// When the limits that are reached are lifted.
    lifted: Option<Timestamp>,
    was_limited: bool,
}

impl Counts {
    /// Codex counts by thread, over all its runs, and tells the counts of old turns again when a thread is resumed: the last
    /// call is told only where it is one of the turn that runs, or of another agent.
    pub(super) fn tokens(&mut self, params: &Value, is_ours: bool, is_running: bool, seen: &mut Vec<Observed>) {
        let usage = &params["tokenUsage"];
        let count = |of: &str, what: &str| usage[of][what].as_u64().unwrap_or_default();
        let (thread, total) = (word(text(params, "threadId")), count("total", "totalTokens"));
        let before = self.used.get(&thread).copied();
        if before == Some(total) {
            return;
        }
        if before.is_some() || self.used.len() < THREADS_MAX {
            self.used.insert(thread, total);
        }
        let used = |scope, of: &str| Usage {
            scope,
            input_tokens: count(of, "inputTokens"),
            cached_tokens: count(of, "cachedInputTokens"),
            output_tokens: count(of, "outputTokens"),
            cost_micro_usd: None,
            // Another agent's context is not ours.
            context_tokens: is_ours.then(|| count("last", "totalTokens")),
            context_tokens_max: usage["modelContextWindow"].as_u64().filter(|_| is_ours),
        };
        if is_running || !is_ours {
            seen.push(Observed::Used(used(UsageScope::Call, "last")));
        }
        if is_ours {
            seen.push(Observed::Used(used(UsageScope::Total, "total")));
        }
    }

    /// The model's server failed. Where codex gives up, the end of the turn says so too.
    pub(super) fn failure(&self, params: &Value, seen: &mut Vec<Observed>) {
        let error = &params["error"];
        if is_limit(&error["codexErrorInfo"]) {
            seen.push(Observed::Noticed { kind: NoticeKind::RateLimited, text: reason(error), until: self.lifted });
        } else if params["willRetry"] == true {
            seen.push(Observed::Noticed { kind: NoticeKind::Retry, text: reason(error), until: None });
        }
    }

    /// How much is left of what the account may use. Only that nothing is left is told, once.
    pub(super) fn limits(&mut self, limits: &Value, seen: &mut Vec<Observed>) {
        let windows = ["primary", "secondary"].map(|window| &limits[window]);
        let full = windows.iter().filter(|window| window["usedPercent"].as_f64().is_some_and(|used| used >= 100.0));
        let resets = full.filter_map(|window| window["resetsAt"].as_u64()).max();
        self.lifted = resets.map(|seconds| Timestamp::from_unix_micros(seconds.saturating_mul(1_000_000)));
        let reached = limits["rateLimitReachedType"].as_str();
        let was_limited = std::mem::replace(&mut self.was_limited, reached.is_some());
        if let Some(reached) = reached.filter(|_| !was_limited) {
            let text = bounded(&reached.replace('_', " "));
            seen.push(Observed::Noticed { kind: NoticeKind::RateLimited, text, until: self.lifted });
        }
    }
}
