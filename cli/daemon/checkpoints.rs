//! Checkpoints of projections and screens. Disposable: one that is missing, damaged or of another build costs time only.

use std::fs;
use std::path::PathBuf;

use ropewalk_projections::Projections;
use ropewalk_projections::screen::{Screen, ScreenState};
use ropewalk_protocol::{Seq, TerminalId, codec, limits};

use crate::paths::{Paths, write_private};

/// Changes whenever the screen's state does.
const SCREEN_VERSION: u8 = 1;

#[derive(Debug, Clone)]
pub(crate) struct Checkpoints(Place);

/// Where checkpoints are kept.
#[derive(Debug, Clone)]
enum Place {
    Directory(PathBuf),
    /// As long as the simulated machine lives.
    #[cfg(test)]
    Memory(std::sync::Arc<std::sync::Mutex<std::collections::BTreeMap<String, Vec<u8>>>>),
}

impl Checkpoints {
    pub(crate) fn new(paths: &Paths) -> Self {
        Self(Place::Directory(paths.checkpoints()))
    }

    /// Checkpoints of a simulated machine.
    #[cfg(test)]
    pub(super) fn in_memory() -> Self {
        Self(Place::Memory(std::sync::Arc::default()))
    }

    /// The projections up to some place not beyond the head.
    pub(crate) fn projections(&self, head: Seq) -> Projections {
        let Some(bytes) = self.read("projections") else {
            return Projections::default();
        };
        match Projections::from_checkpoint(&bytes) {
            Ok(projections) if projections.seq() <= head => projections,
            Ok(projections) => {
                tracing::warn!(seq = %projections.seq(), %head, "the checkpoint is of another log; the log is folded anew");
                Projections::default()
            }
            Err(error) => {
                tracing::warn!(%error, "the checkpoint cannot be used; the log is folded anew");
                Projections::default()
            }
        }
    }

    pub(super) fn keep_projections(&self, projections: &Projections) {
        self.write("projections", &projections.checkpoint());
    }

    fn screen_name(terminal: TerminalId) -> String {
        format!("screen-{terminal}")
    }

    /// A terminal's screen at some offset.
    pub(super) fn screen(&self, terminal: TerminalId) -> Option<Screen> {
        let bytes = self.read(&Self::screen_name(terminal))?;
        let (hash, rest) = bytes.split_at_checked(32)?;
        if blake3::hash(rest).as_bytes() != hash || rest.first() != Some(&SCREEN_VERSION) {
            return None;
        }
        let state: ScreenState = codec::decode(&rest[1..]).ok()?;
        Some(Screen::from_state(&state))
    }

    /// Keeps a screen, unless it is so large that drawing it anew from the log is the better way.
    pub(super) fn keep_screen(&self, terminal: TerminalId, screen: &Screen) {
        let mut bytes = vec![SCREEN_VERSION];
        codec::encode_into(&screen.state(), &mut bytes);
        if bytes.len() > limits::CODEC_BYTES_MAX {
            return;
        }
        let mut file = blake3::hash(&bytes).as_bytes().to_vec();
        file.append(&mut bytes);
        self.write(&Self::screen_name(terminal), &file);
    }

    fn read(&self, name: &str) -> Option<Vec<u8>> {
        match &self.0 {
            Place::Directory(directory) => fs::read(directory.join(name)).ok(),
            #[cfg(test)]
            Place::Memory(kept) => kept.lock().expect("no panic").get(name).cloned(),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let written = match &self.0 {
            Place::Directory(directory) => {
                fs::create_dir_all(directory).and_then(|()| write_private(&directory.join(name), bytes))
            }
            #[cfg(test)]
            Place::Memory(kept) => {
                kept.lock().expect("no panic").insert(name.to_owned(), bytes.to_vec());
                Ok(())
            }
        };
        if let Err(error) = written {
            tracing::warn!(%error, name, "a checkpoint could not be kept");
        }
    }
}
