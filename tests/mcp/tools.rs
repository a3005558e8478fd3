//! The tools over stdio, with scripted agents.

use ropewalk_protocol::limits;
use serde_json::{Value, json};

use super::Team;
use crate::harness::block_on;

#[test]
fn an_agent_lists_prompts_awaits_and_reads_another() {
    block_on(async {
        let team = Team::start().await;
        let mut mcp = team.mcp().await;
        assert_eq!(mcp.welcome["serverInfo"]["name"], "ropewalk");
        let told = mcp.request("tools/list", json!({}))["result"]["tools"].clone();
        let names: Vec<&str> = told.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["agents_list", "agent_send", "agent_read", "agent_wait"]);
        let fields = |at: usize| {
            let schema = &told[at]["inputSchema"];
            assert_eq!(schema["type"], "object");
            assert!(!schema.to_string().contains("$ref"), "{schema}");
            let names = schema["properties"].as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>());
            (names.unwrap_or_default().join(" "), schema["required"].clone())
        };
        assert_eq!(fields(0), (String::new(), Value::Null));
        assert_eq!(fields(1), ("agent delivery text".to_owned(), json!(["agent", "text"])));
        assert_eq!(fields(2), ("agent turns".to_owned(), json!(["agent"])));
        assert_eq!(fields(3), ("agent prompt timeout_seconds".to_owned(), json!(["agent"])));
        // The numbers that models are told are those that hold.
        let (wait, wait_max) = (limits::MCP_WAIT_MILLIS / 1000, limits::MCP_WAIT_MILLIS_MAX / 1000);
        for (at, bound) in [
            (1, format!("at most {} KiB", limits::PROMPT_BYTES_MAX / 1024)),
            (2, format!("at most {}.", limits::MCP_TURNS_MAX)),
            (3, format!("{wait} if it is left out, at most {wait_max}.")),
        ] {
            assert!(told[at].to_string().contains(&bound), "{bound}: {}", told[at]);
        }
        for reader in [2, 3] {
            assert!(told[reader]["description"].as_str().unwrap().contains("data"), "{told}");
        }

        let listed = mcp.ok("agents_list", json!({}));
        let agents = listed["agents"].as_array().unwrap();
        let facts: Vec<_> = agents.iter().map(|one| (&one["name"], &one["provider"], &one["is_you"])).collect();
        let scripted = json!("scripted");
        assert_eq!(facts, [(&json!("lead"), &scripted, &json!(true)), (&json!("helper"), &scripted, &json!(false))]);

        let sent = mcp.ok("agent_send", json!({"agent": "helper", "text": "count the files"}));
        let waited = mcp.ok("agent_wait", json!({"agent": "helper", "prompt": sent["prompt"]}));
        assert_eq!(waited["ended_by"], "settled");
        assert_eq!((&waited["outcome"], &waited["text"]), (&json!("completed"), &json!("did count the files")));
        assert_eq!(team.taken("count the files"), 1, "it was delivered once");
        // A turn that was settled before anybody waited is told all the same, however old it is.
        mcp.ok("agent_send", json!({"agent": "helper", "text": "the next one"}));
        let idle = mcp.ok("agent_wait", json!({"agent": "helper"}));
        assert_eq!((&idle["ended_by"], &idle["text"]), (&json!("idle"), &json!("did the next one")));
        let again = mcp.ok("agent_wait", json!({"agent": "helper", "prompt": sent["prompt"]}));
        assert_eq!((&again["ended_by"], &again["text"]), (&json!("settled"), &json!("did count the files")));

        let id = team.helper.to_string();
        let read = mcp.ok("agent_read", json!({"agent": id, "turns": 1}));
        let read = read.as_str().unwrap();
        assert!(read.contains("> the next one") && read.contains("did the next one"), "{read}");
        assert!(read.contains("(agent lead)"), "who prompted it is told: {read}");
        assert!(!read.contains("count the files") && read.contains("(1 older turns are left out)"), "{read}");
        let listed = mcp.ok("agents_list", json!({}));
        assert_eq!(listed["agents"][1]["last_outcome"], "completed");
        assert_eq!(listed["agents"][1]["state"], "idle");
        mcp.end();
    });
}

#[test]
fn a_wait_ends_when_the_agent_asks_dies_or_takes_too_long() {
    block_on(async {
        let team = Team::start().await;
        let mut mcp = team.mcp().await;
        let mut sent = |text: &str| mcp.ok("agent_send", json!({"agent": "helper", "text": text}))["prompt"].clone();
        let asks = sent("ask somebody");
        let waits = sent("after that");
        let waited = mcp.ok("agent_wait", json!({"agent": "helper", "prompt": asks}));
        let expected = (&json!("asks"), &json!("waiting"), &Value::Null, &json!("before it asks"));
        assert_eq!((&waited["ended_by"], &waited["state"], &waited["outcome"], &waited["text"]), expected);
        let behind = mcp.ok("agent_wait", json!({"agent": "helper", "prompt": waits}));
        assert_eq!(behind["ended_by"], "asks", "nothing comes of what waits behind a question");

        // The prompt takes the place of the turn that asks.
        let cut = json!({"agent": "helper", "text": "hang on", "delivery": "interrupt"});
        let hangs = mcp.ok("agent_send", cut)["prompt"].clone();
        let cancelled = mcp.ok("agent_wait", json!({"agent": "helper", "prompt": asks}));
        assert_eq!((&cancelled["ended_by"], &cancelled["outcome"]), (&json!("settled"), &json!("cancelled")));
        let late = mcp.ok("agent_wait", json!({"agent": "helper", "prompt": hangs, "timeout_seconds": 1}));
        assert_eq!(
            (&late["ended_by"], &late["state"], &late["outcome"]),
            (&json!("timeout"), &json!("working"), &Value::Null)
        );
        let late = mcp.ok("agent_wait", json!({"agent": "helper", "timeout_seconds": 0}));
        assert_eq!(late["ended_by"], "timeout");
    });
    block_on(async {
        let team = Team::start().await;
        let mut mcp = team.mcp().await;
        let dies = mcp.ok("agent_send", json!({"agent": "helper", "text": "die now"}))["prompt"].clone();
        let waited = mcp.ok("agent_wait", json!({"agent": "helper", "prompt": dies}));
        assert_eq!((&waited["ended_by"], &waited["outcome"]), (&json!("settled"), &json!("interrupted")));
        let waited = mcp.ok("agent_wait", json!({"agent": "helper"}));
        assert_eq!(waited["ended_by"], "stopped");
    });
}

#[test]
fn a_wait_goes_on_over_a_kill_of_the_daemon() {
    block_on(async {
        let team = Team::start().await;
        let mut mcp = team.mcp().await;
        assert_eq!(mcp.ok("agent_wait", json!({"agent": "helper"}))["ended_by"], "idle", "it has started");
        let slow = mcp.ok("agent_send", json!({"agent": "helper", "text": "slow work"}))["prompt"].clone();
        let wait = json!({"name": "agent_wait", "arguments": {"agent": "helper", "prompt": slow}});
        let waits = mcp.send("tools/call", wait);
        // By the time that these are answered, one after another, the wait has its connection.
        for _ in 0..3 {
            assert_eq!(mcp.ok("agents_list", json!({}))["agents"][1]["state"], "working");
        }
        team.home.kill_daemon();
        team.home.start();
        let answer = mcp.receive();
        let waited = &answer["result"]["structuredContent"];
        assert_eq!(answer["id"], waits);
        assert_eq!((&waited["ended_by"], &waited["text"]), (&json!("settled"), &json!("done slowly")), "{answer}");
        assert_eq!(team.taken("slow work"), 1);
    });
}

#[test]
fn errors_of_tools_have_a_code_and_a_next_step() {
    block_on(async {
        let team = Team::start().await;
        let mut mcp = team.mcp().await;
        let large = "x".repeat(limits::PROMPT_BYTES_MAX + 1);
        let nobody = "0190b0a0-0000-7000-8000-000000000000";
        for (tool, arguments, code) in [
            ("agents_list", json!({"of": "everyone"}), "invalid_params"),
            ("agent_send", json!({"agent": "helper"}), "invalid_params"),
            ("agent_send", json!({"agent": "nobody", "text": "x"}), "not_found"),
            ("agent_send", json!({"agent": "helper", "text": " "}), "invalid_params"),
            ("agent_send", json!({"agent": "helper", "text": large}), "too_large"),
            ("agent_send", json!({"agent": "helper", "text": "x", "delivery": "soon"}), "invalid_params"),
            ("agent_send", json!({"agent": "lead", "text": "x"}), "forbidden"),
            ("agent_read", json!({"agent": "nobody"}), "not_found"),
            ("agent_read", json!({"agent": "helper", "turns": 0}), "invalid_params"),
            ("agent_read", json!({"agent": "helper", "turns": limits::MCP_TURNS_MAX + 1}), "invalid_params"),
            ("agent_wait", json!({"agent": "nobody"}), "not_found"),
            ("agent_wait", json!({"agent": "lead"}), "invalid_params"),
            ("agent_wait", json!({"agent": "helper", "prompt": "first"}), "invalid_params"),
            ("agent_wait", json!({"agent": "helper", "prompt": nobody}), "not_found"),
            ("agent_wait", json!({"agent": "helper", "timeout_seconds": 601}), "invalid_params"),
            ("agent_end", json!({"agent": "helper"}), "unknown_method"),
        ] {
            let shown = arguments.to_string();
            assert_eq!(mcp.refused(tool, arguments), code, "{tool} {}", &shown[..shown.len().min(100)]);
        }
        assert_eq!(team.taken("x"), 0, "nothing of it was delivered");
        let unknown = mcp.request("resources/list", json!({}));
        assert!(unknown["error"].is_object() || unknown["result"]["resources"] == json!([]), "{unknown}");

        team.home.kill_daemon();
        assert_eq!(mcp.refused("agents_list", json!({})), "shutting_down");
        team.home.start();
        assert_eq!(mcp.ok("agents_list", json!({}))["agents"].as_array().unwrap().len(), 2);
    });
}

#[test]
fn what_is_read_and_how_much_is_asked_at_once_is_bounded() {
    block_on(async {
        let team = Team::start().await;
        let mut mcp = team.mcp().await;
        let page = "word ".repeat(limits::PROMPT_BYTES_MAX / 5);
        for number in 0..3 {
            let text = format!("{number} {}", &page[..page.len() - 10]);
            let sent = mcp.ok("agent_send", json!({"agent": "helper", "text": text}));
            mcp.ok("agent_wait", json!({"agent": "helper", "prompt": sent["prompt"]}));
        }
        let read = mcp.ok("agent_read", json!({"agent": "helper", "turns": 3}));
        let read = read.as_str().unwrap();
        let room = limits::MCP_ANSWER_BYTES_MAX..limits::MCP_ANSWER_BYTES_MAX + 300;
        assert!(room.contains(&read.len()), "{} bytes", read.len());
        assert!(read.contains("bytes of this turn's beginning are left out"), "{}", &read[..200]);
        assert!(read.contains("(2 older turns are left out)") && read.contains("*completed"), "{}", &read[..200]);

        let hangs = mcp.ok("agent_send", json!({"agent": "helper", "text": "hang"}))["prompt"].clone();
        let wait = json!({"name": "agent_wait", "arguments": {"agent": "helper", "prompt": hangs}});
        let ids: Vec<u64> = (0..=limits::MCP_CALLS_MAX).map(|_| mcp.send("tools/call", wait.clone())).collect();
        let busy = mcp.receive();
        assert!(ids.contains(&busy["id"].as_u64().unwrap()));
        assert_eq!(busy["result"]["structuredContent"]["error"]["code"], "busy", "{busy}");
        let cancelled = ids.iter().find(|id| busy["id"] != **id).unwrap();
        mcp.write(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": cancelled}}));
        let list = json!({"name": "agents_list", "arguments": {}});
        // The cancel is on its way while the next call is read.
        let has_room = (0..100).any(|_| {
            let listed = mcp.send("tools/call", list.clone());
            let answer = std::iter::repeat_with(|| mcp.receive()).find(|answer| answer["id"] == listed).unwrap();
            answer["result"]["isError"] == false
        });
        assert!(has_room, "a call that was cancelled makes room");
    });
}
