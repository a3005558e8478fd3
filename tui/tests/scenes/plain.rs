//! The client without a screen: what is told, and what is taken, line by line.

use ropewalk_protocol::{Answer, Code, Rejection, TurnOutcome};

use crate::snapshot::tell;
use crate::stage::Stage;
use crate::tales;
use crate::world::World;

/// Asserts that a line that was told has this in it, once in all.
#[track_caller]
fn hears_once(stage: &Stage, text: &str) {
    let count = stage.lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!(count, 1, "{text:?}:\n{}", stage.lines.join("\n"));
}

#[test]
fn without_a_screen_a_session_is_started_and_its_answer_told() {
    tell(|| {
        let mut stage = Stage::plain(World::new());
        hears_once(&stage, "what you type starts a session with Claude Code");
        stage.types_line("Count the files.");
        let session = stage.world.sessions()[0].session;
        let who = stage.world.somebody(session);
        stage.world.later(1_000).says(who, "There are twelve.");
        stage.goes_on();
        stage.world.later(1_000).ends(who);
        stage.goes_on();
        stage.later(1_000);
        hears_once(&stage, "what you type goes to count-the-files/claude");
        hears_once(&stage, "> Count the files.");
        hears_once(&stage, "There are twelve.");
        hears_once(&stage, "completed");
        stage
    });
}

#[test]
fn without_a_screen_a_question_is_told_and_answered_in_words() {
    tell(|| {
        let (mut world, who) = tales::at_work();
        let interaction = world.asks_to(who, "Bash", r#"{"command":"cargo publish --dry-run"}"#);
        let mut stage = Stage::plain(world);
        hears_once(&stage, ":answer allow");
        stage.later(1_000);
        stage.types_line(":answer deny not before the tests are green");
        let reason = Some("not before the tests are green".to_owned());
        assert_eq!(stage.world.answer_to(interaction), Some(Answer::Deny { reason }));
        hears_once(&stage, "denied: not before the tests are green (by ropewalk-tui)");
        stage
    });
}

#[test]
fn without_a_screen_a_question_that_expires_is_told_with_what_became_of_it() {
    tell(|| {
        let (mut world, who) = tales::at_work();
        let interaction = world.asks_within(who, 90_000, "Bash", r#"{"command":"cargo publish --dry-run"}"#);
        let mut stage = Stage::plain(world);
        stage.later(90_000);
        stage.world.expires(who, interaction);
        stage.goes_on();
        stage.later(1_000);
        hears_once(&stage, "in 1m 30s it is denied by itself");
        hears_once(&stage, "nobody answered in time");
        stage
    });
}

#[test]
fn without_a_screen_a_lost_connection_and_a_refusal_are_told_and_no_word_is_lost() {
    tell(|| {
        let (world, who) = tales::done();
        let mut stage = Stage::plain(world);
        stage.is_cut();
        stage.types_line("while it was away");
        stage.is_back();
        hears_once(&stage, "the connection is lost");
        hears_once(&stage, "> while it was away");
        stage.world.later(1_000).ends_so(who, TurnOutcome::Failed { reason: "the server is overloaded".to_owned() });
        stage.goes_on();
        stage.later(1_000);
        hears_once(&stage, "failed: the server is overloaded");
        stage.world.refuses = Some(Rejection::new(Code::Busy, "too many commands wait").hint("Try again."));
        stage.types_line("refused");
        hears_once(&stage, "too many commands wait");
        assert!(stage.kept.drafts.values().any(|draft| draft == "refused"), "{:?}", stage.kept.drafts);
        stage
    });
}

#[test]
fn without_a_screen_help_lists_commands_and_what_needs_a_screen_says_so() {
    tell(|| {
        let (mut world, _) = tales::at_work();
        world.claude("other");
        let mut stage = Stage::plain(world);
        stage.types_line(":help");
        stage.types_line(":queue");
        stage.types_line(":attach other");
        stage.types_line(":end");
        stage.types_line("n");
        stage.types_line(":nonsense and more");
        stage
    });
}
