use std::sync::Arc;

use ropewalk_kernel::log::{Batch, Journal, MemoryShelf};
use ropewalk_protocol::record::NewEvent;
use ropewalk_protocol::{Event, SessionAnnotated, SessionId, Stream, Timestamp};

use super::*;
use crate::check::fold_up_to;

/// A log of this id with three remarks, each in a chunk of its own.
fn log(shelf: &MemoryShelf, id: u8) -> Journal {
    let opened = Journal::open(Arc::new(shelf.clone()), LogId::from_bytes([id; 16]), |_| Box::new(|_: &[Event]| {}));
    let journal = opened.expect("opens").journal;
    while journal.head() < Seq(3) {
        let event = NewEvent {
            stream: Stream::Session(SessionId::from_bytes([7; 16])),
            at: Timestamp::from_unix_micros(0),
            cause: None,
            body: SessionAnnotated { text: "a remark".to_owned() }.into(),
        };
        let batch = Batch { epoch: journal.epoch(), events: vec![event], receipt: None };
        journal.append(batch).expect("taken").blocking_recv().expect("answered").expect("stored");
    }
    journal
}

fn keep(checkpoints: &Checkpoints, journal: &Journal, unread: &Unread) {
    let mut projections = Projections::default();
    fold_up_to(journal, &mut projections, journal.head()).expect("folds");
    checkpoints.keep_projections(journal.id(), unread, &projections);
}

#[test]
fn a_checkpoint_is_used_for_the_log_it_was_made_of() {
    let (checkpoints, journal) = (Checkpoints::in_memory(), log(&MemoryShelf::default(), 1));
    assert_eq!(checkpoints.projections(&journal).0.seq(), Seq::ZERO);
    keep(&checkpoints, &journal, &Vec::new());
    assert_eq!(checkpoints.projections(&journal).0.seq(), Seq(3));
    assert_eq!(checkpoints.projections(&log(&MemoryShelf::default(), 2)).0.seq(), Seq::ZERO);
}

#[test]
fn a_checkpoint_without_an_event_is_used_for_as_long_as_that_cannot_be_read() {
    let (checkpoints, shelf) = (Checkpoints::in_memory(), MemoryShelf::default());
    log(&shelf, 1);
    let unread = vec![(Seq(2), Seq(2))];
    keep(&checkpoints, &log(&shelf, 1), &unread);
    assert_eq!(checkpoints.projections(&log(&shelf, 1)).0.seq(), Seq::ZERO);
    shelf.damage_event_row(1);
    let (projections, without) = checkpoints.projections(&log(&shelf, 1));
    assert_eq!((projections.seq(), without), (Seq(3), unread));
}

#[test]
fn a_checkpoint_that_is_cut_or_flipped_is_not_used() {
    let (checkpoints, journal) = (Checkpoints::in_memory(), log(&MemoryShelf::default(), 1));
    keep(&checkpoints, &journal, &Vec::new());
    let bytes = checkpoints.read("projections").expect("kept");
    for place in 0..bytes.len() {
        checkpoints.write("projections", &bytes[..place]);
        assert_eq!(checkpoints.projections(&journal).0.seq(), Seq::ZERO, "cut at {place}");
        let mut flipped = bytes.clone();
        flipped[place] ^= 1;
        checkpoints.write("projections", &flipped);
        assert_eq!(checkpoints.projections(&journal).0.seq(), Seq::ZERO, "flipped at {place}");
    }
}
