//! What comes in while a turn is played: answers, interrupts, more prompts.

use std::io;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use ropewalk_protocol::{Answer, AskKind, AskOption, TurnOutcome};
use serde_json::{Value, json};

use super::{Flow, Player, hang};
use crate::commands::scripted_agent::script::On;
use crate::commands::scripted_agent::words;

/// Something that was written to the agent.
pub(super) enum Came {
    Told(Value),
    Nothing,
    End,
}

impl Player {
    /// The next line: `None` waits for as long as it takes.
    pub(super) fn come(&self, wait: Option<Duration>) -> Came {
        let Some(lines) = &self.lines else { hang() };
        match wait {
            None => lines.recv().map_or(Came::End, Came::Told),
            Some(wait) => match lines.recv_timeout(wait) {
                Ok(told) => Came::Told(told),
                Err(RecvTimeoutError::Timeout) => Came::Nothing,
                Err(RecvTimeoutError::Disconnected) => Came::End,
            },
        }
    }

    /// Asks, and waits for the answer: whether it allows. `None`: the turn is over.
    pub(super) fn ask(
        &mut self,
        kind: AskKind,
        title: &str,
        detail: &str,
        options: &[AskOption],
    ) -> io::Result<Option<bool>> {
        let key = self.key();
        self.tell(&words::asked(&key, kind, title, detail, options))?;
        loop {
            let told = match self.come(None) {
                Came::Told(told) => told,
                Came::Nothing => continue,
                Came::End => std::process::exit(0),
            };
            let answer = told.get("answer").filter(|answer| answer["key"] == key.as_str());
            let answer = answer.and_then(|answer| serde_json::from_value(answer["answer"].clone()).ok());
            match answer {
                Some(answer) => return Ok(Some(self.answered(&answer, options))),
                None if self.take(told)? == Flow::Over => return Ok(None),
                None => {}
            }
        }
    }

    fn answered(&mut self, answer: &Answer, options: &[AskOption]) -> bool {
        let (text, allows) = match answer {
            Answer::Allow { always: false } => ("allow".to_owned(), true),
            Answer::Allow { always: true } => ("always".to_owned(), true),
            Answer::Deny { reason } => (format!("deny {}", reason.as_deref().unwrap_or_default()), false),
            Answer::Text { text } => (text.clone(), true),
            Answer::Choose { option } => {
                let chosen = options.iter().find(|known| known.id == *option);
                (chosen.map_or(option, |chosen| &chosen.name).clone(), option != "deny")
            }
        };
        self.answer = text.trim_end().to_owned();
        allows
    }

    /// Waits, and takes in what comes meanwhile.
    pub(super) fn wait(&mut self, wait: Duration) -> io::Result<Flow> {
        if self.lines.is_none() {
            std::thread::sleep(wait);
            return Ok(Flow::On);
        }
        let until = Instant::now() + wait;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.come(Some(left)) {
                Came::Told(told) => {
                    if self.take(told)? == Flow::Over {
                        return Ok(Flow::Over);
                    }
                }
                Came::Nothing => return Ok(Flow::On),
                Came::End => {
                    std::thread::sleep(until.saturating_duration_since(Instant::now()));
                    return Ok(Flow::On);
                }
            }
        }
    }

    /// Something that came during a turn.
    fn take(&mut self, told: Value) -> io::Result<Flow> {
        let script = self.script.clone();
        if told.get("interrupt").is_some() {
            return match script.steps(On::Interrupt, &self.prompt) {
                Some(steps) => self.steps(steps),
                None => self.end(&TurnOutcome::Cancelled),
            };
        }
        if let Some(steer) = told.get("steer") {
            self.steer = steer["text"].as_str().unwrap_or_default().to_owned();
            self.log(&json!({"steer": steer["prompt"], "text": self.steer, "pid": std::process::id()}))?;
            self.tell(&words::steer_taken(&steer["prompt"]))?;
            return match script.steps(On::Steer, &self.steer) {
                Some(steps) => self.steps(steps),
                None => Ok(Flow::On),
            };
        }
        if told.get("prompt").is_some() {
            self.waiting.push_back(told);
            return Ok(Flow::On);
        }
        self.settings(&told)?;
        Ok(Flow::On)
    }
}
