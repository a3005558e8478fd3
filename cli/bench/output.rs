//! A program that writes much: every byte delivered and stored.

use std::time::{Duration, Instant};

use ropewalk_protocol::{AttachParams, TerminalId};
use ropewalk_transport::client::{AttachmentItem, Client};

use super::daemons::launch;
use super::figures::Figure;
use super::lab::{Home, wrong};
use super::limits::Pty;
use crate::connect;
use crate::exit::Failure;

/// What was read, to be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bytes {
    count: u64,
    hash: blake3::Hash,
}

pub(super) async fn measure(home: &Home) -> Result<Vec<Figure>, Failure> {
    let lines = home.amount(3_000_000, 300_000);
    let last = lines.to_string();
    let program = ["seq", "1", &last];
    let expected = expected(lines);
    let client = connect::connect_running(&home.paths).await?;

    let began = Instant::now();
    let (_, terminal) = launch(&client, &program).await?;
    let delivered = follow(&client, terminal).await?;
    let time = began.elapsed();
    same("what was delivered", delivered, expected)?;
    // The terminal is closed: what comes now comes from the log.
    same("what is stored", follow(&client, terminal).await?, expected)?;

    let arguments = program.map(str::to_owned);
    let bare = tokio::task::spawn_blocking(move || bare(&arguments.each_ref().map(String::as_str))).await;
    let (drained, limit) = bare.map_err(|error| Failure::because("the limit", error))??;
    same("what the bare terminal gave", drained, expected)?;
    let what = format!("run to last byte, {:.1} MB", expected.count as f64 / 1e6);
    let figure = Figure::new("output", what, "s", time.as_secs_f64()).beside(limit.as_secs_f64());
    Ok(vec![figure.goal("<= 1.50x")])
}

/// Reads all there is, up to the terminal's end; every byte must come, in order.
async fn follow(client: &Client, terminal: TerminalId) -> Result<Bytes, Failure> {
    let params = AttachParams { terminal, after: Some(0), size: None, view_only: true, scrollback: 0 };
    let (_, mut items) = client.attach(params).await?;
    let (mut count, mut hasher) = (0, blake3::Hasher::new());
    while let Some(item) = items.recv().await {
        match item {
            AttachmentItem::Output { offset, bytes } if offset == count => {
                count += bytes.len() as u64;
                hasher.update(&bytes);
            }
            AttachmentItem::End(at) if at == count => return Ok(Bytes { count, hash: hasher.finalize() }),
            AttachmentItem::Failed(rejection) => return Err(rejection.into()),
            other @ (AttachmentItem::Output { .. }
            | AttachmentItem::End(_)
            | AttachmentItem::Gap { .. }
            | AttachmentItem::Snapshot { .. }) => {
                return Err(wrong(format!("after {count} bytes came {}", name(&other))));
            }
            AttachmentItem::Written(_) | AttachmentItem::Cut => {}
        }
    }
    Err(wrong("the attachment ended"))
}

fn name(item: &AttachmentItem) -> String {
    match item {
        AttachmentItem::Output { offset, .. } => format!("output at {offset}"),
        AttachmentItem::End(at) => format!("the end at {at}"),
        AttachmentItem::Gap { from, to, .. } => format!("a gap from {from} to {to}"),
        AttachmentItem::Snapshot { offset, .. } => format!("a screen at {offset}"),
        AttachmentItem::Written(_) | AttachmentItem::Cut | AttachmentItem::Failed(_) => "something else".to_owned(),
    }
}

fn same(what: &str, got: Bytes, expected: Bytes) -> Result<(), Failure> {
    if got == expected {
        return Ok(());
    }
    Err(wrong(format!("{what} differs: {} bytes instead of {}, or others", got.count, expected.count)))
}

/// The numbers as a terminal passes them on.
fn expected(lines: u64) -> Bytes {
    let (mut count, mut hasher) = (0, blake3::Hasher::new());
    for line in 1..=lines {
        let text = format!("{line}\r\n");
        count += text.len() as u64;
        hasher.update(text.as_bytes());
    }
    Bytes { count, hash: hasher.finalize() }
}

fn bare(program: &[&str]) -> Result<(Bytes, Duration), Failure> {
    let began = Instant::now();
    let mut pty = Pty::start(program)?;
    let (mut count, mut hasher) = (0, blake3::Hasher::new());
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = pty.read(&mut buffer)?;
        if read == 0 {
            return Ok((Bytes { count, hash: hasher.finalize() }, began.elapsed()));
        }
        count += read as u64;
        hasher.update(&buffer[..read]);
    }
}
