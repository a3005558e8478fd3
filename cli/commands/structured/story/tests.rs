use ropewalk_protocol::{
    AgentClosed, Answer, Answered, AskClosed, AskKind, BudgetScope, BudgetUse, CancelAsked, Cause, CommandId, Delivery,
    Held, ItemChanged, ItemDelta, ItemText, Measure, Noticed, PromptQueued, PromptSteered, PromptTaken,
    PromptWithdrawn, Released, RunEnded, RunFailed, RunId, RunOutcome, Seq, Timestamp, TurnEnded, TurnOutcome,
    TurnStarted, Usage, UsageScope, Used,
};

use super::*;

const SESSION: SessionId = SessionId::from_bytes([1; 16]);
const AGENT: AgentId = AgentId::from_bytes([2; 16]);
const PROMPT: PromptId = PromptId::from_bytes([3; 16]);
const TURN: TurnId = TurnId::from_bytes([3; 16]);
const OTHER: TurnId = TurnId::from_bytes([4; 16]);
const RUN: RunId = RunId::from_bytes([5; 16]);

fn item(byte: u8) -> ItemId {
    ItemId::from_bytes([byte; 16])
}

fn event(body: impl Into<EventBody>, by: Option<&str>) -> Event {
    let cause = |client: &str| Cause { command: CommandId::from_bytes([9; 16]), client: client.to_owned() };
    Event {
        seq: Seq(1),
        stream: Stream::Agent(SESSION, AGENT),
        at: Timestamp::default(),
        cause: by.map(cause),
        body: body.into(),
    }
}

/// A turn to which these things happen.
struct Told {
    story: Story,
    said: Vec<Said>,
}

impl Told {
    fn new() -> Self {
        Self { story: Story::new(SESSION, AGENT, PROMPT, Counts::of_new()), said: Vec::new() }
    }

    fn started() -> Self {
        Self::new().then(TurnStarted { turn: TURN, prompt: Some(PROMPT), run: RUN, input: 1 })
    }

    fn then(self, body: impl Into<EventBody>) -> Self {
        self.then_by(body, None)
    }

    fn then_by(mut self, body: impl Into<EventBody>, by: Option<&str>) -> Self {
        self.story.apply(&event(body, by), &mut self.said);
        self
    }

    fn begin(self, byte: u8, kind: ItemKind, title: &str, input: &str) -> Self {
        let (title, input) = (title.to_owned(), input.to_owned());
        self.then(ItemStarted {
            item: item(byte),
            key: String::new(),
            turn: Some(TURN),
            parent: None,
            kind,
            title,
            input,
        })
    }

    fn delta(self, byte: u8, text: &str) -> Self {
        self.then(ItemDelta { item: item(byte), text: text.to_owned() })
    }

    fn whole(self, byte: u8, text: &str) -> Self {
        self.then(ItemText { item: item(byte), first: true, text: text.to_owned() })
    }

    fn done(self, byte: u8, status: ItemStatus) -> Self {
        self.then(ItemEnded { item: item(byte), status })
    }

    fn ended(self, outcome: TurnOutcome) -> Self {
        self.then(TurnEnded { turn: TURN, outcome })
    }

    /// All that is printed on stdout.
    fn printed(&self) -> String {
        let text = |said: &Said| match said {
            Said::Text(text) => Some(text.clone()),
            _ => None,
        };
        self.said.iter().filter_map(text).collect()
    }

    fn lines(&self) -> Vec<String> {
        let line = |said: &Said| match said {
            Said::Line(line) => Some(line.clone()),
            _ => None,
        };
        self.said.iter().filter_map(line).collect()
    }

    fn outcome(&self) -> Option<Outcome> {
        self.story.ended().map(|ended| ended.outcome)
    }
}

fn asked(byte: u8) -> Asked {
    Asked {
        interaction: InteractionId::from_bytes([byte; 16]),
        key: String::new(),
        turn: Some(TURN),
        item: None,
        kind: AskKind::Permission,
        title: "may I".to_owned(),
        detail: String::new(),
        options: Vec::new(),
        expires: None,
        offset: 0,
        length: 0,
    }
}

#[test]
fn a_turn_is_printed_as_it_comes_and_settles_to_its_last_text() {
    let told = Told::started()
        .begin(1, ItemKind::Text, "", "")
        .delta(1, "let me ")
        .delta(1, "look")
        .whole(1, "let me look")
        .done(1, ItemStatus::Completed)
        .begin(2, ItemKind::Tool, "Bash", "")
        .then(ItemChanged { item: item(2), title: "Bash".to_owned(), input: r#"{"command":"ls"}"#.to_owned() })
        .whole(2, "the tool's output")
        .done(2, ItemStatus::Completed)
        .begin(3, ItemKind::Thinking, "", "")
        .whole(3, "hm")
        .done(3, ItemStatus::Completed)
        .begin(4, ItemKind::Text, "", "")
        .whole(4, "all ")
        .then(ItemText { item: item(4), first: false, text: "is well".to_owned() })
        .done(4, ItemStatus::Completed)
        .ended(TurnOutcome::Completed);
    assert_eq!(told.printed(), "let me look\nall is well\n");
    assert_eq!(told.lines(), ["* Bash: ls"]);
    assert_eq!(told.outcome(), Some(Outcome::Completed));
    let known = told.story.known();
    assert_eq!((known.text.as_str(), known.turn), ("all is well", Some(TURN)));
}

#[test]
fn a_tool_that_did_not_work_is_told_of_again() {
    let told = Told::started()
        .begin(1, ItemKind::Tool, "Bash", r#"{"command":"rm x"}"#)
        .done(1, ItemStatus::Declined)
        .begin(2, ItemKind::FileChange, "edit a.rs", "")
        .done(2, ItemStatus::Failed);
    assert_eq!(told.lines(), ["* Bash: rm x", "  not allowed: Bash", "* edit a.rs", "  failed: edit a.rs"]);
}

#[test]
fn what_is_of_another_turn_or_agent_is_not_told() {
    let mut told = Told::new().then(TurnStarted { turn: OTHER, prompt: None, run: RUN, input: 0 });
    let text = |turn| ItemStarted {
        item: item(1),
        key: String::new(),
        turn: Some(turn),
        parent: None,
        kind: ItemKind::Text,
        title: String::new(),
        input: String::new(),
    };
    told = told.then(text(OTHER)).delta(1, "not ours").then(TurnEnded { turn: OTHER, outcome: TurnOutcome::Completed });
    assert_eq!((told.printed(), told.outcome()), (String::new(), None));
    let mut elsewhere = event(TurnStarted { turn: TURN, prompt: Some(PROMPT), run: RUN, input: 1 }, None);
    elsewhere.stream = Stream::Agent(SESSION, AgentId::from_bytes([7; 16]));
    told.story.apply(&elsewhere, &mut told.said);
    assert!(!told.story.has_started());
}

#[test]
fn what_a_sub_agent_says_is_not_the_answer() {
    let nested = |byte, kind, title: &str| ItemStarted {
        item: item(byte),
        key: String::new(),
        turn: Some(TURN),
        parent: Some(item(1)),
        kind,
        title: title.to_owned(),
        input: String::new(),
    };
    let told = Told::started()
        .begin(1, ItemKind::Tool, "Task", "")
        .then(nested(2, ItemKind::Text, ""))
        .whole(2, "inner words")
        .then(nested(3, ItemKind::Tool, "Read"))
        .done(3, ItemStatus::Completed)
        .done(1, ItemStatus::Completed)
        .ended(TurnOutcome::Completed);
    assert_eq!((told.printed(), told.lines()), (String::new(), vec!["  * Read".to_owned(), "* Task".to_owned()]));
    assert_eq!(told.story.known().text, "");
}

#[test]
fn a_text_that_never_settled_is_kept_as_it_was_printed() {
    let told = Told::started()
        .begin(1, ItemKind::Text, "", "")
        .delta(1, "half a sen")
        .then_by(CancelAsked { turn: TURN, reason: "somebody cancelled it".to_owned(), input: 2 }, Some("cli"))
        .ended(TurnOutcome::Cancelled);
    assert_eq!(told.printed(), "half a sen\n");
    assert_eq!((told.outcome(), told.story.known().text.as_str()), (Some(Outcome::Cancelled), "half a sen"));
}

#[test]
fn a_question_that_ended_the_turn_is_told_from_a_cancelled_turn() {
    let cancel = |by: Option<&str>| {
        Told::started()
            .then(asked(1))
            .then_by(CancelAsked { turn: TURN, reason: "why".to_owned(), input: 2 }, by)
            .ended(TurnOutcome::Cancelled)
            .outcome()
    };
    assert_eq!(cancel(None), Some(Outcome::Asked), "the machine did, for the question");
    assert_eq!(cancel(Some("ropewalk-cli")), Some(Outcome::Cancelled), "somebody did");
}

#[test]
fn who_answered_is_told() {
    let (first, second) = (asked(1).interaction, asked(2).interaction);
    let told = Told::started()
        .then(asked(1))
        .then(asked(2))
        .then_by(
            Answered { interaction: first, answer: Answer::Allow { always: false }, input: 2 },
            Some("ropewalk-cli"),
        )
        .then(AskClosed { interaction: second, reason: AskEnd::Expired, input: 3 });
    let closed = |interaction, how: &str| Said::Closed(interaction, how.to_owned());
    assert!(matches!(&told.said[..], [Said::Back, Said::Asked(_), Said::Asked(_), ..]));
    let expected = [closed(first, "allowed (by ropewalk-cli)"), closed(second, "expired: nobody answered in time")];
    assert_eq!(told.said[3..], expected);
}

#[test]
fn a_prompt_may_never_become_a_turn() {
    let told = Told::new().then(PromptWithdrawn { prompt: PROMPT });
    assert_eq!(told.outcome(), Some(Outcome::Cancelled));
    let told = Told::new().then(RunEnded { run: RUN, outcome: RunOutcome::Exited { code: 1 }, offset: 0 });
    assert_eq!(told.said, [Said::Gone("the agent's process exited with code 1".to_owned())]);
    let told = Told::new()
        .then(TurnStarted { turn: OTHER, prompt: None, run: RUN, input: 0 })
        .then(PromptSteered { turn: OTHER, prompt: PROMPT, input: 3 })
        .then(PromptTaken { turn: OTHER, prompt: PROMPT })
        .then(TurnEnded { turn: OTHER, outcome: TurnOutcome::Failed { reason: "no".to_owned() } });
    assert_eq!((told.outcome(), told.story.known().turn), (Some(Outcome::Failed), Some(OTHER)));
}

#[test]
fn a_turn_that_ends_before_the_agent_has_the_prompt_is_not_the_prompts() {
    let late = || {
        Told::new()
            .then(TurnStarted { turn: OTHER, prompt: None, run: RUN, input: 0 })
            .then(PromptSteered { turn: OTHER, prompt: PROMPT, input: 3 })
            .then(TurnEnded { turn: OTHER, outcome: TurnOutcome::Completed })
    };
    assert_eq!(outcome(&late()), None, "it is not known whether it was taken");
    let taken = late().then(taken());
    assert_eq!((outcome(&taken), taken.story.known().turn), (Some(Outcome::Completed), Some(OTHER)));
    let again = PromptQueued { prompt: PROMPT, text: String::new(), delivery: Delivery::Steer };
    let own = late().then(again).then(TurnStarted { turn: TURN, prompt: Some(PROMPT), run: RUN, input: 4 });
    assert_eq!(outcome(&own), None);
    let own = own.then(ended(TurnOutcome::Failed { reason: "no".to_owned() }));
    assert_eq!((outcome(&own), own.story.known().turn), (Some(Outcome::Failed), Some(TURN)));
}

/// Regression: whoever waited for such a prompt was not told of any end once the agent was started again.
#[test]
fn regression_a_turn_that_ended_is_the_end_of_a_prompt_that_nobody_will_tell_of() {
    let on_its_way = || {
        Told::new().then(TurnStarted { turn: OTHER, prompt: None, run: RUN, input: 0 }).then(PromptSteered {
            turn: OTHER,
            prompt: PROMPT,
            input: 3,
        })
    };
    let late =
        || on_its_way().then(TurnEnded { turn: OTHER, outcome: TurnOutcome::Interrupted { reason: "x".into() } });
    let ends: [EventBody; 3] = [
        RunEnded { run: RUN, outcome: RunOutcome::Exited { code: 1 }, offset: 0 }.into(),
        RunFailed { run: RUN, reason: "no".to_owned() }.into(),
        AgentClosed { reason: "asked to".to_owned() }.into(),
    ];
    for end in ends {
        let told = late().then(end);
        assert_eq!((outcome(&told), told.story.known().turn), (outcome(&late().then(taken())), Some(OTHER)));
        assert!(outcome(&told).is_some());
        assert!(!told.said.iter().any(|said| matches!(said, Said::Gone(_))), "{:?}", told.said);
    }
    let open = on_its_way().then(RunEnded { run: RUN, outcome: RunOutcome::Exited { code: 1 }, offset: 0 });
    assert!(matches!(open.said.last(), Some(Said::Gone(_))), "its turn has not ended");
}

fn taken() -> PromptTaken {
    PromptTaken { turn: OTHER, prompt: PROMPT }
}

#[test]
fn the_turns_usage_is_known_and_the_one_before_is_not_counted() {
    let used = |turn, input_tokens| Used {
        turn,
        usage: Usage {
            scope: UsageScope::Run,
            input_tokens,
            cached_tokens: 0,
            output_tokens: 0,
            cost_micro_usd: None,
            context_tokens: None,
            context_tokens_max: None,
        },
    };
    let told = Told::new()
        .then(used(Some(OTHER), 100))
        .then(TurnStarted { turn: TURN, prompt: Some(PROMPT), run: RUN, input: 1 })
        .then(used(Some(TURN), 130));
    assert_eq!(told.story.known().cost.input_tokens, 30);
}

#[test]
fn a_prompt_that_steers_goes_on_with_what_is_open() {
    let text = |byte| ItemStarted {
        item: item(byte),
        key: String::new(),
        turn: Some(OTHER),
        parent: None,
        kind: ItemKind::Text,
        title: String::new(),
        input: String::new(),
    };
    let told = Told::new()
        .then(TurnStarted { turn: OTHER, prompt: None, run: RUN, input: 0 })
        .then(text(1))
        .whole(1, "before")
        .done(1, ItemStatus::Completed)
        .then(text(2))
        .delta(2, "be")
        .then(PromptSteered { turn: OTHER, prompt: PROMPT, input: 3 })
        .delta(2, "gun")
        .whole(2, "begun and done")
        .done(2, ItemStatus::Completed);
    assert_eq!((told.printed(), told.story.known().text), ("gun and done\n".to_owned(), "begun and done".to_owned()));
}

fn held(measure: Measure) -> HoldReason {
    HoldReason::Budget(BudgetUse { scope: BudgetScope::Agent, measure, spent: 2, limit: 2 })
}

fn outcome(told: &Told) -> Option<Outcome> {
    told.story.ended().map(|ended| ended.outcome)
}

fn ended(outcome: TurnOutcome) -> TurnEnded {
    TurnEnded { turn: TURN, outcome }
}

#[test]
fn a_turn_that_a_budget_ended_is_limited_and_one_that_somebody_cancelled_is_cancelled() {
    let hold = |reason| Held { reason, until: None };
    let limited = Told::started().then(hold(held(Measure::Cost))).then(ended(TurnOutcome::Cancelled));
    assert_eq!(outcome(&limited), Some(Outcome::Limited));
    let by_somebody = Told::started().then(hold(HoldReason::Asked {}));
    assert_eq!(outcome(&by_somebody), None, "the turn goes on");
    assert_eq!(outcome(&by_somebody.then(ended(TurnOutcome::Cancelled))), Some(Outcome::Cancelled));
}

#[test]
fn a_prompt_that_a_parked_agent_is_not_given_is_not_waited_for() {
    let hold = Held { reason: held(Measure::Turns), until: None };
    let queued = || PromptQueued { prompt: PROMPT, text: String::new(), delivery: Delivery::AfterTurn };
    assert_eq!(outcome(&Told::new().then(queued()).then(hold.clone())), Some(Outcome::Limited));
    let earlier = Told::new().then(hold.clone()).then(Released {});
    assert_eq!(outcome(&earlier.then(queued())), None, "that was before");
    let limited = Held { reason: HoldReason::RateLimited { text: "5 hours".to_owned() }, until: None };
    assert_eq!(outcome(&Told::new().then(limited).then(queued())), Some(Outcome::RateLimited));
    let mut before = Told::new();
    before.story.was_held(held(Measure::Turns));
    assert_eq!(outcome(&before), None);
    assert_eq!(outcome(&before.then(queued())), Some(Outcome::Limited));
    let mut released = Told::new();
    released.story.was_held(held(Measure::Turns));
    assert_eq!(outcome(&released.then(Released {}).then(queued())), None);
}

#[test]
fn a_turn_that_failed_by_the_model_s_limit_may_be_tried_later() {
    let notice = || Noticed { kind: NoticeKind::RateLimited, text: "5 hours".to_owned(), until: None };
    let failed = || ended(TurnOutcome::Failed { reason: "429".to_owned() });
    assert_eq!(outcome(&Told::started().then(notice()).then(failed())), Some(Outcome::RateLimited));
    let went_on = Told::started().then(notice()).begin(1, ItemKind::Text, "", "").then(failed());
    assert_eq!(outcome(&went_on), Some(Outcome::Failed));
}

#[test]
fn a_budget_that_is_spent_while_a_question_is_open_is_a_budget_and_what_it_ends_with_is_told() {
    let hold = || Held { reason: held(Measure::Time), until: None };
    let waiting = Told::started().then(asked(1)).then(hold());
    let cancel = CancelAsked { turn: TURN, reason: "the budget".to_owned(), input: 2 };
    let told = waiting.then(cancel).then(ended(TurnOutcome::Cancelled));
    assert_eq!(outcome(&told), Some(Outcome::Limited));
    let last = Told::started().then(ended(TurnOutcome::Completed)).then(hold());
    assert_eq!(outcome(&last), Some(Outcome::Completed));
    assert!(matches!(last.said.last(), Some(Said::Line(line)) if line.starts_with("[parked: ")), "{:?}", last.said);
}
