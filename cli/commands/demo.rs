//! `ropewalk demo`: the promises, shown on a throwaway home. What it prints is what it checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ropewalk_protocol::{
    AttachParams, Command as Change, CommandResult, Event, Program, Query, QueryResult, Seq, SessionId, Size,
    SubscribeAfter, SubscribeParams, TerminalId,
};
use ropewalk_transport::client::{AttachmentItem, Client, SubscriptionItem};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Context, change, unexpected};
use crate::daemon::discovery::Discovery;
use crate::exit::{FAILURE, Failure, OK};
use crate::paths::Paths;
use crate::{connect, print};

/// Builds something in a git repository, slowly enough to be cut into, and keeps a copy of what it printed.
const BUILD: &str = r#"
exec 3>"$1/printed"
say() { printf '%s\n' "$*"; printf '%s\n' "$*" >&3; }
mkdir "$1/repository" && cd "$1/repository" && git init -q .
say "building in a new git repository"
n=0
while [ $n -lt 150 ]; do
    n=$((n + 1))
    seq 1 200 | sed "s/^/part $n line /" > part.$n
    cat part.$n; cat part.$n >&3
    say "part $n: $(cksum < part.$n)"
    sleep 0.02
done
cat part.* > whole && git add whole && git -c user.name=demo -c user.email=demo@example.invalid commit -qm "build" && say "committed $(git ls-files)"
"#;
const TIME_MAX: Duration = Duration::from_secs(120);
/// The first byte at which the daemon is killed, and those at which one client is cut.
const KILL_AT: u64 = 300_000;
const CUT_AT: [u64; 3] = [50_000, 150_000, 450_000];

pub(super) fn demo(context: &Context) -> Result<u8, Failure> {
    super::quiet_logs();
    let home = std::env::temp_dir().join(format!("ropewalk-demo-{}", std::process::id()));
    std::fs::create_dir(&home)?;
    let paths = Paths::under(&home);
    let tour = super::block_on(async {
        let limit = || Failure::new(FAILURE, format!("the tour took longer than {} s", TIME_MAX.as_secs()));
        timeout(TIME_MAX, tour(context, &home, &paths)).await.unwrap_or_else(|_| Err(limit()))
    });
    let cleaned = super::block_on(clean_up(&paths, &home));
    tour.and(cleaned)?;
    Ok(OK)
}

/// Says what was checked, and how long after the start.
struct Teller {
    began: Instant,
    json: bool,
}

impl Teller {
    fn checked(&self, what: &str, detail: &str) {
        let seconds = self.began.elapsed().as_secs_f64();
        if self.json {
            let line = serde_json::json!({"seconds": seconds, "checked": what, "detail": detail});
            print::line(&line.to_string());
        } else {
            print::line(&format!("{} {seconds:>5.1}s  {what}  {}", print::green("ok"), print::faint(detail)));
        }
    }

    fn check(&self, holds: bool, what: &str, detail: &str) -> Result<(), Failure> {
        if holds {
            self.checked(what, detail);
            return Ok(());
        }
        Err(Failure::new(FAILURE, format!("does not hold: {what} ({detail})")))
    }
}

async fn tour(context: &Context, home: &Path, paths: &Paths) -> Result<(), Failure> {
    let teller = Teller { began: Instant::now(), json: context.json };
    let first = connect::connect(paths).await?;
    let daemon = Discovery::read(paths).ok_or_else(unexpected)?;
    teller.checked("a daemon runs on a throwaway home", &format!("process {}, {}", daemon.pid, home.display()));

    let (session, terminal) = start(&first, home).await?;
    teller.checked("a shell builds in a new git repository", &format!("session {session}"));

    let second = connect::connect_running(paths).await?;
    let (steady, cut) = (
        Follower::start(&first, session, terminal, Vec::new()),
        Follower::start(&second, session, terminal, CUT_AT.to_vec()),
    );
    let (steady, cut) = (steady.await?, cut.await?);
    reach(paths, terminal, KILL_AT).await?;
    kill(daemon.pid).await?;
    let again = connect::start(paths)?;
    teller.check(
        again.pid != daemon.pid,
        "the daemon was killed with SIGKILL while output flowed, and started again",
        &format!("process {} after {}", again.pid, daemon.pid),
    )?;

    let (steady, cut) = (steady.finish().await?, cut.finish().await?);
    let printed = expected(&home.join("printed"))?;
    let detail = format!("{} bytes, blake3 {}", printed.len(), short(&blake3::hash(&printed)));
    teller.check(steady.bytes == printed, "the client that stayed has every byte the program wrote", &detail)?;
    let what = "the client that was cut three times and resumed has the same bytes";
    teller.check(cut.bytes == printed, what, &format!("{} cuts; {detail}", cut.cuts))?;
    teller.check(stored(&first, terminal).await? == printed, "the log has the same bytes", &detail)?;

    let log = events(&first, session).await?;
    let names: Vec<&str> = log.iter().map(|event| event.body.name()).collect();
    let detail = format!("{} events: {}", log.len(), names.join(", "));
    let same = steady.events == log && cut.events == log;
    teller.check(same, "both clients have every event of the log, once and in order", &detail)?;
    let answer = first.query(Query::LogVerify {}).await?;
    let QueryResult::LogVerify { report } = answer.result else {
        return Err(unexpected());
    };
    let detail = format!("{} events, {} chunks, chain {}", report.events, report.chunks, &report.chain[..16]);
    teller.check(report.intact, "the log is intact, and projections rebuilt from event 1 equal the live ones", &detail)
}

async fn start(client: &Client, home: &Path) -> Result<(SessionId, TerminalId), Failure> {
    let directory = home.display().to_string();
    let argv = ["sh", "-c", BUILD, "build", &directory].map(str::to_owned).to_vec();
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| !name.starts_with("GIT_") && name != "ROPEWALK_SESSION" && name != "ROPEWALK_RUN")
        .collect();
    let program = Program { argv, directory, environment };
    let command = Change::SessionCreate {
        name: Some("build".to_owned()),
        workspace: None,
        program: Some(program),
        size: Some(Size::DEFAULT),
        agent: None,
    };
    match change(client, command).await?.result {
        CommandResult::SessionCreated { session, terminal: Some(terminal), .. } => Ok((session, terminal)),
        _ => Err(unexpected()),
    }
}

/// What a client has seen.
#[derive(Default)]
struct Seen {
    bytes: Vec<u8>,
    events: Vec<Event>,
    cuts: usize,
}

/// A client that follows both lanes until the session is over.
struct Follower(JoinHandle<Result<Seen, Failure>>);

impl Follower {
    async fn start(
        client: &Client,
        session: SessionId,
        terminal: TerminalId,
        cut_at: Vec<u64>,
    ) -> Result<Self, Failure> {
        let subscribe =
            SubscribeParams { session: Some(session), after: SubscribeAfter::Seq(Seq::ZERO), log: None, only: None };
        let (_, mut events) = client.subscribe(subscribe).await?;
        let attach = AttachParams { terminal, after: Some(0), size: None, view_only: true, scrollback: 0 };
        let (_, mut bytes) = client.attach(attach).await?;
        let client = client.clone();
        Ok(Self(tokio::spawn(async move {
            let mut seen = Seen::default();
            let mut cut_at = cut_at.into_iter().peekable();
            let (mut closed, mut over) = (false, false);
            while !(closed && over) {
                tokio::select! {
                    item = bytes.recv(), if !closed => match item {
                        Some(AttachmentItem::Output { bytes, .. }) => {
                            seen.bytes.extend_from_slice(&bytes);
                            if cut_at.next_if(|at| *at <= seen.bytes.len() as u64).is_some() {
                                seen.cuts += 1;
                                client.cut().await?;
                            }
                        }
                        Some(AttachmentItem::Failed(rejection)) => return Err(rejection.into()),
                        Some(AttachmentItem::End(_)) | None => closed = true,
                        Some(_) => {}
                    },
                    item = events.recv(), if !over => match item {
                        Some(SubscriptionItem::Events(events)) => {
                            seen.events.extend(events);
                            // The session's last two events come in either order.
                            let has = |name| seen.events.iter().any(|event| event.body.name() == name);
                            over = has("session.ended") && has("terminal.closed");
                        }
                        Some(SubscriptionItem::Failed(rejection)) => return Err(rejection.into()),
                        None => over = true,
                        Some(_) => {}
                    },
                }
            }
            Ok(seen)
        })))
    }

    async fn finish(self) -> Result<Seen, Failure> {
        self.0.await.map_err(|error| Failure::because("a follower", error))?
    }
}

/// Waits until the terminal has printed this much.
async fn reach(paths: &Paths, terminal: TerminalId, offset: u64) -> Result<(), Failure> {
    // A client of its own: those that are looked at must not be disturbed.
    let client = connect::connect_running(paths).await?;
    let params = AttachParams { terminal, after: Some(0), size: None, view_only: true, scrollback: 0 };
    let (_, mut items) = client.attach(params).await?;
    while let Some(item) = items.recv().await {
        match item {
            AttachmentItem::Output { offset: at, bytes } if at + bytes.len() as u64 >= offset => return Ok(()),
            AttachmentItem::End(at) => {
                return Err(Failure::new(
                    FAILURE,
                    format!("the program ended after {at} bytes: {offset} were expected"),
                ));
            }
            _ => {}
        }
    }
    Err(unexpected())
}

async fn kill(daemon: u32) -> Result<(), Failure> {
    let pid = i32::try_from(daemon).ok().and_then(rustix::process::Pid::from_raw).ok_or_else(unexpected)?;
    rustix::process::kill_process(pid, rustix::process::Signal::KILL)
        .map_err(|error| Failure::because("killing the daemon", error))?;
    super::daemon::wait_gone(daemon).await
}

/// What the program wrote, as a terminal passes it on: with a carriage return before each line feed.
fn expected(printed: &PathBuf) -> Result<Vec<u8>, Failure> {
    let bytes = std::fs::read(printed)?;
    Ok(bytes.into_iter().flat_map(|byte| if byte == b'\n' { vec![b'\r', b'\n'] } else { vec![byte] }).collect())
}

async fn stored(client: &Client, terminal: TerminalId) -> Result<Vec<u8>, Failure> {
    let params = AttachParams { terminal, after: Some(0), size: None, view_only: true, scrollback: 0 };
    let (_, mut items) = client.attach(params).await?;
    let mut bytes = Vec::new();
    while let Some(item) = items.recv().await {
        match item {
            AttachmentItem::Output { bytes: more, .. } => bytes.extend_from_slice(&more),
            AttachmentItem::End(_) => return Ok(bytes),
            AttachmentItem::Failed(rejection) => return Err(rejection.into()),
            _ => {}
        }
    }
    Err(unexpected())
}

async fn events(client: &Client, session: SessionId) -> Result<Vec<Event>, Failure> {
    let query = Query::EventsPage { session: Some(session), agent: None, after: Seq::ZERO, before: None, limit: None };
    match client.query(query).await?.result {
        QueryResult::Events { events, more: false, .. } => Ok(events),
        _ => Err(unexpected()),
    }
}

fn short(hash: &blake3::Hash) -> String {
    hash.to_hex()[..16].to_owned()
}

async fn clean_up(paths: &Paths, home: &Path) -> Result<(), Failure> {
    // Started again if the tour broke off without one: only a daemon can end what the holder holds.
    connect::connect(paths).await?.stop(true).await?;
    if let Some(pid) = crate::daemon::discovery::HomeLock::holder(paths) {
        super::daemon::wait_gone(pid).await?;
    }
    std::fs::remove_dir_all(home)?;
    Ok(())
}
