//! Follows the daemon's events, as any program on this machine may: finds the daemon by its discovery file, says hello,
//! subscribes, prints one line an event, and comes back by itself when the connection is cut.
//!
//! `cargo run --example follow_events -- RUNTIME_DIR [COUNT]`, where `ropewalk info` prints the runtime directory.

use std::path::Path;

use ropewalk_protocol::{ClientInfo, Seq, SubscribeAfter, SubscribeParams};
use ropewalk_transport::client::{Client, Options, SubscriptionItem, dial_unix};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let runtime = args.next().ok_or("usage: follow_events RUNTIME_DIR [COUNT]")?;
    let mut left: u64 = args.next().map_or(Ok(u64::MAX), |count| count.parse())?;

    let discovery = std::fs::read_to_string(Path::new(&runtime).join("daemon.json"))?;
    let discovery: serde_json::Value = serde_json::from_str(&discovery)?;
    let socket = discovery["socket"].as_str().ok_or("daemon.json names no socket")?;

    let info = ClientInfo { name: "follow_events".into(), version: "1".into(), instance: None };
    let options = Options { info, bincode: false, give_up_after: None };
    let client = Client::connect(dial_unix(socket.into()), options).await?;
    let params = SubscribeParams { session: None, after: SubscribeAfter::Seq(Seq::ZERO), log: None, only: None };
    let (_, mut items) = client.subscribe(params).await?;
    while let Some(item) = items.recv().await {
        match item {
            SubscriptionItem::Events(events) => {
                for event in events {
                    println!("{} {} {}", event.seq, event.stream, event.body.name());
                    left -= 1;
                    if left == 0 {
                        return Ok(());
                    }
                }
            }
            SubscriptionItem::Gap { from, to, reason } => println!("events {from} to {to} are missing: {reason:?}"),
            SubscriptionItem::Failed(rejection) => return Err(rejection.into()),
            SubscriptionItem::Live(_) | SubscriptionItem::Snapshot { .. } => {}
        }
    }
    Ok(())
}
