use proptest::prelude::*;
use ropewalk_protocol::{
    Answer, Answered, AskClosed, AskEffect, AskEnd, AskOption, Delivery, Event, ItemChanged, ItemDelta, ItemEnded,
    ItemKind, ItemStatus, ItemText, NoticeKind, Noticed, PromptEdited, PromptSteered, PromptTaken, RunEnded,
    RunOutcome, Seq, TurnOutcome, Usage, UsageScope, Used, limits,
};

use super::{Item, Part, Talk, Transcript, Turn, markdown};
use crate::story::{AGENT, Story, ask, asked, ended, item, item_started, prompt, queued, run, started, turn};

fn fold(events: &[Event]) -> Transcript {
    let mut transcript = Transcript::default();
    events.iter().for_each(|event| transcript.apply(event));
    transcript
}

fn talk(story: &Story) -> Talk {
    fold(&story.events).talk(AGENT).expect("the agent").clone()
}

fn delta(number: u8, text: &str) -> ItemDelta {
    ItemDelta { item: item(number), text: text.to_owned() }
}

fn piece(number: u8, first: bool, text: &str) -> ItemText {
    ItemText { item: item(number), first, text: text.to_owned() }
}

fn completed(number: u8) -> ItemEnded {
    ItemEnded { item: item(number), status: ItemStatus::Completed }
}

fn items(turn: &Turn) -> Vec<&Item> {
    fn of(part: &Part) -> Option<&Item> {
        match part {
            Part::Item(item) => Some(item),
            _ => None,
        }
    }
    turn.parts.iter().filter_map(of).collect()
}

fn usage(scope: UsageScope, output_tokens: u64, cost_micro_usd: Option<u64>) -> Usage {
    Usage {
        scope,
        input_tokens: 10 * output_tokens,
        cached_tokens: 0,
        output_tokens,
        cost_micro_usd,
        context_tokens: None,
        context_tokens_max: None,
    }
}

/// A turn with everything that there is in one.
fn full() -> Story {
    let mut story = Story::of_an_agent(Some(queued(1, Delivery::AfterTurn)));
    story.ready();
    story.agent(PromptEdited { prompt: prompt(1), text: "clean up\nthe build".to_owned() });
    story.agent(queued(2, Delivery::Steer));
    story.agent(started(1));
    story.agent(item_started(1, Some(turn(1)), ItemKind::Thinking));
    story.agent(delta(1, "Let me "));
    story.agent(delta(1, "see."));
    story.agent(completed(1));
    let mut tool = item_started(2, Some(turn(1)), ItemKind::Tool);
    tool.title = "Bash".to_owned();
    story.agent(tool);
    let (title, input) = ("Bash: rm *.o".to_owned(), "{\"command\":\"rm *.o\"}".to_owned());
    story.agent(ItemChanged { item: item(2), title, input });
    let option = AskOption { id: "y".to_owned(), name: "Yes_!".to_owned(), effect: AskEffect::Allow };
    story.agent(asked(1, Some(turn(1)), vec![option]));
    story.agent(Answered { interaction: ask(1), answer: Answer::Choose { option: "y".to_owned() }, input: 3 });
    story.agent(piece(2, true, "```\nremoved 3\n"));
    story.agent(completed(2));
    story.agent(PromptSteered { turn: turn(1), prompt: prompt(2), input: 4 });
    story.agent(PromptTaken { turn: turn(1), prompt: prompt(2) });
    story.agent(asked(2, Some(turn(1)), Vec::new()));
    story.agent(AskClosed { interaction: ask(2), reason: AskEnd::Expired, input: 5 });
    story.agent(Noticed { kind: NoticeKind::Retry, text: "the model said 500".to_owned(), until: None });
    story.agent(item_started(3, Some(turn(1)), ItemKind::Text));
    story.agent(delta(3, "Dome"));
    story.agent(piece(3, true, "Done, "));
    story.agent(piece(3, false, "all clean."));
    story.agent(delta(3, "late"));
    story.agent(completed(3));
    story.agent(Used { turn: Some(turn(1)), usage: usage(UsageScope::Turn, 30, None) });
    story.agent(Used { turn: Some(turn(1)), usage: usage(UsageScope::Run, 0, Some(2187)) });
    story.agent(ended(1, TurnOutcome::Completed));
    story
}

#[test]
fn a_turn_is_told_from_its_prompt_to_its_end() {
    let talk = talk(&full());
    let [turn] = talk.turns.as_slice() else { panic!("one turn: {talk:#?}") };
    let words = items(turn).into_iter().map(|item| (item.text.as_str(), item.status)).collect::<Vec<_>>();
    let done = Some(ItemStatus::Completed);
    assert_eq!(words, [("Let me see.", done), ("```\nremoved 3\n", done), ("Done, all clean.", done)]);
    assert_eq!(items(turn)[1].title, "Bash: rm *.o");
    assert_eq!((turn.usage.turns, turn.usage.output_tokens, turn.usage.cost_micro_usd), (1, 30, Some(2187)));
    let Part::Prompt(first) = &turn.parts[0] else { panic!("the prompt comes first") };
    assert_eq!((first.text.as_str(), first.client.as_deref()), ("clean up\nthe build", Some("ropewalk-cli")));
}

#[test]
fn a_turn_reads_as_markdown() {
    let talk = talk(&full());
    assert_eq!(
        markdown(&talk.turns[0]),
        r#"## Turn of 2025-11-20T22:00:06.000000Z

**Prompt (ropewalk-cli):**

> clean up
> the build

*Thinking*

> Let me see.

**Tool: Bash: rm \*.o**

```json
{"command":"rm *.o"}
```

````
```
removed 3
````

**Asked: may I 1?** – “Yes\_!” chosen by ropewalk-cli

```json
{"command":"ls"}
```

**Prompt (ropewalk-cli), into the turn:**

> prompt 2

**Asked: may I 2?** – expired: nobody answered in time

```json
{"command":"ls"}
```

> (tries again) the model said 500

Done, all clean.

*completed, 300 tokens read, 30 written, 0.002187 USD*
"#
    );
}

/// A turn that ends while a prompt is on its way into it.
fn with_one_on_its_way() -> Story {
    let mut story = Story::of_an_agent(Some(queued(1, Delivery::AfterTurn)));
    story.ready();
    story.agent(started(1));
    story.agent(queued(2, Delivery::Steer));
    story.agent(PromptSteered { turn: turn(1), prompt: prompt(2), input: 4 });
    story.agent(ended(1, TurnOutcome::Completed));
    story
}

/// Nobody asks for it, as when the agent would not take it.
fn queued_again(story: &mut Story, number: u8) {
    story.agent(queued(number, Delivery::Steer));
    story.events.last_mut().expect("it was just queued").cause = None;
}

#[test]
fn a_prompt_that_comes_too_late_for_a_turn_is_of_its_own_turn_and_still_of_who_said_it() {
    let mut story = with_one_on_its_way();
    queued_again(&mut story, 2);
    story.agent(started(2));
    let talk = talk(&story);
    let prompts = |turn: &Turn| {
        let prompts = turn.parts.iter().filter_map(|part| match part {
            Part::Prompt(prompt) => Some((prompt.prompt, prompt.client.clone(), prompt.steered, prompt.late)),
            _ => None,
        });
        prompts.collect::<Vec<_>>()
    };
    let ada = || Some("ropewalk-cli".to_owned());
    let [first, second] = talk.turns.as_slice() else { panic!("two turns: {talk:#?}") };
    assert_eq!(prompts(first), [(prompt(1), ada(), false, false), (prompt(2), ada(), true, true)]);
    assert_eq!(prompts(second), [(prompt(2), ada(), false, false)]);
    assert!(markdown(first).contains("**Prompt (ropewalk-cli), too late for the turn:**"), "{}", markdown(first));
}

#[test]
fn a_turn_is_not_settled_while_nobody_knows_whether_it_had_a_prompt() {
    let taken_out = |story: &Story| {
        let mut transcript = fold(&story.events);
        let is_known = !transcript.talk(AGENT).expect("the agent").is_on_its_way(prompt(2));
        assert_eq!(transcript.take_settled().len(), usize::from(is_known));
        is_known
    };
    assert!(!taken_out(&with_one_on_its_way()));
    let mut taken = with_one_on_its_way();
    taken.agent(PromptTaken { turn: turn(1), prompt: prompt(2) });
    assert!(taken_out(&taken));
    let mut late = with_one_on_its_way();
    queued_again(&mut late, 2);
    assert!(taken_out(&late));
    let mut gone = with_one_on_its_way();
    gone.agent(RunEnded { run: run(1), outcome: RunOutcome::Exited { code: 1 }, offset: 9 });
    assert!(taken_out(&gone), "nobody will tell any more");
}

#[test]
fn what_happens_between_turns_stands_between_them() {
    let mut story = Story::of_a_ready_agent();
    story.agent(Noticed { kind: NoticeKind::Warning, text: "before".to_owned(), until: None });
    for number in [1, 2] {
        story.agent(queued(number, Delivery::AfterTurn));
        story.agent(started(number));
        story.agent(Noticed { kind: NoticeKind::Warning, text: format!("in turn {number}"), until: None });
        story.agent(ended(number, TurnOutcome::Completed));
        story.agent(item_started(number, None, ItemKind::Text));
        story.agent(item_started(number + 10, None, ItemKind::Text));
    }
    let talk = talk(&story);
    let turns = talk.turns.iter().map(|turn| (turn.turn, turn.parts.len())).collect::<Vec<_>>();
    assert_eq!(turns, [(None, 1), (Some(turn(1)), 2), (None, 2), (Some(turn(2)), 2), (None, 2)]);
}

#[test]
fn turns_of_cumulative_counts_cost_what_came_on_top() {
    let mut story = Story::of_a_ready_agent();
    for (number, total) in [(1, 100), (2, 250)] {
        story.agent(queued(number, Delivery::AfterTurn));
        story.agent(started(number));
        story.agent(Used { turn: Some(turn(number)), usage: usage(UsageScope::Total, total, Some(total)) });
        story.agent(ended(number, TurnOutcome::Completed));
    }
    let costs =
        talk(&story).turns.iter().map(|turn| (turn.usage.output_tokens, turn.usage.cost_micro_usd)).collect::<Vec<_>>();
    assert_eq!(costs, [(100, Some(100)), (150, Some(150))]);
}

#[test]
fn what_is_settled_can_be_taken_out_page_by_page() {
    let mut story = full();
    story.agent(queued(3, Delivery::AfterTurn));
    story.agent(started(3));
    story.agent(item_started(9, Some(turn(3)), ItemKind::Text));
    story.agent(delta(9, "half"));
    let whole = fold(&story.events);
    let mut transcript = Transcript::default();
    let mut taken = Vec::new();
    for page in story.events.chunks(3) {
        page.iter().for_each(|event| transcript.apply(event));
        // A page that comes again changes nothing.
        page.iter().for_each(|event| transcript.apply(event));
        taken.extend(transcript.take_settled());
    }
    let all = whole.talk(AGENT).expect("the agent").turns.clone();
    assert_eq!(taken, [(AGENT, all[0].clone())]);
    assert_eq!(transcript.talk(AGENT).expect("the agent").turns, all[1..]);
    assert_eq!(items(&all[1])[0].status, None);
}

/// Cuts a text at some of its characters.
fn cut(text: &str, ends: &[prop::sample::Index]) -> Vec<String> {
    let places: Vec<usize> = text.char_indices().map(|(place, _)| place).chain([text.len()]).collect();
    let mut ends: Vec<usize> = ends.iter().map(|end| places[end.index(places.len())]).collect();
    ends.push(text.len());
    ends.sort_unstable();
    let mut from = 0;
    ends.into_iter().map(|end| text[std::mem::replace(&mut from, end)..end].to_owned()).collect()
}

/// What is told of one item: a preview that may be anything, then, unless the agent died, the whole text.
#[derive(Debug, Clone)]
struct Told {
    preview: String,
    whole: Option<String>,
}

fn told() -> impl Strategy<Value = Told> {
    ("[a-zčř☃\n]{0,40}", prop::option::of("[a-zčř☃\n`]{0,60}")).prop_map(|(preview, whole)| Told { preview, whole })
}

/// The events of a turn with these items, cut at these places, the items' pieces one in turn of each.
fn turn_of(told: &[Told], cuts: &[(Vec<prop::sample::Index>, Vec<prop::sample::Index>)]) -> Vec<Event> {
    let mut story = Story::of_an_agent(Some(queued(1, Delivery::AfterTurn)));
    story.agent(started(1));
    let numbers = 1..=u8::try_from(told.len()).expect("few items");
    for number in numbers.clone() {
        story.agent(item_started(number, Some(turn(1)), ItemKind::Text));
    }
    let mut left: Vec<Vec<ropewalk_protocol::EventBody>> = Vec::new();
    for ((number, told), (preview_cuts, whole_cuts)) in numbers.zip(told).zip(cuts) {
        let mut bodies: Vec<ropewalk_protocol::EventBody> =
            cut(&told.preview, preview_cuts).iter().map(|text| delta(number, text).into()).collect();
        let whole = told.whole.iter().flat_map(|whole| cut(whole, whole_cuts)).enumerate();
        bodies.extend(whole.map(|(place, text)| piece(number, place == 0, &text).into()));
        let status = if told.whole.is_some() { ItemStatus::Completed } else { ItemStatus::Orphaned };
        bodies.push(ItemEnded { item: item(number), status }.into());
        bodies.reverse();
        left.push(bodies);
    }
    while left.iter().any(|bodies| !bodies.is_empty()) {
        let next: Vec<_> = left.iter_mut().filter_map(Vec::pop).collect();
        for body in next {
            story.agent(body);
        }
    }
    story.agent(ended(1, TurnOutcome::Completed));
    let mut events = story.events;
    // The number of pieces shows in places and times; nothing else may.
    let last = events.last_mut().expect("the end");
    (last.seq, last.at) = (Seq(u64::MAX), crate::story::at(Seq(1_000_000)));
    events
}

fn cuts() -> impl Strategy<Value = (Vec<prop::sample::Index>, Vec<prop::sample::Index>)> {
    (
        prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    )
}

proptest! {
    #[test]
    fn a_settled_turn_does_not_depend_on_the_pieces_it_came_in(
        told in prop::collection::vec(told(), 1..4),
        one in prop::collection::vec(cuts(), 3),
        other in prop::collection::vec(cuts(), 3),
    ) {
        let (one, other) = (fold(&turn_of(&told, &one)), fold(&turn_of(&told, &other)));
        let turns = |transcript: &Transcript| transcript.talk(AGENT).expect("the agent").turns.clone();
        prop_assert_eq!(turns(&one).iter().map(markdown).collect::<Vec<_>>(), turns(&other).iter().map(markdown).collect::<Vec<_>>());
        let settled = turns(&one);
        let words: Vec<&str> = items(&settled[0]).into_iter().map(|item| item.text.as_str()).collect();
        let expected: Vec<&str> = told.iter().map(|told| told.whole.as_ref().unwrap_or(&told.preview).as_str()).collect();
        prop_assert_eq!(words, expected);
    }
}

#[test]
fn a_text_that_is_too_long_is_cut_at_one_place_whatever_the_pieces() {
    let long = "☃".repeat(limits::ITEM_TEXT_BYTES_MAX / 3 + 10);
    let text = |bytes: usize| {
        let mut story = Story::of_an_agent(Some(queued(1, Delivery::AfterTurn)));
        story.agent(started(1));
        story.agent(item_started(1, Some(turn(1)), ItemKind::Text));
        let mut rest = long.as_str();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(bytes.min(rest.len()));
            story.agent(delta(1, now));
            // It would fit where what came before it did not.
            story.agent(delta(1, ""));
            rest = later;
        }
        story.agent(delta(1, "a"));
        items(&talk(&story).turns[0])[0].text.clone()
    };
    let expected = &long[..limits::ITEM_TEXT_BYTES_MAX / 3 * 3];
    assert!(text(3 * 1000) == expected && text(3 * 4097) == expected);
}
