//! Budgets, holds, rounds and rules from the command line.

use serde_json::Value;

use super::Agents;
use crate::harness::eventually;

fn outcome((code, _, last): &(i32, Vec<Value>, Value)) -> (i32, &str) {
    (*code, last["outcome"].as_str().unwrap())
}

fn reason(ended: &(i32, Vec<Value>, Value)) -> &str {
    ended.2["reason"].as_str().unwrap_or_default()
}

fn kinds(ended: &(i32, Vec<Value>, Value)) -> Vec<&str> {
    ended.1.iter().filter_map(|event| event["type"].as_str()).collect()
}

const SPENDS: &str = "on prompt\n confirm\n usage scope=call input=1000 output=500 cost=400000\n say spent\n";

#[test]
fn a_budget_of_turns_parks_the_agent_keeps_its_prompts_and_more_of_it_sets_it_free() {
    let agents = Agents::new(SPENDS);
    let first = agents.json(&["--name", "s", "--budget-turns", "2", "one"]);
    assert_eq!(outcome(&first), (0, "completed"));
    assert!(agents.home.ok(&["prompt", "s", "--follow", "two"]).contains("spent"));
    agents.until("s", "parked");
    let mut third = agents.home.command(&["prompt", "s", "--follow", "--json", "three"]);
    let third = super::lines(&mut third);
    assert_eq!(outcome(&third), (7, "limited"), "{}", third.2);
    assert!(reason(&third).contains("2 of 2 turns"), "{}", third.2);
    assert_eq!(agents.taken(), ["one", "two"]);
    assert!(agents.home.ok(&["queue", "s"]).contains("three"));
    let (code, error) = agents.home.fails(&["release", "s"]);
    assert!(code == 1 && error.contains("budget_spent") && error.contains("ropewalk budget"), "{error}");

    // It is parked still after the daemon died, and set free by more of it.
    agents.home.kill_daemon();
    agents.home.start();
    assert_eq!(agents.state("s"), "parked");
    let shown = agents.home.ok(&["budget", "s/scripted", "--budget-turns", "3"]);
    assert!(shown.contains("turns") && shown.contains('3'), "{shown}");
    eventually("the third prompt is taken", || agents.taken().len() == 3);
}

#[test]
fn money_is_warned_of_and_then_the_turn_is_cut_and_everything_spent_is_told() {
    let script =
        "on prompt\n confirm\n repeat 3\n usage scope=call cost=400000\n sleep 200\n done\n sleep 60000\n say never\n";
    let agents = Agents::new(script);
    let ended = agents.json(&["--name", "s", "--budget-usd", "1", "go"]);
    assert_eq!(outcome(&ended), (7, "limited"), "{}", ended.2);
    let kinds = kinds(&ended);
    let place =
        |kind: &str| kinds.iter().position(|known| *known == kind).unwrap_or_else(|| panic!("{kind}: {kinds:?}"));
    assert!(place("agent.budget_warned") < place("agent.held"), "{kinds:?}");
    assert!(place("agent.held") < place("agent.turn_ended"), "{kinds:?}");
    let budget: Value = serde_json::from_str(&agents.home.ok(&["budget", "s/scripted", "--json"])).unwrap();
    assert_eq!(budget["budget"]["cost_micro_usd"], 1_000_000);
    assert!(budget["spent"]["cost_micro_usd"].as_u64() >= Some(1_000_000), "{budget}");
}

#[test]
fn a_session_and_a_day_are_bounded_over_all_of_their_agents() {
    let agents = Agents::new(SPENDS);
    agents.json(&["--name", "s", "one"]);
    agents.home.ok(&["spawn", "s", "--provider", "scripted", "--agent-name", "b", "--command", &agents.command]);
    assert!(agents.home.ok(&["prompt", "s/b", "--follow", "two"]).contains("spent"));
    // What is bounded in the middle of a turn may end it before its own end: nobody has one now.
    agents.home.ok(&["budget", "s", "--budget-tokens", "3000"]);
    eventually("both are parked", || agents.home.ok(&["agents", "s"]).matches("parked").count() == 2);
    let mut third = agents.home.command(&["prompt", "s/scripted", "--follow", "--json", "three"]);
    let third = super::lines(&mut third);
    assert_eq!(outcome(&third), (7, "limited"), "{}", third.2);
    assert!(reason(&third).contains("the session's budget: 3000 of 3000 tokens"), "{}", third.2);
    agents.home.ok(&["budget", "s", "--clear"]);
    eventually("it goes on", || agents.home.ok(&["queue", "s/scripted", "--json"]).is_empty());

    eventually("all of it is counted", || agents.home.ok(&["budget"]).contains("$1.2000"));
    agents.home.ok(&["budget", "--budget-usd", "1.2"]);
    let shown = agents.home.ok(&["budget"]);
    assert!(shown.contains("$1.2000") && shown.contains("100"), "{shown}");
    let fourth = agents.json(&["--name", "other", "four"]);
    assert_eq!(outcome(&fourth), (7, "limited"), "{}", fourth.2);
    assert!(reason(&fourth).contains("the day's budget"), "{}", fourth.2);
    agents.home.ok(&["budget", "--clear"]);
    eventually("the prompt of another session is taken", || agents.home.ok(&["queue", "other", "--json"]).is_empty());
}

#[test]
fn an_agent_that_its_model_s_server_refuses_more_waits_and_goes_on_by_itself_if_asked() {
    let script = "on prompt /^Your last turn/\n confirm\n say went on\non prompt\n confirm\n notice rate_limited +8 wait a little\n end failed 429\n";
    let agents = Agents::new(script);
    let ended = agents.json(&["--name", "s", "--on-limit", "go-on", "one"]);
    assert_eq!(outcome(&ended), (75, "rate_limited"), "{}", ended.2);
    assert_eq!(agents.state("s"), "parked");
    let held = &agents.agent("s")["structured"]["held"];
    assert!(held["reason"]["rate_limited"]["text"] == "wait a little" && held["until"].is_string(), "{held}");
    // The clock goes on while the daemon does not run.
    agents.home.kill_daemon();
    agents.home.start();
    eventually("it goes on", || agents.taken().len() == 2);
    agents.until("s", "idle");
    assert!(agents.home.ok(&["transcript", "s"]).contains("went on"));
}

#[test]
fn an_agent_that_goes_round_in_circles_is_held_and_the_calls_that_show_it_are_named() {
    let script =
        "on prompt\n confirm\n repeat 20\n tool Bash {\"command\":\"ls\"} same\n sleep 50\n done\n say never\n";
    let agents = Agents::new(script);
    let ended = agents.json(&["--name", "s", "--on-loop", "hold", "go"]);
    assert_eq!(outcome(&ended), (7, "limited"), "{}", ended.2);
    let began: Vec<u64> = ended
        .1
        .iter()
        .filter(|event| event["type"] == "agent.item_started")
        .map(|event| event["seq"].as_u64().unwrap())
        .collect();
    let evidence = agents.agent("s")["structured"]["held"]["evidence"].clone();
    let evidence: Vec<u64> = serde_json::from_value(evidence).unwrap();
    assert_eq!(evidence[..evidence.len() - 1], began[..5], "the five calls, and then that it is held");
    assert!(agents.home.ok(&["show", "s"]).contains("goes round in circles"));
    agents.home.ok(&["release", "s"]);
    agents.until("s", "idle");
}

#[test]
fn a_held_agent_keeps_its_turn_and_gets_no_other() {
    let agents = Agents::new("on prompt /one/\n confirm\n question What?\n say {answer}\non prompt\n say {prompt}\n");
    agents.detached(&["--name", "s", "--on-ask", "wait", "one"]);
    let question = agents.ask();
    agents.home.ok(&["hold", "s"]);
    assert_eq!(agents.state("s"), "waiting", "its turn goes on");
    agents.home.ok(&["prompt", "s", "two"]);
    agents.home.ok(&["answer", &question, "blue"]);
    agents.until("s", "parked");
    assert_eq!(agents.taken(), ["one"]);
    agents.home.ok(&["release", "s"]);
    eventually("the next one is taken", || agents.taken().len() == 2);
    let (_, error) = agents.home.fails(&["release", "s"]);
    assert!(error.contains("not held"), "{error}");
}

#[test]
fn rules_answer_before_anybody_is_asked_and_say_so() {
    let script = "on prompt\n confirm\n ask run cargo test --all\n allowed\n say tested\n denied\n say not tested\n done\n ask run rm -rf /\n allowed\n say removed\n denied\n say not removed\n done\n ask run cargo test; rm x\n allowed\n say tricked\n denied\n say not tricked\n done\n";
    let agents = Agents::new(script);
    let directory = agents.home.path().join("project");
    std::fs::create_dir(&directory).unwrap();
    let directory = directory.to_str().unwrap();
    let listed = agents.home.ok(&["rules", "--workspace", directory, "add", "allow", "run", "cargo", "test", "..."]);
    assert!(listed.contains("1  allow run cargo test ..."), "{listed}");
    agents.home.ok(&["rules", "--workspace", directory, "add", "deny run rm ..."]);
    for wrong in ["perhaps run ls", "allow write a***", "allow"] {
        let (code, error) = agents.home.fails(&["rules", "--workspace", directory, "add", wrong]);
        assert!(code == 2 && !error.is_empty(), "{wrong}: {code} {error}");
    }

    let ended = agents.json(&["--name", "s", "--workspace", directory, "go"]);
    assert_eq!(outcome(&ended), (0, "completed"), "{}", ended.2);
    let answered = kinds(&ended).iter().filter(|kind| **kind == "agent.rule_applied").count();
    assert_eq!(answered, 3, "`rm x` is part of the third");
    let told = agents.home.ok(&["transcript", "s"]);
    assert!(told.contains("allowed (by the rule “allow run cargo test ...”)"), "{told}");
    assert!(told.contains("\ntested\n") && told.contains("not removed") && told.contains("not tricked"), "{told}");

    // Elsewhere they do not hold.
    let elsewhere = agents.json(&["--name", "e", "--workspace", "/tmp", "go"]);
    assert!(!kinds(&elsewhere).contains(&"agent.rule_applied"));

    // A session's own rules come beside them, and a denial wins.
    agents.home.ok(&["rules", "--session", "s", "add", "deny run cargo ..."]);
    let again = agents.home.ok(&["prompt", "s", "--follow", "again"]);
    assert!(again.contains("not tested"), "{again}");
    agents.home.ok(&["rules", "--session", "s", "clear"]);
    agents.home.ok(&["rules", "--workspace", directory, "remove", "1", "2"]);
    let listed = agents.home.ok(&["rules", "--workspace", directory, "--json"]);
    assert_eq!(listed, "");
}

#[test]
fn rules_on_paths_follow_links() {
    let agents = Agents::new(
        "on prompt\n confirm\n ask write {prompt}\n allowed\n say written\n denied\n say not written\n done\n",
    );
    let directory = agents.home.path().join("project");
    std::fs::create_dir_all(directory.join("src")).unwrap();
    std::os::unix::fs::symlink("/etc", directory.join("src/etc")).unwrap();
    let directory = directory.to_str().unwrap();
    agents.home.ok(&["rules", "--workspace", directory, "add", "allow write src/**"]);
    for (path, said) in
        [("src/main.rs", "written\n"), ("src/etc/passwd", "not written\n"), ("src/../x", "not written\n")]
    {
        let ended = agents.json(&["--workspace", directory, path]);
        assert_eq!(format!("{}\n", ended.2["text"].as_str().unwrap()), said, "{path}");
    }
}

#[test]
fn one_prompt_goes_to_all_agents_of_a_session() {
    let agents = Agents::new("on prompt\n say {prompt}\n");
    agents.json(&["--name", "s", "one"]);
    agents.home.ok(&["spawn", "s", "--provider", "scripted", "--agent-name", "b", "--command", &agents.command]);
    let queued = agents.home.ok(&["prompt", "s", "--all", "to you all"]);
    assert_eq!(queued.lines().count(), 2, "{queued}");
    for agent in ["s/scripted", "s/b"] {
        eventually("it is answered", || agents.home.ok(&["transcript", agent]).contains("to you all"));
    }
}
