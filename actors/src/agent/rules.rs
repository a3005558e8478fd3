//! What rules make of what an agent wants to do. They are held against parsed words and paths, never against the beginning of
//! a text: what cannot be parsed is no rule's to allow.

mod shell;

use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};
use ropewalk_protocol::{Rejection, Rule, RuleAction, RuleEffect};

use crate::providers::Want;

/// Stands for any more words.
const ANY_MORE: &str = "...";

/// Shells that shells are given as commands.
const SHELLS_WITHIN_MAX: usize = 3;

/// `*` does not pass a `/`: only `**` does.
const PATHS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

const WORDS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: false, require_literal_leading_dot: false };

/// Whether rules can be held against anything.
///
/// # Errors
/// `invalid_params`, naming the first one that cannot.
pub(crate) fn check(rules: &[Rule]) -> Result<(), Rejection> {
    rules.iter().try_for_each(|rule| {
        let wrong =
            |why: &str, hint: &str| Rejection::invalid(format!("the rule “{rule}” matches nothing: {why}")).hint(hint);
        let words = match rule.action {
            RuleAction::Run => {
                let words = shell::pattern(&rule.pattern);
                let words = words.ok_or_else(|| wrong("it is not made of words", "Quote what is one word."))?;
                let early = words.iter().rev().skip(1).any(|word| word == ANY_MORE);
                if early {
                    return Err(wrong("`...` stands for any more words at the end only", "`*` stands for one word."));
                }
                words
            }
            RuleAction::Read | RuleAction::Write => {
                let rest = rule.pattern.strip_prefix("./").or(rule.pattern.strip_prefix('/')).unwrap_or(&rule.pattern);
                let is_plain = |part: &str| !matches!(part, "" | "." | "..") && !part.starts_with('~');
                if !rest.split('/').all(is_plain) {
                    let hint =
                        "Name the path as it is, from `/` on or from the agent's directory on; `**` for all below.";
                    return Err(wrong("`~`, `.`, `..` and empty parts are in no path", hint));
                }
                vec![rule.pattern.clone()]
            }
            RuleAction::Fetch if rule.pattern.contains(['/', ':']) => {
                return Err(wrong(
                    "it is not a host",
                    "Name the host alone, as in `docs.example.com` or `*.example.com`.",
                ));
            }
            RuleAction::Fetch | RuleAction::Tool => vec![rule.pattern.clone()],
        };
        words.iter().try_for_each(|word| match Pattern::new(word) {
            Ok(_) => Ok(()),
            Err(error) => {
                Err(wrong(error.msg, "`*` and `?` stand for other characters, `[*]` for the character itself."))
            }
        })
    })
}

/// The rule that answers: a denial of anything that is wanted, else what allows all of it. `None`: people are asked.
pub(crate) fn judge<'a>(rules: &'a [Rule], wants: &[Want], directory: &str) -> Option<&'a Rule> {
    let deeds: Vec<Deed> = wants.iter().flat_map(|want| deeds(want, directory)).collect();
    let with = |effect| rules.iter().filter(move |rule: &&Rule| rule.effect == effect);
    let denies = |rule: &&Rule| deeds.iter().any(|deed| deed.touches(rule, directory));
    if let Some(rule) = with(RuleEffect::Deny).find(denies) {
        return Some(rule);
    }
    if with(RuleEffect::Ask).any(|rule| denies(&rule)) {
        return None;
    }
    let mut allowed = None;
    for deed in deeds.iter().filter(|deed| !matches!(deed, Deed::Called(_) | Deed::Within(_))) {
        allowed = Some(with(RuleEffect::Allow).find(|rule| deed.is_within(rule, directory))?);
    }
    allowed
}

/// One thing that is to be done.
enum Deed {
    Run(Vec<String>),
    /// A shell around what is to be done: it may be forbidden, and is not what is to be allowed.
    Within(Vec<String>),
    /// A path as it was named and where it leads, if that is known.
    File(RuleAction, PathBuf, Option<PathBuf>),
    Fetch(String),
    Tool(String),
    /// The name of the tool by which something is done that is told apart: it may be forbidden by it, and is not allowed by it.
    Called(String),
    /// It cannot be told what.
    Unclear,
}

fn deeds(want: &Want, directory: &str) -> Vec<Deed> {
    match want {
        Want::Shell { command } => script(command, SHELLS_WITHIN_MAX),
        Want::Run { argv } => run(argv.clone(), SHELLS_WITHIN_MAX),
        Want::Read { path, real } => vec![file(RuleAction::Read, path, real.as_deref(), directory)],
        Want::Write { path, real } => vec![file(RuleAction::Write, path, real.as_deref(), directory)],
        Want::Fetch { url } => vec![host(url).map_or(Deed::Unclear, Deed::Fetch)],
        Want::Tool { name } => vec![Deed::Tool(name.clone())],
        Want::Called { name } => vec![Deed::Called(name.clone())],
        Want::At { directory: at } if absolute(at, directory) == absolute(".", directory) => Vec::new(),
        // What is found by a name there may be something else.
        Want::At { .. } => vec![Deed::Unclear],
    }
}

/// What a shell's command does.
fn script(text: &str, within_max: usize) -> Vec<Deed> {
    match shell::commands(text) {
        Some(commands) => commands.into_iter().flat_map(|argv| run(argv, within_max)).collect(),
        None => vec![Deed::Unclear],
    }
}

/// A program; or what a shell does that is given a command.
fn run(argv: Vec<String>, within_max: usize) -> Vec<Deed> {
    const SHELLS: [&str; 5] = ["sh", "bash", "dash", "zsh", "ksh"];
    let Some(program) = argv.first() else { return vec![Deed::Unclear] };
    let name = base_name(program);
    let is_system_s = [name.to_owned(), format!("/bin/{name}"), format!("/usr/bin/{name}")].contains(program);
    match argv.as_slice() {
        [_, flags, text] if SHELLS.contains(&name) && is_system_s && matches!(flags.as_str(), "-c" | "-lc") => {
            // The shell itself may be forbidden; what it does is all that is to be allowed.
            let mut deeds = vec![Deed::Within(argv.clone())];
            if within_max == 0 {
                deeds.push(Deed::Unclear);
            } else {
                deeds.extend(script(text, within_max - 1));
            }
            deeds
        }
        // Whoever asks a shell in another way may mean anything.
        _ if SHELLS.contains(&name) => vec![Deed::Within(argv), Deed::Unclear],
        _ => vec![Deed::Run(argv)],
    }
}

fn base_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or_default()
}

fn file(action: RuleAction, path: &str, real: Option<&str>, directory: &str) -> Deed {
    match absolute(path, directory) {
        Some(named) => Deed::File(action, named, real.and_then(|real| absolute(real, directory))),
        None => Deed::Unclear,
    }
}

/// A path without `.` and `..`, from the root on.
fn absolute(path: &str, directory: &str) -> Option<PathBuf> {
    let mut absolute = PathBuf::new();
    for component in Path::new(directory).join(path).components() {
        match component {
            Component::ParentDir => drop(absolute.pop()),
            Component::CurDir => {}
            other => absolute.push(other),
        }
    }
    (!path.is_empty() && absolute.is_absolute()).then_some(absolute)
}

/// The host of an address of the web; one with anything unusual before its path has none.
fn host(url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    if !port.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    (!host.is_empty() && host.chars().all(is_plain)).then(|| host.to_ascii_lowercase())
}

impl Deed {
    /// Whether any of it is what the rule is about.
    fn touches(&self, rule: &Rule, directory: &str) -> bool {
        match self {
            Deed::File(action, named, real) if *action == rule.action => {
                [Some(named), real.as_ref()].into_iter().flatten().any(|path| matches_path(rule, path, directory))
            }
            Deed::Run(argv) | Deed::Within(argv) if rule.action == RuleAction::Run => {
                // A program is forbidden by its name, wherever it lies.
                let mut named = argv.clone();
                if let Some(program) = named.first_mut() {
                    *program = base_name(program).to_owned();
                }
                matches_words(&rule.pattern, argv) || matches_words(&rule.pattern, &named)
            }
            _ => self.is_within(rule, directory),
        }
    }

    /// Whether all of it is. A file that may lie elsewhere than it seems is not.
    fn is_within(&self, rule: &Rule, directory: &str) -> bool {
        match (self, rule.action) {
            (Deed::Run(argv), RuleAction::Run) => matches_words(&rule.pattern, argv),
            (Deed::File(RuleAction::Read, named, real), RuleAction::Read)
            | (Deed::File(RuleAction::Write, named, real), RuleAction::Write) => {
                let leads_there = real.as_ref().is_some_and(|real| matches_path(rule, real, directory));
                leads_there && matches_path(rule, named, directory)
            }
            (Deed::Fetch(host), RuleAction::Fetch) => matches_word(&rule.pattern.to_ascii_lowercase(), host),
            (Deed::Tool(name) | Deed::Called(name), RuleAction::Tool) => matches_word(&rule.pattern, name),
            _ => false,
        }
    }
}

fn matches_word(pattern: &str, word: &str) -> bool {
    Pattern::new(pattern).is_ok_and(|pattern| pattern.matches_with(word, WORDS))
}

fn matches_words(pattern: &str, argv: &[String]) -> bool {
    let Some(mut patterns) = shell::pattern(pattern) else { return false };
    let any_more = patterns.last().is_some_and(|last| last == ANY_MORE);
    if any_more {
        patterns.pop();
    }
    let fits = if any_more { argv.len() >= patterns.len() } else { argv.len() == patterns.len() };
    fits && patterns.iter().zip(argv).all(|(pattern, word)| matches_word(pattern, word))
}

fn matches_path(rule: &Rule, path: &Path, directory: &str) -> bool {
    let directory = Pattern::escape(directory.trim_end_matches('/'));
    let pattern = match rule.pattern.as_str() {
        rooted if rooted.starts_with('/') => rooted.to_owned(),
        within => format!("{directory}/{}", within.trim_start_matches("./")),
    };
    Pattern::new(&pattern).is_ok_and(|pattern| pattern.matches_path_with(path, PATHS))
}

#[cfg(test)]
mod tests;
