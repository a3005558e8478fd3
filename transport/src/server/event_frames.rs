//! Events as text frames. Subscribers that are equally far get the same frames, made once.

use std::sync::{Mutex, PoisonError};

use axum::extract::ws::Message;
use bytes::Bytes;

use super::outgoing::text;

/// JSON of events in one frame; a piece is never cut, so a frame may be larger by one piece.
const FRAME_BYTES: usize = 256 * 1024;

/// The frames that were made last, of all connections: those of one page.
///
/// When something happens, all who follow are told at once, and nearly always of the same: most connections have one
/// subscription, their first.
#[derive(Debug, Default)]
pub(super) struct EventFrames(Mutex<Made>);

#[derive(Debug, Default)]
struct Made {
    subscription: u64,
    /// What they were made of. They are held, so that nothing else can come to lie where they do.
    pieces: Vec<Bytes>,
    frames: Vec<Message>,
}

impl EventFrames {
    /// Joins pieces of JSON into frames, without encoding anything again.
    pub(super) fn of(&self, subscription: u64, pieces: Vec<Bytes>) -> Vec<Message> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if made.subscription != subscription || !are_the_same(&made.pieces, &pieces) {
            let frames = joined(subscription, &pieces);
            *made = Made { subscription, pieces, frames };
        }
        made.frames.clone()
    }
}

/// Whether these are the same places in memory.
fn are_the_same(one: &[Bytes], other: &[Bytes]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| one.as_ptr() == other.as_ptr() && one.len() == other.len())
}

fn joined(subscription: u64, pieces: &[Bytes]) -> Vec<Message> {
    let mut frames = Vec::new();
    let mut pieces = pieces.iter().peekable();
    while pieces.peek().is_some() {
        let mut frame =
            format!(r#"{{"jsonrpc":"2.0","method":"events","params":{{"subscription":{subscription},"events":["#);
        let mut first = true;
        while let Some(piece) = pieces.next_if(|_| frame.len() < FRAME_BYTES) {
            if !std::mem::replace(&mut first, false) {
                frame.push(',');
            }
            frame.push_str(std::str::from_utf8(piece).expect("JSON is UTF-8"));
        }
        frame.push_str("]}}");
        frames.push(text(frame));
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(frames: &[Message]) -> Vec<String> {
        frames.iter().map(|frame| frame.to_text().unwrap().to_owned()).collect()
    }

    fn place(frame: &Message) -> *const u8 {
        frame.to_text().unwrap().as_ptr()
    }

    #[test]
    fn who_is_equally_far_gets_the_same_frames_and_who_is_not_gets_its_own() {
        let all = Bytes::from_static(b"{},[]");
        let (one, two) = (all.slice(0..2), all.slice(3..5));
        let frames = EventFrames::default();
        let first = frames.of(1, vec![one.clone(), two.clone()]);
        let events = |of: u64, events: &str| {
            format!(r#"{{"jsonrpc":"2.0","method":"events","params":{{"subscription":{of},"events":[{events}]}}}}"#)
        };
        assert_eq!(texts(&first), [events(1, "{},[]")]);
        assert_eq!(place(&frames.of(1, vec![one.clone(), two.clone()])[0]), place(&first[0]));
        // Each of them differs in one thing, and what was made last is told apart from it.
        assert_eq!(texts(&frames.of(2, vec![one.clone(), two.clone()])), [events(2, "{},[]")]);
        assert_eq!(texts(&frames.of(2, vec![one.clone()])), [events(2, "{}")]);
        assert_eq!(texts(&frames.of(2, vec![two.clone()])), [events(2, "[]")]);
        assert_eq!(texts(&frames.of(2, vec![all.slice(3..4), two])), [events(2, "[,[]")]);
        // The same text elsewhere is other events, as far as this knows.
        assert_eq!(texts(&frames.of(2, vec![Bytes::from(b"{}".to_vec())])), [events(2, "{}")]);
        assert!(frames.of(2, Vec::new()).is_empty());
    }

    #[test]
    fn a_frame_is_cut_between_pieces() {
        let piece = Bytes::from(format!("\"{}\"", "x".repeat(FRAME_BYTES / 2)));
        let frames = EventFrames::default().of(7, vec![piece; 5]);
        let lengths: Vec<usize> = frames.iter().map(|frame| frame.to_text().unwrap().len()).collect();
        assert!(lengths.iter().all(|length| *length < FRAME_BYTES * 2) && lengths.len() == 3, "{lengths:?}");
    }
}
