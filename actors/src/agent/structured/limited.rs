//! Limits: what an agent may cost, what its model's server allows, and what becomes of one that reaches them. An agent that is
//! held is given no prompts.

use ropewalk_protocol::{
    AgentBudgetSet, BUDGET_WARN_PERCENT, Budget, BudgetScope, BudgetUse, BudgetWarned, Code, Delivery, EventBody, Held,
    HoldReason, ItemId, Looped, Measure, NoticeKind, OnLimit, OnLoop, PromptId, PromptQueued, Rejection, Released,
    Timestamp, TurnOutcome, day_of, limits, next_day,
};
use serde::{Deserialize, Serialize};

use super::deciding::Deciding;
use super::{Call, Structured};

/// What an agent is told once the limit is over by which its turn failed.
const GO_ON: &str =
    "Your last turn was cut short: the model's server refused more for a while. Go on where you stopped.";

/// Time that is shared is not looked at more often than this, in milliseconds.
const LOOK_AGAIN_MILLIS: u64 = 1000;

/// That a budget runs out was told, once for each bound of each day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Warned {
    scope: BudgetScope,
    measure: Measure,
    limit: u64,
    day: u64,
}

impl Warned {
    fn of(budget: &BudgetUse, now: Timestamp) -> Self {
        let day = if budget.scope == BudgetScope::Day { day_of(now) } else { 0 };
        Self { scope: budget.scope, measure: budget.measure, limit: budget.limit, day }
    }
}

/// What the model's server refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Limited {
    /// What the agent said of it in this turn, and until when, if it told. It has done nothing since.
    said: Option<(String, Option<Timestamp>)>,
    /// How often in a row a turn failed by it.
    pauses: u32,
}

impl Structured {
    /// Every bound that holds for it, and how far it is.
    fn uses(&self, deciding: &Deciding<'_>) -> Vec<BudgetUse> {
        let (now, around) = (deciding.now(), &deciding.moment.around);
        let own = self.terms.budget.uses(BudgetScope::Agent, self.spending.total(now));
        let session = around.session_others.plus(self.spending.total(now));
        let day = around.day_others.plus(self.spending.today(now));
        let session = around.session_budget.uses(BudgetScope::Session, session);
        own.chain(session).chain(around.day_budget.uses(BudgetScope::Day, day)).collect()
    }

    /// When the time of its own budget runs out and when it is over, if a turn is open that uses it up.
    pub(super) fn time_is_up_at(&self) -> impl Iterator<Item = Timestamp> + use<> {
        let open = self.spending.open_since().zip(self.terms.budget.time_millis);
        let of = open.map(|(began, limit)| (began, limit, self.spending.total(began).time_millis));
        [BUDGET_WARN_PERCENT, 100].into_iter().filter_map(move |percent| {
            let (began, limit, spent) = of?;
            // Rounded up: a moment earlier it would not run out yet.
            let bound = limit.saturating_mul(percent).div_ceil(100);
            Some(began.plus_millis(bound.saturating_sub(spent)))
        })
    }

    pub(super) fn apply_to_limits(&mut self, at: Timestamp, body: &EventBody) {
        match body {
            EventBody::AgentBudgetSet(set) => {
                self.terms.budget = set.budget;
                self.warned.retain(|warned| warned.scope != BudgetScope::Agent);
            }
            EventBody::BudgetWarned(warned) => {
                let budget = warned.budget;
                self.warned.retain(|known| (known.scope, known.measure) != (budget.scope, budget.measure));
                self.warned.push(Warned::of(&budget, at));
            }
            EventBody::Held(held) => {
                if matches!(held.reason, HoldReason::RateLimited { .. }) {
                    self.limited.pauses = self.limited.pauses.saturating_add(1);
                }
                self.held = Some(held.clone());
            }
            EventBody::Released(_) => {
                self.held = None;
                self.rounds.clear();
            }
            EventBody::Noticed(noticed) if noticed.kind == NoticeKind::RateLimited && self.turn.is_some() => {
                self.limited.said = Some((noticed.text.clone(), noticed.until));
            }
            EventBody::ItemStarted(_) => self.limited.said = None,
            EventBody::ItemChanged(changed) => {
                if let Some(call) = self.call_of(changed.item) {
                    call.changed(changed);
                }
            }
            EventBody::ItemText(text) => {
                if let Some(call) = self.call_of(text.item) {
                    call.gave(&text.text, text.first);
                }
            }
            EventBody::TurnStarted(_) => {
                self.limited.said = None;
                self.rounds.clear();
            }
            EventBody::TurnEnded(ended) => {
                self.limited.said = None;
                if ended.outcome == TurnOutcome::Completed {
                    self.limited.pauses = 0;
                }
                let is_unknown = matches!(ended.outcome, TurnOutcome::Interrupted { .. });
                self.interrupted = is_unknown.then_some(ended.turn);
            }
            EventBody::TurnSettled(_) => self.interrupted = None,
            EventBody::AgentClosed(_) => self.held = None,
            _ => {}
        }
    }

    fn call_of(&mut self, item: ItemId) -> Option<&mut Call> {
        self.items.iter_mut().find(|open| open.id == item).and_then(|open| open.call.as_mut())
    }
}

impl Deciding<'_> {
    /// The bound that keeps it from a turn, if one does. The turn that it has may use its last one up.
    fn spent(&self) -> Option<BudgetUse> {
        // A turn that the agent began by itself is not the last one of a budget: nobody counted on it.
        let is_given = self.agent.turn.as_ref().is_some_and(|turn| turn.input > 0);
        let spent = |budget: &BudgetUse| budget.is_spent() && !(is_given && budget.measure == Measure::Turns);
        self.agent.uses(self).into_iter().find(spent)
    }

    fn hold_for(&mut self, spent: BudgetUse) {
        let until = (spent.scope == BudgetScope::Day).then(|| next_day(self.now()));
        self.emit(Held { reason: HoldReason::Budget(spent), until });
    }

    /// Whether it may be given a prompt. One that may not is held.
    pub(super) fn may_go_on(&mut self) -> bool {
        if self.agent.held.is_none()
            && let Some(spent) = self.spent()
        {
            self.hold_for(spent);
        }
        self.agent.held.is_none()
    }

    /// Tells of budgets that run out, and stops what is beyond one.
    pub(super) fn check_budgets(&mut self) {
        if self.agent.closing || self.agent.closed {
            return;
        }
        let spent = self.spent();
        let is_told =
            |agent: &Structured| matches!(agent.held.as_ref().map(|held| &held.reason), Some(HoldReason::Budget(_)));
        let now = self.now();
        for budget in self.agent.uses(self) {
            let warned = Warned::of(&budget, now);
            if !is_told(&self.agent) && budget.runs_out() && !self.agent.warned.contains(&warned) {
                self.emit(BudgetWarned { budget });
            }
        }
        if let Some(spent) = spent {
            // Whoever held it for another reason still has to let it go.
            if self.agent.held.is_none() {
                self.hold_for(spent);
            }
            self.cancel(&spent.to_string());
        }
    }

    /// A turn has failed: by the model's server, which allows more at another time?
    pub(super) fn check_limit(&mut self, said: Option<(String, Option<Timestamp>)>) {
        let Some((text, until)) = said else { return };
        if self.agent.held.is_some() || self.agent.closing {
            return;
        }
        let pause = limits::LIMIT_PAUSE_MILLIS << self.agent.limited.pauses.min(16);
        let pause = pause.min(limits::LIMIT_PAUSE_MILLIS_MAX);
        let until = until.filter(|until| *until > self.now()).unwrap_or_else(|| self.now().plus_millis(pause));
        self.emit(Held { reason: HoldReason::RateLimited { text }, until: Some(until) });
        if self.agent.terms.on_limit == OnLimit::GoOn && self.agent.queue.len() < limits::PROMPTS_QUEUED_MAX {
            let prompt = PromptId::from_bytes(self.mint());
            self.emit(PromptQueued { prompt, text: GO_ON.to_owned(), delivery: Delivery::Steer });
        }
    }

    /// When the time that it shares with others is to be looked at: half way to where it runs out or is over, since others may
    /// use it up as well.
    pub(super) fn look_again(&self) -> Option<Timestamp> {
        self.agent.turn.as_ref()?;
        let shared = |of: &BudgetUse| of.scope != BudgetScope::Agent && of.measure == Measure::Time;
        let left = self.agent.uses(self).into_iter().filter(shared).flat_map(|of| {
            [BUDGET_WARN_PERCENT, 100]
                .map(|percent| of.limit.saturating_mul(percent).div_ceil(100).saturating_sub(of.spent))
        });
        let left = left.filter(|left| *left > 0).min()?;
        Some(self.now().plus_millis(left.div_ceil(2).max(LOOK_AGAIN_MILLIS).min(left)))
    }

    /// What the agent said in this turn of a limit, if it has done nothing since.
    pub(super) fn limit_said(&self) -> Option<(String, Option<Timestamp>)> {
        self.agent.limited.said.clone()
    }

    /// A tool's call has ended: was it one of the same too many?
    pub(super) fn check_rounds(&mut self, title: String) {
        if self.agent.terms.on_loop == OnLoop::Ignore {
            return;
        }
        let Some(items) = self.agent.rounds.closed().map(<[_]>::to_vec) else { return };
        self.emit(Looped { items: items.clone(), title });
        if self.agent.terms.on_loop == OnLoop::Hold && self.agent.held.is_none() {
            let reason = HoldReason::Loop { items };
            let why = reason.to_string();
            self.emit(Held { reason, until: None });
            self.cancel(&why);
        }
    }

    /// Somebody wants it to get no more prompts.
    pub(super) fn hold(&mut self) -> Result<(), Rejection> {
        self.is_open()?;
        if !self.agent.held.as_ref().is_some_and(|held| held.reason == HoldReason::Asked {}) {
            self.emit(Held { reason: HoldReason::Asked {}, until: None });
        }
        Ok(())
    }

    /// Somebody wants it to go on.
    pub(super) fn release(&mut self) -> Result<(), Rejection> {
        self.is_open()?;
        if self.agent.held.is_none() {
            return Err(Rejection::new(Code::InputRefused, "the agent is not held")
                .hint("`ropewalk agents` shows what an agent is doing."));
        }
        if let Some(spent) = self.spent() {
            let hint = "Give it more with `ropewalk budget`, then it goes on by itself.";
            return Err(Rejection::new(Code::BudgetSpent, spent.to_string()).hint(hint));
        }
        self.emit(Released {});
        self.go_on(true);
        Ok(())
    }

    pub(super) fn set_budget(&mut self, budget: Budget) -> Result<(), Rejection> {
        self.is_open()?;
        self.emit(AgentBudgetSet { budget });
        self.reconsider();
        Ok(())
    }

    /// What holds it may be over, and what it may cost may be spent.
    pub(super) fn reconsider(&mut self) {
        if let Some(Held { reason: HoldReason::Budget(was), until }) = self.agent.held.clone()
            && let Some(spent) = self.spent()
            && ((spent.scope, spent.measure) != (was.scope, was.measure)
                || until.is_some_and(|until| until <= self.now()))
        {
            // It is held for something else by now, and until another time.
            self.hold_for(spent);
        }
        let is_over = self.agent.held.as_ref().is_some_and(|held| match &held.reason {
            HoldReason::Budget(_) => self.spent().is_none(),
            HoldReason::RateLimited { .. } => held.until.is_some_and(|until| until <= self.now()),
            HoldReason::Asked {} | HoldReason::Loop { .. } => false,
        });
        if is_over {
            self.emit(Released {});
            self.go_on(true);
        }
        self.check_budgets();
    }
}
