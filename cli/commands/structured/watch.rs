//! Following a turn: what happens is printed, questions are asked, clocks and signals cancel it.

use std::io::IsTerminal;
use std::time::Instant;

use ropewalk_protocol::{Command as Change, Event, InteractionId, Rejection, Seq, SubscribeAfter, SubscribeParams};
use ropewalk_transport::client::{Client, SubscriptionItem};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use super::super::{change, unexpected};
use super::asking::{self, Asking};
use super::clocks::{Clocks, Passed};
use super::settled::{Ended, Outcome};
use super::story::{Said, Story};
use crate::exit::Failure;
use crate::print;

/// What following is to be like.
pub(super) struct How {
    pub(super) json: bool,
    /// Events up to here are taken in, and not shown.
    pub(super) shown_after: Seq,
    /// Questions may be asked here: a person sits at this terminal.
    pub(super) interactive: bool,
    pub(super) clocks: Clocks,
}

/// Follows a turn to its end.
pub(super) async fn follow(client: &Client, story: &mut Story, after: Seq, how: How) -> Result<Ended, Failure> {
    let (session, ..) = story.names();
    let params = SubscribeParams { session: Some(session), after: SubscribeAfter::Seq(after), log: None, only: None };
    let (_, items) = client.subscribe(params).await?;
    let asking = Asking::new(how.interactive && !how.json);
    let printer = Printer { json: how.json, at_line_start: true };
    let (clocks, shown_after) = (how.clocks, how.shown_after);
    let watch = Watch { client, story, clocks, shown_after, asking, printer, cancelled: false };
    watch.run(items).await
}

struct Watch<'a> {
    client: &'a Client,
    story: &'a mut Story,
    clocks: Clocks,
    shown_after: Seq,
    asking: Asking,
    printer: Printer,
    /// Ctrl-C was pressed.
    cancelled: bool,
}

impl Watch<'_> {
    async fn run(mut self, mut items: mpsc::Receiver<SubscriptionItem>) -> Result<Ended, Failure> {
        let mut signals = Signals::listen()?;
        loop {
            let wake = self.clocks.next();
            tokio::select! {
                // What has happened goes before a clock that has passed meanwhile.
                biased;
                item = items.recv() => match item.ok_or_else(unexpected)? {
                    SubscriptionItem::Events(events) => if let Some(ended) = self.take(&events)? {
                        return Ok(ended);
                    },
                    SubscriptionItem::Gap { from, to, .. } => {
                        self.printer.talk(&format!("events {from} to {to} cannot be read"));
                    }
                    SubscriptionItem::Failed(rejection) => return Err(rejection.into()),
                    SubscriptionItem::Live(_) | SubscriptionItem::Snapshot { .. } => {}
                },
                number = signals.next() => if let Some(ended) = self.told(number) {
                    return Ok(ended);
                },
                line = self.asking.line() => self.typed(line).await,
                () = until(wake) => if let Some(ended) = self.passed() {
                    return Ok(ended);
                },
            }
        }
    }

    /// Takes events in; how the turn ended, if it has.
    fn take(&mut self, events: &[Event]) -> Result<Option<Ended>, Failure> {
        let now = Instant::now();
        let mut said = Vec::new();
        for event in events {
            if !self.story.is_about(event) {
                continue;
            }
            self.clocks.heard(now);
            // What follows the end in the same commit is told of, and is no part of the turn.
            let has_ended = self.story.ended().is_some();
            self.story.apply(event, &mut said);
            if self.printer.json && event.seq > self.shown_after && !has_ended {
                print::json(event)?;
            }
        }
        // A question that came with its answer is not asked.
        let closed: Vec<InteractionId> = said.iter().filter_map(Said::closed).collect();
        for one in said {
            match one {
                Said::Text(text) => self.printer.text(&text),
                Said::Line(line) => self.printer.talk(&line),
                Said::Asked(asked) if closed.contains(&asked.interaction) => self.printer.talk(&asking::head(&asked)),
                Said::Asked(asked) => {
                    let shown = self.asking.add(*asked, now);
                    self.printer.talk(&shown);
                }
                Said::Closed(interaction, how) => self.close(interaction, &how, now),
                Said::Gone(why) => self.clocks.gone(why, now),
                Said::Back => self.clocks.back(),
            }
        }
        Ok(self.story.ended().map(|ended| match self.clocks.timed_out() {
            // Whatever came of the cancelling: it was the clock. What was completed all the same is.
            Some(why) if ended.outcome != Outcome::Completed => Ended::new(Outcome::Timeout, why),
            _ => ended.clone(),
        }))
    }

    fn close(&mut self, interaction: InteractionId, how: &str, now: Instant) {
        self.printer.talk(&format!("  {how}"));
        if let Some(next) = self.asking.remove(interaction, now) {
            self.printer.talk(&next);
        }
    }

    async fn typed(&mut self, line: Option<String>) {
        let told = self.asking.typed(line.as_deref(), Instant::now());
        if let Some(hint) = told.talk {
            self.printer.talk(&hint);
        }
        let Some((interaction, answer)) = told.answer else {
            return;
        };
        let (session, agent, _) = self.story.names();
        let command = Change::InteractionAnswer { session, agent, interaction, answer };
        if let Err(rejection) = change(self.client, command).await {
            self.printer.talk(&format!("not taken: {}", rejection.message));
        }
    }

    /// A signal: the first ctrl-C cancels, all else leaves.
    fn told(&mut self, number: u8) -> Option<Ended> {
        if number != SIGINT || std::mem::replace(&mut self.cancelled, true) {
            return Some(Ended::new(Outcome::Left(number), "the turn goes on"));
        }
        self.printer.talk("[cancelling the turn; ctrl-C again leaves, and the session goes on]");
        self.cancel();
        None
    }

    fn passed(&mut self) -> Option<Ended> {
        match self.clocks.passed(Instant::now())? {
            Passed::TimedOut(why) => {
                self.printer.talk(&format!("[{why}: cancelling the turn]"));
                self.cancel();
                None
            }
            Passed::Gone(why) if self.clocks.timed_out().is_none() => Some(Ended::new(Outcome::Failed, why)),
            Passed::Gone(why) | Passed::GivenUp(why) => Some(Ended::new(Outcome::Timeout, why)),
        }
    }

    /// Has the turn ended, or its prompt taken back. Following goes on meanwhile.
    fn cancel(&self) {
        let (client, json) = (self.client.clone(), self.printer.json);
        let (session, agent, prompt) = self.story.names();
        let started = self.story.has_started();
        tokio::spawn(async move {
            let cancel = Change::AgentCancel { session, agent, hard: false, turn: None };
            let done: Result<_, Rejection> = if started {
                change(&client, cancel).await
            } else {
                match change(&client, Change::PromptWithdraw { session, agent, prompt }).await {
                    // It has just been given to the agent.
                    Err(_) => change(&client, cancel).await,
                    done => done,
                }
            };
            if let Err(rejection) = done
                && !json
            {
                print::talk(&format!("[not cancelled: {}]", rejection.message));
            }
        });
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

/// What agents say goes to stdout, all else to stderr; on a terminal they share it, line by line.
struct Printer {
    json: bool,
    at_line_start: bool,
}

impl Printer {
    fn text(&mut self, text: &str) {
        if !self.json {
            self.at_line_start = text.ends_with('\n');
            print::bytes(print::plain(text).as_bytes());
        }
    }

    fn talk(&mut self, line: &str) {
        if self.json {
            return;
        }
        if !std::mem::replace(&mut self.at_line_start, true) && std::io::stdout().is_terminal() {
            print::bytes(b"\n");
        }
        print::talk(&print::plain(line));
    }
}

const SIGINT: u8 = 2;

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next one's number.
    async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => SIGINT,
            _ = self.terminate.recv() => 15,
            _ = self.hang_up.recv() => 1,
        }
    }
}
