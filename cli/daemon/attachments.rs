//! An attachment: a screen if asked for, then bytes, from memory when it is nearly caught up and from the log when not.

use std::sync::Arc;

use bytes::Bytes;
use ropewalk_actors::{Lane, LaneRead, Presence};
use ropewalk_kernel::log::Journal;
use ropewalk_kernel::{offload, watch};
use ropewalk_projections::screen::Screen;
use ropewalk_protocol::{AttachParams, Attached, Code, GapReason, Rejection, Size, TerminalId, limits};
use ropewalk_transport::{ByteSource, ByteStep};

use super::backend::Daemon;
use super::count::Counted;
use super::screens::Screens;

/// Bytes of one frame from memory: small enough that a keystroke's echo does not wait behind it for long.
const LIVE_BYTES: usize = 64 * 1024;
/// Bytes read from the log at a time.
const STORED_BYTES: usize = 256 * 1024;

pub(super) struct Attachment {
    terminal: TerminalId,
    journal: Journal,
    screens: Screens,
    presence: Option<Arc<Presence>>,
    moved: Option<watch::Receiver<u64>>,
    /// The offset of the next byte.
    at: u64,
    /// The client asked for the screen, not for every byte.
    screen_only: bool,
    scrollback: u32,
    /// The window that the client named when it attached.
    window: Option<Size>,
    /// The size that the terminal had when it was drawn, and whether that was another window's.
    shown: (Size, bool),
    snapshot: Option<Bytes>,
    /// The length of a closed terminal.
    closed_at: Option<u64>,
    ended: bool,
    _counted: Counted,
}

impl Daemon {
    pub(super) async fn attach_terminal(&self, params: AttachParams) -> Result<(Attached, Attachment), Rejection> {
        let AttachParams { terminal, after, size, view_only, scrollback } = params;
        let facts = self.read(|projections| projections.terminals().get(terminal).cloned());
        let facts = facts.ok_or_else(|| Rejection::not_found(format_args!("terminal {terminal}")))?;
        let presence = self.hands.attend(terminal, size.filter(|_| !view_only)).await.map(Arc::new);
        let lane = presence.as_ref().map(|presence| presence.lane().clone());
        let end = match &lane {
            Some(lane) => lane.end(),
            None => match facts.closed_at {
                Some(end) => end,
                None => self.stored_end(terminal).await?,
            },
        };
        // A client may have seen more than this daemon has yet: what a daemon before it showed comes again from the holder.
        let beyond = lane.as_ref().map_or(end, |lane| lane.promised_end());
        if let Some(after) = after.filter(|after| *after > beyond) {
            let message = format!("offset {after} is beyond the terminal's {beyond} bytes");
            return Err(Rejection::new(Code::CursorAhead, message));
        }
        let terminal_size = lane.as_ref().map_or(facts.size(), |lane| lane.size());
        let mut attachment = Attachment {
            terminal,
            journal: self.journal.clone(),
            screens: self.screens.clone(),
            moved: lane.as_ref().map(|lane| lane.moved()),
            presence,
            at: after.unwrap_or(end),
            screen_only: after.is_none(),
            scrollback,
            window: size,
            shown: (terminal_size, size.is_some_and(|own| own != terminal_size)),
            snapshot: None,
            closed_at: lane.is_none().then_some(end),
            ended: false,
            _counted: self.attachments.one(),
        };
        if after.is_none() {
            attachment.draw(scrollback).await?;
        }
        let attached = Attached {
            offset: attachment.at,
            end,
            size: terminal_size,
            snapshot: after.is_none(),
            closed_at: attachment.closed_at,
        };
        Ok((attached, attachment))
    }

    async fn stored_end(&self, terminal: TerminalId) -> Result<u64, Rejection> {
        let journal = self.journal.clone();
        let end = offload::blocking(move || journal.output_end(terminal)).await;
        Ok(end.map_err(|error| Rejection::new(Code::Internal, error.to_string()))??)
    }
}

impl Attachment {
    /// Takes the screen as it is now, as far as it fits the client's window; bytes go on from there.
    async fn draw(&mut self, scrollback: u32) -> Result<(), Rejection> {
        let (lines, window) = (scrollback as usize, self.client_window());
        let question = move |screen: &Screen| {
            let bytes = window.map_or_else(|| screen.restore(lines), |window| screen.restore_within(window, lines));
            (screen.offset(), bytes)
        };
        let (offset, bytes) = self.screens.ask(self.terminal, question).await?;
        self.at = offset;
        self.snapshot = Some(bytes.into());
        Ok(())
    }

    fn client_window(&self) -> Option<Size> {
        self.presence.as_ref().and_then(|presence| presence.window()).or(self.window)
    }

    /// Whether the terminal got a size that is not this client's, or has its own again: what the client shows is then laid
    /// out for another window. A client's own window drawing itself anew is the program's business.
    fn was_resized_by_another(&mut self) -> bool {
        let Some(size) = self.lane().map(|lane| lane.size()).filter(|size| *size != self.shown.0) else {
            return false;
        };
        let foreign = self.client_window().is_none_or(|own| own != size);
        let (_, was_foreign) = std::mem::replace(&mut self.shown, (size, foreign));
        // One that follows every byte and has no window does not look at a screen.
        (foreign || was_foreign) && (self.screen_only || self.window.is_some())
    }

    async fn stored(&mut self, bytes_max: usize) -> Result<ByteStep, Rejection> {
        let (journal, terminal, at) = (self.journal.clone(), self.terminal, self.at);
        // What comes to be stored while it is read is not missing.
        let stored_end = self.closed_at.or(self.lane().map(|lane| lane.stored_end())).unwrap_or(at);
        let page = offload::blocking(move || journal.output(terminal, at, bytes_max)).await;
        let page = page.map_err(|error| Rejection::new(Code::Internal, error.to_string()))??;
        if page.bytes.is_empty() {
            // Nothing readable follows: what the terminal had there is damaged, up to what memory has.
            return Ok(self.damaged(stored_end));
        }
        if page.offset > at {
            return Ok(self.damaged(page.offset));
        }
        Ok(self.output(page.bytes.into()))
    }

    /// What lies before this offset will not come.
    fn damaged(&mut self, to: u64) -> ByteStep {
        let from = std::mem::replace(&mut self.at, to);
        ByteStep::Gap { from, to, reason: GapReason::Damaged }
    }

    fn output(&mut self, bytes: Bytes) -> ByteStep {
        let offset = self.at;
        self.at += bytes.len() as u64;
        ByteStep::Output { offset, bytes }
    }

    fn lane(&self) -> Option<&Arc<Lane>> {
        self.presence.as_ref().map(|presence| presence.lane())
    }

    fn end(&mut self) -> ByteStep {
        self.ended = true;
        ByteStep::End { offset: self.at }
    }

    /// A client that wants the screen and is far behind gets a new screen instead of old bytes.
    async fn catch_up(&mut self) -> Result<Option<ByteStep>, Rejection> {
        let end = self.lane().map_or(0, |lane| lane.end());
        if !self.screen_only || end.saturating_sub(self.at) <= limits::ATTACH_LAG_BYTES_MAX {
            return Ok(None);
        }
        let from = self.at;
        self.draw(self.scrollback).await?;
        Ok(Some(ByteStep::Gap { from, to: self.at, reason: GapReason::Lagged }))
    }
}

impl ByteSource for Attachment {
    async fn next(&mut self) -> Result<ByteStep, Rejection> {
        loop {
            if let Some(bytes) = self.snapshot.take() {
                return Ok(ByteStep::Snapshot { offset: self.at, bytes });
            }
            if self.ended {
                std::future::pending::<()>().await;
            }
            if self.was_resized_by_another() {
                match self.draw(0).await {
                    Ok(()) => continue,
                    // The bytes go on all the same.
                    Err(rejection) => {
                        tracing::warn!(%rejection, terminal = %self.terminal, "a screen was not drawn anew")
                    }
                }
            }
            if let Some(gap) = self.catch_up().await? {
                return Ok(gap);
            }
            let Some(lane) = self.lane().cloned() else {
                return match self.closed_at {
                    Some(end) if self.at < end => self.stored(STORED_BYTES).await,
                    _ => Ok(self.end()),
                };
            };
            match lane.read(self.at, LIVE_BYTES) {
                LaneRead::Bytes(bytes) => return Ok(self.output(bytes)),
                LaneRead::Stored => return self.stored(STORED_BYTES).await,
                LaneRead::Lost(to) => return Ok(self.damaged(to)),
                LaneRead::End => return Ok(self.end()),
                LaneRead::Wait => {
                    if let Some(moved) = &mut self.moved
                        && moved.changed().await.is_err()
                    {
                        return Err(Rejection::new(Code::ShuttingDown, "the daemon stops"));
                    }
                }
            }
        }
    }

    fn presence(&self) -> impl Fn(Option<Size>) + Send + Sync + 'static {
        let presence = self.presence.clone();
        move |size| {
            if let Some(presence) = &presence {
                match size {
                    Some(size) => presence.resized(size),
                    None => presence.used(),
                }
            }
        }
    }
}
