//! What a prompt tells the stand-in to do: `[[word rest]]`, anywhere in its text, any number of them, done in order.

use serde_json::Value;

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Directive {
    /// `[[plain TEXT]]`: says the text; without one, a sentence of several deltas.
    Plain(String),
    /// `[[think]]`: thinks, then answers.
    Think,
    /// `[[bash CMD]]`: has a command run by whichever tool the agent has for that.
    Bash(String),
    /// `[[write PATH TEXT]]`: has a file written likewise.
    Write { path: String, text: String },
    /// `[[twotools CMD]]`: has the command run twice by one message: calls side by side.
    TwoTools(String),
    /// `[[call NAME]]{json}[[/call]]`: calls this tool with this input, declared or not. `NAMESPACE/NAME` where tools have one.
    Call { name: String, input: Value },
    /// `[[slow N MS]]`: N deltas, this long apart.
    Slow { count: u64, pause_ms: u64 },
    /// `[[gate NAME]]`: what follows is said when the test opens the gate.
    Gate(String),
    /// `[[err STATUS]]`: an HTTP error instead of an answer.
    Err(u16),
    /// `[[miderr]]`: a text that breaks off with an error of the API's own kind.
    MidErr,
    /// `[[drop]]`: a text that breaks off with the connection.
    Drop,
    /// `[[hang]]`: not one byte of an answer, for as long as the agent waits.
    Hang,
    /// `[[count]]`: says how many prompts with a directive the request holds: the proof of a resume.
    Count,
}

/// The directives of a text, in order. What looks like one and is none, say of bash, is a text like any other.
pub(crate) fn parse(text: &str) -> Vec<Directive> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("[[") {
        rest = after;
        let Some((inside, after)) = after.split_once("]]") else {
            break;
        };
        if let Some(name) = inside.strip_prefix("call ")
            && let Some((input, end)) = after.split_once("[[/call]]")
        {
            let input = serde_json::from_str(input).expect("a [[call]] holds JSON");
            found.push(Directive::Call { name: name.trim().to_owned(), input });
            rest = end;
        } else if let Some(directive) = simple(inside) {
            found.push(directive);
            rest = after;
        }
    }
    found
}

fn simple(inside: &str) -> Option<Directive> {
    let (word, rest) = inside.split_once(' ').unwrap_or((inside, ""));
    let rest = rest.trim();
    Some(match word {
        "plain" => Directive::Plain(rest.to_owned()),
        "think" => Directive::Think,
        "bash" => Directive::Bash(rest.to_owned()),
        "write" => {
            let (path, text) = rest.split_once(' ')?;
            Directive::Write { path: path.to_owned(), text: text.to_owned() }
        }
        "twotools" => Directive::TwoTools(rest.to_owned()),
        "slow" => {
            let (count, pause) = rest.split_once(' ')?;
            Directive::Slow { count: count.parse().ok()?, pause_ms: pause.parse().ok()? }
        }
        "gate" => Directive::Gate(rest.to_owned()),
        "err" => Directive::Err(rest.parse().ok()?),
        "miderr" => Directive::MidErr,
        "drop" => Directive::Drop,
        "hang" => Directive::Hang,
        "count" => Directive::Count,
        _ => return None,
    })
}

#[test]
fn each_directive_is_read() {
    let cases = [
        ("[[plain two words]]", Directive::Plain("two words".to_owned())),
        ("before [[plain]] after", Directive::Plain(String::new())),
        ("[[think]]", Directive::Think),
        ("[[bash touch a && echo b]]", Directive::Bash("touch a && echo b".to_owned())),
        ("[[write /tmp/a b c]]", Directive::Write { path: "/tmp/a".to_owned(), text: "b c".to_owned() }),
        ("[[twotools touch a]]", Directive::TwoTools("touch a".to_owned())),
        ("[[slow 40 50]]", Directive::Slow { count: 40, pause_ms: 50 }),
        ("[[gate go]]", Directive::Gate("go".to_owned())),
        ("[[err 429]]", Directive::Err(429)),
        ("[[miderr]]", Directive::MidErr),
        ("[[drop]]", Directive::Drop),
        ("[[hang]]", Directive::Hang),
        ("[[count]]", Directive::Count),
    ];
    for (text, directive) in cases {
        assert_eq!(parse(text), [directive], "{text}");
    }
}

#[test]
fn a_call_holds_any_json_and_directives_follow_one_another() {
    let text =
        r#"[[think]] then [[call Task]]{"prompt": "[[plain inner]]", "list": [[1], [2]]}[[/call]] [[plain last]]"#;
    let input = serde_json::json!({"prompt": "[[plain inner]]", "list": [[1], [2]]});
    let call = Directive::Call { name: "Task".to_owned(), input };
    assert_eq!(parse(text), [Directive::Think, call, Directive::Plain("last".to_owned())]);
}

#[test]
fn what_is_no_directive_is_none() {
    for text in
        ["", "hello", "if [[ -f a ]]; then", "[[unknown]]", "[[slow few]]", "[[write a]]", "[[plain", "[[/call]]"]
    {
        assert_eq!(parse(text), [], "{text}");
    }
    assert_eq!(parse("[[ -f a ]] && [[plain x]]"), [Directive::Plain("x".to_owned())]);
}
