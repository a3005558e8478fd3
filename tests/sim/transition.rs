//! What can happen, as plain values: numbers name clients, sessions and terminals by their turn, whatever there is when it
//! happens, so that any transition can be left out and the rest still mean something.

use super::disk::CommitFault;
use super::random::Random;

pub(super) const CLIENTS: usize = 3;
const TRANSITIONS_MIN: u64 = 12;
const TRANSITIONS_SPREAD: u64 = 48;

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transition {
    /// A client asks for a session: with a program or without, under a name or none.
    Create {
        client: u8,
        name: u8,
        program: u8,
    },
    Rename {
        client: u8,
        session: u8,
        name: u8,
    },
    Annotate {
        client: u8,
        session: u8,
        length: u16,
    },
    End {
        client: u8,
        session: u8,
    },
    Delete {
        client: u8,
        session: u8,
    },
    Resize {
        client: u8,
        terminal: u8,
        size: u8,
    },
    /// A client sends a command again that somebody sent before; or another one under the same id.
    Repeat {
        client: u8,
        command: u8,
        other: bool,
    },
    Subscribe {
        client: u8,
        session: u8,
        from: u8,
    },
    /// The reader of all of a client's subscriptions takes nothing for a while.
    StopReading {
        client: u8,
        millis: u16,
    },
    Attach {
        client: u8,
        terminal: u8,
        from: u8,
        size: u8,
    },
    Detach {
        client: u8,
        attachment: u8,
    },
    Window {
        client: u8,
        attachment: u8,
        size: u8,
    },
    Type {
        client: u8,
        attachment: u8,
        length: u8,
    },
    Ask {
        client: u8,
        what: u8,
    },
    /// A program prints.
    Print {
        program: u8,
        bytes: u16,
    },
    /// A program ends.
    Exit {
        program: u8,
        code: u8,
    },
    Cut {
        client: u8,
    },
    CutAfter {
        client: u8,
        bytes: u16,
    },
    Stall {
        client: u8,
    },
    HealNetwork,
    Unreachable {
        reachable: bool,
    },
    FailCommits {
        fault: CommitFault,
        after: u8,
        count: u8,
    },
    /// Of the next write of a head a part is written: an error, or the machine's end.
    TearHead {
        parts: u8,
        dies: bool,
    },
    FailOpens {
        count: u8,
    },
    /// The newest volume cannot be read when this daemon opens it again.
    DamageNewest,
    FillDisk {
        full: bool,
    },
    Crash {
        power: bool,
    },
    /// The daemon is stopped and started again.
    Restart,
    CutHolder,
    KillHolder,
    /// The machine's clock is set.
    Jump {
        seconds: i16,
    },
    Wait {
        millis: u16,
    },
}

/// A whole run: what it stands on, and what happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) pipe_bytes: usize,
    pub(super) slowest_millis: u64,
    pub(super) volume_bytes_max: usize,
    /// In the end a stored byte is changed.
    pub(super) damage: bool,
    pub(super) transitions: Vec<Transition>,
}

/// How much of what happens in a run.
#[derive(Debug, Clone, Copy)]
struct Mix {
    commands: u64,
    readers: u64,
    programs: u64,
    network: u64,
    disk: u64,
    crashes: u64,
    waits: u64,
}

impl Plan {
    /// The plan of a seed.
    pub(super) fn of(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let calm = random.one_in(4);
        let mix = Mix {
            commands: 6 + random.below(10),
            readers: 4 + random.below(8),
            programs: 2 + random.below(10),
            network: if calm { 0 } else { random.below(8) },
            disk: if calm { 0 } else { random.below(6) },
            crashes: if calm { 0 } else { random.below(5) },
            waits: 2 + random.below(3),
        };
        let count = TRANSITIONS_MIN + random.below(TRANSITIONS_SPREAD);
        let mut plan = Self {
            seed,
            pipe_bytes: [512, 4096, 65536][usize::try_from(random.below(3)).expect("small")],
            slowest_millis: [0, 3, 30][usize::try_from(random.below(3)).expect("small")],
            volume_bytes_max: [3000, 20_000, 1 << 30][usize::try_from(random.below(3)).expect("small")],
            damage: random.one_in(6),
            transitions: Vec::new(),
        };
        plan.transitions = (0..count).map(|_| mix.choose(&mut random)).collect();
        plan
    }
}

impl Mix {
    fn choose(self, random: &mut Random) -> Transition {
        type Choose = fn(&mut Random) -> Transition;
        let choose: Choose = random.weighted(&[
            (self.commands, command as Choose),
            (self.readers, reader),
            (self.programs, program),
            (self.network, network),
            (self.disk, disk),
            (self.crashes, crash),
            (self.waits, wait),
        ]);
        choose(random)
    }
}

fn client(random: &mut Random) -> u8 {
    u8::try_from(random.below(CLIENTS as u64)).expect("few clients")
}

fn command(random: &mut Random) -> Transition {
    let (client, session) = (client(random), random.byte());
    match random.below(16) {
        0..=4 => Transition::Create { client, name: random.byte(), program: random.byte() },
        5 => Transition::Rename { client, session, name: random.byte() },
        6..=8 => {
            let long = random.one_in(6);
            Transition::Annotate { client, session, length: if long { 30_000 } else { u16::from(random.byte()) } }
        }
        9..=10 => Transition::End { client, session },
        11 => Transition::Delete { client, session },
        12 => Transition::Resize { client, terminal: random.byte(), size: random.byte() },
        _ => Transition::Repeat { client, command: random.byte(), other: random.one_in(6) },
    }
}

fn reader(random: &mut Random) -> Transition {
    let client = client(random);
    match random.below(12) {
        0..=3 => Transition::Subscribe { client, session: random.byte(), from: random.byte() },
        4 => Transition::StopReading { client, millis: u16::from(random.byte()) * 20 },
        5..=7 => Transition::Attach { client, terminal: random.byte(), from: random.byte(), size: random.byte() },
        8 => match random.one_in(2) {
            true => Transition::Detach { client, attachment: random.byte() },
            false => Transition::Window { client, attachment: random.byte(), size: random.byte() },
        },
        9 | 10 => Transition::Type { client, attachment: random.byte(), length: random.byte() },
        _ => Transition::Ask { client, what: random.byte() },
    }
}

fn program(random: &mut Random) -> Transition {
    let program = random.byte();
    match random.below(8) {
        0 => Transition::Exit { program, code: random.byte() },
        1 => Transition::Print { program, bytes: 20_000 },
        _ => Transition::Print { program, bytes: u16::from(random.byte()) * 5 },
    }
}

fn network(random: &mut Random) -> Transition {
    let client = client(random);
    match random.below(8) {
        0..=2 => Transition::Cut { client },
        3 | 4 => Transition::CutAfter { client, bytes: u16::from(random.byte()) * 16 },
        5 => Transition::Stall { client },
        6 => Transition::HealNetwork,
        _ => Transition::Unreachable { reachable: random.one_in(2) },
    }
}

fn disk(random: &mut Random) -> Transition {
    match random.below(8) {
        0..=4 => {
            let fault = match random.below(4) {
                0 => CommitFault::Fails,
                1 => CommitFault::FailsButWritten,
                _ => CommitFault::Short { parts: random.byte() },
            };
            let after = u8::try_from(random.below(4)).expect("small");
            Transition::FailCommits { fault, after, count: 1 + u8::try_from(random.below(3)).expect("small") }
        }
        5 if random.one_in(3) => Transition::TearHead { parts: random.byte(), dies: false },
        5 => Transition::FailOpens { count: 1 + u8::try_from(random.below(3)).expect("small") },
        6 if random.one_in(4) => Transition::DamageNewest,
        _ => Transition::FillDisk { full: random.one_in(2) },
    }
}

fn crash(random: &mut Random) -> Transition {
    match random.below(12) {
        0..=2 => Transition::Crash { power: random.one_in(3) },
        3..=5 => {
            let fault = match random.below(5) {
                0 => CommitFault::DiesBefore,
                1 | 2 => CommitFault::DiesAfter,
                3 => CommitFault::DiesWithin { parts: random.byte() },
                _ => return Transition::TearHead { parts: random.byte(), dies: true },
            };
            Transition::FailCommits { fault, after: u8::try_from(random.below(6)).expect("small"), count: 1 }
        }
        6 | 7 => Transition::Restart,
        8 | 9 => Transition::CutHolder,
        10 => Transition::KillHolder,
        _ => Transition::Jump { seconds: i16::from(random.byte()) * 30 - 3000 },
    }
}

fn wait(random: &mut Random) -> Transition {
    let millis = match random.below(6) {
        0 => 60_000,
        1 | 2 => 1000 + u16::from(random.byte()) * 20,
        _ => u16::from(random.byte()) * 2,
    };
    Transition::Wait { millis }
}
