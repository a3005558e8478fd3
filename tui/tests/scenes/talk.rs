//! What is said with an agent, and what it does.

use ropewalk_protocol::{ItemKind, ItemStatus, NoticeKind, RunOutcome, TurnOutcome};

use crate::snapshot::play;
use crate::stage::Stage;
use crate::tales;
use crate::world::World;

#[test]
fn text_thinking_tools_a_plan_and_a_change_are_seen_as_what_they_are() {
    play(|size| {
        let (world, _) = tales::at_work();
        let stage = Stage::open(size, world);
        stage.sees("cargo test --workspace checkout");
        stage.sees("running 12 tests");
        stage
    });
}

#[test]
fn thinking_and_output_are_unfolded_with_a_key() {
    play(|size| {
        let (world, _) = tales::at_work();
        let mut stage = Stage::open(size, world);
        stage.press("ctrl+o g");
        stage.press("esc g");
        stage.sees("I should look at both.");
        stage
    });
}

#[test]
fn one_thing_is_selected_and_unfolded_alone() {
    play(|size| {
        let (world, _) = tales::done();
        let mut stage = Stage::open(size, world);
        stage.press("esc g J J enter");
        stage.sees("I should look at both.");
        stage
    });
}

#[test]
fn a_tool_that_runs_shows_the_end_of_what_it_puts_out() {
    play(|size| {
        let (mut world, who) = tales::at_work();
        let tool = world.begins(who, ItemKind::Tool, "Bash", r#"{"command":"npm run build"}"#);
        for line in 1..=200 {
            world.puts(who, tool, &format!("step {line} of 200\n"));
        }
        let stage = Stage::open(size, world);
        stage.sees("step 200 of 200");
        stage.sees_not("step 100 of 200");
        stage
    });
}

#[test]
fn what_an_agent_says_is_seen_while_it_says_it() {
    play(|size| {
        let (mut world, who) = tales::done();
        world.later(60_000).prompt(who, "And the documentation?");
        let mut stage = Stage::open(size, world);
        let item = stage.world.begins(who, ItemKind::Text, "", "");
        for piece in ["The documentation sa", "ys nothing of disc", "ounts: **I add", "** a chapter"] {
            stage.world.puts(who, item, piece);
            stage.goes_on();
        }
        stage.sees("The documentation says nothing of discounts:");
        stage.sees("a chapter");
        stage
    });
}

#[test]
fn a_turn_that_fails_says_why() {
    play(|size| {
        let (mut world, who) = tales::done();
        world.later(60_000).prompt(who, "And the documentation?");
        world.notices(who, NoticeKind::Retry, "529 overloaded, attempt 2 of 10");
        world.ends_so(who, TurnOutcome::Failed { reason: "the model's server is overloaded".to_owned() });
        let stage = Stage::open(size, world);
        stage.sees("overloaded");
        stage
    });
}

#[test]
fn a_turn_is_cancelled_by_escape_twice() {
    play(|size| {
        let (world, who) = tales::at_work();
        let mut stage = Stage::open(size, world);
        stage.press("esc");
        stage.sees("esc again stops the turn");
        stage.press("esc");
        stage.sees("asked to stop");
        stage.world.later(800).ends_so(who, TurnOutcome::Cancelled);
        stage.goes_on();
        stage.sees("cancelled");
        stage
    });
}

#[test]
fn a_turn_that_does_not_stop_is_ended_with_its_process() {
    play(|size| {
        let (world, who) = tales::at_work();
        let mut stage = Stage::open(size, world);
        stage.press("esc esc");
        stage.later(3_000);
        stage.sees("stopping 3s");
        stage.press("i esc");
        stage.sees("esc again ends its process");
        stage.press("esc");
        stage.sees("its process is ended; the next prompt starts it again");
        stage.press("ctrl+x c");
        stage.sees("its process is being ended");
        stage.world.later(800).ends_so(who, TurnOutcome::Cancelled);
        stage.world.stops(who, RunOutcome::Signaled { signal: 9 });
        stage.goes_on();
        stage.later(1_000);
        stage.sees("cancelled");
        stage.sees("stopped");
        stage.press("i");
        stage.types("go on with less");
        stage.press("enter");
        stage.sees("> go on with less");
        stage
    });
}

#[test]
fn markdown_code_tables_and_links_are_laid_out() {
    play(|size| {
        let mut world = World::new();
        let who = world.claude("fix-total");
        world.prompt(who, "Explain the checkout.");
        world.later(3_000).says(
            who,
            "# The checkout\n\nIt has *three* steps, see [the guide](https://example.org/guide):\n\n\
             | step | file | lines |\n|---|---|---:|\n| cart | `src/cart.rs` | 120 |\n| total | `src/checkout/total.rs` | 48 |\n\n\
             ```rust\nfn total(cart: &Cart) -> Money {\n    cart.sum() - cart.discount()\n}\n```\n\n\
             > A quote of what was said.\n\n- one\n  - and within it\n- two\n",
        );
        world.ends(who);
        let stage = Stage::open(size, world);
        stage.sees("cart.sum() - cart.discount()");
        stage
    });
}

#[test]
fn what_would_move_the_cursor_or_hide_text_is_made_visible() {
    play(|size| {
        let mut world = World::new();
        let who = world.claude("fix-total");
        world.prompt(who, "Print the banner.");
        let output =
            "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[0m and rtl \u{202e}gnp.exe\u{202c} done\rnot over it\u{0007}";
        world.uses(who, "Bash", r#"{"command":"./banner"}"#, output, ItemStatus::Completed);
        world.says(who, "A \u{200b}hidden\u{200b} word, and a bell \u{7}.");
        let mut stage = Stage::open(size, world);
        stage.press("ctrl+o");
        assert_eq!(stage.screen().title(), "", "what an agent says sets no title");
        stage
    });
}

#[test]
fn wide_and_combining_characters_keep_their_columns() {
    play(|size| {
        let mut world = World::new();
        let who = world.claude("漢字-テスト");
        world.prompt(who, "合計が間違っています。🧾 なぜですか?");
        world.says(who, "割引が**二回**引かれています。e\u{301}te\u{301}, नमस्ते, 👩‍👩‍👧‍👦, 🇩🇪, Zürich — alles *gut*.");
        world.uses(
            who,
            "Bash",
            r#"{"command":"grep 割引 src/合計.rs"}"#,
            "合計.rs:3: 割引 = 10%",
            ItemStatus::Completed,
        );
        let mut stage = Stage::open(size, world);
        stage.types("日本語 e\u{301} 👍🏽 を書く");
        stage.sees("割引が二回引かれています。");
        stage.sees("を書く");
        stage
    });
}

#[test]
fn the_newest_answer_is_copied_with_a_key() {
    play(|size| {
        let (world, _) = tales::done();
        let mut stage = Stage::open(size, world);
        stage.press("ctrl+x y");
        stage.sees("copied: 42 characters");
        let copied = ropewalk_tui::app::event::Effect::Copy("All twelve tests pass. The total is right.".to_owned());
        assert!(stage.asked.contains(&copied));
        stage
    });
}
