use std::collections::BTreeMap;

use proptest::prelude::*;
use ropewalk_protocol::{
    Answer, Answered, AskClosed, AskEnd, Delivery, Event, EventBody, Held, HoldReason, InteractionId, ItemChanged,
    ItemDelta, ItemEnded, ItemId, ItemKind, ItemStatus, ItemText, NoticeKind, Noticed, OutputConsumed, PromptEdited,
    PromptId, PromptQueued, PromptSteered, PromptTaken, PromptWithdrawn, Released, Rule, RuleAction, RuleApplied,
    RuleEffect, RunEnded, RunOutcome, Seq, SessionAnnotated, Stream, TurnEnded, TurnId, TurnOutcome, TurnStarted,
    Usage, UsageScope, UsageTotal, Used,
};

use super::History;
use crate::story::{self, AGENT, OTHER_AGENT, SESSION};
use crate::transcript::{Item, Part, Transcript, Turn};

/// An agent that does what choices say, one turn after another, and the events that tell of it.
struct Agent {
    events: Vec<Event>,
    choices: std::vec::IntoIter<u16>,
    turn: Option<TurnId>,
    ended: Option<TurnId>,
    prompts: Vec<PromptId>,
    steered: Vec<PromptId>,
    items: Vec<ItemId>,
    asks: Vec<InteractionId>,
    ids: u8,
}

impl Agent {
    /// What happens, a choice at a time.
    fn tell(choices: Vec<u16>) -> Vec<Event> {
        let mut agent = Agent {
            events: Vec::new(),
            choices: choices.into_iter(),
            turn: None,
            ended: None,
            prompts: vec![story::prompt(1)],
            steered: Vec::new(),
            items: Vec::new(),
            asks: Vec::new(),
            ids: 1,
        };
        agent.push(Stream::Session(SESSION), SessionAnnotated { text: "before".to_owned() });
        let joined = story::joined(AGENT, 1, Some(story::queued(1, Delivery::AfterTurn)));
        agent.push(Stream::Session(SESSION), joined);
        while let Some(what) = agent.choices.next() {
            agent.step(what);
        }
        agent.events
    }

    fn push(&mut self, stream: Stream, body: impl Into<EventBody>) {
        let event = self.next(stream, body);
        self.events.push(event);
    }

    fn next(&self, stream: Stream, body: impl Into<EventBody>) -> Event {
        let mut told = story::Story::default();
        told.tell(stream, body);
        let mut event = told.events.remove(0);
        event.seq = Seq(self.events.len() as u64 * 3 + 1);
        event.at = story::at(event.seq);
        event
    }

    fn say(&mut self, body: impl Into<EventBody>) {
        self.push(Stream::Agent(SESSION, AGENT), body);
    }

    /// No command asked for it.
    fn say_by_itself(&mut self, body: impl Into<EventBody>) {
        let event = self.next(Stream::Agent(SESSION, AGENT), body);
        self.events.push(Event { cause: None, ..event });
    }

    fn id(&mut self) -> u8 {
        self.ids = self.ids.checked_add(1).expect("few enough");
        self.ids
    }

    fn choose(&mut self, below: usize) -> usize {
        usize::from(self.choices.next().unwrap_or(0)) % below
    }

    /// One of these, taken out.
    fn take<T>(&mut self, from: impl Fn(&mut Self) -> &mut Vec<T>) -> Option<T> {
        let count = from(self).len();
        let one = (count > 0).then(|| self.choose(count))?;
        Some(from(self).remove(one))
    }

    fn any<T: Copy>(&mut self, from: impl Fn(&mut Self) -> &mut Vec<T>) -> Option<T> {
        let count = from(self).len();
        let one = (count > 0).then(|| self.choose(count))?;
        Some(from(self)[one])
    }

    fn step(&mut self, what: u16) {
        let words = format!("word {what}, ");
        match what % 35 {
            0 | 1 => {
                let prompt = story::prompt(self.id());
                self.prompts.push(prompt);
                self.say(PromptQueued { prompt, text: words, delivery: Delivery::AfterTurn });
            }
            2 => {
                if let Some(prompt) = self.any(|agent| &mut agent.prompts) {
                    self.say(PromptEdited { prompt, text: words });
                }
            }
            3 => {
                if let Some(prompt) = self.take(|agent| &mut agent.prompts) {
                    self.say(PromptWithdrawn { prompt });
                }
            }
            4..=6 if self.turn.is_none() => {
                let turn = story::turn(self.id());
                let prompt = if what.is_multiple_of(3) { None } else { self.take(|agent| &mut agent.prompts) };
                self.turn = Some(turn);
                self.say(TurnStarted { turn, prompt, run: story::run(1), input: 1 });
            }
            4 | 5 => {
                if let Some(turn) = self.turn.take() {
                    self.ended = Some(turn);
                    self.say(TurnEnded { turn, outcome: TurnOutcome::Completed });
                }
            }
            6 => {
                if let Some(prompt) = self.take(|agent| &mut agent.prompts) {
                    let turn = self.turn.expect("one is open");
                    self.steered.push(prompt);
                    self.say(PromptSteered { turn, prompt, input: 2 });
                }
            }
            // The agent would not take it: it waits for a turn of its own.
            7 => {
                if let Some(prompt) = self.take(|agent| &mut agent.steered) {
                    self.prompts.push(prompt);
                    self.say_by_itself(PromptQueued { prompt, text: words, delivery: Delivery::Steer });
                }
            }
            8..=10 => {
                let number = self.id();
                self.items.push(story::item(number));
                self.say(story::item_started(number, self.turn, ItemKind::Text));
            }
            11..=14 => {
                if let Some(item) = self.any(|agent| &mut agent.items) {
                    self.say(ItemDelta { item, text: words });
                }
            }
            15 | 16 => {
                if let Some(item) = self.any(|agent| &mut agent.items) {
                    self.say(ItemText { item, first: (what / 35).is_multiple_of(2), text: words });
                }
            }
            17 => {
                if let Some(item) = self.any(|agent| &mut agent.items) {
                    self.say(ItemChanged { item, title: words, input: "{}".to_owned() });
                }
            }
            18 => {
                if let Some(item) = self.take(|agent| &mut agent.items) {
                    self.say(ItemEnded { item, status: ItemStatus::Completed });
                }
            }
            19 | 20 => {
                let number = self.id();
                self.asks.push(story::ask(number));
                self.say(story::asked(number, self.turn, Vec::new()));
            }
            21 => {
                if let Some(interaction) = self.take(|agent| &mut agent.asks) {
                    self.say(Answered { interaction, answer: Answer::Text { text: words }, input: 3 });
                }
            }
            22 => {
                if let Some(interaction) = self.take(|agent| &mut agent.asks) {
                    self.say(AskClosed { interaction, reason: AskEnd::Expired, input: 4 });
                }
            }
            23 => {
                if let Some(interaction) = self.any(|agent| &mut agent.asks) {
                    let rule = Rule { effect: RuleEffect::Deny, action: RuleAction::Run, pattern: words };
                    self.say(RuleApplied { interaction, rule });
                }
            }
            24 => self.say(Noticed { kind: NoticeKind::Warning, text: words, until: None }),
            25 => self.say(Held { reason: HoldReason::Asked {}, until: None }),
            26 => self.say(Released {}),
            27 | 28 => {
                let scope = [UsageScope::Call, UsageScope::Turn, UsageScope::Run, UsageScope::Total][self.choose(4)];
                let numbers: Vec<u64> = (0..6).map(|_| self.choose(5) as u64 * 10).collect();
                let told = |number: u64| (number > 20).then_some(number);
                let usage = Usage {
                    scope,
                    input_tokens: numbers[0],
                    cached_tokens: numbers[1],
                    output_tokens: numbers[2],
                    cost_micro_usd: told(numbers[3]),
                    context_tokens: told(numbers[4]),
                    context_tokens_max: told(numbers[5]),
                };
                // Mostly of the open turn; it may be told of the newest one, or late of one before.
                let turn = match self.choose(6) {
                    0 => None,
                    1 => self.ended.or(self.turn),
                    _ => self.turn,
                };
                self.say(Used { turn, usage });
            }
            29 => {
                let run = self.id();
                self.say(story::run_asked(run));
            }
            30 => self.say(OutputConsumed { run: story::run(1), offset: 1, part: 0, written: 0 }),
            31 => {
                if let Some(prompt) = self.take(|agent| &mut agent.steered) {
                    let turn = self.turn.or(self.ended).expect("one was open");
                    self.say(PromptTaken { turn, prompt });
                }
            }
            // Nobody said it, ever.
            32 => {
                let prompt = story::prompt(self.id());
                self.prompts.push(prompt);
                self.say_by_itself(PromptQueued { prompt, text: words, delivery: Delivery::Steer });
            }
            // What was on its way is not told of any more.
            33 => {
                self.steered.clear();
                self.say(RunEnded { run: story::run(1), outcome: RunOutcome::Exited { code: 0 }, offset: 1 });
            }
            _ => self.push(Stream::Agent(SESSION, OTHER_AGENT), story::ended(1, TurnOutcome::Completed)),
        }
    }
}

/// What a transcript makes of these events, all of them.
fn whole(events: &[Event]) -> Vec<Turn> {
    let mut transcript = Transcript::default();
    events.iter().for_each(|event| transcript.apply(event));
    transcript.talk(AGENT).map(|talk| talk.turns.clone()).unwrap_or_default()
}

/// All of a turn that people read, with what it cost.
type Shown = (Option<TurnId>, Seq, Vec<Part>, Option<TurnOutcome>, Option<u64>, UsageTotal);

fn of_transcript(turn: &Turn) -> Shown {
    let Turn { turn, seq, at, parts, outcome, ended_at, usage, .. } = turn.clone();
    assert_eq!(at, story::at(seq));
    (turn, seq, parts, outcome, ended_at.map(|at| at.unix_micros()), usage)
}

fn of_history(history: &History) -> Vec<Shown> {
    let shown = |turn: &super::PastTurn| {
        let parts = turn.parts.iter().map(|part| part.part.clone()).collect();
        let usage = history.usage(turn).expect("all is known");
        assert_eq!(turn.at, story::at(turn.seq));
        (turn.turn, turn.seq, parts, turn.outcome.clone(), turn.ended_at.map(|at| at.unix_micros()), usage)
    };
    history.turns().iter().map(shown).collect()
}

/// What is shown before all is known is true: compares it with what all events up to its end say.
fn check_is_honest(history: &History, turns: &[Turn]) {
    for known in history.turns() {
        let same = |turn: &&Turn| match known.turn {
            Some(id) => turn.turn == Some(id),
            None => turn.turn.is_none(),
        };
        let texts: Vec<&Part> = turns.iter().filter(same).flat_map(|turn| &turn.parts).collect();
        for part in known.parts.iter().filter(|part| !part.is_partial && !part.is_unsure) {
            assert!(texts.contains(&&part.part), "{part:?} is not in {texts:#?}");
        }
        let Some(turn) = turns.iter().filter(same).find(|turn| turn.seq == known.seq) else {
            assert!(!known.is_begun || known.turn.is_none(), "{known:?} is in no transcript");
            continue;
        };
        if known.turn.is_some() {
            assert_eq!(known.outcome, turn.outcome);
        }
        if let Some(usage) = history.usage(known) {
            let numbers = |usage: &UsageTotal| {
                let cost = usage.cost_micro_usd.unwrap_or(0);
                [usage.turns, usage.input_tokens, usage.cached_tokens, usage.output_tokens, cost]
            };
            assert_eq!(numbers(&usage), numbers(&turn.usage), "{known:?}");
        }
    }
}

/// Parts by the events that began them, to see which changed.
fn seen(history: &History) -> BTreeMap<Seq, (Part, u64)> {
    let parts = history.turns().iter().flat_map(|turn| &turn.parts);
    parts.map(|part| (part.seq, (part.part.clone(), part.revision))).collect()
}

fn check_revisions(before: &BTreeMap<Seq, (Part, u64)>, history: &History) {
    for (seq, (part, revision)) in seen(history) {
        assert!(revision <= history.revision());
        match before.get(&seq) {
            Some((same, then)) if *same == part => assert!(revision >= *then),
            Some((_, then)) => assert!(revision > *then, "{part:?} changed in silence"),
            None => {}
        }
    }
}

/// Reads a history: what is live from one place on, then older pages that end at these places, some of them before the last
/// live events.
fn read(events: &[Event], live: usize, ends: &[usize]) {
    let mut history = History::new(AGENT);
    let (mut from, mut to) = (live, live);
    let mut ends = ends.to_vec();
    ends.sort_unstable();
    let mut before = BTreeMap::new();
    while from > 0 || to < events.len() {
        if to < events.len() && (from == 0 || (from + to) % 3 > 0) {
            history.apply(&events[to]);
            // One that comes again changes nothing.
            history.apply(&events[to]);
            to += 1;
        } else {
            let begin = ends.iter().rev().find(|end| **end < from).copied().unwrap_or(0);
            history.prepend(&events[begin..from], begin > 0);
            from = begin;
        }
        check_revisions(&before, &history);
        check_is_honest(&history, &whole(&events[..to]));
        before = seen(&history);
    }
    assert!(history.is_whole() || events.is_empty());
    assert!(history.turns().iter().flat_map(|turn| &turn.parts).all(|part| !part.is_partial && !part.is_unsure));
    let expected: Vec<Shown> = whole(events).iter().map(of_transcript).collect();
    assert_eq!(of_history(&history), expected);
    let joined = events.iter().find(|event| event.body.name() == "session.agent_joined").map(|event| event.seq);
    assert!(history.from() <= joined, "{:?}", history.from());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_history_read_in_any_pages_is_the_transcript_of_all_events(
        choices in prop::collection::vec(any::<u16>(), 0..200),
        live in any::<prop::sample::Index>(),
        ends in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let events = Agent::tell(choices);
        let ends: Vec<usize> = ends.iter().map(|end| end.index(events.len())).collect();
        read(&events, live.index(events.len() + 1), &ends);
    }
}

#[test]
fn a_history_read_event_by_event_is_the_transcript_of_all_events() {
    let choices = |seed: u64| {
        let mut state = seed;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u16::try_from(state >> 48).expect("16 bits")
        };
        (0..120).map(|_| next()).collect::<Vec<u16>>()
    };
    for seed in 0..20 {
        let events = Agent::tell(choices(seed));
        let every: Vec<usize> = (0..events.len()).collect();
        read(&events, events.len(), &every);
        read(&events, 0, &[]);
    }
}

fn agent_says(number: usize, body: impl Into<EventBody>) -> Event {
    let seq = Seq(number as u64 + 1);
    Event { seq, stream: Stream::Agent(SESSION, AGENT), at: story::at(seq), cause: None, body: body.into() }
}

fn long_id(number: usize) -> ItemId {
    let mut bytes = [7; 16];
    bytes[8..].copy_from_slice(&(number as u64).to_be_bytes());
    ItemId::from_bytes(bytes)
}

/// A turn of so many items, of which the first stays open and goes on to the end.
fn long_turn(items: usize) -> Vec<Event> {
    let mut events = Vec::new();
    let mut say = |body: EventBody| {
        let event = agent_says(events.len(), body);
        events.push(event);
    };
    let started = |item| {
        let item = long_id(item);
        EventBody::from(ropewalk_protocol::ItemStarted {
            item,
            ..story::item_started(1, Some(story::turn(1)), ItemKind::Tool)
        })
    };
    let delta = |item| EventBody::from(ItemDelta { item: long_id(item), text: "x".to_owned() });
    say(TurnStarted { turn: story::turn(1), prompt: None, run: story::run(1), input: 1 }.into());
    say(started(0));
    for item in 1..=items {
        say(started(item));
        say(delta(0));
        say(delta(item));
        say(ItemEnded { item: long_id(item), status: ItemStatus::Completed }.into());
    }
    say(ItemEnded { item: long_id(0), status: ItemStatus::Completed }.into());
    events
}

fn check_long(history: &History, items: usize) {
    let [turn] = history.turns().iter().collect::<Vec<_>>()[..] else { panic!("one turn") };
    let item = |part: &super::PastPart| match &part.part {
        Part::Item(Item { text, status: Some(ItemStatus::Completed), .. }) => text.len(),
        other => panic!("{other:?}"),
    };
    let lengths: Vec<usize> = turn.parts.iter().map(item).collect();
    assert_eq!((lengths.len(), lengths[0]), (items + 1, items), "the first one went on all the while");
    assert!(lengths[1..].iter().all(|length| *length == 1));
}

/// If each event looked at the items before it, or each page at what is behind it, these would be some 10,000,000,000 looks.
#[test]
fn a_hundred_thousand_items_of_one_turn_are_followed_and_read_back() {
    const ITEMS: usize = 100_000;
    let events = long_turn(ITEMS);
    let mut history = History::new(AGENT);
    events.iter().for_each(|event| history.apply(event));
    check_long(&history, ITEMS);
    let mut history = History::new(AGENT);
    for (number, page) in events.chunks(100).enumerate().rev() {
        history.prepend(page, number > 0);
    }
    check_long(&history, ITEMS);
    assert!(history.is_whole());
}

#[test]
fn what_began_before_all_that_is_known_waits_for_its_beginning() {
    let mut story = story::Story::of_a_ready_agent();
    story.agent(story::queued(2, Delivery::AfterTurn));
    story.agent(PromptEdited { prompt: story::prompt(2), text: "what it says now".to_owned() });
    story.agent(story::started(2));
    story.agent(story::item_started(1, Some(story::turn(2)), ItemKind::Text));
    story.agent(ItemDelta { item: story::item(1), text: "half of ".to_owned() });
    let middle = story.events.len();
    story.agent(ItemDelta { item: story::item(1), text: "it".to_owned() });
    story.agent(Noticed { kind: NoticeKind::Warning, text: "slow".to_owned(), until: None });
    story.agent(story::ended(2, TurnOutcome::Completed));
    let mut history = History::new(AGENT);
    story.events[middle..].iter().for_each(|event| history.apply(event));
    let turn = history.turns()[0].clone();
    assert_eq!((turn.turn, turn.is_begun, turn.parts.len()), (Some(story::turn(2)), false, 1), "no half of an item");
    assert_eq!(history.usage(&turn), None, "nobody knows what was counted before");
    history.prepend(&story.events[middle - 3..middle], true);
    let turn = history.turns()[0].clone();
    let Part::Prompt(prompt) = &turn.parts[0].part else { panic!("{turn:?}") };
    assert_eq!((prompt.text.as_str(), turn.parts[0].is_partial, turn.is_begun), ("", true, true));
    let Part::Item(item) = &turn.parts[1].part else { panic!("{turn:?}") };
    assert_eq!(item.text, "half of it");
    history.prepend(&story.events[middle - 4..middle - 3], true);
    let Part::Prompt(prompt) = &history.turns()[0].parts[0].part else { panic!("the prompt") };
    assert_eq!((prompt.text.as_str(), prompt.client.as_deref()), ("what it says now", None));
    history.prepend(&story.events[..middle - 4], false);
    let first = &history.turns()[0].parts[0];
    let Part::Prompt(prompt) = &first.part else { panic!("the prompt") };
    assert_eq!((prompt.text.as_str(), prompt.client.as_deref()), ("what it says now", Some("ropewalk-cli")));
    assert!(!first.is_partial && history.is_whole());
}
