//! Those who work while the log is soaked. Each has a connection of its own, which it cuts now and then.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use ropewalk_protocol::{
    AttachParams, ClientId, ClientInfo, Code, Command, CommandId, CommandResult, EventBody, RunOutcome, Seq, SessionId,
    SubscribeAfter, SubscribeParams, TerminalId,
};
use ropewalk_transport::client::{AttachmentItem, Client, Options, SubscriptionItem};
use tokio::sync::mpsc::Receiver;
use tokio::time::sleep;

use super::daemons::launch;
use super::lab::wrong;
use super::soak::Soak;
use crate::commands::{change, find, mint, unexpected};
use crate::connect;
use crate::exit::Failure;

/// The name by which followers know what the writers wrote.
const WRITER: &str = "soak-writer";
/// The name of the client that comes last.
const LAST: &str = "soak-end";
/// How long a retryable refusal is waited out.
const RETRY_PAUSE: Duration = Duration::from_millis(20);
/// A reader that takes its time.
const SLOW_PAUSE: Duration = Duration::from_millis(20);

/// SplitMix64.
pub(super) struct Choice(u64);

impl Choice {
    pub(super) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// Some part of a whole.
    pub(super) fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True once in so many times.
    fn once_in(&mut self, times: u64) -> bool {
        self.next().is_multiple_of(times)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }
}

fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// A number for a command at its place: sums of them tell sets apart.
fn mark(id: CommandId, seq: Seq) -> u64 {
    let bytes = id.as_bytes();
    let half = |from: usize| bytes[from..from + 8].iter().fold(0, |number, byte| (number << 8) | u64::from(*byte));
    mix(half(0) ^ mix(half(8) ^ mix(seq.0)))
}

async fn client(soak: &Soak, name: &str) -> Result<Client, Failure> {
    let instance = Some(ClientId::from(uuid::Uuid::now_v7()));
    let info = ClientInfo { name: name.to_owned(), version: env!("CARGO_PKG_VERSION").to_owned(), instance };
    let options = Options { info, bincode: false, give_up_after: None };
    Ok(Client::connect(connect::dial(&soak.paths), options).await?)
}

async fn cut(soak: &Soak, client: &Client) -> Result<(), Failure> {
    soak.counts.cuts.fetch_add(1, Ordering::Relaxed);
    Ok(client.cut().await?)
}

/// Sends a command until it is done, under one id.
async fn insist(client: &Client, id: CommandId, command: Command) -> Result<(Seq, CommandResult), Failure> {
    loop {
        match client.command(id, command.clone()).await {
            Ok(answer) => return Ok((answer.seq, answer.result)),
            Err(rejection) if rejection.retryable() => sleep(RETRY_PAUSE).await,
            Err(rejection) => return Err(rejection.into()),
        }
    }
}

/// Writes remarks into a session.
pub(super) async fn write(soak: Soak, seed: u64) -> Result<(), Failure> {
    let client = client(&soak, WRITER).await?;
    let create = Command::SessionCreate { name: None, workspace: None, program: None, size: None, agent: None };
    let CommandResult::SessionCreated { session, .. } = insist(&client, mint(), create).await?.1 else {
        return Err(unexpected());
    };
    let mut choice = Choice(seed);
    while !soak.is_over() {
        let length = usize::try_from(choice.next() % 600).unwrap_or_default();
        let (id, text) = (mint(), "soak ".repeat(length / 5 + 1));
        let (seq, _) = insist(&client, id, Command::SessionAnnotate { session, text }).await?;
        soak.counts.commands.fetch_add(1, Ordering::Relaxed);
        soak.counts.acknowledged.fetch_add(mark(id, seq), Ordering::Relaxed);
        if choice.once_in(200) {
            cut(&soak, &client).await?;
        }
    }
    Ok(())
}

/// Ends the followers' work: nothing of the writers comes after this.
pub(super) async fn end(soak: &Soak) -> Result<(), Failure> {
    let client = client(soak, LAST).await?;
    let create = Command::SessionCreate { name: None, workspace: None, program: None, size: None, agent: None };
    insist(&client, mint(), create).await.map(drop)
}

/// Follows the whole log from its beginning: every place once, in order. Returns the sum over what the writers wrote.
pub(super) async fn follow(soak: Soak, seed: u64) -> Result<u64, Failure> {
    let client = client(&soak, "soak-follower").await?;
    let params = SubscribeParams { session: None, after: SubscribeAfter::Seq(Seq::ZERO), log: None, only: None };
    let (_, mut items) = client.subscribe(params).await?;
    let mut choice = Choice(seed);
    let (mut last, mut sum) = (Seq::ZERO, 0_u64);
    loop {
        let events = match items.recv().await {
            Some(SubscriptionItem::Events(events)) => events,
            Some(SubscriptionItem::Live(_)) => continue,
            other => return Err(wrong(format!("a follower was given {other:?}"))),
        };
        soak.counts.events.fetch_add(events.len() as u64, Ordering::Relaxed);
        for event in &events {
            if event.seq != last.next() {
                return Err(wrong(format!("event {last} was followed by event {}", event.seq)));
            }
            last = event.seq;
            let by = |name: &str| event.cause.as_ref().filter(|cause| cause.client == name);
            if by(LAST).is_some() {
                return Ok(sum);
            }
            if let (Some(cause), EventBody::SessionAnnotated(_)) = (by(WRITER), &event.body) {
                sum = sum.wrapping_add(mark(cause.command, event.seq));
            }
        }
        if choice.once_in(400) {
            cut(&soak, &client).await?;
        }
    }
}

/// Runs programs that print something known, compares every byte, and deletes them.
pub(super) async fn run_programs(soak: Soak, seed: u64) -> Result<(), Failure> {
    let client = client(&soak, "soak-runner").await?;
    let mut choice = Choice(seed);
    while !soak.is_over() {
        let last = choice.next() % 20_000 + 1;
        let (session, terminal) = launch(&client, &["seq", "1", &last.to_string()]).await?;
        let printed = whole_output(&soak, &client, terminal, &mut choice).await?;
        let expected: String = (1..=last).map(|number| format!("{number}\r\n")).collect();
        // A kill between the session's creation and its program's start leaves a run that never was.
        if printed != expected.as_bytes() && !(printed.is_empty() && is_interrupted(&client, session).await?) {
            return Err(wrong(format!("seq 1 {last} printed {} bytes, not {}", printed.len(), expected.len())));
        }
        soak.counts.output_bytes.fetch_add(printed.len() as u64, Ordering::Relaxed);
        delete(&client, session).await?;
        soak.counts.sessions.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Whether the session's run never came to its own end. Asked once its terminal is closed.
async fn is_interrupted(client: &Client, session: SessionId) -> Result<bool, Failure> {
    loop {
        let view = find(client, &session.to_string()).await?;
        match view.agents.first().and_then(|agent| agent.outcome.as_ref()) {
            Some(outcome) => return Ok(matches!(outcome, RunOutcome::Interrupted { .. })),
            None => sleep(RETRY_PAUSE).await,
        }
    }
}

async fn whole_output(
    soak: &Soak,
    client: &Client,
    terminal: TerminalId,
    choice: &mut Choice,
) -> Result<Vec<u8>, Failure> {
    let mut items = attach(client, terminal, Some(0), true).await?;
    let mut printed = Vec::new();
    loop {
        match items.recv().await {
            Some(AttachmentItem::Output { offset, bytes }) if offset == printed.len() as u64 => {
                printed.extend_from_slice(&bytes);
                if choice.once_in(20) {
                    cut(soak, client).await?;
                }
            }
            Some(AttachmentItem::Cut) => {}
            Some(AttachmentItem::End(end)) if end == printed.len() as u64 => return Ok(printed),
            other => return Err(wrong(format!("at byte {} of {terminal} came {other:?}", printed.len()))),
        }
    }
}

/// A session ends a moment after its program's last byte was read.
async fn delete(client: &Client, session: SessionId) -> Result<(), Failure> {
    loop {
        match change(client, Command::SessionDelete { session }).await {
            Ok(_) => return Ok(()),
            Err(rejection) if rejection.retryable() || rejection.code == Code::StillRunning => {
                sleep(RETRY_PAUSE).await;
            }
            Err(rejection) => return Err(rejection.into()),
        }
    }
}

async fn attach(
    client: &Client,
    terminal: TerminalId,
    after: Option<u64>,
    view_only: bool,
) -> Result<Receiver<AttachmentItem>, Failure> {
    let params = AttachParams { terminal, after, size: None, view_only, scrollback: 0 };
    Ok(client.attach(params).await?.1)
}

/// Types keys into a program that sends them back: each comes once, in order.
pub(super) async fn type_keys(soak: Soak, seed: u64) -> Result<(), Failure> {
    let client = client(&soak, "soak-typist").await?;
    let (session, terminal) = launch(&client, &["sh", "-c", "stty raw -echo; printf :; exec cat"]).await?;
    let mut items = attach(&client, terminal, Some(0), false).await?;
    let mut choice = Choice(seed);
    let mut expected = b':';
    let mut key: u64 = 0;
    while !soak.is_over() {
        match items.recv().await {
            Some(AttachmentItem::Output { bytes, .. }) if bytes[..] == [expected] => {
                key += 1;
                expected = b'a' + u8::try_from(key % 26).unwrap_or_default();
                client.input(terminal, key, Bytes::copy_from_slice(&[expected])).await?;
                soak.counts.keys.fetch_add(1, Ordering::Relaxed);
                if choice.once_in(100) {
                    cut(&soak, &client).await?;
                }
            }
            Some(AttachmentItem::Cut | AttachmentItem::Written(_)) => {}
            other => return Err(wrong(format!("after key {key} came {other:?}"))),
        }
    }
    end_session(&client, session).await
}

/// Looks at the screen of a program that prints all the time, and reads slowly.
pub(super) async fn look_at_a_busy_program(soak: Soak, seed: u64) -> Result<(), Failure> {
    let client = client(&soak, "soak-viewer").await?;
    let (session, terminal) = launch(&client, &["sh", "-c", "while :; do seq 1 5000; sleep 0.1; done"]).await?;
    let mut choice = Choice(seed);
    while !soak.is_over() {
        let mut items = attach(&client, terminal, None, true).await?;
        for _ in 0..100 {
            match items.recv().await {
                Some(AttachmentItem::Failed(rejection)) => return Err(rejection.into()),
                Some(AttachmentItem::End(end)) => {
                    return Err(wrong(format!("the busy program's terminal ended at byte {end}")));
                }
                Some(_) => sleep(SLOW_PAUSE).await,
                None => return Err(wrong("an attachment ended")),
            }
            if choice.once_in(200) {
                cut(&soak, &client).await?;
            }
        }
    }
    end_session(&client, session).await
}

async fn end_session(client: &Client, session: SessionId) -> Result<(), Failure> {
    insist(client, mint(), Command::SessionEnd { session }).await.map(drop)
}
