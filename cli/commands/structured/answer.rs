//! What people type, as an answer to a question. Pure.

use ropewalk_protocol::{Answer, AskEffect, AskKind, AskOption};

/// An answer from the command line.
///
/// # Errors
/// What to type instead.
pub(super) fn of_words(kind: AskKind, options: &[AskOption], words: &[String]) -> Result<Answer, String> {
    let text = words.join(" ");
    let (first, rest) = (words.first().map_or("", String::as_str), words.get(1..).unwrap_or_default());
    match (first, rest) {
        ("choose", rest) if !rest.is_empty() && !options.is_empty() => choose(options, &rest.join(" ")),
        _ if kind == AskKind::Question => Ok(Answer::Text { text }),
        ("allow", []) if kind == AskKind::Permission => Ok(Answer::Allow { always: false }),
        ("always", []) if kind == AskKind::Permission => Ok(Answer::Allow { always: true }),
        ("deny", reason) => {
            let reason = Some(reason.join(" ")).filter(|reason| !reason.is_empty());
            Ok(Answer::Deny { reason })
        }
        _ if kind == AskKind::Choice => choose(options, &text),
        _ => Err("allow, always, deny [REASON] or choose OPTION is expected".to_owned()),
    }
}

/// An answer that was typed where the question was shown.
///
/// # Errors
/// What to type instead.
pub(super) fn of_line(kind: AskKind, options: &[AskOption], line: &str) -> Result<Answer, String> {
    let line = line.trim();
    let (first, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    match (kind, first.to_ascii_lowercase().as_str(), rest.trim()) {
        (_, "", _) => Err(keys(kind).to_owned()),
        (AskKind::Permission, "y" | "yes" | "allow", "") => Ok(Answer::Allow { always: false }),
        (AskKind::Permission, "a" | "always", "") => Ok(Answer::Allow { always: true }),
        (AskKind::Permission, "n" | "no" | "deny", reason) => {
            Ok(Answer::Deny { reason: Some(reason.to_owned()).filter(|reason| !reason.is_empty()) })
        }
        (AskKind::Permission, ..) => Err(keys(kind).to_owned()),
        (AskKind::Choice, ..) => choose(options, line),
        (AskKind::Question, ..) => Ok(Answer::Text { text: line.to_owned() }),
    }
}

/// What may be typed.
pub(super) fn keys(kind: AskKind) -> &'static str {
    match kind {
        AskKind::Permission => "y: allow, a: always, n [REASON]: deny",
        AskKind::Choice => "the option's number",
        AskKind::Question => "the answer",
    }
}

/// An option by its id, its name or its number from 1.
fn choose(options: &[AskOption], wanted: &str) -> Result<Answer, String> {
    let named = options.iter().find(|option| option.id == wanted || option.name.eq_ignore_ascii_case(wanted));
    let numbered = || options.get(wanted.parse::<usize>().ok()?.checked_sub(1)?);
    match named.or_else(numbered) {
        Some(option) => Ok(Answer::Choose { option: option.id.clone() }),
        None => {
            let known: Vec<_> = options.iter().map(|option| option.name.as_str()).collect();
            Err(format!("there is no option {wanted:?}; there are: {}", known.join(", ")))
        }
    }
}

/// What an answer was, for people.
pub(super) fn told(answer: &Answer, options: &[AskOption]) -> String {
    match answer {
        Answer::Allow { always: false } => "allowed".to_owned(),
        Answer::Allow { always: true } => "allowed, from now on".to_owned(),
        Answer::Deny { reason: None } => "denied".to_owned(),
        Answer::Deny { reason: Some(reason) } => format!("denied: {reason}"),
        Answer::Text { text } => format!("answered: {text}"),
        Answer::Choose { option } => match options.iter().find(|known| known.id == *option) {
            Some(AskOption { effect: AskEffect::Allow, .. }) => "allowed".to_owned(),
            Some(AskOption { effect: AskEffect::AllowAlways, .. }) => "allowed, from now on".to_owned(),
            Some(AskOption { effect: AskEffect::Deny, .. }) => "denied".to_owned(),
            Some(AskOption { effect: AskEffect::DenyAlways, .. }) => "denied, from now on".to_owned(),
            Some(AskOption { effect: AskEffect::Other, name, .. }) => format!("chosen: {name}"),
            None => format!("chosen: {option}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Vec<AskOption> {
        let option = |id: &str, name: &str, effect| AskOption { id: id.to_owned(), name: name.to_owned(), effect };
        vec![option("opt-a", "Apples", AskEffect::Other), option("opt-b", "Pears", AskEffect::Deny)]
    }

    fn words(kind: AskKind, line: &str) -> Result<Answer, String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        of_words(kind, &options(), &words)
    }

    fn chosen(option: &str) -> Result<Answer, String> {
        Ok(Answer::Choose { option: option.to_owned() })
    }

    #[test]
    fn words_are_an_answer_to_a_permission() {
        let kind = AskKind::Permission;
        assert_eq!(words(kind, "allow"), Ok(Answer::Allow { always: false }));
        assert_eq!(words(kind, "always"), Ok(Answer::Allow { always: true }));
        assert_eq!(words(kind, "deny"), Ok(Answer::Deny { reason: None }));
        assert_eq!(words(kind, "deny not now"), Ok(Answer::Deny { reason: Some("not now".to_owned()) }));
        assert_eq!(words(kind, "choose 2"), chosen("opt-b"));
        for wrong in ["yes please", "allow it", "choose", "choose 3", "choose 0", ""] {
            assert!(words(kind, wrong).is_err(), "{wrong}: nothing that is unclear may allow");
        }
    }

    #[test]
    fn words_are_an_answer_to_other_questions() {
        for line in ["choose apples", "choose opt-a", "choose 1", "Apples", "1", "opt-a"] {
            assert_eq!(words(AskKind::Choice, line), chosen("opt-a"), "{line}");
        }
        assert_eq!(words(AskKind::Choice, "deny"), Ok(Answer::Deny { reason: None }));
        assert!(words(AskKind::Choice, "allow").is_err());
        for line in ["allow", "deny it", "any text", "choose"] {
            assert_eq!(words(AskKind::Question, line), Ok(Answer::Text { text: line.to_owned() }));
        }
        assert_eq!(words(AskKind::Question, "choose pears"), chosen("opt-b"));
    }

    #[test]
    fn a_typed_line_is_an_answer() {
        let line = |kind, line: &str| of_line(kind, &options(), line);
        assert_eq!(line(AskKind::Permission, " Y \n"), Ok(Answer::Allow { always: false }));
        assert_eq!(line(AskKind::Permission, "a"), Ok(Answer::Allow { always: true }));
        assert_eq!(line(AskKind::Permission, "n too much"), Ok(Answer::Deny { reason: Some("too much".to_owned()) }));
        for wrong in ["", " ", "x", "y n", "allways", "yess"] {
            assert!(line(AskKind::Permission, wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(line(AskKind::Choice, "2"), chosen("opt-b"));
        assert!(line(AskKind::Choice, "9").is_err());
        assert_eq!(line(AskKind::Question, "blue\n"), Ok(Answer::Text { text: "blue".to_owned() }));
        assert_eq!(told(&Answer::Choose { option: "opt-b".to_owned() }, &options()), "denied");
    }
}
