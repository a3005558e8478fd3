//! What the state asks for, asked of the daemon, of the files, of the command line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ropewalk_protocol::{
    AgentId, Code, Command, CommandId, Query, QueryAnswer, QueryResult, Rejection, Seq, SessionId,
};
use ropewalk_transport::client::{Client, Link};
use tokio::io::AsyncReadExt;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use crate::app::event::{Event, Found, OlderPage, Read, Ticket};
use crate::app::search::Hit;
use crate::store::{Store, Unanswered};

use super::connection::TRY_AGAIN_AFTER;

/// Events of a page of what was said.
const PAGE_EVENTS: u32 = 500;
/// Entries of a page of a session's history.
const PAGE_ENTRIES: u32 = 200;
/// What a command of the command line prints is shown up to here.
const PRINTED_BYTES_MAX: u64 = 1024 * 1024;
/// Files of a directory that are looked through for a name.
const FILES_MAX: usize = 50_000;
/// Names that are shown for what was typed.
const FILES_SHOWN: usize = 20;
/// A directory's files are listed anew after this.
const FILES_KEPT: Duration = Duration::from_secs(5);

/// A command to be sent. It is kept already.
pub(super) struct Order {
    pub(super) ticket: Ticket,
    pub(super) id: CommandId,
    pub(super) command: Box<Command>,
}

/// Sends commands in order, each kept until it is answered: first those that a client before this one knew no answer to.
pub(super) async fn commands(
    mut client: watch::Receiver<Option<Client>>,
    store: Store,
    environment: BTreeMap<String, String>,
    before: Vec<Unanswered>,
    mut orders: mpsc::Receiver<Order>,
    events: mpsc::Sender<Event>,
) {
    for Unanswered { id, command } in before {
        let Some(answer) = carry_out(&mut client, id, command.clone(), &environment).await else { return };
        // One that was carried out then, with another environment, is known.
        match answer {
            Err(rejection) if rejection.code == Code::Conflict => {}
            Err(rejection) => drop(events.send(Event::Left(Box::new(command), rejection)).await),
            Ok(answer) => drop(events.send(Event::LeftDone(Box::new(command), answer)).await),
        }
        store.answered(id);
    }
    while let Some(Order { ticket, id, command }) = orders.recv().await {
        let Some(answer) = carry_out(&mut client, id, *command, &environment).await else { return };
        events.send(Event::Done(ticket, answer)).await.ok();
        store.answered(id);
    }
}

async fn carry_out(
    client: &mut watch::Receiver<Option<Client>>,
    id: CommandId,
    mut command: Command,
    environment: &BTreeMap<String, String>,
) -> Option<Result<ropewalk_protocol::CommandAnswer, Rejection>> {
    // It is never stored: it may hold secrets.
    match &mut command {
        Command::AgentPrompt { environment: of, .. } => of.clone_from(environment),
        Command::SessionCreate { agent: Some(agent), .. } | Command::AgentSpawn { agent, .. } => {
            agent.environment.clone_from(environment)
        }
        Command::SessionCreate { program: Some(program), .. } => program.environment.clone_from(environment),
        _ => {}
    }
    loop {
        let connected = client.wait_for(Option::is_some).await.ok()?.clone()?;
        match connected.command(id, command.clone()).await {
            // The daemon, or the connection, was given up, not the command: the next one carries it.
            Err(rejection) if rejection.code == Code::ShuttingDown => sleep(TRY_AGAIN_AFTER).await,
            answer => return Some(answer),
        }
    }
}

fn unexpected() -> Rejection {
    Rejection::new(Code::UnsupportedVersion, "the daemon answered something else")
}

/// Asks a question; one that a daemon does not answer because it ends is asked again, and waits for the next one.
async fn query(client: &Client, query: Query) -> Result<QueryAnswer, Rejection> {
    loop {
        match client.query(query.clone()).await {
            Err(rejection) if rejection.code == Code::ShuttingDown && *client.links().borrow() != Link::GivenUp => {
                sleep(TRY_AGAIN_AFTER).await;
            }
            answer => return answer,
        }
    }
}

/// Reads something anew.
pub(super) async fn read(client: Client, read: Read) -> Event {
    Event::Found(found(&client, read).await.unwrap_or_else(|rejection| match (read, rejection.code) {
        (Read::Session(session) | Read::Policy(session), Code::NotFound) => Found::NoSession(session),
        _ => Found::Failed(read, rejection),
    }))
}

async fn found(client: &Client, read: Read) -> Result<Found, Rejection> {
    match read {
        Read::Session(session) => {
            match query(client, Query::SessionGet { reference: session.to_string() }).await?.result {
                QueryResult::Session { session } => Ok(Found::Session(Box::new(session))),
                _ => Err(unexpected()),
            }
        }
        Read::Asks => {
            let mut asks = Vec::new();
            loop {
                let after = asks.last().map(|ask: &ropewalk_protocol::InteractionView| ask.interaction);
                match query(client, Query::InteractionsList { session: None, after }).await?.result {
                    QueryResult::Interactions { interactions, more } => {
                        let is_last = !more || interactions.is_empty();
                        asks.extend(interactions);
                        if is_last {
                            return Ok(Found::Asks(asks));
                        }
                    }
                    _ => return Err(unexpected()),
                }
            }
        }
        Read::Prompts(session, agent) => match query(client, Query::PromptsList { session, agent }).await?.result {
            QueryResult::Prompts { prompts } => Ok(Found::Prompts(session, agent, prompts)),
            _ => Err(unexpected()),
        },
        Read::Policy(session) => match query(client, Query::PolicyGet { session: Some(session) }).await?.result {
            QueryResult::Policy { policy } => Ok(Found::Policy(session, policy)),
            _ => Err(unexpected()),
        },
    }
}

/// What was said with an agent before a place.
pub(super) async fn older(client: Client, session: SessionId, agent: AgentId, before: Seq) -> Event {
    let wanted = Query::EventsPage {
        session: Some(session),
        agent: Some(agent),
        after: Seq::ZERO,
        before: Some(before),
        limit: Some(PAGE_EVENTS),
    };
    let page = query(&client, wanted).await.and_then(|answer| match answer.result {
        QueryResult::Events { events, next, gaps, more } => Ok(OlderPage { events, next: next.filter(|_| more), gaps }),
        _ => Err(unexpected()),
    });
    Event::Older { agent, before, page }
}

/// A page of a session's history.
pub(super) async fn history(client: Client, session: SessionId, before: Option<Seq>) -> Event {
    let wanted = Query::SessionTimeline { session, before, limit: Some(PAGE_ENTRIES) };
    let page = query(&client, wanted).await.and_then(|answer| match answer.result {
        QueryResult::Timeline { entries, more } => Ok((entries, more)),
        _ => Err(unexpected()),
    });
    Event::History { session, page }
}

/// Where something was said.
pub(super) async fn search(client: Client, text: String, session: Option<SessionId>, before: Option<Seq>) -> Event {
    let wanted = Query::EventsSearch { text: text.clone(), session, before, limit: None };
    match query(&client, wanted).await.map(|answer| answer.result) {
        Ok(QueryResult::Found { hits, reached, more, .. }) => {
            let hit = |hit: ropewalk_protocol::SearchHit| Hit {
                session: hit.session,
                agent: hit.agent,
                seq: hit.seq,
                at: hit.at,
                excerpt: hit.excerpt,
            };
            Event::Hits { text, hits: hits.into_iter().map(hit).collect(), reached, more }
        }
        Ok(_) => Event::SearchFailed(text, unexpected()),
        Err(rejection) => Event::SearchFailed(text, rejection),
    }
}

/// The files below a directory, as they were a moment ago.
pub(super) struct Files {
    directory: PathBuf,
    listed: Mutex<Option<(Instant, Arc<Vec<String>>)>>,
}

impl Files {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, listed: Mutex::new(None) }
    }

    fn list(&self) -> Arc<Vec<String>> {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, files)) = listed.as_ref().filter(|(at, _)| at.elapsed() < FILES_KEPT) {
            return files.clone();
        }
        let files = Arc::new(below(&self.directory));
        *listed = Some((Instant::now(), files.clone()));
        files
    }
}

/// The names of files below a directory, without those that git ignores.
fn below(directory: &Path) -> Vec<String> {
    let walk =
        ignore::WalkBuilder::new(directory).hidden(false).filter_entry(|entry| entry.file_name() != ".git").build();
    let names = walk.filter_map(Result::ok).filter_map(|entry| {
        let path = entry.path().strip_prefix(directory).ok()?.to_str()?.to_owned();
        let is_directory = entry.file_type().is_some_and(|kind| kind.is_dir());
        (!path.is_empty()).then(|| if is_directory { format!("{path}/") } else { path })
    });
    names.take(FILES_MAX).collect()
}

/// Files whose names fit what was typed, the best first.
pub(super) async fn files(files: Arc<Files>, typed: String) -> Event {
    let wanted = typed.clone();
    let found = tokio::task::spawn_blocking(move || crate::app::best(&wanted, &files.list(), FILES_SHOWN)).await;
    Event::Files { typed, files: found.unwrap_or_default() }
}

/// What the command line does with these words.
pub(super) async fn run(program: PathBuf, directory: PathBuf, words: Vec<String>) -> Event {
    let title = format!("ropewalk {}", words.join(" "));
    let text = match printed(&program, &directory, &words).await {
        Ok(text) if text.trim().is_empty() => "done; it printed nothing".to_owned(),
        Ok(text) => text,
        Err(error) => format!("it could not be run: {error}"),
    };
    Event::Ran { title, text }
}

async fn printed(program: &Path, directory: &Path, words: &[String]) -> std::io::Result<String> {
    let mut child = tokio::process::Command::new(program)
        .args(words)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let stdout = child.stdout.take().map(|stdout| stdout.take(PRINTED_BYTES_MAX));
    let stderr = child.stderr.take().map(|stderr| stderr.take(PRINTED_BYTES_MAX));
    let (read, told) = tokio::join!(
        async {
            match stdout {
                Some(mut stdout) => stdout.read_to_end(&mut out).await,
                None => Ok(0),
            }
        },
        async {
            match stderr {
                Some(mut stderr) => stderr.read_to_end(&mut err).await,
                None => Ok(0),
            }
        },
    );
    read?;
    told?;
    // One that would print more has printed all that is shown.
    let status = match tokio::time::timeout(Duration::from_secs(1), child.wait()).await {
        Ok(status) => Some(status?),
        Err(_) => None,
    };
    let mut text = String::from_utf8_lossy(&out).into_owned();
    text.push_str(&String::from_utf8_lossy(&err));
    if let Some(status) = status.filter(|status| !status.success()) {
        text.push_str(&format!("\n[it ended with {status}]"));
    }
    Ok(text)
}
