//! The terminal client, as a person has it: the binary on a terminal, keys in, a screen out.

use std::path::Path;
use std::time::{Duration, Instant};

use ropewalk_protocol::{AgentId, AgentSpec, Command, CommandResult, Delivery, OnAsk, Program, SessionId, Size};
use ropewalk_transport::client::Client;

use super::daemons::{processor_time, wakeups_during};
use super::figures::Figure;
use super::lab::{Home, micros, millis, quantile, wrong};
use super::window::{CLEAR_PROGRAM, CLEAR_PROMPT, Window};
use crate::commands::{change, unexpected};
use crate::connect;
use crate::exit::Failure;

const SESSIONS: u64 = 1000;
const WINDOWS: usize = 20;
/// Gives back every byte at once, and says when it is about to.
const ECHO: [&str; 3] = ["sh", "-c", "stty raw -echo; printf ready; exec cat"];
const WATCH_TIME: Duration = Duration::from_secs(5);
/// What a turn says: so many bytes at a time, a hundred times a second.
const FLOOD_BYTES: u64 = 50_000;
const FLOOD_PAUSE_MILLIS: u64 = 10;
/// A minute's worth: it ends with the measurement, however slow the keys are.
const FLOOD_PIECES: u64 = 6000;
const WIDE: Size = Size { cols: 120, rows: 40 };
const USUAL: Size = Size::DEFAULT;

pub(super) async fn measure(home: &Home) -> Result<Vec<Figure>, Failure> {
    let client = connect::connect_running(&home.paths).await?;
    let mut figures = first_frames(home, &client).await?;
    figures.extend(keystrokes(home, &client).await?);
    figures.extend(idle(home, &client).await?);
    figures.extend(beside_a_flood(home, &client).await?);
    Ok(figures)
}

/// From the start of the process to what it shows, with many sessions to be listed.
async fn first_frames(home: &Home, client: &Client) -> Result<Vec<Figure>, Failure> {
    let sessions = home.amount(SESSIONS, 200);
    for number in 0..sessions {
        create(client, home, &format!("listed-{number}"), None, None).await?;
    }
    let newest = format!("listed-{}", sessions - 1);
    let directory = home.directory.clone();
    let shown = on_a_thread(move || {
        let (mut first, mut listed, mut floor) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..WINDOWS {
            floor.push(
                Window::open(&directory, &["--version"], WIDE)?
                    .until("a version", |text| text.contains("ropewalk "))?,
            );
            let mut window = Window::open(&directory, &["tui"], WIDE)?;
            first.push(window.until("a frame", |text| !text.trim().is_empty())?);
            listed.push(window.until("the sessions", |text| text.contains(&newest))?);
        }
        Ok((first, listed, floor))
    });
    let (mut first, mut listed, mut floor) = shown.await?;
    let floor = millis(quantile(&mut floor, 0.5));
    let figure = |what: String, times: &mut [Duration]| {
        Figure::new("tui", what, "ms", millis(quantile(times, 0.5))).beside(floor).goal("<= 100 ms")
    };
    Ok(vec![
        figure("start to the first frame, p50".to_owned(), &mut first),
        figure(format!("start to {sessions} sessions on the screen, p50"), &mut listed),
    ])
}

/// From a key to its echo on this terminal: in the client, and through `ropewalk attach`.
async fn keystrokes(home: &Home, client: &Client) -> Result<Vec<Figure>, Failure> {
    let keys = usize::try_from(home.amount(500, 100)).unwrap_or(100);
    let program = |home: &Home| Program {
        argv: ECHO.map(str::to_owned).to_vec(),
        directory: home.directory.display().to_string(),
        environment: std::env::vars().filter(|(name, _)| name == "PATH" || name == "TERM").collect(),
    };
    create(client, home, "attached", Some(program(home)), None).await?;
    let attached = on_a_thread({
        let directory = home.directory.clone();
        move || {
            let mut window = Window::open(&directory, &["attach", "attached"], USUAL)?;
            window.until("the program", |text| text.contains("ready"))?;
            window.keys(keys, CLEAR_PROGRAM)
        }
    });
    let mut attached = attached.await?;
    create(client, home, "shown", Some(program(home)), None).await?;
    let shown = on_a_thread({
        let directory = home.directory.clone();
        move || {
            let mut window = Window::open(&directory, &["tui"], USUAL)?;
            window.until("the program", |text| text.contains("ready"))?;
            window.write(b"\r")?;
            window.until("the program has the keys", |text| text.contains("leaves the program"))?;
            window.keys(keys, CLEAR_PROGRAM)
        }
    });
    let mut shown = shown.await?;
    let figures = [("p50", 0.5), ("p99", 0.99)].map(|(name, part)| {
        let (time, other) = (quantile(&mut shown, part), quantile(&mut attached, part));
        let what = format!("keystroke in a program to its echo, beside `attach`, {name}");
        Figure::new("tui", what, "us", micros(time)).beside(micros(other)).goal("<= 2.00x")
    });
    Ok(figures.into())
}

/// What a client takes of a processor while nothing happens.
async fn idle(home: &Home, client: &Client) -> Result<Vec<Figure>, Failure> {
    let agent = spawn(home, client, "idle", "on prompt\n confirm\n say done: {prompt}\n").await?;
    prompt(client, agent, "something").await?;
    let directory = home.directory.clone();
    let window = on_a_thread(move || {
        let mut window = Window::open(&directory, &["tui"], WIDE)?;
        window.until("the answer", |text| text.contains("done: something"))?;
        window.until_quiet(Duration::from_secs(3))?;
        Ok(window)
    });
    let window = window.await?;
    let before = processor_time(window.pid())?;
    let wakeups = wakeups_during(&[window.pid()], WATCH_TIME).await?;
    let time = processor_time(window.pid())?.saturating_sub(before);
    let seconds = WATCH_TIME.as_secs_f64();
    Ok(vec![
        Figure::new("tui", "idle, processor time", "ms/s", millis(time) / seconds).beside(0.0).goal("0"),
        Figure::new("tui", "idle, wake-ups", "/s", wakeups as f64 / seconds).beside(0.0).goal("0"),
    ])
}

/// From a key in the prompt to the frame that shows it, while the agent on the screen says more than anybody reads.
async fn beside_a_flood(home: &Home, client: &Client) -> Result<Vec<Figure>, Failure> {
    let keys = usize::try_from(home.amount(400, 100)).unwrap_or(100);
    let script = format!(
        "on prompt\n confirm\n repeat {FLOOD_PIECES}\n flood {FLOOD_BYTES}\n sleep {FLOOD_PAUSE_MILLIS}\n done\n say the end\n"
    );
    let agent = spawn(home, client, "flood", &script).await?;
    let directory = home.directory.clone();
    let quiet = on_a_thread(move || {
        let mut window = Window::open(&directory, &["tui"], WIDE)?;
        // It begins where the one before was.
        window.until("the sessions", |text| text.contains("flood idle"))?;
        window.write(b":")?;
        window.until("the command line", |text| text.contains("command"))?;
        window.write(b"attach flood\r")?;
        window.until("the agent", |text| text.contains("flood/"))?;
        let times = window.keys(keys, CLEAR_PROMPT)?;
        Ok((window, times))
    });
    let (mut window, mut quiet) = quiet.await?;
    prompt(client, agent, "go").await?;
    let loud = on_a_thread(move || {
        window.until("what is said", |text| text.contains("flood flood"))?;
        let (began, before) = (Instant::now(), processor_time(window.pid())?);
        let times = window.keys(keys, CLEAR_PROMPT)?;
        let busy = processor_time(window.pid())?.saturating_sub(before).as_secs_f64() / began.elapsed().as_secs_f64();
        if window.text().contains("the end") {
            return Err(wrong("the flood was over before the last key"));
        }
        Ok((times, busy))
    });
    let (mut loud, busy) = loud.await?;
    let mut figure = |name: &str, part: f64| {
        let (time, other) = (quantile(&mut loud, part), quantile(&mut quiet, part));
        let what = format!("key in the prompt to its frame beside 5 MB/s of an agent, {name}");
        Figure::new("tui", what, "ms", millis(time)).beside(millis(other))
    };
    Ok(vec![
        figure("p50", 0.5),
        figure("p99", 0.99).goal("<= 50 ms"),
        Figure::new("tui", "of a processor meanwhile", "%", busy * 100.0),
    ])
}

async fn create(
    client: &Client,
    home: &Home,
    name: &str,
    program: Option<Program>,
    agent: Option<Box<AgentSpec>>,
) -> Result<(SessionId, Option<AgentId>), Failure> {
    let size = program.is_some().then_some(USUAL);
    let (name, workspace) = (Some(name.to_owned()), Some(home.directory.display().to_string()));
    match change(client, Command::SessionCreate { name, workspace, program, size, agent }).await?.result {
        CommandResult::SessionCreated { session, agent, .. } => Ok((session, agent)),
        _ => Err(unexpected()),
    }
}

async fn spawn(home: &Home, client: &Client, name: &str, script: &str) -> Result<(SessionId, AgentId), Failure> {
    let file = home.directory.join(format!("{name}.script"));
    std::fs::write(&file, script)?;
    let word = |path: &Path| path.to_str().map(str::to_owned).ok_or_else(|| wrong("a path is not UTF-8"));
    let agent = AgentSpec {
        provider: "scripted".to_owned(),
        name: None,
        command: vec![word(&std::env::current_exe()?)?, "scripted-agent".to_owned(), word(&file)?],
        directory: word(&home.directory)?,
        environment: Default::default(),
        model: None,
        mode: None,
        on_ask: OnAsk::Wait,
        prompt: None,
        terms: Default::default(),
    };
    let (session, agent) = create(client, home, name, None, Some(Box::new(agent))).await?;
    Ok((session, agent.ok_or_else(unexpected)?))
}

async fn prompt(client: &Client, (session, agent): (SessionId, AgentId), text: &str) -> Result<(), Failure> {
    let (text, environment) = (text.to_owned(), Default::default());
    let prompt = Command::AgentPrompt { session, agent, text, delivery: Delivery::AfterTurn, environment };
    change(client, prompt).await?;
    Ok(())
}

/// A terminal is read by a thread that waits for it.
async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::because("a terminal", error))?
}
