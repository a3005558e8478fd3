//! What is on the screen, and which keys work there.

use ratatui::text::{Line, Span};

use crate::app::action::{ACTIONS, Scope};
use crate::app::place::Target;
use crate::app::state::{Focus, State};
use crate::text::wrap::{Indent, wrap};

use super::over::sentence;

/// Cells of the keys, before what they do.
const KEYS_CELLS: usize = 26;

/// The lines of the help, in so many cells.
pub(crate) fn lines(state: &State, width: u16) -> Vec<Line<'static>> {
    let theme = &state.theme;
    let mut lines = Vec::new();
    let mut say = |text: &str| lines.extend(sentence(text, theme.text, width));
    match (state.focus, state.target()) {
        (Focus::Tree, _) => {
            say("This is the list of sessions. A session is work that goes on whether you look or not.");
            say(
                "A star: something ended there that you have not seen. `2?`: two questions wait. `+1`: one prompt waits.",
            );
        }
        (_, Target::Start) => {
            say("Write what is to be done, and press enter: an agent is started in this directory.");
            say("It goes on when you leave. Come back with `ropewalk`, from any terminal.");
        }
        (_, Target::Terminal(..)) => {
            say("This is a program's terminal. Enter types into it: every key is the program's then, but ctrl+\\.");
        }
        (_, Target::Agent(..)) => {
            say("This is what was said with the agent, the newest below. `>` is what people said.");
            say(
                "A question that waits is answered with enter on an empty prompt, or from anywhere with the keys below.",
            );
            say("A prompt while a turn runs goes into it (enter) or waits for its end (tab).");
        }
    }
    lines.push(Line::default());
    let here = match state.focus {
        Focus::Composer => Scope::Composer,
        Focus::Tree => Scope::Tree,
        Focus::Reading | Focus::Program => Scope::Reading,
    };
    let scopes = [
        here,
        Scope::Everywhere,
        Scope::Asked,
        Scope::Queued,
        Scope::Composer,
        Scope::Reading,
        Scope::Tree,
        Scope::List,
    ];
    let mut seen = Vec::new();
    for scope in scopes {
        if seen.contains(&scope) {
            continue;
        }
        seen.push(scope);
        lines.push(Line::styled(scope.title(), theme.heading));
        for row in ACTIONS.iter().filter(|row| row.scope == scope) {
            let keys = state.settings.keymap.all(row.action);
            let keys = if keys.is_empty() { "-".to_owned() } else { keys };
            let mut keys = Span::styled(format!("  {keys:<KEYS_CELLS$} "), theme.accent);
            if keys.width() > KEYS_CELLS + 3 {
                // So many keys have a line of their own.
                lines.push(Line::from(std::mem::replace(&mut keys, Span::raw(" ".repeat(KEYS_CELLS + 3)))));
            }
            lines.extend(wrap(&[Span::styled(row.help, theme.text)], width, &Indent::hanging(keys)));
        }
        lines.push(Line::default());
    }
    lines.extend(sentence(
        "Keys are changed in tui.toml in the configuration directory; `ropewalk tui --keys` lists their names.",
        theme.faint,
        width,
    ));
    lines
}
