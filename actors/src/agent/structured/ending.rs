//! Ends: of a turn, of a process, of the agent. Whatever is open gets an end of its own.

use ropewalk_protocol::{
    AgentCloseAsked, AgentClosed, AskClosed, AskEnd, Delivery, InteractionId, ItemEnded, ItemId, ItemStatus,
    NoticeKind, Noticed, PromptQueued, RunEnded, RunFailed, RunId, RunOutcome, TurnEnded, TurnOutcome, TurnStarted,
    limits,
};

use super::Steered;
use super::deciding::{Deciding, turn_of};
use crate::providers::{Outgoing, cut};

/// What to do about a program that ends before it takes a prompt.
const TOO_OLD: &str =
    "; `ropewalk doctor` says whether the program is another version than is known to work, and how to get it";

/// As much of a prompt as it is known by.
const BEGINNING_BYTES_MAX: usize = 80;

impl Deciding<'_> {
    /// Settles the open turn, and before it all that is open in it.
    pub(super) fn end_turn(&mut self, outcome: TurnOutcome, asks: AskEnd) {
        let Some(turn) = &self.agent.turn else { return };
        let (turn, cancelling) = (turn.id, turn.cancelling);
        // Some agents call a turn complete, or failed, that was cancelled.
        let outcome = if cancelling { TurnOutcome::Cancelled } else { within(outcome) };
        let status = if outcome == TurnOutcome::Cancelled { ItemStatus::Cancelled } else { ItemStatus::Orphaned };
        self.close_all(status, asks);
        let limit = self.limit_said().filter(|_| matches!(outcome, TurnOutcome::Failed { .. }));
        self.emit(TurnEnded { turn, outcome });
        self.check_limit(limit);
    }

    fn close_all(&mut self, status: ItemStatus, asks: AskEnd) {
        let open: Vec<InteractionId> = self.agent.asks.iter().map(|ask| ask.id).collect();
        for interaction in open {
            self.emit(AskClosed { interaction, reason: asks, input: 0 });
        }
        let open: Vec<ItemId> = self.agent.items.iter().map(|item| item.id).collect();
        for item in open {
            self.emit(ItemEnded { item, status });
        }
    }

    /// The process will not take the prompt that is next: it gets its end without having been given to anyone.
    pub(super) fn fail_next(&mut self, reason: &str) {
        if self.agent.turn.is_some() {
            return;
        }
        let Some(prompt) = self.agent.queue.front().map(|waiting| waiting.prompt) else { return };
        let (turn, run) = (turn_of(prompt), self.agent.life.run);
        self.emit(TurnStarted { turn, prompt: Some(prompt), run, input: 0 });
        self.emit(TurnEnded { turn, outcome: TurnOutcome::Failed { reason: reason.to_owned() } });
    }

    /// The process could not be started.
    pub(super) fn spawn_failed(&mut self, run: RunId, reason: &str, is_final: bool) {
        if self.agent.life.run != run || !self.agent.life.is_open() {
            return;
        }
        self.emit(RunFailed { run, reason: reason.to_owned() });
        if is_final {
            self.fail_next(&format!("the agent could not be started: {reason}"));
        }
        self.close_if_asked();
    }

    /// The process is gone, and all that it wrote is taken in.
    pub(super) fn gone(&mut self, run: RunId, outcome: &RunOutcome, offset: u64, last_words: &str) {
        let life = &self.agent.life;
        if life.run != run || !life.is_open() {
            return;
        }
        let (was_ready, was_refused) = (life.is_ready, life.is_refused);
        let said = if last_words.is_empty() { String::new() } else { format!(": {last_words}") };
        let nobody_saw = matches!(outcome, RunOutcome::Interrupted { .. });
        let had_turn = self.agent.turn.is_some();
        // Somebody wanted that end: what they said since, or before, is not for nobody.
        let was_cancelled = self.agent.is_cancelling() || life.is_ending;
        // What did not even take a prompt may not know how it is spoken to.
        let gave_up = matches!(outcome, RunOutcome::Exited { code } if *code != 0);
        let remedy = if gave_up { TOO_OLD } else { "" };
        if let Some(turn) = &self.agent.turn {
            let known = if turn.confirmed {
                "it had the prompt"
            } else if turn.input > 0 && self.agent.life.consumed.written >= turn.input {
                "the prompt was written to it"
            } else if nobody_saw {
                "whether it had the prompt is not known"
            } else {
                "it did not show that it had the prompt"
            };
            let remedy = if turn.confirmed { "" } else { remedy };
            let reason = format!("the agent {outcome}{said}; {known}{remedy}");
            self.end_turn(TurnOutcome::Interrupted { reason }, AskEnd::AgentGone);
        }
        self.close_all(ItemStatus::Orphaned, AskEnd::AgentGone);
        self.queue_again();
        self.emit(RunEnded { run, outcome: outcome.clone(), offset });
        if !was_ready && !had_turn && !was_refused && !nobody_saw {
            self.fail_next(&format!("the agent {outcome} before it took a prompt{said}{remedy}"));
        }
        self.close_if_asked();
        // The process never had the prompts that wait. One that was lost with its machine is started again for them; one
        // that ended by itself is not: it might do so for ever.
        self.go_on(
            nobody_saw || was_cancelled || was_ready && outcome == &(RunOutcome::Exited { code: 0 }) && !had_turn,
        );
    }

    /// Of prompts that were to go into the turn, those that were never written wait again. Whether the agent took the others
    /// nobody will tell any more: they are not said again by themselves.
    fn queue_again(&mut self) {
        let written = self.agent.life.consumed.written;
        let unwritten = self.agent.life.outbox.iter().filter(|(number, _)| *number > written);
        let unwritten: Vec<&str> = unwritten
            .filter_map(|(_, outgoing)| match outgoing {
                Outgoing::Steer { prompt, .. } => Some(prompt.as_str()),
                _ => None,
            })
            .collect();
        let (waits, unknown): (Vec<Steered>, Vec<Steered>) = self
            .agent
            .steered
            .iter()
            .cloned()
            .partition(|steered| unwritten.contains(&steered.prompt.to_string().as_str()));
        for Steered { prompt, text, .. } in waits {
            self.emit(PromptQueued { prompt, text, delivery: Delivery::AfterTurn });
        }
        for Steered { text, .. } in unknown {
            let begins = cut(text.lines().next().unwrap_or_default(), BEGINNING_BYTES_MAX);
            let text = format!("whether the agent took the prompt “{begins}” into its turn is not known");
            self.emit(Noticed { kind: NoticeKind::Warning, text, until: None });
        }
    }

    /// It is to take no more prompts, and to end.
    pub(super) fn close(&mut self) {
        if self.agent.closing || self.agent.closed {
            return;
        }
        self.emit(AgentCloseAsked {});
        self.close_if_asked();
    }

    fn close_if_asked(&mut self) {
        if self.agent.closing && !self.agent.closed && !self.agent.life.is_open() {
            self.emit(AgentClosed { reason: "it was asked to end".to_owned() });
        }
    }
}

/// An outcome whose reason fits into an event.
pub(super) fn within(outcome: TurnOutcome) -> TurnOutcome {
    let cut = |reason: String| cut(&reason, limits::ITEM_PIECE_BYTES_MAX).to_owned();
    match outcome {
        TurnOutcome::Failed { reason } => TurnOutcome::Failed { reason: cut(reason) },
        TurnOutcome::Interrupted { reason } => TurnOutcome::Interrupted { reason: cut(reason) },
        other => other,
    }
}
