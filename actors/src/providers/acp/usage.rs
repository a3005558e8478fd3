//! What turns cost, out of what each agent counts. Pure.

use ropewalk_protocol::{Usage, UsageScope};
use serde_json::Value;

/// The meter of one conversation in one process.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// The cost of the conversation so far, as the agent counts it.
    cost: Option<u64>,
    /// Of that, before the open turn; `None`: nobody knows.
    cost_before: Option<u64>,
    context: Option<u64>,
    context_max: Option<u64>,
    /// What was told last of the open turn.
    told: Option<Usage>,
}

impl Meter {
    /// The conversation is open. What a loaded one has cost before is part of some agents' counts and not of others'.
    pub(crate) fn begin(&mut self, loaded: bool) {
        self.cost_before = if loaded { self.cost } else { Some(0) };
    }

    /// Takes a `usage_update` in.
    pub(crate) fn update(&mut self, update: &Value) {
        self.context = update["used"].as_u64().or(self.context);
        self.context_max = update["size"].as_u64().or(self.context_max);
        let cost = &update["cost"];
        if let (Some(amount), Some("USD")) = (cost["amount"].as_f64(), cost["currency"].as_str()) {
            // Out of range, and what is not a number, saturates.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let micro = (amount * 1e6).round() as u64;
            self.cost = Some(micro);
        }
    }

    /// What the open turn cost so far, if that is news.
    pub(crate) fn so_far(&mut self) -> Option<Usage> {
        let usage = self.usage(UsageScope::Turn, Tokens::default());
        let is_news = self.told.as_ref() != Some(&usage);
        self.told = Some(usage.clone());
        is_news.then_some(usage)
    }

    /// The turn has ended with this reply. `running`: the agent counts over the whole conversation.
    pub(crate) fn turn_ended(&mut self, reply: &Value, running: bool) -> Option<Usage> {
        let quota = &reply["_meta"]["quota"]["token_count"];
        let tokens = Tokens::of(&reply["usage"]).or_else(|| {
            let input = quota["input_tokens"].as_u64()?;
            Some(Tokens { input, cached: 0, output: quota["output_tokens"].as_u64()? })
        });
        let scope = if running { UsageScope::Total } else { UsageScope::Turn };
        let usage = tokens.filter(|tokens| *tokens != Tokens::default()).map(|tokens| self.usage(scope, tokens));
        self.cost_before = self.cost.or(self.cost_before);
        self.told = None;
        usage
    }

    /// What one call of the model cost, where an agent tells that with a message.
    pub(crate) fn call(update: &Value) -> Option<Usage> {
        let tokens = Tokens::of(&update["_meta"]["usage"])?;
        let empty = Self::default();
        Some(empty.usage(UsageScope::Call, tokens))
    }

    fn usage(&self, scope: UsageScope, tokens: Tokens) -> Usage {
        let spent = self.cost.zip(self.cost_before).map(|(cost, before)| cost.saturating_sub(before));
        Usage {
            scope,
            input_tokens: tokens.input,
            cached_tokens: tokens.cached,
            output_tokens: tokens.output,
            // The cost of a turn has no place beside tokens of the whole conversation.
            cost_micro_usd: spent.filter(|_| scope == UsageScope::Turn),
            context_tokens: self.context,
            context_tokens_max: self.context_max,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tokens {
    input: u64,
    cached: u64,
    output: u64,
}

impl Tokens {
    /// Out of counts that agents understand differently: cached tokens are part of the input or beside it, thinking is part
    /// of the output or beside it. Their total says which.
    fn of(usage: &Value) -> Option<Self> {
        let count = |name: &str| usage[name].as_u64().unwrap_or_default();
        let (input, output) = (usage["inputTokens"].as_u64()?, usage["outputTokens"].as_u64()?);
        let (read, thought) = (count("cachedReadTokens"), count("thoughtTokens"));
        let beside = read.saturating_add(count("cachedWriteTokens"));
        let readings = [(beside, 0), (beside, thought), (0, 0), (0, thought)];
        let readings = readings.map(|(cached, thought)| (input.saturating_add(cached), output.saturating_add(thought)));
        let total = usage["totalTokens"].as_u64();
        let fits = |(input, output): &(u64, u64)| total == Some(input.saturating_add(*output));
        let (input, output) = readings.into_iter().find(fits).unwrap_or(readings[0]);
        Some(Tokens { input, cached: read, output })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tokens(usage: &Value) -> (u64, u64, u64) {
        let tokens = Tokens::of(usage).expect("counts");
        (tokens.input, tokens.cached, tokens.output)
    }

    #[test]
    fn the_total_says_what_is_part_of_what() {
        let claude =
            json!({"inputTokens":100,"outputTokens":50,"cachedReadTokens":20,"cachedWriteTokens":10,"totalTokens":180});
        assert_eq!(tokens(&claude), (130, 20, 50));
        let codex = json!({"totalTokens":150,"inputTokens":80,"cachedReadTokens":20,"cachedWriteTokens":0,"outputTokens":50,
            "thoughtTokens":5});
        assert_eq!(tokens(&codex), (100, 20, 50));
        let opencode =
            json!({"inputTokens":80,"outputTokens":45,"totalTokens":150,"thoughtTokens":5,"cachedReadTokens":20});
        assert_eq!(tokens(&opencode), (100, 20, 50));
        let vibe = json!({"totalTokens":300,"inputTokens":200,"outputTokens":100,"cachedReadTokens":40});
        assert_eq!(tokens(&vibe), (200, 40, 100));
        let huge = json!({"inputTokens":u64::MAX,"outputTokens":u64::MAX,"cachedReadTokens":u64::MAX});
        assert_eq!(tokens(&huge), (u64::MAX, u64::MAX, u64::MAX));
        assert_eq!(Tokens::of(&json!({"inputTokens":-1,"outputTokens":"x"})), None);
    }

    #[test]
    fn a_cost_over_the_conversation_becomes_that_of_the_turn() {
        let cost = |amount: f64| json!({"used":1,"size":2,"cost":{"amount":amount,"currency":"USD"}});
        let mut meter = Meter::default();
        meter.begin(false);
        meter.update(&cost(0.001));
        assert_eq!(meter.so_far().and_then(|usage| usage.cost_micro_usd), Some(1000));
        assert_eq!(meter.so_far(), None, "no news");
        assert_eq!(meter.turn_ended(&Value::Null, false), None);
        meter.update(&cost(0.0025));
        assert_eq!(meter.so_far().and_then(|usage| usage.cost_micro_usd), Some(1500));
        let mut meter = Meter::default();
        meter.begin(true);
        meter.update(&cost(7.0));
        assert_eq!(
            meter.so_far().and_then(|usage| usage.cost_micro_usd),
            None,
            "which part is the history's is not known"
        );
        meter.turn_ended(&Value::Null, false);
        meter.update(&cost(7.5));
        assert_eq!(meter.so_far().and_then(|usage| usage.cost_micro_usd), Some(500_000));
        meter.update(&cost(-1.0));
        meter.update(&cost(f64::MAX));
        assert!(meter.so_far().is_some());
    }
}
