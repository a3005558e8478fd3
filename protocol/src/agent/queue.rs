//! Where a prompt stands among those that wait: one rule, for whoever delivers them and for whoever shows them.

use super::Delivery;

impl Delivery {
    /// The place that a new prompt takes among those that wait, given theirs in order: 0 is the next one.
    ///
    /// What is to be delivered as soon as it can be stands before everything that waits for the end of a turn, and behind
    /// what was urgent before it.
    pub fn place(self, waiting: impl IntoIterator<Item = Delivery>) -> usize {
        let mut waiting = waiting.into_iter();
        match self {
            Delivery::AfterTurn => waiting.count(),
            Delivery::Steer | Delivery::Interrupt => {
                waiting.by_ref().take_while(|other| *other != Delivery::AfterTurn).count()
            }
        }
    }
}
