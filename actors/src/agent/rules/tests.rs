//! What rules answer, and what they leave to people.

use super::*;

const HOME: &str = "/home/ada/project";

fn rules(texts: &[&str]) -> Vec<Rule> {
    texts.iter().map(|text| text.parse().expect("a rule")).collect()
}

fn judged(texts: &[&str], wants: &[Want]) -> Option<RuleEffect> {
    let rules = rules(texts);
    check(&rules).expect("rules that can be held against something");
    judge(&rules, wants, HOME).map(|rule| rule.effect)
}

fn shell(command: &str) -> Want {
    Want::Shell { command: command.to_owned() }
}

fn write(path: &str, real: Option<&str>) -> Want {
    Want::Write { path: path.to_owned(), real: real.map(str::to_owned) }
}

const ALLOWED: Option<RuleEffect> = Some(RuleEffect::Allow);
const DENIED: Option<RuleEffect> = Some(RuleEffect::Deny);

#[test]
fn a_command_is_allowed_word_by_word_and_never_by_its_beginning() {
    let texts = ["allow run cargo test ...", "allow run git status", "allow run ls *.rs"];
    for (command, judgement) in [
        ("cargo test", ALLOWED),
        ("cargo test --workspace -- --nocapture", ALLOWED),
        ("cargo test-all", None),
        ("cargo run", None),
        ("git status", ALLOWED),
        ("git status --short", None),
        ("cargo test; rm -rf /", None),
        ("cargo test && git status", ALLOWED),
        ("cargo test $(rm -rf /)", None),
        ("cargo test > /etc/passwd", None),
        ("cargo test\nrm -rf /", None),
        ("'cargo' test", ALLOWED),
        ("PATH=/tmp cargo test", None),
        ("/tmp/cargo test", None),
        ("ls main.rs", ALLOWED),
        ("bash -lc 'cargo test'", ALLOWED),
        ("bash -lc 'cargo test; rm x'", None),
        ("", None),
    ] {
        assert_eq!(judged(&texts, &[shell(command)]), judgement, "{command:?}");
    }
    let argv = |argv: &[&str]| Want::Run { argv: argv.iter().map(|&word| word.to_owned()).collect() };
    assert_eq!(judged(&texts, &[argv(&["/bin/bash", "-lc", "cargo test"])]), ALLOWED);
    assert_eq!(judged(&texts, &[argv(&["cargo", "test; rm"])]), None, "that is one word");
    assert_eq!(judged(&texts, &[argv(&[])]), None);
}

#[test]
fn a_denial_wins_over_everything_and_asking_over_allowing() {
    let texts = ["allow run git ...", "ask run git push ...", "deny run git push --force ..."];
    assert_eq!(judged(&texts, &[shell("git log")]), ALLOWED);
    assert_eq!(judged(&texts, &[shell("git push origin")]), None);
    assert_eq!(judged(&texts, &[shell("git push --force origin")]), DENIED);
    assert_eq!(judged(&texts, &[shell("git log && git push --force")]), DENIED, "one of them is enough");
    assert_eq!(judged(&texts, &[shell("git log"), shell("rm x")]), None, "all of it must be allowed");
    assert_eq!(judged(&texts, &[]), None, "nobody knows what is wanted");
    assert_eq!(judged(&[], &[shell("git log")]), None);
}

#[test]
fn paths_are_held_against_as_they_are_named_and_as_they_lead() {
    let texts = ["allow write src/**", "deny write **/secret*", "allow read /etc/hosts"];
    for (path, real, judgement) in [
        ("src/a/b.rs", Some("/home/ada/project/src/a/b.rs"), ALLOWED),
        ("./src/b.rs", Some("/home/ada/project/src/b.rs"), ALLOWED),
        ("/home/ada/project/src/b.rs", Some("/home/ada/project/src/b.rs"), ALLOWED),
        ("src/../../x", Some("/home/ada/x"), None),
        ("src/link/x", Some("/etc/x"), None),
        ("src/b.rs", None, None),
        ("srcs/b.rs", Some("/home/ada/project/srcs/b.rs"), None),
        ("src/x/secret.txt", None, DENIED),
        ("src/x/plain", Some("/home/ada/project/src/secret.txt"), DENIED),
        ("", None, None),
    ] {
        assert_eq!(judged(&texts, &[write(path, real)]), judgement, "{path:?} {real:?}");
    }
    let read = |path: &str| Want::Read { path: path.to_owned(), real: Some(path.to_owned()) };
    assert_eq!(judged(&texts, &[read("/etc/hosts")]), ALLOWED);
    assert_eq!(judged(&texts, &[read("/home/ada/project/src/a")]), None, "to write is not to read");
}

#[test]
fn addresses_are_matched_by_their_host_and_tools_by_their_name() {
    let texts = ["allow fetch *.example.com", "deny fetch Evil.example.com", "allow tool mcp__docs__*"];
    for (url, judgement) in [
        ("https://docs.example.com/a?b", ALLOWED),
        ("http://docs.example.com:8080", ALLOWED),
        ("https://DOCS.Example.com/", ALLOWED),
        ("https://evil.example.com/", DENIED),
        ("https://docs.example.com@evil.net/", None),
        ("https://docs.example.com:x@evil.net/", None),
        ("https://docs.example.com:80@evil.net/", None),
        ("https://evil.example.com./", DENIED),
        ("https://evil.net/docs.example.com", None),
        ("https://evil.net\\@docs.example.com/", None),
        ("file:///etc/passwd", None),
        ("docs.example.com", None),
    ] {
        assert_eq!(judged(&texts, &[Want::Fetch { url: url.to_owned() }]), judgement, "{url}");
    }
    let tool = |name: &str| Want::Tool { name: name.to_owned() };
    assert_eq!(judged(&texts, &[tool("mcp__docs__search")]), ALLOWED);
    assert_eq!(judged(&texts, &[tool("mcp__mail__send")]), None);
}

#[test]
fn a_directory_with_unusual_characters_in_its_name_is_meant_as_it_is() {
    let rules = rules(&["allow write a*"]);
    let write = |path: &str| [write(path, Some(path))];
    assert!(judge(&rules, &write("/w/[x]/abc"), "/w/[x]").is_some());
    assert!(judge(&rules, &write("/w/x/abc"), "/w/[x]").is_none());
}

#[test]
fn rules_that_match_nothing_are_refused() {
    for text in [
        "allow run 'x",
        "allow write a***b",
        "deny tool [",
        "deny fetch ***",
        "deny run ... rm",
        "allow fetch https://docs.rs/x",
        "deny run git push && x",
        "deny read ~/.ssh/**",
        "deny write ../secrets/**",
        "deny write src//a",
        "deny write src/",
        "deny write /a/./b",
    ] {
        assert!(check(&rules(&[text])).is_err(), "{text}");
    }
}

#[test]
fn a_program_is_forbidden_by_its_name_wherever_it_lies_and_within_whatever_shell() {
    let texts = ["allow run ...", "deny run rm ..."];
    for (command, judgement) in [
        ("ls", ALLOWED),
        ("rm x", DENIED),
        ("/bin/rm x", DENIED),
        ("bash -c 'rm x'", DENIED),
        ("bash -c \"bash -c 'rm x'\"", DENIED),
        ("bash -ec 'rm x'", None),
        ("bash -c 'rm x' _", None),
        ("bash script", None),
        ("bash -c 'ls'", ALLOWED),
    ] {
        assert_eq!(judged(&texts, &[shell(command)]), judgement, "{command:?}");
    }
    assert_eq!(judged(&["deny run bash ...", "allow run ls"], &[shell("bash -c ls")]), DENIED);
    assert_eq!(judged(&["deny run ..."], &[shell("ls")]), DENIED);
}

#[test]
fn a_program_that_only_has_a_shell_s_name_is_no_shell() {
    let texts = ["allow write src/**", "allow run cargo test"];
    assert_eq!(judged(&texts, &[shell("src/bash -c 'cargo test'")]), None);
    assert_eq!(judged(&texts, &[shell("/usr/bin/bash -c 'cargo test'")]), ALLOWED);
}

#[test]
fn what_is_done_in_another_directory_is_asked_about_and_a_tool_is_forbidden_by_its_own_name_too() {
    let texts = ["allow run ./check.sh"];
    let at = |directory: &str| [shell("./check.sh"), Want::At { directory: directory.to_owned() }];
    assert_eq!(judged(&texts, &at(HOME)), ALLOWED);
    assert_eq!(judged(&texts, &at("/tmp/evil")), None);
    let called = [shell("ls"), Want::Called { name: "Bash".to_owned() }];
    assert_eq!(judged(&["allow run ls"], &called), ALLOWED);
    assert_eq!(judged(&["allow run ls", "deny tool Bash"], &called), DENIED);
    assert_eq!(judged(&["allow tool Bash"], &called[1..]), None, "by its name alone nothing is allowed");
}
