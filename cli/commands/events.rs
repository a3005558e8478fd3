//! `ropewalk events`.

use ropewalk_projections::timeline;
use ropewalk_protocol::{Event, Seq, SubscribeAfter, SubscribeParams};
use ropewalk_transport::client::SubscriptionItem;

use super::{Context, find};
use crate::exit::{DAMAGED, Failure, OK};
use crate::print;

pub(super) async fn events(
    context: &Context,
    reference: Option<&str>,
    after: u64,
    follow: bool,
) -> Result<u8, Failure> {
    let client = context.client().await?;
    let session = match reference {
        Some(reference) => Some(find(&client, reference).await?.session),
        None => None,
    };
    let params = SubscribeParams { session, after: SubscribeAfter::Seq(Seq(after)), log: None, only: None };
    let (_, mut items) = client.subscribe(params).await?;
    let mut damaged = false;
    while let Some(item) = items.recv().await {
        match item {
            SubscriptionItem::Events(events) => events.iter().try_for_each(|event| show(context, event))?,
            SubscriptionItem::Gap { from, to, .. } => {
                print::talk(&format!("events {from} to {to} cannot be read"));
                damaged = true;
            }
            SubscriptionItem::Live(_) if !follow => break,
            SubscriptionItem::Failed(rejection) => return Err(rejection.into()),
            SubscriptionItem::Live(_) | SubscriptionItem::Snapshot { .. } => {}
        }
    }
    Ok(if damaged { DAMAGED } else { OK })
}

fn show(context: &Context, event: &Event) -> Result<(), Failure> {
    if context.json {
        return print::json(event);
    }
    let text = timeline::entry(event).map(|entry| print::plain(&entry.text)).unwrap_or_default();
    let name = event.body.name();
    let line = format!("{:>6}  {}  {name:<24}{text}", event.seq.0, event.at);
    print::line(line.trim_end());
    Ok(())
}
