//! A log driven at random beside a list that says what it should be.

use ropewalk_kernel::log::store::StoreError;
use ropewalk_kernel::log::{Filter, MemoryShelf};
use ropewalk_kernel::{Follower, Step};
use ropewalk_protocol::{CommandId, CommandResult, Event, Seq};

use crate::support::*;

/// What should be true.
#[derive(Default)]
struct Model {
    events: Vec<Event>,
    receipts: Vec<(CommandId, Seq)>,
    output: [Vec<u8>; 3],
    refused: Vec<CommandId>,
}

/// A follower and what it was given.
struct Following {
    follower: Follower,
    filter: Filter,
    from: Seq,
    got: Vec<Event>,
    lives: usize,
}

impl Following {
    fn new(log: &Log, filter: Filter, after: Seq) -> Self {
        let follower = Follower::new(log.journal.clone(), filter, after).expect("the cursor is in the past");
        Self { follower, filter, from: after, got: Vec::new(), lives: 0 }
    }

    fn expected<'a>(&self, model: &'a Model) -> Vec<&'a Event> {
        let matches = |event: &&Event| match self.filter {
            Filter::All => true,
            Filter::Session(session) => event.stream.session() == Some(session),
        };
        model.events.iter().filter(|event| event.seq > self.from).filter(matches).collect()
    }

    /// Reads until all that should come has come, and that it is live was said.
    fn catch_up(&mut self, model: &Model) {
        let expected = self.expected(model).len();
        run(async {
            while self.got.len() < expected || self.lives == 0 {
                match self.follower.next().await.expect("the log reads") {
                    Step::Live(_) => self.lives += 1,
                    Step::Page(page) => {
                        assert!(page.gaps.is_empty());
                        self.got.extend(page.events().expect("decodes"));
                    }
                }
            }
        });
    }

    fn check(&self, model: &Model) {
        let got: Vec<&Event> = self.got.iter().collect();
        assert_eq!(got, self.expected(model), "{:?} after {}", self.filter, self.from);
        assert!(self.lives <= 1, "live is said once");
    }
}

fn simulate(seed: u64, steps: usize) {
    let mut random = Random(seed);
    let shelf = MemoryShelf::default();
    let disk = Disk::Memory(shelf.clone());
    let mut log = disk.open();
    let mut model = Model::default();
    let mut following: Vec<Following> = Vec::new();
    let mut next_id = 0;
    for step in 0..steps {
        let context = || format!("seed {seed}, step {step}");
        match random.below(100) {
            0..50 => {
                let count = random.below(4);
                let events: Vec<_> = (0..count)
                    .map(|part| match random.below(4) {
                        0 => machine_event(&format!("{step}/{part}")),
                        who => remark(session(u8::try_from(who).expect("small")), &format!("{step}/{part}")),
                    })
                    .collect();
                next_id += 1;
                // Some ids are older than others that were used before them.
                let id = command(1000 + next_id / 3 - u64::from(random.below(5) == 0) * 200, next_id);
                let events = caused_by(id, events);
                let receipt = (id, [1; 16], Ok(CommandResult::Done {}));
                let committed = append(&log.journal, events.clone(), Some(receipt)).unwrap_or_else(|error| {
                    panic!("{}: {error}", context());
                });
                let head = model.events.len() as u64;
                for (event, seq) in events.into_iter().zip(head + 1..) {
                    model.events.push(event.at_seq(Seq(seq)));
                }
                assert_eq!(committed.last, Seq(model.events.len() as u64), "{}", context());
                model.receipts.push((id, committed.last));
            }
            50..62 => {
                let who = random.below(3);
                let output = &mut model.output[who];
                let length = random.below(200);
                let bytes = random.bytes(length);
                let stored =
                    log.store_output(terminal(u8::try_from(who).expect("small")), output.len() as u64, bytes.clone());
                stored.unwrap_or_else(|error| panic!("{}: {error}", context()));
                output.extend(bytes);
            }
            62..65 => {
                shelf.fail_commits(Some(StoreError::Failed("eio".to_owned())));
                for _ in 0..=random.below(3) {
                    next_id += 1;
                    let id = command(1000 + next_id / 3, next_id);
                    let receipt = (id, [1; 16], Ok(CommandResult::Done {}));
                    append(&log.journal, vec![remark(session(1), "refused")], Some(receipt))
                        .expect_err("the disk fails");
                    model.refused.push(id);
                }
                assert!(log.journal.degraded().is_some());
                shelf.fail_commits(None);
                if random.below(2) == 0 {
                    let who = &model.output[0];
                    retry("recovery", || log.store_output(terminal(0), who.len() as u64, Vec::new()));
                    assert_eq!(log.journal.degraded(), None);
                } else {
                    following.clear();
                    log.close();
                    log = disk.open();
                }
            }
            65..72 => {
                following.clear();
                log.close();
                if random.below(2) == 0 {
                    disk.begin_volume();
                }
                log = disk.open();
                assert_eq!(log.lost, None, "{}", context());
            }
            72..80 => {
                let filter = match random.below(4) {
                    0 => Filter::All,
                    who => Filter::Session(session(u8::try_from(who).expect("small"))),
                };
                if following.len() < 4 {
                    following.push(Following::new(&log, filter, Seq(random.below(model.events.len() + 1) as u64)));
                }
            }
            80..88 => {
                for following in &mut following {
                    following.catch_up(&model);
                    following.check(&model);
                }
            }
            _ => check(&log, &model, &mut random, &context()),
        }
    }
    check(&log, &model, &mut random, &format!("seed {seed}, at the end"));
    following.clear();
    log.close();
}

fn check(log: &Log, model: &Model, random: &mut Random, context: &str) {
    assert_eq!(log.journal.head(), Seq(model.events.len() as u64), "{context}");
    let after = random.below(model.events.len() + 1);
    let found: Vec<Event> = pages(&log.journal, Filter::All, Seq(after as u64))
        .iter()
        .flat_map(|page| page.events().expect("decodes"))
        .collect();
    assert_eq!(found, model.events[after..], "{context}");
    for who in 1..4 {
        let expected: Vec<Event> =
            model.events.iter().filter(|event| event.stream.session() == Some(session(who))).cloned().collect();
        assert_eq!(history(&log.journal, session(who)), Ok(expected), "{context}");
    }
    for (who, output) in (0..).zip(&model.output) {
        assert_eq!(log.journal.output_end(terminal(who)), Ok(output.len() as u64), "{context}");
        let from = random.below(output.len() + 1);
        let found = read_output(&log.journal, terminal(who), from as u64, 1 << 20);
        assert_eq!(found, output[from..], "{context}");
    }
    if let Some((id, seq)) = model.receipts.get(random.below(model.receipts.len().max(1))) {
        assert!(log.journal.may_know(*id), "{context}");
        let receipt = log.journal.receipt(*id).expect("reads").expect("the receipt is there");
        assert_eq!(receipt.seq, *seq, "{context}");
    }
    for id in &model.refused {
        assert_eq!(log.journal.receipt(*id), Ok(None), "{context}");
    }
    let verified = log.verify();
    assert_eq!((verified.damage, verified.events), (Vec::new(), model.events.len() as u64), "{context}");
    assert_eq!(verified.receipts, model.receipts.len() as u64, "{context}");
}

#[test]
fn a_log_driven_at_random_is_what_a_list_says_it_is() {
    for seed in 1..=8 {
        simulate(seed, 150);
    }
}

#[test]
fn a_log_driven_at_random_for_long_is_what_a_list_says_it_is() {
    simulate(1000, 600);
}
