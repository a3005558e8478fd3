//! The words of a shell's command, where nothing but words is in it. Anything that a shell would make something else of (a
//! variable, a substitution, a redirection, a name with a `*`) is not parsed: who knows what it becomes?

/// What a shell passes over between words.
const BLANKS: [char; 3] = [' ', '\t', '\n'];

/// Commands that are looked at. A longer one is people's to read.
const COMMAND_BYTES_MAX: usize = 16 * 1024;

/// What a shell itself does, and what changes the meaning of the commands that follow.
const CHANGES: [&str; 22] = [
    "cd",
    "pushd",
    "popd",
    "export",
    "declare",
    "typeset",
    "local",
    "readonly",
    "hash",
    "read",
    "set",
    "unset",
    "enable",
    "unalias",
    "shopt",
    "getopts",
    "mapfile",
    "readarray",
    "let",
    "umask",
    "ulimit",
    "printf",
];

/// The programs that a command runs, each with its words; `None`: not all that it does is told by words.
pub(super) fn commands(text: &str) -> Option<Vec<Vec<String>>> {
    if text.len() > COMMAND_BYTES_MAX {
        return None;
    }
    let mut parser = Parser { commands: vec![Vec::new()], word: None };
    let mut chars = text.trim_matches(BLANKS).chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' => parser.end_word(),
            '\n' | ';' => parser.end_command(c == '\n')?,
            '|' | '&' => {
                let doubled = chars.next_if_eq(&c).is_some();
                // One `&` leaves a program behind, `|&` and `&|` join outputs.
                if c == '&' && !doubled || chars.peek().is_some_and(|next| matches!(next, '|' | '&')) {
                    return None;
                }
                parser.end_command(false)?;
            }
            _ => parser.push(c, &mut chars, false)?,
        }
    }
    parser.end_word();
    if parser.commands.last().is_some_and(Vec::is_empty) {
        // `a;` and a last line's end begin nothing.
        parser.commands.pop();
    }
    let commands = parser.commands;
    let is_plain = |argv: &Vec<String>| argv.first().is_some_and(|program| is_program(program));
    let is_alone = commands.len() == 1;
    let stays = |argv: &Vec<String>| is_alone || !CHANGES.contains(&argv[0].as_str());
    (!commands.is_empty() && commands.iter().all(|argv| is_plain(argv) && stays(argv) && !evaluates(argv)))
        .then_some(commands)
}

/// The words of a pattern: as a command's, but `*`, `?` and brackets are what they are.
pub(super) fn pattern(text: &str) -> Option<Vec<String>> {
    let mut parser = Parser { commands: vec![Vec::new()], word: None };
    let mut chars = text.trim().chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' => parser.end_word(),
            ';' | '|' | '&' | '<' | '>' => return None,
            _ => parser.push(c, &mut chars, true)?,
        }
    }
    parser.end_word();
    parser.commands.pop().filter(|words| !words.is_empty())
}

/// Whether words are evaluated as more than words: names of variables may hold commands.
fn evaluates(argv: &[String]) -> bool {
    matches!(argv[0].as_str(), "printf" | "test" | "[" | "wait")
        && argv[1..].iter().any(|word| word.starts_with("-v") || word == "-p" || word == "-R")
}

/// Whether a word in a program's place is one: no assignment, no word of the shell's own grammar.
fn is_program(word: &str) -> bool {
    const GRAMMAR: [&str; 25] = [
        "if", "then", "elif", "else", "fi", "for", "while", "until", "do", "done", "case", "esac", "in", "function",
        "select", "time", "coproc", "eval", "exec", "source", ".", "command", "builtin", "alias", "trap",
    ];
    !word.is_empty() && !word.contains('=') && !GRAMMAR.contains(&word)
}

struct Parser {
    commands: Vec<Vec<String>>,
    word: Option<String>,
}

impl Parser {
    fn end_word(&mut self) {
        if let (Some(word), Some(command)) = (self.word.take(), self.commands.last_mut()) {
            command.push(word);
        }
    }

    fn end_command(&mut self, may_be_empty: bool) -> Option<()> {
        self.end_word();
        if self.commands.last().is_some_and(Vec::is_empty) {
            return may_be_empty.then_some(());
        }
        self.commands.push(Vec::new());
        Some(())
    }

    /// Takes in what begins with this character, within a word.
    fn push(&mut self, c: char, chars: &mut std::iter::Peekable<std::str::Chars<'_>>, is_pattern: bool) -> Option<()> {
        let is_first = self.word.is_none();
        let word = self.word.get_or_insert_default();
        match c {
            '\'' => loop {
                match chars.next()? {
                    '\'' => break,
                    c => word.push(c),
                }
            },
            '"' => loop {
                match chars.next()? {
                    '"' => break,
                    '$' | '`' | '!' if !is_pattern => return None,
                    '\\' => match chars.next()? {
                        c @ ('"' | '\\' | '$' | '`') => word.push(c),
                        '\n' => {}
                        c => word.extend(['\\', c]),
                    },
                    c => word.push(c),
                }
            },
            '\\' => match chars.next()? {
                '\n' => return None,
                c => word.push(c),
            },
            '$' | '`' | '(' | ')' | '{' | '}' | '<' | '>' | '*' | '?' | '[' | ']' | '!' if !is_pattern => return None,
            '~' if !is_pattern => return None,
            '#' if is_first && !is_pattern => return None,
            c if c.is_control() => return None,
            c => word.push(c),
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<String> {
        commands(text).map(|commands| commands.iter().map(|argv| argv.join("|")).collect::<Vec<_>>().join(" ; "))
    }

    #[test]
    fn words_are_what_a_shell_makes_of_them() {
        for (text, words) in [
            ("ls", "ls"),
            ("  git   commit -m 'a b'\t\"c d\" ", "git|commit|-m|a b|c d"),
            (r#"echo a\ b "q\"\\\$x" 'it'\''s'"#, r#"echo|a b|q"\$x|it's"#),
            ("echo '$HOME' '`x`' '*'", "echo|$HOME|`x`|*"),
            ("a && b || c | d; e", "a ; b ; c ; d ; e"),
            ("a\n\nb\n", "a ; b"),
            ("a;", "a"),
            ("echo a#b 'x~'", "echo|a#b|x~"),
            ("cd x", "cd|x"),
            ("./check\u{a0}", "./check\u{a0}"),
            ("echo ''", "echo|"),
        ] {
            assert_eq!(parsed(text).as_deref(), Some(words), "{text}");
        }
    }

    #[test]
    fn what_a_shell_would_make_something_else_of_is_not_parsed() {
        for text in [
            "",
            "  ",
            ";",
            "a ;; b",
            "&& a",
            "a & b",
            "a &",
            "a |& b",
            "a || | b",
            "echo $HOME",
            "echo `id`",
            "echo $(id)",
            "echo \"$x\"",
            "a > b",
            "a < b",
            "rm *",
            "ls a?",
            "ls [ab]",
            "{ a; }",
            "(a)",
            "! a",
            "X=1 a",
            "if true",
            "~/x",
            "# a",
            "echo 'a",
            "echo \"a",
            "echo a\\",
            "eval ls",
            ". ./x",
            "echo \"!x\"",
            "a \u{1b}[0m",
            "exec ls",
            "time ls",
            "dd of=~/x",
            "cd x && ls",
            "printf -v PATH /x; ls",
            "printf -v 'a[$(id)]' x",
            "test -v 'a[$(id)]'",
            "export A; ls",
            "a\u{7}",
            "printf x; ls",
        ] {
            assert_eq!(parsed(text), None, "{text:?}");
        }
    }
}
