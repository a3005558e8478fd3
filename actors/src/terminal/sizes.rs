//! Whose size a terminal has when several clients look at it: the one used last.

use std::collections::BTreeMap;

use ropewalk_protocol::Size;

/// The attachments of one terminal that have a say in its size.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    turn: u64,
    attachments: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    size: Size,
    used: u64,
}

impl Sizes {
    /// An attachment has this window now, which counts as use. Returns the size the terminal is to have.
    pub(crate) fn resized(&mut self, attachment: u64, size: Size) -> Option<Size> {
        self.turn += 1;
        self.attachments.insert(attachment, Entry { size, used: self.turn });
        self.latest()
    }

    /// An attachment was typed into. Returns the size the terminal is to have, if the attachment has a window at all.
    pub(crate) fn used(&mut self, attachment: u64) -> Option<Size> {
        self.turn += 1;
        let entry = self.attachments.get_mut(&attachment)?;
        entry.used = self.turn;
        Some(entry.size)
    }

    /// An attachment is gone. Returns the size of the one used last among those left.
    pub(crate) fn left(&mut self, attachment: u64) -> Option<Size> {
        self.attachments.remove(&attachment)?;
        self.latest()
    }

    /// The window that an attachment has.
    pub(crate) fn of(&self, attachment: u64) -> Option<Size> {
        self.attachments.get(&attachment).map(|entry| entry.size)
    }

    fn latest(&self) -> Option<Size> {
        self.attachments.values().max_by_key(|entry| entry.used).map(|entry| entry.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Size = Size { cols: 80, rows: 24 };
    const LARGE: Size = Size { cols: 200, rows: 50 };

    #[test]
    fn the_window_that_was_used_last_decides() {
        let mut sizes = Sizes::default();
        assert_eq!(sizes.resized(1, LARGE), Some(LARGE));
        assert_eq!(sizes.resized(2, SMALL), Some(SMALL));
        assert_eq!(sizes.used(1), Some(LARGE));
    }

    #[test]
    fn when_the_window_used_last_leaves_the_one_before_it_decides() {
        let mut sizes = Sizes::default();
        sizes.resized(1, LARGE);
        sizes.resized(2, SMALL);
        assert_eq!(sizes.left(2), Some(LARGE));
        assert_eq!(sizes.left(1), None);
    }

    #[test]
    fn an_attachment_without_a_window_has_no_say() {
        let mut sizes = Sizes::default();
        sizes.resized(1, LARGE);
        assert_eq!(sizes.used(7), None);
        assert_eq!(sizes.left(7), None);
    }
}
