//! Plans that failed once, as short as they could be made, each with its story.

use super::disk::CommitFault;
use super::run::run;
use super::transition::{Plan, Transition};

/// Carries these transitions out on many grounds: what failed depended on pauses as well.
fn hold(transitions: &[Transition]) {
    for seed in 0..60 {
        let mut plan = Plan::of(seed);
        (plan.damage, plan.transitions) = (false, transitions.to_vec());
        let outcome = run(&plan, None);
        assert!(
            outcome.violations.is_empty(),
            "on ground {seed}: {:?}\n{}",
            outcome.violations,
            outcome.lines.join("\n")
        );
    }
}

/// A commit was answered with an error and was there all the same. It was shown, and nobody did what follows from it: a program
/// that was to start never did, a session whose program was gone never ended.
#[test]
fn regression_what_follows_from_an_adopted_commit_is_done() {
    for after in 0..4 {
        hold(&[
            Transition::FailCommits { fault: CommitFault::FailsButWritten, after, count: 3 },
            Transition::Create { client: 2, name: 22, program: 216 },
            Transition::Create { client: 2, name: 80, program: 98 },
            Transition::Create { client: 1, name: 251, program: 17 },
            Transition::Wait { millis: 4800 },
        ]);
    }
}

/// Of two renames of a session on their way at once, the first one's success gave the second one's name back: another session got it.
#[test]
fn regression_two_renames_at_once_keep_the_second_name() {
    hold(&[
        Transition::Wait { millis: 900 },
        Transition::Create { client: 0, name: 0, program: 0 },
        Transition::Create { client: 0, name: 1, program: 0 },
        Transition::Wait { millis: 900 },
        Transition::Rename { client: 0, session: 0, name: 2 },
        Transition::Rename { client: 0, session: 0, name: 3 },
        Transition::Wait { millis: 900 },
        Transition::Rename { client: 0, session: 1, name: 3 },
        Transition::Wait { millis: 900 },
    ]);
}

/// A repeat of a command looked for its receipt while what became of the first one was not known, found none, and was carried out
/// after the first one had been adopted: two sessions for one command.
#[test]
fn regression_a_repeat_beside_an_adopted_commit_is_not_carried_out_again() {
    for after in 0..4 {
        hold(&[
            Transition::Wait { millis: 900 },
            Transition::FailCommits { fault: CommitFault::FailsButWritten, after, count: 1 },
            Transition::Create { client: 0, name: 124, program: 207 },
            Transition::Create { client: 1, name: 125, program: 8 },
            Transition::Repeat { client: 1, command: 0, other: false },
            Transition::Repeat { client: 2, command: 1, other: false },
            Transition::Wait { millis: 120 },
            Transition::Repeat { client: 0, command: 1, other: false },
        ]);
    }
}

/// After the line to the holder broke, the daemon followed from the newest byte it had shown. The holder forgot what was before, the
/// daemon was killed before it had stored it, and the bytes were gone.
#[test]
fn regression_bytes_that_were_shown_and_not_stored_are_kept_by_the_holder_when_the_line_breaks() {
    hold(&[
        Transition::Wait { millis: 900 },
        Transition::Create { client: 0, name: 83, program: 44 },
        Transition::Print { program: 11, bytes: 500 },
        Transition::Print { program: 22, bytes: 595 },
        Transition::CutHolder,
        Transition::Crash { power: false },
    ]);
}

/// A terminal was resized, and the daemon killed before the bytes printed until then were stored. The next one drew them
/// without the size that the log had: the screen kept the one before.
#[test]
fn regression_a_size_in_the_log_beyond_the_stored_bytes_is_drawn() {
    hold(&[
        Transition::Wait { millis: 900 },
        Transition::Create { client: 1, name: 193, program: 5 },
        Transition::Print { program: 233, bytes: 1175 },
        Transition::Resize { client: 0, terminal: 100, size: 3 },
        Transition::Wait { millis: 40 },
        Transition::Crash { power: false },
        Transition::Attach { client: 1, terminal: 126, from: 207, size: 100 },
    ]);
}

/// One client attached twice to one terminal. Frames of the first attachment reached the second one, which took the end of the first for
/// its own; and when the connection was cut before either was answered, the second was never asked for again.
#[test]
fn regression_a_second_attachment_is_given_nothing_of_the_first() {
    hold(&[
        Transition::Wait { millis: 900 },
        Transition::Create { client: 2, name: 34, program: 50 },
        Transition::Wait { millis: 300 },
        Transition::Print { program: 0, bytes: 20_000 },
        Transition::Attach { client: 2, terminal: 0, from: 1, size: 1 },
        Transition::Exit { program: 0, code: 0 },
        Transition::Attach { client: 2, terminal: 0, from: 0, size: 1 },
        Transition::Cut { client: 2 },
        Transition::Attach { client: 2, terminal: 0, from: 1, size: 1 },
    ]);
}

/// A command that was refused for good by the holder's side had no receipt: another one under its id was carried out.
#[test]
fn regression_a_refused_resize_is_remembered() {
    hold(&[
        Transition::Wait { millis: 900 },
        Transition::Create { client: 2, name: 1, program: 10 },
        Transition::Wait { millis: 300 },
        Transition::Exit { program: 0, code: 1 },
        Transition::Wait { millis: 5000 },
        Transition::Resize { client: 1, terminal: 0, size: 3 },
        Transition::Wait { millis: 200 },
        Transition::Repeat { client: 1, command: 0, other: true },
        Transition::Wait { millis: 200 },
        Transition::Repeat { client: 0, command: 0, other: false },
    ]);
}

/// A new volume could not be begun, or not be entered into the index. The one before it was written on, and after a start what had been
/// written to it since was told as damaged, or places were lost.
#[test]
fn regression_a_volume_that_was_not_begun_hides_nothing() {
    for fault in [CommitFault::Fails, CommitFault::FailsButWritten] {
        for after in 0..8 {
            hold(&[
                Transition::Wait { millis: 900 },
                Transition::Create { client: 2, name: 1, program: 10 },
                Transition::Wait { millis: 300 },
                Transition::FailCommits { fault, after, count: 2 },
                Transition::Annotate { client: 0, session: 0, length: 4000 },
                Transition::Annotate { client: 1, session: 0, length: 4000 },
                Transition::Wait { millis: 700 },
                Transition::Annotate { client: 0, session: 0, length: 4000 },
                Transition::Print { program: 0, bytes: 5000 },
                Transition::Wait { millis: 300 },
                Transition::Restart,
            ]);
        }
    }
}
