//! Words that are typed over the screen are not lost: not by a refusal, not by who is first, not by the end of the client.

use ropewalk_protocol::{Answer, Code, Delivery, InteractionId, PromptId, Rejection, Size};

use crate::snapshot::play;
use crate::stage::Stage;
use crate::tales;
use crate::world::Who;

fn busy() -> Rejection {
    Rejection::new(Code::Busy, "too many commands wait").hint("Try again.")
}

/// An agent that asks for a text.
fn asked(size: Size) -> (Stage, Who, InteractionId) {
    let (mut world, who) = tales::at_work();
    let interaction = world.asks_for(who, "What should the release be called?");
    let mut stage = Stage::open(size, world);
    stage.later(1_000);
    (stage, who, interaction)
}

/// An agent that asks whether it may.
fn permission(size: Size) -> (Stage, Who, InteractionId) {
    let (mut world, who) = tales::at_work();
    let interaction = world.asks_to(who, "Bash", r#"{"command":"cargo publish --dry-run"}"#);
    let mut stage = Stage::open(size, world);
    stage.later(1_000);
    (stage, who, interaction)
}

#[test]
fn an_answer_that_is_refused_stays_with_its_question() {
    play(|size| {
        let (mut stage, _, interaction) = asked(size);
        stage.press("alt+w");
        stage.types("Autumn sale");
        stage.world.refuses = Some(busy());
        stage.press("enter");
        stage.sees("your words are kept: too many commands wait");
        stage.later(20_000);
        stage.press("alt+w");
        stage.sees("Autumn sale");
        stage.press("enter");
        stage.sees("answered");
        let text = "Autumn sale".to_owned();
        assert_eq!(stage.world.answer_to(interaction), Some(Answer::Text { text }));
        assert_eq!(stage.kept.drafts.len(), 0, "{:?}", stage.kept.drafts);
        stage
    });
}

/// The first answer is on its way when another one is begun: what is taken is the first one.
#[test]
fn what_is_typed_while_an_answer_is_on_its_way_is_in_the_history_once_that_is_taken() {
    let (mut stage, _, interaction) = asked(Size { cols: 100, rows: 30 });
    stage.is_cut();
    stage.types("Autumn sale");
    stage.press("enter");
    stage.press("alt+w");
    stage.types("Winter sale");
    stage.is_back();
    let text = "Autumn sale".to_owned();
    assert_eq!(stage.world.answer_to(interaction), Some(Answer::Text { text }));
    assert!(stage.kept.sent.iter().any(|sent| sent.contains("Winter sale")), "{:?}", stage.kept.sent);
}

#[test]
fn a_reason_that_is_refused_stays_with_its_question() {
    play(|size| {
        let (mut stage, _, interaction) = permission(size);
        stage.press("alt+n");
        stage.types("not before the tests are green");
        stage.world.refuses = Some(busy());
        stage.press("enter");
        stage.sees("your words are kept");
        stage.press("alt+n");
        stage.sees("not before the tests are green");
        stage.press("enter");
        let reason = Some("not before the tests are green".to_owned());
        assert_eq!(stage.world.answer_to(interaction), Some(Answer::Deny { reason }));
        assert_eq!(stage.kept.drafts.len(), 0, "{:?}", stage.kept.drafts);
        stage
    });
}

#[test]
fn an_answer_that_was_written_in_the_prompt_goes_back_there() {
    play(|size| {
        let (mut stage, ..) = asked(size);
        stage.types("Autumn sale");
        stage.world.refuses = Some(busy());
        stage.press("enter");
        stage.sees("too many commands wait");
        stage.sees("Autumn sale");
        assert_eq!(stage.state().composer().map(|composer| composer.text()).as_deref(), Some("Autumn sale"));
        stage
    });
}

#[test]
fn an_answer_that_is_being_typed_is_there_for_the_next_client() {
    play(|size| {
        let (mut stage, ..) = asked(size);
        stage.press("alt+w");
        stage.types("Autumn sa");
        let mut stage = stage.restarts();
        stage.later(1_000);
        stage.press("alt+w");
        stage.sees("Autumn sa");
        stage
    });
}

#[test]
fn a_reason_that_is_being_typed_is_there_for_the_next_client() {
    play(|size| {
        let (mut stage, ..) = permission(size);
        stage.press("alt+n");
        stage.types("not before the");
        let mut stage = stage.restarts();
        stage.later(1_000);
        stage.press("alt+n");
        stage.sees("not before the");
        stage
    });
}

#[test]
fn words_for_a_question_that_somebody_else_answered_are_in_the_history() {
    play(|size| {
        let (mut stage, who, interaction) = asked(size);
        stage.press("alt+w");
        stage.types("Autumn sale");
        stage.world.answered_by("phone", who, interaction, Answer::Text { text: "Winter".to_owned() });
        stage.goes_on();
        stage.sees("answered by phone");
        stage.later(1_000);
        stage.press("ctrl+c");
        stage.sees("answered by phone; your words are in the history");
        stage.press("up");
        assert_eq!(stage.state().composer().map(|composer| composer.text()).as_deref(), Some("Autumn sale"));
        stage
    });
}

/// An agent with a prompt that waits, whose other text is being typed.
fn edited(size: Size) -> (Stage, Who, PromptId) {
    let (mut world, who) = tales::at_work();
    let prompt = world.later(1_000).queued(who, "first: the documentation", Delivery::AfterTurn, "ropewalk-cli");
    let mut stage = Stage::open(size, world);
    stage.press("ctrl+x p");
    stage.later(200);
    stage.press("e ctrl+w");
    stage.types("changelog");
    stage.sees("first: the changelog");
    (stage, who, prompt)
}

#[test]
fn another_text_for_a_prompt_that_is_refused_goes_to_the_prompt() {
    play(|size| {
        let (mut stage, ..) = edited(size);
        stage.world.refuses = Some(busy());
        stage.press("enter");
        stage.sees("too many commands wait");
        stage.press("esc");
        assert_eq!(stage.state().composer().map(|composer| composer.text()).as_deref(), Some("first: the changelog"));
        stage
    });
}

#[test]
fn another_text_for_a_prompt_that_is_sent_meanwhile_goes_to_the_prompt() {
    play(|size| {
        let (mut stage, who, prompt) = edited(size);
        stage.world.later(100).ends(who);
        stage.world.starts(who, prompt);
        stage.goes_on();
        stage.later(1_000);
        stage.sees("that prompt waits no more");
        stage.press("esc");
        assert_eq!(stage.state().composer().map(|composer| composer.text()).as_deref(), Some("first: the changelog"));
        stage
    });
}

#[test]
fn another_text_for_a_prompt_is_there_for_the_next_client() {
    play(|size| {
        let (stage, ..) = edited(size);
        let mut stage = stage.restarts();
        stage.later(1_000);
        stage.press("ctrl+x p");
        stage.later(200);
        stage.press("e");
        stage.sees("first: the changelog");
        stage
    });
}

#[test]
fn words_that_come_back_while_the_editor_is_open_stand_below_what_it_wrote() {
    play(|size| {
        let (mut stage, ..) = asked(size);
        stage.types("Autumn sale");
        stage.is_cut();
        stage.press("enter");
        stage.is_editing = true;
        stage.press("ctrl+g");
        stage.world.refuses = Some(busy());
        stage.is_back();
        stage.editor_ends("from the editor\n");
        let both = "from the editor\n\nAutumn sale";
        assert_eq!(stage.state().composer().map(|composer| composer.text()).as_deref(), Some(both));
        stage
    });
}

#[test]
fn what_a_killed_client_sent_and_was_refused_stands_before_the_draft_that_was_written_since() {
    play(|size| {
        let (world, who) = tales::at_work_beside(&[("other", "Hello.", "Hello.")]);
        let mut stage = Stage::open(size, world);
        let first = stage.state().draft_key(stage.state().target());
        stage.is_cut();
        stage.types("sent while it was away");
        stage.press("enter");
        stage.types("written since");
        stage.press("alt+down");
        stage.later(200);
        stage.world.refuses = Some(busy());
        let stage = stage.restarts();
        assert_ne!(stage.state().draft_key(stage.state().target()), first);
        assert_eq!(first, who.agent.to_string());
        let both = "sent while it was away\n\nwritten since";
        assert_eq!(stage.kept.drafts.get(&first).map(String::as_str), Some(both));
        stage
    });
}

#[test]
fn what_a_killed_client_answered_is_no_draft_any_more() {
    play(|size| {
        let (mut stage, _, interaction) = asked(size);
        stage.press("alt+w");
        stage.types("Autumn sale");
        stage.is_cut();
        stage.press("enter");
        let stage = stage.restarts();
        let text = "Autumn sale".to_owned();
        assert_eq!(stage.world.answer_to(interaction), Some(Answer::Text { text }));
        assert!(stage.kept.drafts.is_empty() && !stage.kept.sent.contains(&"Autumn sale".to_owned()));
        stage
    });
}
