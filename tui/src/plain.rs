//! The client without a screen, for screen readers and braille lines: what happens is told line by line, what is typed is taken
//! line by line. The state is the same; this is another view of it.

mod told;

use std::io;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::{Instant, sleep_until};

use crate::app::event::{Effect, Event};
use crate::app::state::{Opening, State};
use crate::run::{RunError, Start};
use crate::session::Session;
use crate::store::Store;

pub use told::Told;

/// Runs a client that prints lines and takes lines, until its input ends.
///
/// # Errors
/// A file, or the output, failed.
pub async fn run(start: Start) -> Result<Option<u8>, RunError> {
    let directory = start.wire.directory.to_string_lossy().into_owned();
    let store = Store::open(&start.state, &directory)?;
    let settings = crate::app::settings::Settings { is_plain: true, ..start.settings };
    let opening = Opening {
        settings,
        directory,
        home: start.home,
        host: start.host,
        providers: start.providers,
        place: store.place(),
        // Nothing of them is told; words that are refused are put beside them.
        drafts: store.drafts(),
        sent: store.sent(),
        has_taken_up: false,
        size: ropewalk_protocol::Size { cols: 80, rows: 24 },
    };
    let mut state = State::new(opening, (start.now)());
    let (mut session, mut events) = Session::start(start.wire, store.clone());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut told = Told::default();
    let mut wants = Default::default();
    let mut is_ended = false;
    loop {
        // A program's screen is not told, so its size is left to those who see it.
        let wanted = crate::app::event::Wants { terminals: Default::default(), ..state.wants() };
        if wanted != wants {
            session.follow(&wanted);
            wants = wanted;
        }
        for line in told.news(&mut state) {
            say(&line)?;
        }
        // What was typed is sent, and what comes of it is told, before it leaves.
        if is_ended && state.is_quiet() {
            break;
        }
        let wake = wants.wake.map(|wake| Instant::now() + wake.since((start.now)()));
        let effects = tokio::select! {
            // What is typed means what is there: it waits until that is known.
            line = lines.next_line(), if !is_ended && state.is_ready() => match line? {
                Some(line) => state.typed_line(&line, (start.now)()),
                None => {
                    is_ended = true;
                    Vec::new()
                }
            },
            event = events.recv() => match event {
                Some(event) => state.update(event, (start.now)()),
                None => break,
            },
            () = async { match wake { Some(at) => sleep_until(at).await, None => std::future::pending().await } } => {
                state.update(Event::Woken, (start.now)())
            }
        };
        let mut leaves = false;
        for effect in effects {
            match session.carry_out(effect) {
                Some(Effect::Quit) => leaves = true,
                Some(Effect::Notify(text)) => say(&format!("! {text}"))?,
                _ => {}
            }
        }
        if leaves {
            break;
        }
    }
    store.settle();
    Ok(None)
}

fn say(line: &str) -> io::Result<()> {
    use io::Write;
    let mut out = io::stdout().lock();
    writeln!(out, "{}", crate::text::clean::visible_line(line.trim_end()))?;
    out.flush()
}
