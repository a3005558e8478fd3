//! Binary frames carry terminal bytes, both ways: `u8 kind | 16 B terminal id | u64 LE offset or input id | bytes`.

use bytes::{BufMut, Bytes, BytesMut};

use crate::TerminalId;

/// What a binary frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum TerminalFrameKind {
    /// To the client: output; the number is the offset of its first byte.
    Output = 1,
    /// To the daemon: input; the number is the client's input id, rising by any step.
    Input = 2,
    /// To the client: input with this id was written to the terminal. No bytes.
    InputWritten = 3,
    /// To the client: escape sequences that draw the screen as it is at this offset, from a cleared terminal.
    Snapshot = 4,
    /// To the client: more of the snapshot follows in the next frame of this kind; the last one is `Snapshot`.
    SnapshotPart = 5,
}

impl TerminalFrameKind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Output,
            2 => Self::Input,
            3 => Self::InputWritten,
            4 => Self::Snapshot,
            5 => Self::SnapshotPart,
            _ => return None,
        })
    }
}

/// A binary frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerminalFrame {
    /// What it carries.
    pub kind: TerminalFrameKind,
    /// The terminal.
    pub terminal: TerminalId,
    /// An offset, or an input id, as the kind says.
    pub number: u64,
    /// The bytes.
    pub bytes: Bytes,
}

/// Bytes that are no binary frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TerminalFrameError {
    /// Shorter than a header.
    #[error("a binary frame has a header of {expected} bytes; this one has {actual} in all", expected = TerminalFrame::HEADER_BYTES)]
    Short {
        /// Its length in bytes.
        actual: usize,
    },
    /// The first byte is not a kind of this build.
    #[error("{0} is no kind of binary frame")]
    UnknownKind(u8),
}

impl TerminalFrame {
    /// Kind, terminal, number.
    pub const HEADER_BYTES: usize = 1 + 16 + 8;

    /// The frame as it goes over the wire.
    pub fn encode(&self) -> Bytes {
        let mut frame = BytesMut::with_capacity(Self::HEADER_BYTES + self.bytes.len());
        frame.put_u8(self.kind as u8);
        frame.put_slice(self.terminal.as_bytes());
        frame.put_u64_le(self.number);
        frame.put_slice(&self.bytes);
        frame.freeze()
    }

    /// Reads a frame; the bytes are shared, not copied.
    ///
    /// # Errors
    /// It is too short or of an unknown kind.
    pub fn decode(frame: Bytes) -> Result<Self, TerminalFrameError> {
        if frame.len() < Self::HEADER_BYTES {
            return Err(TerminalFrameError::Short { actual: frame.len() });
        }
        let kind = TerminalFrameKind::from_byte(frame[0]).ok_or(TerminalFrameError::UnknownKind(frame[0]))?;
        let mut terminal = [0; 16];
        terminal.copy_from_slice(&frame[1..17]);
        let mut number = [0; 8];
        number.copy_from_slice(&frame[17..25]);
        Ok(TerminalFrame {
            kind,
            terminal: TerminalId::from_bytes(terminal),
            number: u64::from_le_bytes(number),
            bytes: frame.slice(Self::HEADER_BYTES..),
        })
    }
}
