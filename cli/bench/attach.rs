//! The first whole screen of a session with much behind it.

use std::time::{Duration, Instant};

use ropewalk_protocol::{AttachParams, TerminalId};
use ropewalk_transport::client::{AttachmentItem, Client};

use super::daemons::launch;
use super::figures::Figure;
use super::lab::{Home, millis, quantile, wrong};
use crate::connect;
use crate::exit::Failure;

const ATTACHES: usize = 50;
/// The output that a screen is surely drawn from.
const LAST_BYTES: u64 = 64 * 1024;

pub(super) async fn measure(home: &Home) -> Result<Vec<Figure>, Failure> {
    let lines = home.amount(1_000_000, 100_000);
    let client = connect::connect_running(&home.paths).await?;
    let program = format!("seq 1 {lines}; exec cat");
    let (_, terminal) = launch(&client, &["sh", "-c", &program]).await?;
    let written: u64 = (1..=lines).map(|line| u64::from(line.ilog10()) + 3).sum();
    read_to(&client, terminal, 0, written).await?;
    client.detach(terminal).await?;

    let (mut times, mut limits) = (Vec::new(), Vec::new());
    for _ in 0..ATTACHES {
        times.push(screen(home, terminal, lines).await?);
        let began = Instant::now();
        read_to(&client, terminal, written.saturating_sub(LAST_BYTES), written).await?;
        limits.push(began.elapsed());
        client.detach(terminal).await?;
    }
    let what = format!("connect to first screen, {lines} lines behind it, p50");
    let (time, least) = (quantile(&mut times, 0.5), quantile(&mut limits, 0.5));
    Ok(vec![Figure::new("attach", what, "ms", millis(time)).beside(millis(least))])
}

/// Reads raw bytes from one offset to another.
async fn read_to(client: &Client, terminal: TerminalId, from: u64, to: u64) -> Result<(), Failure> {
    let params = AttachParams { terminal, after: Some(from), size: None, view_only: true, scrollback: 0 };
    let (_, mut items) = client.attach(params).await?;
    let mut at = from;
    while at < to {
        match items.recv().await {
            Some(AttachmentItem::Output { offset, bytes }) if offset == at => at += bytes.len() as u64,
            Some(AttachmentItem::Failed(rejection)) => return Err(rejection.into()),
            Some(AttachmentItem::Cut | AttachmentItem::Written(_)) => {}
            other => return Err(wrong(format!("after {at} of {to} bytes came {other:.80?}"))),
        }
    }
    Ok(())
}

/// Connects anew and takes the screen, which must have the last line on it.
async fn screen(home: &Home, terminal: TerminalId, last_line: u64) -> Result<Duration, Failure> {
    let began = Instant::now();
    let client = connect::connect_running(&home.paths).await?;
    let params = AttachParams { terminal, after: None, size: None, view_only: true, scrollback: 0 };
    let (_, mut items) = client.attach(params).await?;
    let mut screen = Vec::new();
    loop {
        match items.recv().await {
            Some(AttachmentItem::Snapshot { bytes, last, .. }) => {
                screen.extend_from_slice(&bytes);
                if last {
                    break;
                }
            }
            Some(AttachmentItem::Failed(rejection)) => return Err(rejection.into()),
            other => return Err(wrong(format!("instead of a screen came {other:.80?}"))),
        }
    }
    let time = began.elapsed();
    if !String::from_utf8_lossy(&screen).contains(&last_line.to_string()) {
        return Err(wrong("the screen does not show the last line"));
    }
    Ok(time)
}
