//! The language of scripts: a step a line. `ropewalk scripted-agent --help` describes it. Pure.

use regex::Regex;
use ropewalk_protocol::{NoticeKind, TurnOutcome, Usage, UsageScope};

/// A script.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// It remembers how many turns each conversation had.
    pub(super) resumes: bool,
    /// It never reads what is written.
    pub(super) is_deaf: bool,
    blocks: Vec<Block>,
}

/// What to do on something.
#[derive(Debug)]
struct Block {
    on: On,
    pattern: Option<Regex>,
    steps: Vec<Step>,
}

/// What a block is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    Start,
    Prompt,
    Steer,
    Interrupt,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Say(String),
    Delta(String),
    Think(String),
    Plan(String),
    Edit(String),
    Tool { name: String, input: String, output: String },
    Ask { title: String, detail: String, allowed: Vec<Step>, denied: Vec<Step> },
    Choose { title: String, options: Vec<String> },
    Question(String),
    Usage(Usage),
    Notice { kind: NoticeKind, text: String },
    Confirm,
    Sleep(u64),
    Repeat(u64, Vec<Step>),
    Flood(usize),
    Line(usize),
    Garbage,
    Raw(String),
    Complain(String),
    SpawnChild(u64),
    Half,
    Hang,
    Refuse(String),
    Exit(i32),
    End(TurnOutcome),
}

impl Script {
    /// The steps of the first block for this, if there is one.
    pub(super) fn steps(&self, on: On, text: &str) -> Option<&[Step]> {
        let matches =
            |block: &&Block| block.on == on && block.pattern.as_ref().is_none_or(|pattern| pattern.is_match(text));
        self.blocks.iter().find(matches).map(|block| block.steps.as_slice())
    }

    /// Reads a script.
    ///
    /// # Errors
    /// The line that is wrong, and why.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut lines = Lines { rest: text.lines().zip(1..).collect::<Vec<_>>().into_iter().peekable(), number: 0 };
        lines.script().map_err(|why| format!("line {}: {why}", lines.number))
    }
}

struct Lines<'a> {
    rest: std::iter::Peekable<std::vec::IntoIter<(&'a str, usize)>>,
    number: usize,
}

impl<'a> Lines<'a> {
    /// The next line that says something, and whether it begins a block.
    fn peek(&mut self) -> Option<&'a str> {
        while let Some((line, number)) = self.rest.peek() {
            let line = line.trim();
            self.number = *number;
            if !line.is_empty() && !line.starts_with('#') {
                return Some(line);
            }
            self.rest.next();
        }
        None
    }

    fn script(&mut self) -> Result<Script, String> {
        let mut script = Script::default();
        while let Some(line) = self.peek() {
            self.rest.next();
            match split(line) {
                ("resume", "") => script.resumes = true,
                ("deaf", "") => script.is_deaf = true,
                ("on", what) => {
                    let (on, pattern) = event(what)?;
                    let steps = self.steps(&["on"])?;
                    script.blocks.push(Block { on, pattern, steps });
                }
                _ => return Err("a step stands below `on start`, `on prompt`, `on steer` or `on interrupt`".to_owned()),
            }
        }
        Ok(script)
    }

    /// Steps up to a line that begins with one of these words, or to the end.
    fn steps(&mut self, until: &[&str]) -> Result<Vec<Step>, String> {
        let mut steps = Vec::new();
        while let Some(line) = self.peek() {
            if until.contains(&split(line).0) {
                break;
            }
            self.rest.next();
            let step = match split(line) {
                ("ask", rest) => self.ask(rest)?,
                ("repeat", count) => {
                    let steps = self.steps(&["done", "on"])?;
                    self.done()?;
                    Step::Repeat(number(count)?, steps)
                }
                (word, rest) => step(word, rest)?,
            };
            steps.push(step);
        }
        Ok(steps)
    }

    fn done(&mut self) -> Result<(), String> {
        match self.peek() {
            Some("done") => {
                self.rest.next();
                Ok(())
            }
            _ => Err("`done` is missing".to_owned()),
        }
    }

    fn ask(&mut self, rest: &str) -> Result<Step, String> {
        let (title, detail) = rest.split_once('|').unwrap_or((rest, ""));
        let (mut allowed, mut denied) = (Vec::new(), Vec::new());
        let mut has_branches = false;
        while let Some(word @ ("allowed" | "denied")) = self.peek() {
            self.rest.next();
            has_branches = true;
            let steps = self.steps(&["allowed", "denied", "done", "on"])?;
            if word == "allowed" { allowed.extend(steps) } else { denied.extend(steps) }
        }
        if has_branches {
            self.done()?;
        }
        Ok(Step::Ask { title: words(title), detail: detail.trim().to_owned(), allowed, denied })
    }
}

fn split(line: &str) -> (&str, &str) {
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    (word, rest.trim())
}

fn event(what: &str) -> Result<(On, Option<Regex>), String> {
    let (name, pattern) = split(what);
    let on = match name {
        "start" => On::Start,
        "prompt" => On::Prompt,
        "steer" => On::Steer,
        "interrupt" => On::Interrupt,
        _ => return Err(format!("{name:?} is nothing that happens: start, prompt, steer or interrupt")),
    };
    if pattern.is_empty() {
        return Ok((on, None));
    }
    let inner = pattern.strip_prefix('/').and_then(|pattern| pattern.strip_suffix('/'));
    let inner = inner.ok_or("a pattern stands between two slashes")?;
    Ok((on, Some(Regex::new(inner).map_err(|error| error.to_string())?)))
}

fn step(word: &str, rest: &str) -> Result<Step, String> {
    let text = || words(rest);
    Ok(match word {
        "say" => Step::Say(text()),
        "delta" => Step::Delta(text()),
        "think" => Step::Think(text()),
        "plan" => Step::Plan(text()),
        "edit" => Step::Edit(text()),
        "tool" => tool(rest)?,
        "choose" => {
            let mut parts = rest.split('|').map(|part| part.trim().to_owned());
            Step::Choose { title: parts.next().unwrap_or_default(), options: parts.collect() }
        }
        "question" => Step::Question(text()),
        "usage" => Step::Usage(usage(rest)?),
        "notice" => {
            let (kind, text) = split(rest);
            let kind = serde_json::from_value(kind.into()).map_err(|error| error.to_string())?;
            Step::Notice { kind, text: words(text) }
        }
        "confirm" => Step::Confirm,
        "sleep" => Step::Sleep(number(rest)?),
        "flood" => Step::Flood(number(rest)?),
        "line" => Step::Line(number(rest)?),
        "garbage" => Step::Garbage,
        "raw" => Step::Raw(rest.to_owned()),
        "complain" => Step::Complain(text()),
        "spawn-child" => Step::SpawnChild(number(rest)?),
        "half" => Step::Half,
        "hang" => Step::Hang,
        "refuse" => Step::Refuse(text()),
        "exit" => Step::Exit(number(rest)?),
        "end" => Step::End(outcome(rest)?),
        _ => return Err(format!("{word:?} is no step")),
    })
}

/// A text as it stands, or a JSON string: for line ends, and blanks at its ends.
fn words(text: &str) -> String {
    let text = text.trim();
    serde_json::from_str(text).unwrap_or_else(|_| text.to_owned())
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is no number that fits here"))
}

/// `NAME INPUT OUTPUT`: the input is one JSON value.
fn tool(rest: &str) -> Result<Step, String> {
    let (name, rest) = split(rest);
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<serde_json::Value>();
    let input = values.next().ok_or("the tool's input is missing")?.map_err(|error| format!("the input: {error}"))?;
    let output = &rest[values.byte_offset()..];
    Ok(Step::Tool { name: name.to_owned(), input: input.to_string(), output: words(output) })
}

fn usage(rest: &str) -> Result<Usage, String> {
    let mut usage = Usage {
        scope: UsageScope::Turn,
        input_tokens: 0,
        cached_tokens: 0,
        output_tokens: 0,
        cost_micro_usd: None,
        context_tokens: None,
        context_tokens_max: None,
    };
    for field in rest.split_whitespace() {
        let (name, value) = field.split_once('=').ok_or("KEY=N is expected")?;
        match name {
            "scope" => usage.scope = serde_json::from_value(value.into()).map_err(|error| error.to_string())?,
            "input" => usage.input_tokens = number(value)?,
            "cached" => usage.cached_tokens = number(value)?,
            "output" => usage.output_tokens = number(value)?,
            "cost" => usage.cost_micro_usd = Some(number(value)?),
            "context" => usage.context_tokens = Some(number(value)?),
            "max" => usage.context_tokens_max = Some(number(value)?),
            _ => return Err(format!("{name:?} is not counted")),
        }
    }
    Ok(usage)
}

fn outcome(rest: &str) -> Result<TurnOutcome, String> {
    match split(rest) {
        ("completed", "") => Ok(TurnOutcome::Completed),
        ("cancelled", "") => Ok(TurnOutcome::Cancelled),
        ("failed", reason) => Ok(TurnOutcome::Failed { reason: words(reason) }),
        ("interrupted", reason) => Ok(TurnOutcome::Interrupted { reason: words(reason) }),
        _ => Err("completed, cancelled, failed REASON or interrupted REASON is expected".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read() {
        let script = Script::parse(
            r#"
            resume
            # a comment
            on start
              sleep 10
            on prompt /^fix/
              confirm
              delta "two words "
              tool Bash {"command": "ls -l"} "a\nb"
              ask Run it? | {"command": "rm"}
              allowed
                repeat 2
                  say yes {n}
                done
              denied
                end failed not allowed
              done
              usage scope=call input=3 cost=5
            on prompt
              say anything else
            "#,
        )
        .unwrap();
        assert!(script.resumes && !script.is_deaf);
        assert_eq!(script.steps(On::Start, ""), Some(&[Step::Sleep(10)][..]));
        assert_eq!(script.steps(On::Interrupt, ""), None);
        assert_eq!(script.steps(On::Prompt, "hello"), Some(&[Step::Say("anything else".to_owned())][..]));
        let steps = script.steps(On::Prompt, "fix it").unwrap();
        assert_eq!(steps[..2], [Step::Confirm, Step::Delta("two words ".to_owned())]);
        let (name, input) = ("Bash".to_owned(), r#"{"command":"ls -l"}"#.to_owned());
        assert_eq!(steps[2], Step::Tool { name, input, output: "a\nb".to_owned() });
        let allowed = vec![Step::Repeat(2, vec![Step::Say("yes {n}".to_owned())])];
        let denied = vec![Step::End(TurnOutcome::Failed { reason: "not allowed".to_owned() })];
        let (title, detail) = ("Run it?".to_owned(), r#"{"command": "rm"}"#.to_owned());
        assert_eq!(steps[3], Step::Ask { title, detail, allowed, denied });
        assert!(matches!(&steps[4], Step::Usage(Usage { scope: UsageScope::Call, input_tokens: 3, .. })));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (script, line) in [
            ("say x", 1),
            ("on prompt\n\nfly away", 3),
            ("on noon\nsay x", 1),
            ("on prompt /(/\nsay x", 1),
            ("on prompt fix", 1),
            ("on prompt\nrepeat 2\nsay x", 3),
            ("on prompt\nask x\nallowed\nsay y\non prompt\nsay z", 5),
            ("on prompt\ntool Bash {\"a\": }", 2),
            ("on prompt\nsleep soon", 2),
            ("on prompt\nusage input=x", 2),
            ("on prompt\nnotice bad x", 2),
            ("on prompt\nend well", 2),
        ] {
            let error = Script::parse(script).unwrap_err();
            assert!(error.starts_with(&format!("line {line}: ")), "{script:?}: {error}");
        }
    }
}
