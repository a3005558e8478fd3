//! From keystroke to echo, through daemon and holder.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ropewalk_protocol::{AttachParams, TerminalId};
use ropewalk_transport::client::{AttachmentItem, Client};
use tokio::sync::mpsc::Receiver;

use super::daemons::launch;
use super::figures::Figure;
use super::lab::{Home, micros, quantile, wrong};
use super::limits::Pty;
use crate::connect;
use crate::exit::Failure;

/// Gives back every byte at once, and says when it is about to.
const PROGRAM: [&str; 3] = ["sh", "-c", "stty raw -echo; printf ready; exec cat"];
const READY: &[u8] = b"ready";
const KEYSTROKES: u64 = 2000;
/// Keystrokes before those that count.
const WARM_UP: u64 = 100;

pub(super) async fn measure(home: &Home) -> Result<Vec<Figure>, Failure> {
    let client = connect::connect_running(&home.paths).await?;
    let (_, terminal) = launch(&client, &PROGRAM).await?;
    let mut times = typed(&client, terminal).await?;
    let bare = tokio::task::spawn_blocking(bare).await;
    let mut limits = bare.map_err(|error| Failure::because("the limit", error))??;
    let figures = [("p50", 0.5), ("p99", 0.99)].map(|(name, part)| {
        let (time, least) = (quantile(&mut times, part), quantile(&mut limits, part));
        Figure::new("echo", format!("keystroke to echo, {name}"), "us", micros(time)).beside(micros(least))
    });
    Ok(figures.into())
}

fn key(id: u64) -> u8 {
    b'a' + u8::try_from(id % 26).unwrap_or_default()
}

async fn typed(client: &Client, terminal: TerminalId) -> Result<Vec<Duration>, Failure> {
    let params = AttachParams { terminal, after: Some(0), size: None, view_only: false, scrollback: 0 };
    let (_, mut items) = client.attach(params).await?;
    let mut seen = Vec::new();
    while seen.len() < READY.len() {
        seen.extend_from_slice(&output(&mut items).await?);
    }
    if seen != READY {
        return Err(wrong(format!("the program said {:?}", String::from_utf8_lossy(&seen))));
    }
    let mut times = Vec::new();
    for id in 1..=WARM_UP + KEYSTROKES {
        let pressed = Instant::now();
        client.input(terminal, id, Bytes::copy_from_slice(&[key(id)])).await?;
        let echo = output(&mut items).await?;
        let time = pressed.elapsed();
        if echo[..] != [key(id)] {
            return Err(wrong(format!("keystroke {id} came back as {:?}", String::from_utf8_lossy(&echo))));
        }
        if id > WARM_UP {
            times.push(time);
        }
    }
    Ok(times)
}

/// The next output; what else an attachment says is passed over.
async fn output(items: &mut Receiver<AttachmentItem>) -> Result<Bytes, Failure> {
    while let Some(item) = items.recv().await {
        match item {
            AttachmentItem::Output { bytes, .. } => return Ok(bytes),
            AttachmentItem::Failed(rejection) => return Err(rejection.into()),
            AttachmentItem::End(at) => return Err(wrong(format!("the program ended after {at} bytes"))),
            AttachmentItem::Written(_)
            | AttachmentItem::Snapshot { .. }
            | AttachmentItem::Gap { .. }
            | AttachmentItem::Cut => {}
        }
    }
    Err(wrong("the attachment ended"))
}

fn bare() -> Result<Vec<Duration>, Failure> {
    let mut pty = Pty::start(&PROGRAM)?;
    let mut buffer = [0; 64];
    let mut seen = Vec::new();
    while seen.len() < READY.len() {
        let count = pty.read(&mut buffer)?;
        if count == 0 {
            return Err(wrong("the limit's program ended"));
        }
        seen.extend_from_slice(&buffer[..count]);
    }
    let mut times = Vec::new();
    for id in 1..=WARM_UP + KEYSTROKES {
        let pressed = Instant::now();
        pty.write(&[key(id)])?;
        let count = pty.read(&mut buffer)?;
        let time = pressed.elapsed();
        if buffer[..count] != [key(id)] {
            return Err(wrong("the limit's program gave something else back"));
        }
        if id > WARM_UP {
            times.push(time);
        }
    }
    Ok(times)
}
