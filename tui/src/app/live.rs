//! A program's terminal, as far as it is known here.

use ropewalk_projections::screen::Screen;
use ropewalk_protocol::{Attached, Size, TerminalId};
use ropewalk_transport::client::AttachmentItem;

/// A program's terminal.
pub struct Live {
    /// It.
    pub terminal: TerminalId,
    /// What it shows.
    pub screen: Screen,
    /// Something has come.
    pub is_known: bool,
    /// A snapshot has begun and is not complete.
    in_snapshot: bool,
    /// The connection is cut; what is shown may be old.
    pub is_cut: bool,
    /// How many bytes it has in all, once it is closed.
    pub closed_at: Option<u64>,
    /// Why nothing more comes.
    pub failed: Option<String>,
    /// Lines scrolled back; 0 is what is live.
    pub back: usize,
}

impl Live {
    /// One of which nothing is known, of this size.
    pub fn new(terminal: TerminalId, size: Size) -> Self {
        Self {
            terminal,
            screen: Screen::new(size),
            is_known: false,
            in_snapshot: false,
            is_cut: false,
            closed_at: None,
            failed: None,
            back: 0,
        }
    }

    /// It is attached to: a screen follows.
    pub fn attached(&mut self, attached: &Attached) {
        self.screen = Screen::new(attached.size);
        (self.in_snapshot, self.is_cut) = (false, false);
        self.closed_at = attached.closed_at;
    }

    /// Takes in what came.
    pub fn apply(&mut self, item: AttachmentItem) {
        match item {
            AttachmentItem::Snapshot { bytes, last, .. } => {
                if !self.in_snapshot {
                    self.screen = Screen::new(self.screen.size());
                }
                self.screen.feed(&bytes);
                self.in_snapshot = !last;
                (self.is_known, self.is_cut) = (true, false);
            }
            AttachmentItem::Output { bytes, .. } => {
                let kept = self.screen.scrollback_len();
                self.screen.feed(&bytes);
                if self.back > 0 {
                    // What is read stays where it is while lines leave the screen below it.
                    self.back += self.screen.scrollback_len().saturating_sub(kept);
                }
                (self.is_known, self.is_cut) = (true, false);
            }
            AttachmentItem::Gap { .. } => self.is_cut = false,
            AttachmentItem::End(offset) => self.closed_at = Some(offset),
            AttachmentItem::Cut => self.is_cut = true,
            AttachmentItem::Failed(rejection) => self.failed = Some(rejection.message),
            AttachmentItem::Written(_) => {}
        }
    }

    /// The terminal has another size.
    pub fn resize(&mut self, size: Size) {
        if self.screen.size() != size {
            self.screen.resize(size);
        }
    }

    /// Scrolls by so many lines, up if negative.
    pub fn scroll(&mut self, lines: i64) {
        let count = usize::try_from(lines.unsigned_abs()).unwrap_or(usize::MAX);
        self.back = if lines < 0 {
            self.back.saturating_add(count).min(self.screen.scrollback_len())
        } else {
            self.back.saturating_sub(count)
        };
    }
}
