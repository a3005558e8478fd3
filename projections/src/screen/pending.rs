//! Where the parser stands: the bytes of a sequence or character that has begun and not ended.
//!
//! `vte` does not tell its state, so this follows it. Only bytes that changed the state are kept: controls inside a
//! sequence were executed already, and what a full buffer dropped does not matter. Fed to a fresh parser, the kept
//! bytes lead to the same state, and there are never more of them than a snapshot may repeat.

use ropewalk_protocol::limits::{TERMINAL_PENDING_BYTES_MAX, TERMINAL_STRING_BYTES_MAX};

const INTERMEDIATES_MAX: u8 = 2;
const PARAMS_MAX: u8 = 32;
const OSC_PARAMS_MAX: u8 = 16;
const CANCEL: u8 = 0x18;
const SUBSTITUTE: u8 = 0x1a;
pub(super) const ESCAPE: u8 = 0x1b;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Ground,
    Escape,
    EscapeIntermediate,
    CsiEntry,
    CsiParam,
    CsiIntermediate,
    CsiIgnore,
    DcsEntry,
    DcsParam,
    DcsIntermediate,
    DcsIgnore,
    DcsPassthrough,
    Osc,
    Text,
}

/// As much of the parser's state as decides what later bytes do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct State {
    phase: Phase,
    intermediates: u8,
    params: u8,
    param: u16,
    ignoring: bool,
    osc_bytes: u16,
    osc_params: u8,
}

impl State {
    fn step(mut self, byte: u8) -> Self {
        match (self.phase, byte) {
            (_, ESCAPE) => return Self { phase: Phase::Escape, ..Self::default() },
            (_, CANCEL | SUBSTITUTE) => return Self::default(),
            (Phase::Ground | Phase::DcsIgnore | Phase::Text, _) => {}
            (Phase::Escape, _) => self.escape(byte),
            (Phase::EscapeIntermediate, 0x20..=0x2f) => self.collect(),
            (Phase::EscapeIntermediate, 0x30..=0x7e) => return Self::default(),
            (Phase::EscapeIntermediate, _) => {}
            (Phase::CsiEntry | Phase::CsiParam | Phase::CsiIntermediate | Phase::CsiIgnore, 0x40..=0x7e) => {
                return Self::default();
            }
            (Phase::CsiEntry, _) => self.entry(byte, Phase::CsiParam, Phase::CsiIntermediate),
            (Phase::CsiParam, _) => self.param(byte, Phase::CsiIntermediate, Phase::CsiIgnore),
            (Phase::CsiIntermediate, _) => self.intermediate(byte, Phase::CsiIgnore),
            (Phase::DcsEntry | Phase::DcsParam | Phase::DcsIntermediate, 0x40..=0x7e) => {
                return Self { phase: Phase::DcsPassthrough, ..Self::default() };
            }
            (Phase::DcsEntry, _) => self.entry(byte, Phase::DcsParam, Phase::DcsIntermediate),
            (Phase::DcsParam, _) => self.param(byte, Phase::DcsIntermediate, Phase::DcsIgnore),
            (Phase::DcsIntermediate, _) => self.intermediate(byte, Phase::DcsIgnore),
            (Phase::DcsPassthrough, 0x9c) | (Phase::Osc, 0x07) => return Self::default(),
            (Phase::Osc, _) => self.osc(byte),
            (Phase::CsiIgnore | Phase::DcsPassthrough, _) => {}
        }
        self
    }

    fn escape(&mut self, byte: u8) {
        match byte {
            0x20..=0x2f => {
                self.collect();
                self.phase = Phase::EscapeIntermediate;
            }
            b'P' => self.phase = Phase::DcsEntry,
            b'X' | b'^' | b'_' => self.phase = Phase::Text,
            b'[' => self.phase = Phase::CsiEntry,
            b']' => self.phase = Phase::Osc,
            0x30..=0x7e => *self = Self::default(),
            _ => {}
        }
    }

    fn entry(&mut self, byte: u8, param: Phase, intermediate: Phase) {
        match byte {
            0x20..=0x2f => {
                self.collect();
                self.phase = intermediate;
            }
            0x30..=0x3b => {
                self.number(byte);
                self.phase = param;
            }
            0x3c..=0x3f => {
                self.collect();
                self.phase = param;
            }
            _ => {}
        }
    }

    fn param(&mut self, byte: u8, intermediate: Phase, ignore: Phase) {
        match byte {
            0x20..=0x2f => {
                self.collect();
                self.phase = intermediate;
            }
            0x30..=0x3b => self.number(byte),
            0x3c..=0x3f => self.phase = ignore,
            _ => {}
        }
    }

    fn intermediate(&mut self, byte: u8, ignore: Phase) {
        match byte {
            0x20..=0x2f => self.collect(),
            0x30..=0x3f => self.phase = ignore,
            _ => {}
        }
    }

    fn collect(&mut self) {
        if self.intermediates == INTERMEDIATES_MAX {
            self.ignoring = true;
        } else {
            self.intermediates += 1;
        }
    }

    fn number(&mut self, byte: u8) {
        if self.params == PARAMS_MAX {
            self.ignoring = true;
        } else if byte.is_ascii_digit() {
            self.param = self.param.saturating_mul(10).saturating_add(u16::from(byte - b'0'));
        } else {
            self.params += 1;
            self.param = 0;
        }
    }

    fn osc(&mut self, byte: u8) {
        if byte < 0x20 || usize::from(self.osc_bytes) == TERMINAL_STRING_BYTES_MAX {
            return;
        }
        if byte != b';' {
            self.osc_bytes += 1;
        } else if self.osc_params < OSC_PARAMS_MAX {
            self.osc_params += 1;
        }
    }
}

/// A step of [`Pending::follow`].
pub(super) struct Followed {
    /// Bytes that belong to the sequence.
    pub(super) bytes: usize,
    /// The last of them cancelled a string, which must then have no effect.
    pub(super) cancelled: bool,
}

/// The bytes that led from ground to where the parser stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Pending {
    state: State,
    bytes: Vec<u8>,
}

impl Pending {
    /// Plain text comes next, or the rest of a character.
    pub(super) fn is_ground(&self) -> bool {
        self.state.phase == Phase::Ground
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Follows one sequence to its end, or as far as there are bytes.
    pub(super) fn follow(&mut self, bytes: &[u8]) -> Followed {
        for (at, &byte) in bytes.iter().enumerate() {
            let before = self.state;
            self.state = before.step(byte);
            if self.is_ground() {
                self.bytes.clear();
                let cancelled = before.phase == Phase::Osc && matches!(byte, CANCEL | SUBSTITUTE);
                return Followed { bytes: at + 1, cancelled };
            }
            if byte == ESCAPE {
                self.bytes.clear();
            }
            // A string's payload changes no state; a terminal that a snapshot is for may still want its beginning.
            let payload = before == self.state && matches!(before.phase, Phase::DcsPassthrough | Phase::Text);
            if (before != self.state || byte == ESCAPE || payload) && self.bytes.len() < TERMINAL_PENDING_BYTES_MAX {
                self.bytes.push(byte);
            }
        }
        Followed { bytes: bytes.len(), cancelled: false }
    }

    /// Takes the next byte of a character that is not complete; what to print and whether the byte was used.
    pub(super) fn complete(&mut self, byte: u8) -> (Option<char>, bool) {
        self.bytes.push(byte);
        match std::str::from_utf8(&self.bytes) {
            Ok(text) => {
                let character = text.chars().next();
                self.bytes.clear();
                (character, true)
            }
            Err(error) if error.error_len().is_none() => (None, true),
            Err(_) => {
                self.bytes.clear();
                (Some(char::REPLACEMENT_CHARACTER), false)
            }
        }
    }

    /// Keeps the beginning of a character.
    pub(super) fn begin(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }
}
