//! What the program's lines are read as.

use super::*;

#[test]
fn a_turn_is_seen_from_its_confirmation_to_its_end() {
    let seen = seen(PLAIN);
    let key = "msg_8b911647de494eb799612085:0";
    let told = |observed: &&Observed| !matches!(observed, Observed::Delta { .. });
    let text = "Hello from the fake model: plain text in several deltas.";
    let known = |text: &str| Some(text.to_owned());
    assert_eq!(
        seen.iter().filter(told).cloned().collect::<Vec<_>>(),
        [
            Observed::Ready {
                conversation: known("3e05ecb1-cec2-42b1-bb5f-f5011a24fb75"),
                version: known("2.1.329"),
                model: known("claude-sonnet-4-5"),
                mode: known("default"),
            },
            Observed::Confirmed { name: None },
            Observed::ItemStarted {
                key: key.into(),
                parent: None,
                kind: ItemKind::Text,
                title: String::new(),
                input: String::new()
            },
            Observed::Text { key: key.into(), first: true, text: text.into() },
            Observed::ItemEnded { key: key.into(), status: ItemStatus::Completed },
            Observed::Used(Usage {
                scope: UsageScope::Turn,
                input_tokens: 130,
                cached_tokens: 20,
                output_tokens: 50,
                cost_micro_usd: Some(1094),
                context_tokens: Some(181),
                context_tokens_max: Some(200_000),
            }),
            Observed::TurnEnded { outcome: TurnOutcome::Completed },
        ]
    );
}

#[test]
fn what_settles_is_what_was_told_in_deltas() {
    let mut settled = 0;
    for lines in
        [PLAIN, THINK, ERRORS, RESUME, QWEN, TWICE, STRANGER, TAKEN_BACK].iter().flat_map(|text| processes(text, "<"))
    {
        let seen = parsed(&lines);
        let deltas: Vec<Observed> =
            seen.iter().filter(|seen| matches!(seen, Observed::Delta { .. })).cloned().collect();
        for (key, status) in
            ends(&seen).iter().filter(|(key, _)| deltas.iter().any(|delta| self::key(delta) == Some(key)))
        {
            assert_eq!(text_of(&deltas, key), text_of(&seen, key), "{key}: {status:?}");
            settled += 1;
        }
    }
    assert_eq!(settled, 11);
    let thought = seen(THINK);
    let kinds = thought
        .iter()
        .filter_map(|seen| if let Observed::ItemStarted { kind, .. } = seen { Some(*kind) } else { None });
    assert_eq!(kinds.collect::<Vec<_>>(), [ItemKind::Thinking, ItemKind::Text]);
    assert!(text_of(&thought, "msg_17cf8e4302b340098db3d5a0:0").starts_with("Let me think about this step by step."));
}

#[test]
fn an_interrupt_ends_the_turn_and_what_is_open_in_it() {
    let seen = seen(CANCEL);
    assert_eq!(turns(&seen), ["confirmed ", "cancelled", "confirmed ", "cancelled", "confirmed ", "cancelled"]);
    let ends = ends(&seen);
    assert_eq!(ends["msg_a149ac5050a04db2937a91c5:0"], ItemStatus::Cancelled, "a text that was cut");
    assert!(text_of(&seen, "msg_a149ac5050a04db2937a91c5:0").ends_with("tick 9 "));
    assert_eq!(ends["toolu_4e6f2897c83f435795c023"], ItemStatus::Cancelled, "a tool that was asked about");
    assert_eq!(ends["toolu_b32295eb0200487e9c6c6a"], ItemStatus::Cancelled, "a tool that ran");
    assert!(seen.contains(&Observed::AskClosed { key: "35facd78-64e1-4f35-87f0-620ca93f26d9".into() }));
}

#[test]
fn a_prompt_that_is_not_taken_up_is_taken_back() {
    let seen = seen(TAKEN_BACK);
    let expected = ["confirmed 10", "cancelled", "confirmed 11", "cancelled", "confirmed 12", "cancelled"];
    assert_eq!(turns(&seen), expected);
}

#[test]
fn a_model_that_fails_fails_the_turn_or_is_asked_again() {
    let seen = seen(ERRORS);
    let limited = "failed: API Error: Request rejected (429) · scripted 429";
    assert_eq!(
        turns(&seen)[..2],
        ["confirmed ", "failed: API Error: 400 scripted 400"],
        "a result that calls itself a success"
    );
    let others = ["confirmed ", limited, "confirmed ", "completed", "confirmed ", "completed"];
    assert_eq!(turns(&seen)[turns(&seen).len() - 6..], others);
    assert_eq!(notices(&seen, NoticeKind::RateLimited)[0], "rate_limit 429: retry 1 of 2 in 1093 ms");
    assert_eq!(notices(&seen, NoticeKind::RateLimited).len(), 3);
    assert_eq!(notices(&seen, NoticeKind::Retry).len(), 2);
    // Three streams broke off before the message was told whole, under another name.
    let ends = ends(&seen);
    for (failed, message) in
        [("5d9c034e20f847e4866940c2", 1), ("c7a644eb26b74919a4602d47", 2), ("3c38f9a3c43241a5b88d14ea", 3)]
    {
        assert_eq!(ends[format!("msg_{failed}:0").as_str()], ItemStatus::Failed, "stream {message}");
    }
    assert_eq!(ends["msg_7f5197afd8414ae0b56e9047:0"], ItemStatus::Completed);
    assert_eq!(text_of(&seen, "msg_7f5197afd8414ae0b56e9047:0"), "Partial text before trouble. ");
    let refused = turns(&self::seen(STRANGER));
    assert_eq!(refused, ["confirmed 19", "refused: Not logged in · Please run /login"]);
}

#[test]
fn a_conversation_goes_on_in_another_process_or_is_refused() {
    let processes = processes(RESUME, "<");
    let conversation = |seen: &[Observed]| match &seen[0] {
        Observed::Ready { conversation, .. } => conversation.clone(),
        other => panic!("{other:?}"),
    };
    let (first, second) = (parsed(&processes[0]), parsed(&processes[1]));
    assert_eq!(conversation(&first), conversation(&second));
    assert!(text_of(&second, "msg_d84535c4de9245c2b5178fe2:0").contains("First user text: <plain first turn>"));
    // The program's total goes on with the process before; the turn's own cost does not.
    assert_eq!([&first, &second].map(|seen| usages(seen)[0].cost_micro_usd), [Some(1094); 2]);
    let refused =
        processes.iter().map(|lines| parsed(lines)).find(|seen| matches!(seen[..], [Observed::Refused { .. }]));
    let reason = "refused: No conversation found with session ID: bbd2c398-a768-48cf-91a4-d1262a4d91e9";
    assert_eq!(turns(&refused.expect("a refusal and nothing else")), [reason]);
}

#[test]
fn a_prompt_that_is_in_the_record_is_not_run_again() {
    let seen = seen(TWICE);
    let reason = "interrupted: the agent has had this prompt before, by its own record, and does not run it again";
    assert_eq!(turns(&seen), ["confirmed 10", reason, "confirmed 18", "completed"]);
}

#[test]
fn a_sub_agent_works_under_its_tool_and_its_end_begins_a_turn() {
    for (recorded, named) in [(TASKS, false), (BACKGROUND, true)] {
        let seen = seen(recorded);
        let (task, tool) = if named {
            ("toolu_1", "toolu_3")
        } else {
            ("toolu_0eb56fea2b5d4be09d1d2d", "toolu_136453bda7a84f4eaf2253")
        };
        let parents = seen.iter().filter_map(|seen| match seen {
            Observed::ItemStarted { key, parent: Some(parent), .. } => Some((key.as_str(), parent.as_str())),
            _ => None,
        });
        let late = format!("after its turn: {tool}");
        let parents: Vec<(&str, &str)> = parents.collect();
        assert!(parents.iter().all(|(_, parent)| *parent == task), "{parents:?}");
        assert!(parents.iter().any(|(key, _)| *key == tool) && parents.iter().any(|(key, _)| *key == late));
        assert_eq!(ends(&seen)[late.as_str()], ItemStatus::Completed);
        assert!(!ends(&seen).contains_key(tool), "its turn ended first");
        let turns = turns(&seen);
        let expected: &[&str] = if named {
            &["confirmed 10", "completed", "began", "completed", "confirmed 11"]
        } else {
            &["confirmed dc", "completed", "confirmed d9", "completed", "began", "completed"]
        };
        assert_eq!(turns[1..expected.len()], expected[1..], "{turns:?}");
    }
}

#[test]
fn a_prompt_that_waits_for_a_turn_nobody_asked_for_has_one_end() {
    let queued = r#"{"type":"command_lifecycle","command_uuid":"p1","state":"queued"}"#;
    let works = r#"{"type":"stream_event","event":{"type":"message_start","message":{"id":"m"}}}"#;
    let started = r#"{"type":"command_lifecycle","command_uuid":"p1","state":"started"}"#;
    let given_back =
        r#"{"type":"user","isReplay":true,"uuid":"p1","message":{"content":[{"type":"text","text":"go"}]}}"#;
    let unasked = r#"{"type":"result","subtype":"success","is_error":false,"origin":{"kind":"task-notification"}}"#;
    let result = r#"{"type":"result","subtype":"success","is_error":false,"user_message_uuids":["p1"]}"#;
    let done = r#"{"type":"command_lifecycle","command_uuid":"p1","state":"completed"}"#;
    let turns = |lines: &[&str]| turns(&parsed(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>()));
    let expected = ["began", "confirmed p1", "completed"];
    assert_eq!(turns(&[queued, works, started, given_back, result, done]), expected, "it goes into it");
    assert_eq!(
        turns(&[queued, works, unasked, started, given_back, works, result, done]),
        expected,
        "it comes after it"
    );
    let free = ["began", "completed", "confirmed p1", "completed"];
    let before = queued.replace("p1", "p0");
    let none = r#"{"type":"command_lifecycle","command_uuid":"p0","state":"started"}"#;
    let seen = turns(&[&before, none, result, works, unasked, queued, started, result]);
    assert_eq!(seen[2..], free);
}

#[test]
fn settings_are_known_when_the_program_says_so() {
    let seen = seen(MODES);
    let ready = seen.iter().filter_map(|seen| match seen {
        Observed::Ready { model, mode, .. } => Some((model.as_deref(), mode.as_deref())),
        _ => None,
    });
    let (opus, edits) = (Some("claude-opus-4-5"), Some("acceptEdits"));
    assert_eq!(ready.collect::<Vec<_>>(), [(None, edits), (opus, edits), (opus, edits)]);
    assert_eq!(notices(&seen, NoticeKind::Warning), ["Unsupported control request subtype: nonsense"]);
    assert_eq!(notices(&seen, NoticeKind::Opaque).len(), 1, "an answer that nobody asked for");
    // Versions that do not repeat what was set.
    let set = r#"{"type":"control_response","response":{"subtype":"success","request_id":"model:m1"}}"#;
    let model = Some("m1".to_owned());
    assert_eq!(parsed(&[set.to_owned()]), [Observed::Ready { conversation: None, version: None, model, mode: None }]);
}

#[test]
fn a_command_of_the_programs_own_is_a_turn_and_what_it_prints_is_none() {
    let seen = seen(ALWAYS);
    let expected = ["confirmed 13", "completed", "confirmed 14", "completed", "confirmed 15", "completed"];
    assert_eq!(turns(&seen), expected);
    assert!(text_of(&seen, "2692bf7a-6295-4f14-8c19-130a4682ea6c:0").starts_with("Estimated cost:"));
    let printed = r#"{"type":"user","isReplay":true,"uuid":"u","message":{"content":"<local-command-stdout>Set model</local-command-stdout>"}}"#;
    assert_eq!(parsed(&[printed.to_owned()]), []);
}

#[test]
fn files_that_change_are_told_as_differences() {
    let seen = seen(BACKGROUND);
    assert_eq!(text_of(&seen, "toolu_12"), "@@ -0,0 +1,3 @@\n+one\n+two\n+three\n");
    assert_eq!(text_of(&seen, "toolu_16"), "@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n");
    let changes = seen.iter().filter(|seen| matches!(seen, Observed::ItemStarted { kind: ItemKind::FileChange, .. }));
    assert_eq!(changes.count(), 2);
}

#[test]
fn another_program_that_speaks_so_is_understood() {
    let seen = seen(QWEN);
    assert_eq!(turns(&seen), ["confirmed ", "completed"]);
    assert_eq!(ends(&seen)["call_4154d3c8912444a38e9f"], ItemStatus::Completed);
    assert_eq!(ends(&seen).values().filter(|status| **status != ItemStatus::Completed).count(), 0);
    assert!(
        seen.iter()
            .any(|seen| matches!(seen, Observed::Ready { version, .. } if version.as_deref() == Some("0.15.10")))
    );
}

#[test]
fn an_older_version_tells_less_and_is_understood() {
    let seen = seen(OLDER);
    let failed = "failed: API Error: 400 scripted";
    let expected = ["confirmed 10", "cancelled", "confirmed ", "confirmed 13", "completed", "confirmed 14", failed];
    assert_eq!(turns(&seen)[..7], expected, "a prompt is given back after the work on it began");
    assert_eq!(turns(&seen)[7..], ["confirmed ", "completed"], "a command of its own gives nothing back");
    assert_eq!(ends(&seen)["toolu_4"], ItemStatus::Declined, "only the answer that it gives back tells so");
    let usages: Vec<_> = usages(&seen).iter().map(|usage| (usage.scope, usage.cost_micro_usd)).collect();
    let costs = [(UsageScope::Turn, None), (UsageScope::Run, Some(420))];
    assert_eq!(usages[..2], costs, "the cost is the process's");
}

#[test]
fn a_plans_limit_is_told_with_its_end() {
    let line = r#"{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":1800000000,"rateLimitType":"five_hour"}}"#;
    let seen = parsed(&[line.to_owned()]);
    let Observed::Noticed { kind: NoticeKind::RateLimited, text, until: Some(until) } = &seen[0] else {
        panic!("{seen:?}")
    };
    assert_eq!((text.as_str(), until.unix_micros()), ("the five_hour limit is reached", 1_800_000_000_000_000));
}
