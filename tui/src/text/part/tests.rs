use std::time::Duration;

use ropewalk_projections::transcript::{Transcript, Turn};
use ropewalk_protocol::{
    AgentId, AgentJoined, Answer, Answered, AskClosed, AskEffect, AskEnd, AskKind, AskOption, Asked, Cause, CommandId,
    Delivery, Event, EventBody, InteractionId, ItemDelta, ItemEnded, ItemId, ItemKind, ItemStarted, ItemStatus,
    ItemText, Noticed, OnAsk, PromptId, PromptQueued, PromptSteered, Released, RuleApplied, RunAsked, RunId, Seq,
    SessionId, Stream, TerminalId, TurnEnded, TurnId, TurnStarted, Usage, UsageScope, Used,
};
use rustix::time::{ClockId, clock_gettime};

use super::super::wrap::line_cells;
use super::*;

const SESSION: SessionId = SessionId::from_bytes([1; 16]);
const AGENT: AgentId = AgentId::from_bytes([2; 16]);
const TURN: TurnId = TurnId::from_bytes([3; 16]);
const RUN: RunId = RunId::from_bytes([4; 16]);
const ITEM: ItemId = ItemId::from_bytes([5; 16]);
const ASK: InteractionId = InteractionId::from_bytes([6; 16]);
const CLOSED: Look = Look { is_open: false, is_running: false, is_selected: false };
const OPEN: Look = Look { is_open: true, ..CLOSED };
const RUNNING: Look = Look { is_running: true, ..CLOSED };

/// A turn to which these things happen, a second apart.
struct Told(Transcript, u64);

impl Told {
    fn new() -> Self {
        let run = RunAsked {
            run: RUN,
            output: TerminalId::from_bytes([7; 16]),
            errors: TerminalId::from_bytes([8; 16]),
            argv: Vec::new(),
        };
        let joined = AgentJoined {
            agent: AGENT,
            provider: "claude".to_owned(),
            name: "builder".to_owned(),
            parent: None,
            command: Vec::new(),
            directory: "/w".to_owned(),
            model: None,
            mode: None,
            on_ask: OnAsk::Wait,
            run,
            prompt: None,
            terms: Box::default(),
        };
        let mut told = Self(Transcript::default(), 0);
        told.tell(Stream::Session(SESSION), joined, None);
        told.then(prompt(1, "Mend it.\nThen test.")).then(TurnStarted {
            turn: TURN,
            prompt: Some(PromptId::from_bytes([1; 16])),
            run: RUN,
            input: 1,
        })
    }

    fn tell(&mut self, stream: Stream, body: impl Into<EventBody>, client: Option<&str>) {
        self.1 += 1;
        let cause = client.map(|client| Cause { command: CommandId::from_bytes([9; 16]), client: client.to_owned() });
        let at = Timestamp::from_unix_micros(self.1 * 1_000_000);
        self.0.apply(&Event { seq: Seq(self.1), stream, at, cause, body: body.into() });
    }

    fn then(self, body: impl Into<EventBody>) -> Self {
        self.by(body, None)
    }

    fn by(mut self, body: impl Into<EventBody>, client: Option<&str>) -> Self {
        self.tell(Stream::Agent(SESSION, AGENT), body, client);
        self
    }

    fn item(self, kind: ItemKind, title: &str, input: &str, text: &str, status: Option<ItemStatus>) -> Self {
        let (title, input) = (title.to_owned(), input.to_owned());
        let started =
            ItemStarted { item: ITEM, key: String::new(), turn: Some(TURN), parent: None, kind, title, input };
        let told = self.then(started).then(ItemDelta { item: ITEM, text: text.to_owned() });
        match status {
            Some(status) => told.then(ItemEnded { item: ITEM, status }),
            None => told,
        }
    }

    fn turn(&self) -> &Turn {
        self.0.talk(AGENT).unwrap().turns.last().unwrap()
    }

    fn lines(&self, look: Look, width: u16) -> Vec<Line<'static>> {
        part(self.turn().parts.last().unwrap(), &look, width, &Theme::dark())
    }

    fn rows(&self, look: Look, width: u16) -> Vec<String> {
        self.lines(look, width).iter().map(ToString::to_string).collect()
    }

    fn plain(&self, look: Look) -> Vec<String> {
        let lines = part(self.turn().parts.last().unwrap(), &look, 60, &Theme::plain());
        lines.iter().map(ToString::to_string).collect()
    }
}

fn prompt(number: u8, text: &str) -> PromptQueued {
    PromptQueued { prompt: PromptId::from_bytes([number; 16]), text: text.to_owned(), delivery: Delivery::Steer }
}

fn tool(input: &str, text: &str, status: Option<ItemStatus>) -> Told {
    Told::new().item(ItemKind::Tool, "Bash", input, text, status)
}

fn asked(kind: AskKind, detail: &str) -> Asked {
    let option = |id: &str, effect| AskOption { id: id.to_owned(), name: id.to_uppercase(), effect };
    Asked {
        interaction: ASK,
        key: String::new(),
        turn: Some(TURN),
        item: None,
        kind,
        title: "Bash: tidies up".to_owned(),
        detail: detail.to_owned(),
        options: vec![option("once", AskEffect::Allow), option("never", AskEffect::Deny)],
        expires: None,
        offset: 0,
        length: 0,
    }
}

#[test]
fn prompts_have_a_bar_and_steered_ones_say_so() {
    assert_eq!(Told::new().rows(CLOSED, 40), ["> Mend it.", "> Then test."]);
    let steered = Told::new().then(prompt(2, "And document it\u{1b}[2J.")).then(PromptSteered {
        turn: TURN,
        prompt: PromptId::from_bytes([2; 16]),
        input: 2,
    });
    assert_eq!(steered.rows(CLOSED, 22), ["> (into the turn) And", "> document it."]);
}

#[test]
fn what_an_agent_says_is_markdown_also_while_it_says_it() {
    let told = Told::new().item(ItemKind::Text, "", "", "It **wor", None);
    assert_eq!(told.rows(RUNNING, 40), ["It wor"]);
    assert_eq!(told.rows(CLOSED, 40), ["It **wor"]);
}

#[test]
fn thinking_is_a_line_until_it_is_unfolded() {
    let told = Told::new().item(ItemKind::Thinking, "", "", "**Looking** at it.\n\nThen on.", None);
    assert_eq!(told.rows(CLOSED, 40), ["▸ thinking … Looking at it. Then on."]);
    assert_eq!(told.rows(CLOSED, 16), ["▸ thinking … Lo…"]);
    assert_eq!(told.rows(OPEN, 40), ["▾ thinking", "  Looking at it.", "  ", "  Then on."]);
    assert_eq!(told.lines(OPEN, 40)[3].spans[1].style, Theme::dark().thinking);
    assert_eq!(Told::new().item(ItemKind::Thinking, "", "", "", None).rows(CLOSED, 40), ["▸ thinking"]);
}

#[test]
fn a_tool_shows_how_it_went_and_the_newest_of_its_output() {
    let output: String = (1..=20).map(|number| format!("line {number}\n")).collect();
    let told = tool(r#"{"command":"cargo test"}"#, &output, None);
    let mut expected = vec!["⋯ $ cargo test".to_owned(), "  … 12 more lines".to_owned()];
    expected.extend((13..=20).map(|number| format!("  line {number}")));
    assert_eq!(told.rows(RUNNING, 40), expected);
    let whole = told.rows(OPEN, 40);
    assert_eq!((whole.len(), whole[1].as_str(), whole[21].as_str()), (22, "  $ cargo test", "  line 20"));
    for (status, sign) in [
        (ItemStatus::Completed, "✓ $ ls"),
        (ItemStatus::Failed, "✗ $ ls (failed)"),
        (ItemStatus::Declined, "⊘ $ ls (not allowed)"),
        (ItemStatus::Cancelled, "◌ $ ls (cancelled)"),
        (ItemStatus::Orphaned, "? $ ls (left open)"),
    ] {
        assert_eq!(tool(r#"{"command":"ls"}"#, "", Some(status)).rows(CLOSED, 40), [sign]);
    }
    let long = tool(&format!(r#"{{"command":"{}"}}"#, "x".repeat(100)), "", Some(ItemStatus::Failed));
    assert_eq!(long.rows(CLOSED, 24), ["✗ $ xxxxxxxxxx… (failed)"]);
    assert_eq!(tool(r#"{"command":"ls"}"#, "a\n", Some(ItemStatus::Completed)).plain(CLOSED), ["+ $ ls", "  a"]);
}

/// What this thread has had of a processor, however busy the machine is.
fn worked() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap()
}

#[test]
fn output_that_is_folded_costs_what_is_shown_of_it() {
    let input = r#"{"command":"yes"}"#;
    let text = format!("{}\x1b[31mlast\x1b[0m\n", "0123456789\n".repeat(90_000));
    let told = tool(input, &text, None);
    let began = worked();
    for _ in 0..20 {
        let rows = told.rows(CLOSED, 80);
        assert_eq!((rows[1].as_str(), rows[9].as_str(), rows.len()), ("  … 89993 more lines", "  last", 10));
    }
    let folded = (worked() - began) / 20;
    let began = worked();
    assert_eq!(told.rows(OPEN, 80).len(), 90_003);
    let whole = worked() - began;
    assert!(folded * 5 < whole, "{folded:?} folded, {whole:?} whole");
    // One line that is written over all the time.
    let progress = tool(input, &"\r50% done".repeat(100_000), None);
    assert_eq!(progress.rows(CLOSED, 80)[1..], ["  50% done"]);
    // A single line of a megabyte is a row of it.
    assert_eq!(tool(input, &"x".repeat(1 << 20), None).rows(CLOSED, 80).len(), 2);
}

#[test]
fn changes_of_files_are_differences() {
    let input = r#"{"file_path":"src/a.rs","old_string":"a\nold\n","new_string":"a\nnew\n"}"#;
    let change = |text: &str, status| Told::new().item(ItemKind::FileChange, "Edit: src/a.rs", input, text, status);
    let pending = change("", None);
    assert_eq!(pending.rows(CLOSED, 40), ["⋯ edit src/a.rs +1 -1", "   a", "  -old", "  +new"]);
    let text = "--- src/a.rs\n+++ src/a.rs\n@@ -7,2 +7,3 @@\n a\n-old\n+new\n+more\n";
    let done = change(text, Some(ItemStatus::Completed));
    let expected = ["✓ edit src/a.rs +2 -1", "  @@ -7,2 +7,3 @@", "  7  a", "  8 -old", "  8 +new", "  9 +more"];
    assert_eq!(done.rows(CLOSED, 40), expected);
    let theme = Theme::dark();
    let counts: Vec<Style> = done.lines(CLOSED, 40)[0].spans.iter().map(|span| span.style).collect();
    assert!(counts.contains(&theme.added) && counts.contains(&theme.removed));
    let failed = change("no such text", Some(ItemStatus::Failed));
    assert_eq!(failed.rows(CLOSED, 40).last().unwrap(), "  no such text");
    assert_eq!(change("done", Some(ItemStatus::Completed)).rows(CLOSED, 40).len(), 4, "that it was done is seen");
    let long = format!("@@ -0,0 +1,100 @@\n{}", "+x\n".repeat(100));
    let rows = change(&long, Some(ItemStatus::Completed)).rows(CLOSED, 40);
    assert_eq!((rows.len(), rows[9].as_str()), (10, "  … 93 more lines"));
    assert_eq!(change(&long, Some(ItemStatus::Completed)).rows(OPEN, 40).len(), 1 + 4 + 101);
}

#[test]
fn a_plan_has_its_steps_marked() {
    let text = "Because it is *old*.\n\n- [x] look\n- [~] mend\n[ ] test what was mended\n[/] no more";
    let told = Told::new().item(ItemKind::Plan, "", "", text, Some(ItemStatus::Completed));
    assert_eq!(
        told.rows(CLOSED, 20),
        [
            "plan: 1 of 4 done",
            "  Because it is old.",
            "  ✓ look",
            "  ⋯ mend",
            "  ☐ test what was",
            "    mended",
            "  ⊘ no more"
        ]
    );
    let free = Told::new().item(ItemKind::Plan, "", "", "# All\n1. one", None);
    assert_eq!(free.rows(CLOSED, 20), ["plan", "  All", "  ", "  1. one"]);
}

#[test]
fn a_question_shows_all_that_will_run_until_it_is_answered() {
    let detail = format!(r#"{{"command":"ls{}; rm -rf ~","cwd":"/w"}}"#, " ".repeat(300));
    let open = Told::new().then(asked(AskKind::Permission, &detail));
    assert_eq!(
        open.rows(CLOSED, 60),
        ["? Bash: tidies up", "  $ ls<300 blanks>; rm -rf ~", "  cwd: /w", "  1. ONCE", "  2. NEVER"]
    );
    assert_eq!(open.lines(CLOSED, 60)[0].spans[0].style, Theme::dark().waiting);
    let answer = Answered { interaction: ASK, answer: Answer::Choose { option: "once".to_owned() }, input: 2 };
    let answered = open.by(answer, Some("ropewalk-tui"));
    assert_eq!(answered.rows(CLOSED, 60), ["? $ ls<300 blanks>; rm -rf ~", "  ✓ allowed (by ropewalk-tui)"]);
    assert_eq!(answered.rows(OPEN, 60).len(), 6, "unfolded it is whole again");
}

#[test]
fn who_answered_and_by_what_rule_is_told() {
    let deny = || Answered { interaction: ASK, answer: Answer::Deny { reason: Some("not\nhere".into()) }, input: 2 };
    let told = || Told::new().then(asked(AskKind::Permission, "ls"));
    assert_eq!(told().then(deny()).rows(CLOSED, 60)[1], "  ⊘ denied: not here (by policy)");
    let rule = "deny run rm ...".parse().unwrap();
    let applied = RuleApplied { interaction: ASK, rule };
    assert_eq!(
        told().then(applied).then(deny()).rows(CLOSED, 60)[1],
        "  ⊘ denied: not here (by the rule \"deny run rm ...\")"
    );
    for (reason, how) in [
        (AskEnd::Expired, "  ⊘ expired: nobody answered in time"),
        (AskEnd::Cancelled, "  ◌ of no use any more"),
        (AskEnd::AgentGone, "  ? the agent's process is gone"),
    ] {
        assert_eq!(told().then(AskClosed { interaction: ASK, reason, input: 2 }).rows(CLOSED, 60)[1], how);
    }
}

#[test]
fn a_choice_shows_what_its_options_mean() {
    let one =
        r#"{"questions":[{"question":"which","options":[{"label":"ONCE"},{"label":"a","description":"of it"}]}]}"#;
    let told = Told::new().then(asked(AskKind::Choice, one));
    assert_eq!(told.rows(CLOSED, 40), ["? Bash: tidies up", "  - a: of it", "  1. ONCE", "  2. NEVER"]);
    let two = r#"[{"question":"which","options":[{"label":"a"}]},{"question":"why\u001b[2J"}]"#;
    let told = Told::new().then(Asked { options: Vec::new(), ..asked(AskKind::Question, two) });
    assert_eq!(told.rows(CLOSED, 40), ["? Bash: tidies up", "  1. which", "     - a", "  2. why\\u{1b}[2J"]);
    let other = Told::new().then(Asked { options: Vec::new(), ..asked(AskKind::Question, r#"{"form":"name"}"#) });
    assert_eq!(other.rows(CLOSED, 40)[1], "  form: name");
}

#[test]
fn what_is_said_beside_the_work_is_a_line() {
    let notice = |kind, until| Told::new().then(Noticed { kind, text: "5 hours\x1b[m".to_owned(), until });
    let until = Some(Timestamp::from_unix_micros(1_700_000_000_000_000));
    let limited = notice(NoticeKind::RateLimited, until);
    assert_eq!(limited.rows(CLOSED, 80), ["! rate limited until 2023-11-14 22:13 UTC: 5 hours\\u{1b}[m"]);
    assert_eq!(limited.lines(CLOSED, 80)[0].spans[0].style, Theme::dark().warning);
    assert_eq!(notice(NoticeKind::Opaque, None).rows(CLOSED, 80), Vec::<String>::new());
    assert_eq!(notice(NoticeKind::Opaque, None).rows(OPEN, 80).len(), 1);
    let remark = Told::new().then(Released {}).rows(CLOSED, 80);
    assert!(remark.len() == 1 && remark[0].starts_with("- "), "{remark:?}");
}

#[test]
fn items_of_a_sub_agent_stand_in() {
    let started = ItemStarted {
        item: ITEM,
        key: String::new(),
        turn: Some(TURN),
        parent: Some(ItemId::from_bytes([9; 16])),
        kind: ItemKind::Text,
        title: String::new(),
        input: String::new(),
    };
    let told = Told::new().then(started).then(ItemText { item: ITEM, first: true, text: "one two".to_owned() });
    assert_eq!(told.rows(CLOSED, 6), ["  one", "  two"]);
}

#[test]
fn what_is_selected_shows_it_on_its_first_line() {
    let told = tool(r#"{"command":"ls"}"#, "a\nb", None);
    let lines = told.lines(Look { is_selected: true, ..CLOSED }, 40);
    let background = Theme::dark().selected.bg;
    assert!(lines[0].spans.iter().all(|span| span.style.bg == background) && lines[0].style.bg == background);
    assert!(lines[1].style.bg.is_none());
}

#[test]
fn a_turn_ends_with_what_it_cost() {
    let used = Used {
        turn: Some(TURN),
        usage: Usage {
            scope: UsageScope::Turn,
            input_tokens: 12_000,
            cached_tokens: 0,
            output_tokens: 345,
            cost_micro_usd: Some(12_300),
            context_tokens: None,
            context_tokens_max: None,
        },
    };
    let end = |told: &Told, width| {
        let turn = told.turn();
        let took = turn.ended_at.map(|ended| ended.since(turn.at));
        let end = End { outcome: turn.outcome.as_ref(), took, usage: Some(&turn.usage) };
        turn_end(&end, width, &Theme::dark()).to_string()
    };
    let told = Told::new().then(used);
    assert_eq!(end(&told, 40), "── goes on, 12.3k tokens, $0.0123 ──────");
    let failed = TurnOutcome::Failed { reason: "no\n\x1b[2Jway ".repeat(20) };
    let failed = told.then(TurnEnded { turn: TURN, outcome: failed });
    assert_eq!(end(&failed, 50), "── failed: no \\u{1b…, 2.0s, 12.3k tokens, $0.0123 ");
    let done = Told::new().then(TurnEnded { turn: TURN, outcome: TurnOutcome::Completed });
    assert_eq!(end(&done, 30), "── completed, 1.0s ───────────");
    for width in 0..60 {
        assert_eq!(cells(&end(&failed, width)), usize::from(width));
    }
}

#[test]
fn any_part_fits_any_width() {
    let input = r#"{"file_path":"src/漢字.rs","old_string":"a","new_string":"b"}"#;
    let text = "out 漢字 put\n\tx\n";
    let mut told = vec![Told::new(), Told::new().then(asked(AskKind::Permission, input))];
    for kind in
        [ItemKind::Text, ItemKind::Thinking, ItemKind::Tool, ItemKind::FileChange, ItemKind::Plan, ItemKind::Opaque]
    {
        told.push(Told::new().item(kind, "title", input, text, Some(ItemStatus::Failed)));
    }
    for told in &told {
        for look in [CLOSED, OPEN, RUNNING] {
            for width in 0..40 {
                for line in told.lines(look, width) {
                    // What stands in, and a character of two cells, need so many.
                    assert!(line_cells(&line.spans) <= usize::from(width.max(4)), "{line:?} at {width}");
                }
            }
        }
    }
}

#[test]
fn hostile_text_of_any_kind_is_laid_out_in_time() {
    let texts = ["\x1b]0;".repeat(100_000), "\u{90}\n".repeat(100_000), "[a](".repeat(50_000), "*a _b ".repeat(50_000)];
    let began = worked();
    for text in texts {
        for kind in [ItemKind::Text, ItemKind::Tool, ItemKind::Thinking] {
            let told = Told::new().item(kind, "t", "", &text, None);
            told.lines(Look { is_open: true, is_running: true, is_selected: false }, 80);
        }
    }
    let took = worked() - began;
    assert!(took < Duration::from_secs(20), "{took:?}");
}
