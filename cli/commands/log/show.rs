//! `ropewalk log show` and `range`.

use ropewalk_kernel::log::{Filter, Journal};
use ropewalk_protocol::{Code, Event, Query, QueryResult, Rejection, Seq, SubscribeAfter, SubscribeParams};
use ropewalk_transport::client::{Client, SubscriptionItem};

use super::super::{Context, unexpected};
use super::source::Log;
use crate::check::record_view;
use crate::exit::{DAMAGED, Failure, OK, USAGE};
use crate::print;

/// One event in full.
pub(super) async fn show(context: &Context, log: &Log, seq: u64) -> Result<u8, Failure> {
    let record = match log {
        Log::Daemon(client) => match client.query(Query::LogRecord { seq: Seq(seq) }).await?.result {
            QueryResult::LogRecord { record } => *record,
            _ => return Err(unexpected()),
        },
        Log::Files(files) => record_view(&files.journal, Seq(seq))?,
    };
    if context.json {
        print::json(&record)?;
    } else {
        let pretty = serde_json::to_string_pretty(&record);
        print::line(&pretty.map_err(|error| Failure::because("encoding JSON", error))?);
    }
    Ok(OK)
}

/// The events from one place to another, and what lies between them and cannot be read.
pub(super) async fn range(log: &Log, from: u64, to: u64) -> Result<u8, Failure> {
    if from == 0 || from > to {
        let failure = Failure::new(USAGE, format!("{from} to {to} is no range of the log"));
        return Err(failure.hint("The first event is 1, and the first place comes before the last."));
    }
    let mut printer = Printer { after: Seq(from - 1), to: Seq(to), damaged: false };
    match log {
        Log::Daemon(client) => printer.follow(client).await?,
        Log::Files(files) => printer.read(&files.journal)?,
    }
    Ok(if printer.damaged { DAMAGED } else { OK })
}

struct Printer {
    /// Everything up to here was looked at.
    after: Seq,
    to: Seq,
    damaged: bool,
}

impl Printer {
    async fn follow(&mut self, client: &Client) -> Result<(), Failure> {
        let params = SubscribeParams { session: None, after: SubscribeAfter::Seq(self.after), log: None, only: None };
        let (_, mut items) = client.subscribe(params).await?;
        while self.after < self.to {
            match items.recv().await {
                Some(SubscriptionItem::Events(events)) => events.iter().try_for_each(|event| self.event(event))?,
                Some(SubscriptionItem::Gap { from, to, .. }) => self.gap(from, to),
                Some(SubscriptionItem::Failed(rejection)) => return Err(rejection.into()),
                Some(SubscriptionItem::Snapshot { .. }) => {}
                Some(SubscriptionItem::Live(_)) | None => break,
            }
        }
        Ok(())
    }

    fn read(&mut self, journal: &Journal) -> Result<(), Failure> {
        let head = journal.head();
        if self.after > head {
            let message = format!("the cursor {} is beyond the head {head}", self.after);
            return Err(Rejection::new(Code::CursorAhead, message).at(head).into());
        }
        while self.after < self.to.min(head) {
            let page = journal.page(Filter::All, self.after).map_err(Rejection::from)?;
            page.gaps.iter().for_each(|gap| self.gap(gap.from, gap.to));
            for slice in &page.slices {
                for place in slice.from..slice.to {
                    match slice.chunk.event(place) {
                        Ok(event) => self.event(&event)?,
                        Err(_) => self.gap(slice.chunk.seq(place), slice.chunk.seq(place)),
                    }
                }
            }
            self.after = self.after.max(page.to);
        }
        Ok(())
    }

    fn event(&mut self, event: &Event) -> Result<(), Failure> {
        if event.seq > self.to {
            self.after = self.to;
            return Ok(());
        }
        self.after = self.after.max(event.seq);
        print::json(event)
    }

    fn gap(&mut self, from: Seq, to: Seq) {
        let to = to.min(self.to);
        if from <= to {
            print::talk(&format!("events {from} to {to} cannot be read"));
            self.damaged = true;
            self.after = self.after.max(to);
        }
    }
}
