//! A script as it is played.

mod inbox;

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ropewalk_protocol::{AskKind, ItemKind, ItemStatus, TurnOutcome, limits};
use serde_json::{Value, json};

use self::inbox::Came;
use super::script::{On, Script, Step};
use super::words;

/// One piece of a flood.
const FLOOD_PIECE: usize = 1024;

/// Whether the turn goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    Over,
}

pub(super) struct Player {
    script: std::rc::Rc<Script>,
    file: PathBuf,
    lines: Option<Receiver<Value>>,
    /// Prompts that came during a turn.
    waiting: VecDeque<Value>,
    conversation: String,
    model: Option<String>,
    mode: Option<String>,
    turns: usize,
    turn: String,
    prompt: String,
    steer: String,
    answer: String,
    number: u64,
    keys: u64,
    /// The text that is streamed: its key, and what was told of it.
    streamed: Option<(String, String)>,
    children: Vec<Child>,
}

impl Player {
    pub(super) fn new(script: Script, file: PathBuf, lines: Option<Receiver<Value>>) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            script: script.into(),
            file,
            lines,
            waiting: VecDeque::new(),
            conversation: format!("scripted-{}-{}", since.as_micros(), std::process::id()),
            model: None,
            mode: None,
            turns: 0,
            turn: String::new(),
            prompt: String::new(),
            steer: String::new(),
            answer: String::new(),
            number: 0,
            keys: 0,
            streamed: None,
            children: Vec::new(),
        }
    }

    pub(super) fn run(mut self) -> io::Result<()> {
        if self.lines.is_none() {
            self.start()?;
            hang();
        }
        loop {
            let told = match self.waiting.pop_front() {
                Some(prompt) => prompt,
                None => match self.come(None) {
                    Came::Told(told) => told,
                    Came::Nothing => continue,
                    Came::End => return Ok(()),
                },
            };
            if let Some(greet) = told.get("greet") {
                self.greet(greet)?;
            } else if let Some(prompt) = told.get("prompt") {
                self.play(prompt)?;
            } else if let Some(steer) = told.get("steer") {
                // The turn that it was meant for has ended.
                self.tell(&words::steer_refused(&steer["prompt"]))?;
            } else {
                self.settings(&told)?;
            }
        }
    }

    fn greet(&mut self, greet: &Value) -> io::Result<()> {
        let greeting = &greet["greeting"];
        let text = |name: &str| greeting[name].as_str().map(str::to_owned);
        (self.model, self.mode) = (text("model"), text("mode"));
        if let Some(resume) = text("resume") {
            self.conversation = resume;
            let known = std::fs::read_to_string(self.memory());
            match known {
                Ok(known) => self.turns = known.lines().count(),
                Err(_) if self.script.resumes => {
                    return self.tell(&words::refused(&format!("there is no conversation {}", self.conversation)));
                }
                Err(_) => {}
            }
        }
        if self.start()? == Flow::On {
            self.ready()?;
        }
        Ok(())
    }

    fn start(&mut self) -> io::Result<Flow> {
        let script = self.script.clone();
        self.steps(script.steps(On::Start, "").unwrap_or_default())
    }

    fn ready(&mut self) -> io::Result<()> {
        self.tell(&words::ready(&self.conversation, self.model.as_deref(), self.mode.as_deref()))
    }

    fn settings(&mut self, told: &Value) -> io::Result<()> {
        let Some(settings) = told.get("settings") else { return Ok(()) };
        for (known, name) in [(&mut self.model, "model"), (&mut self.mode, "mode")] {
            if let Some(wanted) = settings[name].as_str() {
                *known = Some(wanted.to_owned());
            }
        }
        self.ready()
    }

    /// Where the turns of this conversation are counted.
    fn memory(&self) -> PathBuf {
        let safe: String =
            self.conversation.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(100).collect();
        let mut name = self.file.as_os_str().to_owned();
        name.push(format!(".{safe}"));
        name.into()
    }

    fn play(&mut self, prompt: &Value) -> io::Result<()> {
        let text = |name: &str| prompt[name].as_str().unwrap_or_default().to_owned();
        (self.turn, self.prompt) = (text("turn"), text("text"));
        (self.answer, self.steer) = (String::new(), String::new());
        self.turns += 1;
        self.log(&json!({"prompt": self.turn, "text": self.prompt, "pid": std::process::id()}))?;
        if self.script.resumes {
            append(&self.memory(), &format!("{}\n", self.turn))?;
        }
        let script = self.script.clone();
        let steps = script.steps(On::Prompt, &self.prompt).unwrap_or_default();
        if self.steps(steps)? == Flow::On {
            self.end(&TurnOutcome::Completed)?;
        }
        Ok(())
    }

    /// Appends a line to the file that SCRIPTED_LOG names.
    fn log(&self, line: &Value) -> io::Result<()> {
        match std::env::var_os("SCRIPTED_LOG") {
            Some(file) => append(&PathBuf::from(file), &format!("{line}\n")),
            None => Ok(()),
        }
    }

    fn tell(&self, line: &Value) -> io::Result<()> {
        write(format!("{line}\n").as_bytes())
    }

    fn end(&mut self, outcome: &TurnOutcome) -> io::Result<Flow> {
        if *outcome == TurnOutcome::Completed
            && let Some((key, text)) = self.streamed.take()
        {
            self.settle(&key, &text, ItemStatus::Completed)?;
        }
        self.streamed = None;
        self.tell(&words::turn_ended(outcome))?;
        Ok(Flow::Over)
    }

    fn settle(&self, key: &str, text: &str, status: ItemStatus) -> io::Result<()> {
        words::text(key, text).iter().try_for_each(|piece| self.tell(piece))?;
        self.tell(&words::item_ended(key, status))
    }

    fn key(&mut self) -> String {
        self.keys += 1;
        format!("key-{}", self.keys)
    }

    fn item(&mut self, kind: ItemKind, title: &str, input: &str, text: &str) -> io::Result<()> {
        let key = self.key();
        self.tell(&words::item_started(&key, kind, title, input))?;
        self.settle(&key, text, ItemStatus::Completed)
    }

    fn steps(&mut self, steps: &[Step]) -> io::Result<Flow> {
        for step in steps {
            if self.step(step)? == Flow::Over || self.wait(Duration::ZERO)? == Flow::Over {
                return Ok(Flow::Over);
            }
        }
        Ok(Flow::On)
    }

    fn step(&mut self, step: &Step) -> io::Result<Flow> {
        match step {
            Step::Say(text) => {
                let text = self.fill(text);
                match self.streamed.take() {
                    Some((key, _)) => self.settle(&key, &text, ItemStatus::Completed)?,
                    None => self.item(ItemKind::Text, "", "", &text)?,
                }
            }
            Step::Delta(text) => self.stream(&self.fill(text))?,
            Step::Think(text) => self.item(ItemKind::Thinking, "", "", &self.fill(text))?,
            Step::Plan(text) => self.item(ItemKind::Plan, "", "", &self.fill(text))?,
            Step::Edit(text) => self.item(ItemKind::FileChange, "edit", "", &self.fill(text))?,
            Step::Tool { name, input, output } => {
                self.item(ItemKind::Tool, name, &self.fill(input), &self.fill(output))?;
            }
            Step::Ask { title, detail, allowed, denied } => {
                let (title, detail) = (self.fill(title), self.fill(detail));
                return match self.ask(AskKind::Permission, &title, &detail, &words::permission())? {
                    None => Ok(Flow::Over),
                    Some(true) => self.steps(allowed),
                    Some(false) => self.steps(denied),
                };
            }
            Step::Choose { title, options } => {
                let asked = self.ask(AskKind::Choice, &self.fill(title), "", &words::choice(options))?;
                return Ok(asked.map_or(Flow::Over, |_| Flow::On));
            }
            Step::Question(title) => {
                let asked = self.ask(AskKind::Question, &self.fill(title), "", &[])?;
                return Ok(asked.map_or(Flow::Over, |_| Flow::On));
            }
            Step::Sleep(millis) => return self.wait(Duration::from_millis(*millis)),
            Step::Repeat(count, steps) => {
                for number in 1..=*count {
                    self.number = number;
                    if self.steps(steps)? == Flow::Over {
                        return Ok(Flow::Over);
                    }
                }
            }
            Step::End(outcome) => return self.end(outcome),
            Step::Refuse(reason) => {
                self.tell(&words::refused(&self.fill(reason)))?;
                return Ok(Flow::Over);
            }
            other => self.plain_step(other)?,
        }
        Ok(Flow::On)
    }

    /// Steps that wait for nothing and end nothing but the process.
    fn plain_step(&mut self, step: &Step) -> io::Result<()> {
        match step {
            Step::Usage(usage) => self.tell(&words::used(usage)),
            Step::Notice { kind, text } => self.tell(&words::noticed(*kind, &self.fill(text))),
            Step::Confirm => self.tell(&words::confirmed()),
            Step::Flood(bytes) => {
                let piece = "flood ".repeat(FLOOD_PIECE / 6 + 1);
                (0..bytes.div_ceil(FLOOD_PIECE)).try_for_each(|_| self.stream(&piece[..FLOOD_PIECE]))
            }
            Step::Line(bytes) => {
                let mut line = vec![b'x'; *bytes];
                line.push(b'\n');
                write(&line)
            }
            Step::Garbage => words::GARBAGE.iter().try_for_each(|line| write(&[line, b"\n".as_slice()].concat())),
            Step::Raw(line) => write(format!("{}\n", self.fill(line)).as_bytes()),
            Step::Complain(text) => writeln!(io::stderr(), "{}", self.fill(text)),
            Step::SpawnChild(seconds) => self.spawn_child(*seconds),
            Step::Half => {
                write(br#"{"type":"delta","key":"key-"#)?;
                std::process::exit(1);
            }
            Step::Exit(code) => std::process::exit(*code),
            _ => hang(),
        }
    }

    fn stream(&mut self, text: &str) -> io::Result<()> {
        if self.streamed.is_none() {
            let key = self.key();
            self.tell(&words::item_started(&key, ItemKind::Text, "", ""))?;
            self.streamed = Some((key, String::new()));
        }
        if let Some((key, told)) = &mut self.streamed {
            if told.len() < limits::ITEM_TEXT_BYTES_MAX {
                told.push_str(text);
            }
            write(format!("{}\n", words::delta(key, text)).as_bytes())?;
        }
        Ok(())
    }

    /// A process in a session of its own, which does not end with this one.
    fn spawn_child(&mut self, seconds: u64) -> io::Result<()> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["exec-in-session", "--", "sleep", &seconds.to_string()]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        self.children.push(child);
        Ok(())
    }

    fn fill(&self, text: &str) -> String {
        if !text.contains('{') {
            return text.to_owned();
        }
        let child = self.children.last().map(Child::id).unwrap_or_default().to_string();
        let (turns, number, pid) = (self.turns.to_string(), self.number.to_string(), std::process::id().to_string());
        let values = [
            ("{prompt}", &self.prompt),
            ("{turn}", &self.turn),
            ("{turns}", &turns),
            ("{answer}", &self.answer),
            ("{steer}", &self.steer),
            ("{child}", &child),
            ("{n}", &number),
            ("{pid}", &pid),
        ];
        values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }
}

fn append(file: &PathBuf, text: &str) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).open(file)?.write_all(text.as_bytes())
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Does nothing any more, whatever it is told.
fn hang() -> ! {
    loop {
        std::thread::park();
    }
}
