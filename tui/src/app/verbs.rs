//! Commands that are typed: the command line's verbs by the same names. Without a session they mean the one on the screen; what
//! is not known here is what `ropewalk` does with the same words.

use std::collections::BTreeMap;

use ropewalk_protocol::{AgentId, Command, Delivery, Program, Seq, SessionId};

use super::action::Action;
use super::event::Effect;
use super::overlay::{Confirmed, Overlay, Purpose};
use super::pending::Meant;
use super::place::Target;
use super::state::{Focus, State};

/// A command that is typed.
#[derive(Debug, Clone, Copy)]
pub struct Verb {
    /// Its name.
    pub name: &'static str,
    /// What follows it.
    pub usage: &'static str,
    /// What it does.
    pub help: &'static str,
}

macro_rules! verbs {
    ($($name:literal $usage:literal $help:literal;)*) => {
        /// The commands that are known here. Every other one is the command line's own.
        pub const VERBS: &[Verb] = &[$(Verb { name: $name, usage: $usage, help: $help },)*];
    };
}

verbs! {
    "run" "[--provider P] PROMPT | -- CMD …" "Start a session with an agent, or with a program in a terminal.";
    "spawn" "[--provider P] [PROMPT]" "Start another agent in this session.";
    "prompt" "[--steer | --interrupt] TEXT" "Say something to this agent: after the running turn, into it, or instead of it.";
    "cancel" "[--hard]" "Cancel the running turn; once more ends the process of the agent.";
    "queue" "" "List the prompts that wait.";
    "asks" "" "Show everything that waits for you.";
    "answer" "allow | always | deny [REASON] | choose N | TEXT" "Answer what this agent asks.";
    "hold" "" "Park this agent: it is given no prompts until it is released.";
    "release" "" "Let this agent go on.";
    "set" "[--model M] [--mode M]" "Have this agent use another model or mode.";
    "attach" "NAME" "Show a session, by its name or the beginning of its id.";
    "rename" "NAME" "Give this session another name.";
    "annotate" "TEXT" "Write a remark into this session's history.";
    "end" "[agent]" "End this session, or this agent alone. It is asked for first.";
    "kill" "" "The same as end.";
    "delete" "" "Take this ended session out of every list. It is asked for first.";
    "timeline" "" "Show what happened, event by event.";
    "goto" "SEQ" "Go to an event.";
    "search" "[TEXT]" "Search what was said in all sessions.";
    "filter" "[WORDS]" "List the sessions that have these words, and not those after a `!`.";
    "split" "" "Show another agent beside this one.";
    "grid" "" "Show the agents of this session in a grid.";
    "single" "" "Show this agent alone.";
    "theme" "dark|light|auto" "Use other colours.";
    "mouse" "" "Take the mouse, or leave it to the terminal.";
    "reconnect" "" "Try to reach the daemon again; it is started if none runs.";
    "help" "" "Explain what is on the screen.";
    "quit" "" "Leave. Agents go on.";
}

impl State {
    /// What was typed is done.
    pub(super) fn submit_line(&mut self) {
        let Some(Overlay::Line(ask)) = self.overlay.clone() else { return };
        let text = ask.editor.text();
        self.close_overlay();
        match ask.purpose {
            Purpose::Command => {
                if let Err(error) = self.verb(text.trim())
                    && !text.trim().is_empty()
                {
                    self.overlay = Some(Overlay::Line(super::overlay::Ask { error: Some(error), ..ask }));
                }
            }
            Purpose::Filter => self.tree.filter = text.trim().to_owned(),
            Purpose::Search => {
                if let Some((talk, ..)) = self.reading() {
                    talk.search = text;
                    talk.selected = None;
                }
                self.focus = Focus::Reading;
                self.find(true);
            }
            Purpose::Rename(session) => {
                let name = text.trim().to_owned();
                self.command(Meant::Other(format!("it is called {name}")), Command::SessionRename { session, name });
            }
            Purpose::Deny(interaction) => self.deny(interaction, &text),
        }
    }

    /// Does what a typed command says.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn verb(&mut self, line: &str) -> Result<(), String> {
        let (verb, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        match verb {
            "run" => self.run(rest)?,
            "spawn" => self.spawn(rest)?,
            "prompt" => self.say_to_agent(rest)?,
            "cancel" if rest.is_empty() => self.cancel(false),
            "cancel" if rest == "--hard" => self.cancel(true),
            "queue" if rest.is_empty() => self.open_queue(),
            "asks" if rest.is_empty() => self.open_attention(),
            "answer" if !rest.is_empty() => self.answer_by_words(rest)?,
            "hold" if rest.is_empty() => {
                let (session, agent) = self.this_agent()?;
                self.command(Meant::Other("parked".to_owned()), Command::AgentHold { session, agent });
            }
            "release" if rest.is_empty() => {
                let (session, agent) = self.this_agent()?;
                self.command(Meant::Other("goes on".to_owned()), Command::AgentRelease { session, agent });
            }
            "set" if rest.is_empty() || rest.starts_with("--") => self.set(rest)?,
            "attach" if !rest.is_empty() => self.attach(rest)?,
            "rename" if rest.is_empty() => self.rename(self.target().session()),
            "rename" => {
                let session = self.this_session()?;
                let meant = Meant::Other(format!("it is called {rest}"));
                self.command(meant, Command::SessionRename { session, name: rest.to_owned() });
            }
            "annotate" if !rest.is_empty() => {
                let session = self.this_session()?;
                self.command(
                    Meant::Other("written down".to_owned()),
                    Command::SessionAnnotate { session, text: rest.to_owned() },
                );
            }
            "end" if rest == "agent" => self
                .confirm("end this agent for good? The session goes on".to_owned(), Confirmed::EndAgent(self.target())),
            "end" | "kill" if rest.is_empty() => {
                let session = self.this_session()?;
                self.confirm(
                    "end this session? Its agents and programs are asked to stop, then made to".to_owned(),
                    Confirmed::EndSession(session),
                );
            }
            "delete" if rest.is_empty() => {
                let session = self.this_session()?;
                self.confirm(
                    "take this session out of every list? Its history stays in the log".to_owned(),
                    Confirmed::DeleteSession(session),
                );
            }
            "timeline" if rest.is_empty() => self.open_timeline(),
            "goto" => {
                let seq: u64 = rest.parse().map_err(|_| "name an event by its number: goto 1234".to_owned())?;
                self.go_to_seq(Seq(seq));
            }
            "search" => {
                let editor = super::editor::Editor::with(rest);
                self.overlay = Some(Overlay::Search(super::search::Search { editor, ..Default::default() }));
                if !rest.is_empty() {
                    self.list_key(crate::input::Key::plain(crate::input::Code::Enter));
                }
            }
            "filter" => self.tree.filter = rest.to_owned(),
            "split" if rest.is_empty() => self.act(Action::Split),
            "grid" if rest.is_empty() => self.act(Action::Grid),
            "single" if rest.is_empty() => self.act(Action::Single),
            "theme" => {
                self.settings.theme = match rest {
                    "dark" => super::settings::ThemeChoice::Dark,
                    "light" => super::settings::ThemeChoice::Light,
                    "auto" | "" => super::settings::ThemeChoice::Auto,
                    _ => return Err("dark, light or auto".to_owned()),
                };
                self.choose_theme();
            }
            "mouse" if rest.is_empty() => self.act(Action::Mouse),
            "reconnect" if rest.is_empty() => self.effects.push(Effect::Reconnect),
            "help" if rest.is_empty() => self.act(Action::Help),
            "quit" | "q" | "detach" if rest.is_empty() => self.effects.push(Effect::Quit),
            "" => {}
            _ => self.run_words(line)?,
        }
        Ok(())
    }

    /// What is not known here is the command line's: `%` stands for the session on the screen.
    fn run_words(&mut self, line: &str) -> Result<(), String> {
        let mut words = split(line)?;
        let here = self.target();
        for word in &mut words {
            if let Some(rest) = word.strip_prefix('%').filter(|rest| rest.is_empty() || rest.starts_with('/')) {
                let session = here.session().ok_or("`%` is the session on the screen, and there is none yet")?;
                *word = format!("{session}{rest}");
            }
        }
        if self.settings.read_only {
            return Err("nothing can be changed: this client is read-only".to_owned());
        }
        self.effects.push(Effect::Run(words));
        Ok(())
    }

    fn this_session(&self) -> Result<SessionId, String> {
        self.target().session().ok_or_else(|| "there is no session on the screen".to_owned())
    }

    fn this_agent(&self) -> Result<(SessionId, AgentId), String> {
        self.target().agent().ok_or_else(|| "there is no agent on the screen".to_owned())
    }

    /// The provider that a line names, or the one that is chosen, and what follows.
    fn provider_of<'a>(&self, rest: &'a str) -> Result<(super::state::Provider, &'a str), String> {
        let (name, rest) = match rest.strip_prefix("--provider") {
            Some(named) => {
                let named = named.trim_start_matches(['=', ' ']);
                let (name, rest) = named.split_once(char::is_whitespace).unwrap_or((named, ""));
                (Some(name), rest.trim())
            }
            None => (None, rest),
        };
        let found = match name {
            Some(name) => self.providers.iter().find(|known| {
                known.provider == name
                    || known.label.eq_ignore_ascii_case(name)
                    || known.command.first().is_some_and(|program| program == name)
            }),
            None => self.providers.get(self.provider),
        };
        let found = found.cloned().ok_or_else(|| {
            let known: Vec<_> = self.providers.iter().map(|known| known.provider.as_str()).collect();
            format!("no such agent; there are: {}", known.join(", "))
        })?;
        match found.missing {
            Some(missing) => Err(missing),
            None => Ok((found, rest)),
        }
    }

    fn run(&mut self, rest: &str) -> Result<(), String> {
        if let Some(program) = rest.strip_prefix("--").filter(|program| program.starts_with(' ') || program.is_empty())
        {
            let argv = split(program.trim())?;
            if argv.is_empty() {
                return Err("name the program: run -- htop".to_owned());
            }
            let argv0 = argv.first().and_then(|program| program.rsplit('/').next()).unwrap_or_default().to_owned();
            let program = Program { argv, directory: self.directory.clone(), environment: BTreeMap::new() };
            let body = self.body();
            let rows = u16::try_from(body.1).unwrap_or(24).max(2);
            let size = Some(ropewalk_protocol::Size { cols: body.0.max(2), rows });
            let workspace = Some(self.directory.clone());
            let command = Command::SessionCreate {
                name: self.name_for(&argv0),
                workspace,
                program: Some(program),
                size,
                agent: None,
            };
            self.command(Meant::Start { text: rest.to_owned(), from: self.target() }, command);
            return Ok(());
        }
        let (provider, prompt) = self.provider_of(rest)?;
        if prompt.is_empty() {
            self.show(Target::Start);
            return Ok(());
        }
        let agent = Some(Box::new(self.spec(provider.provider, provider.command, Some(prompt.to_owned()))));
        let workspace = Some(self.directory.clone());
        let command =
            Command::SessionCreate { name: self.name_for(prompt), workspace, program: None, size: None, agent };
        self.command(Meant::Start { text: prompt.to_owned(), from: self.target() }, command);
        Ok(())
    }

    fn spawn(&mut self, rest: &str) -> Result<(), String> {
        let session = self.this_session()?;
        let (provider, prompt) = self.provider_of(rest)?;
        let prompt = Some(prompt.to_owned()).filter(|prompt| !prompt.is_empty());
        let mut agent = self.spec(provider.provider, provider.command, prompt);
        if let Some(workspace) = self.tree.get(session).and_then(|session| session.workspace.clone()) {
            agent.directory = workspace;
        }
        self.command(
            Meant::Spawn(session, self.target()),
            Command::AgentSpawn { session, agent: Box::new(agent), parent: None },
        );
        Ok(())
    }

    fn say_to_agent(&mut self, rest: &str) -> Result<(), String> {
        let (session, agent) = self.this_agent()?;
        let (delivery, label, text) = match rest.split_once(' ') {
            Some(("--steer", text)) => (Delivery::Steer, "into the turn", text),
            Some(("--interrupt", text)) => (Delivery::Interrupt, "instead of the turn", text),
            _ => (Delivery::AfterTurn, "queued", rest),
        };
        let text = text.trim().to_owned();
        if text.is_empty() {
            return Err("say something: prompt TEXT".to_owned());
        }
        let meant = Meant::Prompt { target: self.target(), text: text.clone(), label };
        self.command(meant, Command::AgentPrompt { session, agent, text, delivery, environment: BTreeMap::new() });
        Ok(())
    }

    fn set(&mut self, rest: &str) -> Result<(), String> {
        let (session, agent) = self.this_agent()?;
        let words = split(rest)?;
        let (mut model, mut mode) = (None, None);
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word, words.next()),
            };
            match name.as_str() {
                "--model" => model = value,
                "--mode" => mode = value,
                _ => return Err("set --model MODEL, or --mode MODE".to_owned()),
            }
        }
        if model.is_none() && mode.is_none() {
            return Err("set --model MODEL, or --mode MODE".to_owned());
        }
        self.command(Meant::Other("asked for".to_owned()), Command::AgentSet { session, agent, model, mode });
        Ok(())
    }

    fn attach(&mut self, name: &str) -> Result<(), String> {
        let named = |session: &&ropewalk_protocol::SessionView| {
            session.name.as_deref() == Some(name) || session.session.to_string().starts_with(name)
        };
        let found = self.tree.sessions().rev().find(named).map(|session| session.session);
        let target = found.and_then(|session| self.tree.home(session));
        self.show(target.ok_or_else(|| format!("there is no session {name}"))?);
        Ok(())
    }
}

/// A line in words, with quotes as a shell has them.
fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (Some('\''), _) => word.get_or_insert_default().push(character),
            (_, '\\') => word.get_or_insert_default().push(characters.next().ok_or("a backslash ends it")?),
            (Some(_), _) => word.get_or_insert_default().push(character),
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, _) if character.is_whitespace() => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(character),
        }
    }
    if let Some(open) = quote {
        return Err(format!("a {open} is not closed"));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_as_a_shell_would() {
        let words = |line| split(line);
        assert_eq!(
            words("a  'b c' \"d \\\" e\" f\\ g ''"),
            Ok(["a", "b c", "d \" e", "f g", ""].map(str::to_owned).to_vec())
        );
        assert!(words("a 'b").is_err() && words("a \\").is_err());
    }
}
