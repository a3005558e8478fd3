//! A run: a plan carried out on a thread of its own, in virtual time. And what is done when one fails.

use std::time::Duration;

use ropewalk_kernel::offload;
use ropewalk_kernel::planted::{self, Bug};
use ropewalk_protocol::{Query, QueryResult, Seq, SubscribeAfter};

use super::check::check;
use super::client::lock;
use super::quiet::{log, settle};
use super::random::Random;
use super::system::System;
use super::trace::{self, note, violated, violation};
use super::transition::{Plan, Transition};

/// Runs that shrinking may take.
const SHRINK_RUNS_MAX: usize = 400;
/// Lines of a failing run that are shown.
const LINES_SHOWN: usize = 80;

/// What came of a run.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) lines: Vec<String>,
    pub(super) violations: Vec<String>,
}

/// Carries a plan out, with a bug in the product if one is to be planted.
pub(super) fn run(plan: &Plan, bug: Option<Bug>) -> Outcome {
    let plan = plan.clone();
    let thread = std::thread::Builder::new().name(format!("seed-{}", plan.seed));
    let thread = thread.spawn(move || {
        trace::begin(Random::new(plan.seed ^ 0x0150), plan.slowest_millis);
        let logged = trace::listen();
        offload::simulate(Some(trace::pause));
        planted::plant(bug);
        let carried_out = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let system = actix::System::with_tokio_rt(|| {
                let mut runtime = tokio::runtime::Builder::new_current_thread();
                runtime.enable_time().start_paused(true).build().expect("a runtime without IO needs nothing")
            });
            system.block_on(carry_out(plan));
        }));
        drop(logged);
        let (lines, mut violations) = trace::end();
        if carried_out.is_err() && violations.is_empty() {
            violations.push("the run panicked".to_owned());
        }
        Outcome { lines, violations }
    });
    thread.expect("a thread can be had").join().expect("panics are caught in the thread")
}

async fn carry_out(plan: Plan) {
    trace::start_clock();
    let mut random = Random::new(plan.seed ^ 0xd81e);
    let mut system = System::new(&plan);
    system.start().await;
    for transition in &plan.transitions {
        system.apply(*transition).await;
        let pause = if random.one_in(3) { 0 } else { random.below(40) };
        tokio::time::sleep(Duration::from_millis(pause)).await;
        system.look_after().await;
        if violated() {
            return;
        }
    }
    settle(&mut system).await;
    if violated() {
        return;
    }
    check(&system).await;
    if violated() {
        return;
    }
    survive(&mut system, random.one_in(2)).await;
    if plan.damage && !violated() {
        damage(&mut system, &mut random).await;
    }
}

/// Whatever was true is true after another start.
async fn survive(system: &mut System, power: bool) {
    let before = log(system);
    if power {
        system.apply(Transition::Crash { power: true }).await;
    } else {
        system.apply(Transition::Restart).await;
    }
    settle(system).await;
    if violated() {
        return;
    }
    let after = log(system);
    if after.get(..before.len()) != Some(&before[..]) {
        let differs = before.iter().enumerate().find(|(place, event)| after.get(*place) != Some(event));
        violation(format!("the log is another one after a start: {differs:?} of {}, {}", before.len(), after.len()));
    }
    check(system).await;
}

/// A byte of the log is changed: that is found, and told as a gap that names exactly what cannot be read.
async fn damage(system: &mut System, random: &mut Random) {
    let events = log(system);
    let head = Seq(events.len() as u64);
    let chunks = system.disk.chunks(head);
    let (first, last) = chunks[usize::try_from(random.below(chunks.len() as u64)).expect("a place among chunks")];
    note(format!("the chunk from {first} to {last} is damaged"));
    system.crash(false);
    system.disk.damage(first);
    system.start().await;
    system.clients[2].subscribe(None, SubscribeAfter::Seq(Seq::ZERO));
    let number = lock(&system.shared).subscriptions.len() - 1;
    let read = async {
        while lock(&system.shared).subscriptions[number].cursor.is_none_or(|cursor| cursor < head) && !violated() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(200), read).await.is_err() {
        return violation("a damaged log is not read to its end");
    }
    let subscription = lock(&system.shared).subscriptions[number].clone();
    let given: Vec<Seq> = subscription.events.iter().copied().filter(|seq| *seq <= head).collect();
    let left: Vec<Seq> = (1..=head.0).map(Seq).filter(|seq| !(first..=last).contains(seq)).collect();
    if given != left || subscription.gaps != [(first, last)] {
        violation(format!("events {first} to {last} are damaged; given {given:?}, gaps {:?}", subscription.gaps));
    }
    match system.clients[2].answer(Query::LogVerify {}).await.map(|answer| answer.result) {
        Ok(QueryResult::LogVerify { report })
            if report.damage.iter().any(|damage| (damage.from, damage.to) == (first.0, last.0)) => {}
        other => violation(format!("events {first} to {last} are damaged, and the check says {other:?}")),
    }
}

/// Leaves out what the failure does not need.
pub(super) fn shrink(plan: &Plan, bug: Option<Bug>) -> Plan {
    let mut small = plan.clone();
    let mut runs = 0;
    let mut length = small.transitions.len().div_ceil(2);
    while length > 0 {
        let mut start = 0;
        let mut shrunk = false;
        while start < small.transitions.len() && runs < SHRINK_RUNS_MAX {
            let mut less = small.clone();
            let end = (start + length).min(less.transitions.len());
            less.transitions.drain(start..end);
            runs += 1;
            if run(&less, bug).violations.is_empty() {
                start = end;
            } else {
                (small, shrunk) = (less, true);
            }
        }
        if !shrunk || length > 1 {
            length /= 2;
        }
    }
    small
}

/// A failing run as somebody reads it who is to mend what failed.
pub(super) fn story(plan: &Plan, bug: Option<Bug>) -> String {
    let small = shrink(plan, bug);
    let outcome = run(&small, bug);
    let mut text = format!("seed {} fails. The shortest plan that does:\n", plan.seed);
    for transition in &small.transitions {
        text.push_str(&format!("    {transition:?}\n"));
    }
    text.push_str("The last of what happened:\n");
    for line in &outcome.lines[outcome.lines.len().saturating_sub(LINES_SHOWN)..] {
        text.push_str(&format!("    {line}\n"));
    }
    text.push_str(&format!("Replay: ROPEWALK_SIM_SEED={} cargo test --bin ropewalk sim -- --nocapture\n", plan.seed));
    for violation in &outcome.violations {
        text.push_str(&format!("{violation}\n"));
    }
    text
}
