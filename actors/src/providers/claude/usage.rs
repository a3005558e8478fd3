//! What a turn cost, by the program's own reckoning. Pure.

use ropewalk_protocol::{Usage, UsageScope};
use serde_json::Value;

/// Tokens of one count.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tokens {
    read: u64,
    cached: u64,
    written: u64,
}

impl Tokens {
    /// As the model's server counts them.
    pub(super) fn of(usage: &Value) -> Self {
        let [fresh, created, cached, written] =
            ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens"]
                .map(|name| usage[name].as_u64().unwrap_or_default());
        Self { read: fresh.saturating_add(created).saturating_add(cached), cached, written }
    }

    /// As the program sums them up by model.
    fn by_model(models: &Value) -> Self {
        let mut sum = Self::default();
        for model in models.as_object().into_iter().flat_map(|models| models.values()) {
            let [fresh, created, cached, written] =
                ["inputTokens", "cacheCreationInputTokens", "cacheReadInputTokens", "outputTokens"]
                    .map(|name| model[name].as_u64().unwrap_or_default());
            sum.read = sum.read.saturating_add(fresh).saturating_add(created).saturating_add(cached);
            sum.cached = sum.cached.saturating_add(cached);
            sum.written = sum.written.saturating_add(written);
        }
        sum
    }

    /// What is in the model's context after a call with this count.
    pub(super) fn in_context(self) -> Option<u64> {
        Some(self.read.saturating_add(self.written)).filter(|tokens| *tokens > 0)
    }
}

/// The counts that a result tells.
///
/// Newer versions tell what was used since the last result, sub-agents and calls beside the conversation with it, and go on with
/// the cost of the process before in a conversation that is resumed. Older ones tell the tokens of the turn and the cost of the
/// process.
pub(super) fn counts(result: &Value, context: Option<u64>) -> Vec<Usage> {
    let since = &result["model_usage_since_last_result"];
    let window =
        [since, &result["modelUsage"]].into_iter().filter_map(Value::as_object).flat_map(|models| models.values());
    let window = window.filter_map(|model| model["contextWindow"].as_u64()).max();
    let count = |scope, tokens: Tokens, cost_micro_usd| Usage {
        scope,
        input_tokens: tokens.read,
        cached_tokens: tokens.cached,
        output_tokens: tokens.written,
        cost_micro_usd,
        context_tokens: context,
        context_tokens_max: window,
    };
    let mut counts = Vec::new();
    if let Some(models) = since.as_object() {
        let cost = models.values().filter_map(|model| model["costUSD"].as_f64()).sum();
        counts.push(count(UsageScope::Turn, Tokens::by_model(since), Some(micros(cost))));
    } else {
        counts.push(count(UsageScope::Turn, Tokens::of(&result["usage"]), None));
        let cost = result["total_cost_usd"].as_f64().unwrap_or_default();
        counts.push(count(UsageScope::Run, Tokens::by_model(&result["modelUsage"]), Some(micros(cost))));
    }
    counts.retain(|count| count.input_tokens > 0 || count.output_tokens > 0 || count.cost_micro_usd > Some(0));
    counts
}

/// Casts of floating point saturate, and what is no number is 0.
fn micros(dollars: f64) -> u64 {
    (dollars * 1e6).round() as u64
}
