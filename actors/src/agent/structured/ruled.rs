//! Questions that rules answer.

use ropewalk_protocol::{Answer, Answered, AskKind, InteractionId, RuleApplied, RuleEffect};

use super::deciding::Deciding;
use crate::agent::rules;
use crate::providers::Observed;

impl Deciding<'_> {
    /// Answers a question that was just asked, if a rule says what to. Only what may be allowed at all is ruled on.
    pub(super) fn apply_rules(&mut self, interaction: InteractionId, asked: &Observed) -> bool {
        let Observed::Asked { kind: AskKind::Permission, wants, .. } = asked else { return false };
        let Some(rule) = rules::judge(&self.moment.around.rules, wants, &self.agent.directory).cloned() else {
            return false;
        };
        let answer = match rule.effect {
            RuleEffect::Allow => Answer::Allow { always: false },
            RuleEffect::Deny => Answer::Deny { reason: Some(format!("the rule “{rule}” forbids it")) },
            RuleEffect::Ask => return false,
        };
        self.emit(RuleApplied { interaction, rule });
        let input = self.next_input();
        self.emit(Answered { interaction, answer, input });
        true
    }
}
