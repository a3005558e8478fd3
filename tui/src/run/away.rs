//! The terminal is somebody else's for a while: the shell's, while the client is stopped, or an editor's.

use std::io;
use std::time::Duration;

use super::{Client, RunError};
use crate::app::event::Event;
use crate::app::place::Target;
use crate::input::Decoder;
use crate::shell::{Editor, EditorEnd, window_size};
use crate::store::Editing;

/// An editor that has the terminal, what it edits, and whose prompt that is.
pub(super) struct OpenEditor {
    editor: Editor,
    editing: Editing,
    target: Target,
}

impl Client {
    /// Gives the terminal away for a while.
    async fn give_away(&mut self) {
        self.keyboard.pause();
        tokio::time::timeout(Duration::from_millis(500), self.writer.idle()).await.ok();
        self.terminal.pause();
    }

    /// Takes the terminal back.
    pub(super) fn back(&mut self) -> Result<(), RunError> {
        if self.editor.is_some() {
            return Ok(());
        }
        self.terminal.again()?;
        // These are what it is taken with; what is wanted now follows.
        self.outer = self.entered;
        self.decoder = Decoder::default();
        self.keyboard.resume();
        self.redraw();
        if let Some(size) = window_size() {
            self.canvas.resize(size);
            self.inbox.push_back(Event::Resized(size));
        }
        Ok(())
    }

    pub(super) async fn suspend(&mut self) -> Result<(), RunError> {
        self.give_away().await;
        // That it goes on is a signal too, and takes the terminal back.
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP)
            .map_err(io::Error::from)?;
        Ok(())
    }

    pub(super) async fn edit(&mut self, target: Target, text: &str) -> Result<(), RunError> {
        let Ok(mut editing) = self.store.edit(self.state.draft_key(target), text.to_owned()) else {
            self.inbox.push_back(Event::Edited(target, None));
            return Ok(());
        };
        self.give_away().await;
        match Editor::prepare(&editing.file()) {
            Ok(mut editor) => {
                // Before it begins, as the next client takes the text from an editor that it does not know. If it cannot be
                // written down, the person has the editor all the same.
                let known = editor.process().map_or(Ok(()), |process| editing.is_open_in(process));
                if let Err(error) = known {
                    tracing::warn!(%error, "the editor's process is not written down");
                }
                editor.begin();
                self.editor = Some(OpenEditor { editor, editing, target });
            }
            Err(_) => {
                editing.end();
                self.back()?;
                self.inbox.push_back(Event::Edited(target, None));
            }
        }
        Ok(())
    }

    pub(super) fn edited(&mut self, how: EditorEnd) -> Result<(), RunError> {
        let Some(OpenEditor { editing, target, .. }) = self.editor.take() else { return Ok(()) };
        let text = if how == EditorEnd::Refused { None } else { editing.text() };
        if let Some(text) = &text {
            // The draft is there before the file is gone.
            if let Err(error) = self.store.keep_edited(&editing, text) {
                tracing::warn!(%error, "what was edited could not be kept");
            } else {
                editing.end();
            }
        } else if how == EditorEnd::Refused {
            editing.end();
        }
        self.inbox.push_back(Event::Edited(target, text));
        self.back()
    }
}

/// Waits until the editor ends, if one is open.
pub(super) async fn ended(editor: &mut Option<OpenEditor>) -> EditorEnd {
    match editor {
        Some(open) => open.editor.ended().await,
        None => std::future::pending().await,
    }
}
