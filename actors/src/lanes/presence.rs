//! Who looks at a terminal, and how large their windows are.

use std::sync::Arc;

use ropewalk_protocol::{Size, TerminalId};

use super::lane::Lane;

/// A client's presence at a terminal; it leaves when dropped.
pub struct Presence {
    lane: Arc<Lane>,
    attachment: u64,
    resize: Arc<dyn Fn(TerminalId, Size) + Send + Sync>,
}

impl Presence {
    pub(crate) fn new(lane: Arc<Lane>, resize: Arc<dyn Fn(TerminalId, Size) + Send + Sync>) -> Self {
        let attachment = {
            let mut state = lane.lock();
            state.attached += 1;
            state.next_attachment += 1;
            state.next_attachment
        };
        Self { lane, attachment, resize }
    }

    /// The client's window has this size from the start; the size the terminal is to have now, if that is another one.
    pub(crate) fn arrived(&self, size: Size) -> Option<Size> {
        let mut state = self.lane.lock();
        let wanted = state.sizes.resized(self.attachment, size);
        wanted.filter(|wanted| *wanted != state.size)
    }

    /// The lane.
    pub fn lane(&self) -> &Arc<Lane> {
        &self.lane
    }

    /// The client's window, if it has a say in the terminal's size.
    pub fn window(&self) -> Option<Size> {
        self.lane.lock().sizes.of(self.attachment)
    }

    /// The client's window has this size now.
    pub fn resized(&self, size: Size) {
        let wanted = self.lane.lock().sizes.resized(self.attachment, size);
        self.want(wanted);
    }

    /// The client typed.
    pub fn used(&self) {
        let wanted = self.lane.lock().sizes.used(self.attachment);
        self.want(wanted);
    }

    fn want(&self, wanted: Option<Size>) {
        // Equal sizes are dropped here, so that nobody's attach makes a program redraw for nothing.
        if let Some(size) = wanted.filter(|size| *size != self.lane.size()) {
            (self.resize)(self.lane.id(), size);
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let wanted = {
            let mut state = self.lane.lock();
            state.attached -= 1;
            state.sizes.left(self.attachment)
        };
        self.want(wanted);
    }
}
