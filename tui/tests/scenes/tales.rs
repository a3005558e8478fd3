//! Worlds that several scenes begin in.

use ropewalk_protocol::{ItemId, ItemKind, ItemStatus, NoticeKind, RunOutcome, TurnOutcome};

use crate::world::{Who, World};

/// What a tool that edits is called with.
const EDIT: &str = r#"{"file_path":"/home/ada/work/shop/src/checkout/total.rs","old_string":"    let net = sum - discount;\n    net - discount","new_string":"    sum - discount"}"#;
/// A difference of a file.
const PATCH: &str = "--- a/src/checkout/total.rs\n+++ b/src/checkout/total.rs\n@@ -11,5 +11,4 @@ fn total(cart: &Cart) -> Money {\n     let sum = cart.sum();\n     let discount = cart.discount();\n-    let net = sum - discount;\n-    net - discount\n+    sum - discount\n }\n";

/// A session in which an agent has found something, changed it, and runs the tests.
pub(crate) fn at_work() -> (World, Who) {
    at_work_beside(&[])
}

/// The same, in a world with other sessions of one exchange each: name, prompt and answer.
pub(crate) fn at_work_beside(others: &[(&str, &str, &str)]) -> (World, Who) {
    let mut world = World::new();
    for (name, prompt, answer) in others {
        let other = world.claude(name);
        world.exchange(other, prompt, answer);
    }
    let (who, _) = testing(&mut world);
    (world, who)
}

/// The same, with the call that runs.
fn testing(world: &mut World) -> (Who, ItemId) {
    let who = world.claude("fix-total");
    world
        .later(2_000)
        .prompt(who, "The total at checkout is wrong when there is a discount.\nFind out why, and mend it.");
    world.later(2_000).thinks(
        who,
        "The total is computed in two places.\nIf both take the discount off, it counts twice.\nI should look at both.",
    );
    world.later(1_000).says(who, "I look at how the total is made.");
    world.later(500).uses(
        who,
        "Grep",
        r#"{"pattern":"discount","path":"src"}"#,
        "src/cart.rs:31:    sum - self.discount()\nsrc/checkout/total.rs:14:    net - discount",
        ItemStatus::Completed,
    );
    world.later(300).uses(
        who,
        "Read",
        r#"{"file_path":"/home/ada/work/shop/src/checkout/totals.rs"}"#,
        "File does not exist.",
        ItemStatus::Failed,
    );
    let plan = world.begins(who, ItemKind::Plan, "plan", "");
    let steps = "- [x] find where the discount is taken off\n- [ ] take it off once\n- [ ] test it";
    world.settles(who, plan, steps, ItemStatus::Completed);
    world.later(900).uses(who, "Edit", EDIT, "The file was updated.", ItemStatus::Completed);
    let change = world.begins(who, ItemKind::FileChange, "src/checkout/total.rs", "");
    world.settles(who, change, PATCH, ItemStatus::Completed);
    world.later(400).says(
        who,
        "The discount was taken off **twice**:\n\n1. in `Cart::sum`,\n2. again in `total`.\n\nIt is taken off once now. I run the tests.",
    );
    world.costs(who, 48_200, 34_000);
    let tests =
        world.later(800).begins(who, ItemKind::Tool, "Bash", r#"{"command":"cargo test --workspace checkout"}"#);
    world.later(2_000).puts(who, tests, "   Compiling shop v0.3.0 (/home/ada/work/shop)\n");
    world.later(4_000).puts(who, tests, "     Running tests/checkout.rs\nrunning 12 tests\n");
    (who, tests)
}

/// A session whose agent is done with its first turn.
pub(crate) fn done() -> (World, Who) {
    let mut world = World::new();
    let (who, tests) = testing(&mut world);
    let output = "   Compiling shop v0.3.0 (/home/ada/work/shop)\n     Running tests/checkout.rs\nrunning 12 tests\n............\ntest result: ok. 12 passed; 0 failed";
    world.later(3_000).settles(who, tests, output, ItemStatus::Completed);
    world.later(1_000).says(who, "All twelve tests pass. The total is right.");
    world.costs(who, 61_500, 36_000);
    world.ends(who);
    (world, who)
}

/// A session of many turns.
pub(crate) fn long_talk(turns: usize) -> (World, Who) {
    let mut world = World::new();
    let who = world.claude("long-talk");
    for turn in 1..=turns {
        let answer = format!(
            "Answer {turn}, in a sentence that takes some room so that it must be wrapped in a narrow window.\n\n- one\n- two\n- three"
        );
        world.exchange(who, &format!("Question number {turn}?"), &answer);
    }
    (world, who)
}

/// Sessions in every condition there is.
pub(crate) fn every_condition() -> World {
    let mut world = World::new();
    let ended = world.claude("tidy-up");
    world.closes(ended);
    world.session_ends(ended.session);
    world.program_fails("watcher", &["cargo", "wach"], "cargo: no such command: wach");
    let stopped = world.claude("night-run");
    world.exchange(stopped, "Bring the docs up to date.", "Done.");
    world.stops(stopped, RunOutcome::Signaled { signal: 9 });
    let other = world.session_in("api-keys", "/home/ada/work/payments");
    let other = world.joins(other, "codex", "codex", None);
    world.ready(other, "gpt-5", "auto");
    let parked = world.claude("migrate-db");
    world.held(parked, ropewalk_protocol::HoldReason::Asked {}, None);
    let stalled = world.claude("slow-server");
    world.prompt(stalled, "Why is the server slow?");
    world.notices(stalled, NoticeKind::Retry, "529 overloaded, attempt 2 of 10");
    let (_, terminal) = world.later(400_000).program("logs", &["journalctl", "--follow"]);
    world.writes(terminal, b"10:07:31 shop[4711]: listening on [::]:8080\r\n");
    let idle = world.claude("readme");
    world.exchange(idle, "Say what the shop does in the README.", "It says so now.");
    let failed = world.claude("release");
    world.prompt(failed, "Tag the release.");
    world.ends_so(failed, TurnOutcome::Failed { reason: "the model is not there".to_owned() });
    team(&mut world);
    let asked = world.claude("clean-build");
    world.prompt(asked, "Clean the build.");
    world.asks_to(asked, "Bash", r#"{"command":"rm -rf target","description":"Remove build output"}"#);
    let session = world.session("new-idea");
    world.joins(session, "opencode", "opencode", None);
    world
}

/// A session of an agent and those that work for it.
pub(crate) fn team(world: &mut World) -> [Who; 4] {
    team_of(world, "checkout-rewrite")
}

pub(crate) fn team_of(world: &mut World, session: &str) -> [Who; 4] {
    let lead = world.claude(session);
    let child = |world: &mut World, name: &str, parent: Who| {
        let who = world.joins(lead.session, "claude", name, Some(parent));
        world.ready(who, "haiku-4.5", "default");
        who
    };
    let tests = child(world, "tests", lead);
    let docs = child(world, "docs", lead);
    let links = child(world, "links", docs);
    world.later(1_000).prompt(lead, "Rewrite the checkout. Split the work.");
    world.later(2_000).says(lead, "`tests` writes the tests, `docs` the documentation.");
    world.costs(lead, 230_000, 80_000);
    world.later(500).prompt(tests, "Write tests for the checkout.");
    world.later(3_000).says(tests, "Twelve tests are written.");
    world.costs(tests, 31_000, 15_000);
    world.prompt(docs, "Document the checkout.");
    world.later(1_500).says(docs, "I begin with the overview.");
    world.queued(docs, "Then the API.", ropewalk_protocol::Delivery::AfterTurn, "phone");
    world.queued(docs, "Then the errors.", ropewalk_protocol::Delivery::AfterTurn, "phone");
    world.exchange(links, "Check the links.", "All links lead somewhere.");
    [lead, tests, docs, links]
}
