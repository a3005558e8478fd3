//! What no exchange was recorded of: by the schema that codex 0.169 writes of itself.

use ropewalk_protocol::{ItemKind, Timestamp};

use super::*;

fn line(method: &str, params: Value) -> String {
    json!({"method": method, "params": params}).to_string()
}

fn completed(item: Value) -> String {
    line("item/completed", json!({"threadId": "t", "turnId": "u", "item": item}))
}

fn started(item: Value) -> String {
    line("item/started", json!({"threadId": "t", "turnId": "u", "item": item}))
}

/// An item that was seen at once and whole: its kind, its title, its text, its end.
fn whole(item: Value) -> (ItemKind, String, String, ItemStatus) {
    let seen = observed(&[completed(item)]);
    let Some(Observed::ItemStarted { key, kind, title, .. }) = seen.first() else { panic!("{seen:?}") };
    let Some(Observed::ItemEnded { status, .. }) = seen.last() else { panic!("{seen:?}") };
    (*kind, title.clone(), text_of(&seen, key), *status)
}

#[test]
fn tools() {
    let tool = |title: &str, text: &str, status| (ItemKind::Tool, title.to_owned(), text.to_owned(), status);
    let mcp = json!({"type": "mcpToolCall", "id": "a", "server": "files", "tool": "read", "status": "completed", "arguments": {},
        "result": {"content": [{"type": "text", "text": "one"}, {"type": "image", "data": "…"}]}});
    assert_eq!(whole(mcp), tool("files.read", "one\n[image]", ItemStatus::Completed));
    let mcp = json!({"type": "mcpToolCall", "id": "a", "server": "files", "tool": "read", "status": "failed", "error": {"message": "no"}});
    assert_eq!(whole(mcp), tool("files.read", "no", ItemStatus::Failed));
    let dynamic = json!({"type": "dynamicToolCall", "id": "a", "namespace": "n", "tool": "t", "success": false,
        "contentItems": [{"type": "inputText", "text": "x"}]});
    assert_eq!(whole(dynamic), tool("n.t", "x", ItemStatus::Failed));
    let search = json!({"type": "webSearch", "id": "a", "query": "rope", "results": [1]});
    assert_eq!(whole(search), tool("webSearch: rope", "[1]", ItemStatus::Completed));
    let output = json!({"type": "functionCallOutput", "id": "a", "name": "f", "output": "done"});
    assert_eq!(whole(output), tool("functionCallOutput: f", "done", ItemStatus::Completed));
    let stopped = json!({"type": "collabAgentToolCall", "id": "a", "tool": "wait", "status": "interrupted"});
    assert_eq!(whole(stopped), tool("wait: ", "", ItemStatus::Cancelled));
    let compaction = json!({"type": "contextCompaction", "id": "a"});
    assert_eq!(whole(compaction), tool("contextCompaction", "", ItemStatus::Completed));
}

#[test]
fn what_is_unheard_of_is_opaque_and_what_the_agent_was_told_is_nothing() {
    let (kind, title, ..) = whole(json!({"type": "telepathy", "id": "a", "thought": "hm"}));
    assert_eq!((kind, title.as_str()), (ItemKind::Opaque, "telepathy"));
    assert_eq!(observed(&[completed(json!({"type": "userMessage", "id": "a", "content": []}))]), []);
}

#[test]
fn a_thought_is_its_summary_and_its_parts_stand_apart() {
    let item = |summary: Value, content: Value| json!({"type": "reasoning", "id": "a", "summary": summary, "content": content});
    assert_eq!(whole(item(json!(["one", "two"]), json!(["raw"]))).2, "one\n\ntwo");
    assert_eq!(whole(item(json!([]), json!(["raw"]))).2, "raw");
    let of = |method: &str, index: u8, delta: &str| {
        line(method, json!({"threadId": "t", "turnId": "u", "itemId": "a", "summaryIndex": index, "delta": delta}))
    };
    let (part, delta) = ("item/reasoning/summaryPartAdded", "item/reasoning/summaryTextDelta");
    let lines = [
        started(item(json!([]), json!([]))),
        of(part, 0, ""),
        of(delta, 0, "one"),
        of(part, 1, ""),
        of(delta, 1, "two"),
    ];
    assert_eq!(text_of(&observed(&lines), "u/a"), "one\n\ntwo");
}

#[test]
fn a_plan_is_one_item_that_is_told_anew_and_ends_with_its_turn() {
    let plan = |status: &str| {
        let steps = json!([{"step": "one", "status": status}, {"step": "two", "status": "pending"}]);
        line("turn/plan/updated", json!({"threadId": "t", "turnId": "u", "explanation": "why", "plan": steps}))
    };
    let turn =
        |method: &str, status: &str| line(method, json!({"threadId": "t", "turn": {"id": "u", "status": status}}));
    let lines = [
        turn("turn/started", ""),
        plan("inProgress"),
        plan("completed"),
        turn("turn/completed", "interrupted"),
        plan("pending"),
    ];
    let seen = observed(&lines);
    let expected = [
        "began",
        "Plan",
        "\"why\\n\\n- [~] one\\n- [ ] two\\n\"",
        "changed ",
        "\"why\\n\\n- [x] one\\n- [ ] two\\n\"",
        "Completed",
        "turn cancelled",
    ];
    assert_eq!(told(&seen), expected);
}

#[test]
fn a_patch_that_grows_is_told_anew() {
    let changes = |diff: &str| json!([{"path": "a", "kind": {"type": "update", "move_path": "b"}, "diff": diff}]);
    let item = json!({"type": "fileChange", "id": "a", "changes": changes("@@\n-1\n+2\n"), "status": "inProgress"});
    let update = json!({"threadId": "t", "turnId": "u", "itemId": "a", "changes": changes("@@\n-1\n+3\n")});
    let seen = observed(&[started(item), line("item/fileChange/patchUpdated", update)]);
    assert_eq!(text_of(&seen[..2], "u/a"), "--- a\n+++ b\n@@\n-1\n+2\n");
    assert_eq!(text_of(&seen, "u/a"), "--- a\n+++ b\n@@\n-1\n+3\n");
    let gone = completed(
        json!({"type": "fileChange", "id": "a", "changes": [{"path": "a", "kind": {"type": "delete"}, "diff": "1\n"}]}),
    );
    assert_eq!(text_of(&observed(&[gone]), "u/a"), "--- a\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-1\n");
}

#[test]
fn what_comes_after_its_turn_is_passed_over() {
    let turn = |method: &str| line(method, json!({"threadId": "t", "turn": {"id": "u", "status": "completed"}}));
    let command = |status: &str| json!({"type": "commandExecution", "id": "a", "command": "sleep 9", "status": status});
    let delta =
        line("item/commandExecution/outputDelta", json!({"threadId": "t", "turnId": "u", "itemId": "a", "delta": "x"}));
    let lines = [
        turn("turn/started"),
        started(command("inProgress")),
        turn("turn/completed"),
        delta,
        completed(command("completed")),
    ];
    let again = turn("turn/completed");
    assert_eq!(told(&observed(&[&lines[..], &[again]].concat())), ["began", "Tool sleep 9", "turn completed"]);
}

#[test]
fn a_turn_that_codex_forgets_is_interrupted_when_the_next_one_begins() {
    let turn = |id: &str| line("turn/started", json!({"threadId": "t", "turn": {"id": id}}));
    let seen = observed(&[turn("u"), turn("v")]);
    assert!(matches!(&seen[1], Observed::TurnEnded { outcome: TurnOutcome::Interrupted { .. } }), "{seen:?}");
    assert_eq!(turns(&seen), ["u", "v"]);
}

#[test]
fn limits_that_are_reached_are_told_once_and_with_the_time_they_last() {
    let limits = |used: u8, reached: Value| {
        let window = json!({"usedPercent": used, "resetsAt": 1_795_300_000});
        line("account/rateLimits/updated", json!({"rateLimits": {"primary": window, "rateLimitReachedType": reached}}))
    };
    let error =
        line("error", json!({"error": {"message": "no", "codexErrorInfo": "usageLimitExceeded"}, "willRetry": false}));
    let reached = || limits(100, json!("rate_limit_reached"));
    let seen = observed(&[limits(40, Value::Null), reached(), reached(), error.clone(), limits(0, Value::Null), error]);
    let kind = NoticeKind::RateLimited;
    let until = Some(Timestamp::from_unix_micros(1_795_300_000_000_000));
    let notice = |text: &str, until| Observed::Noticed { kind, text: text.into(), until };
    assert_eq!(seen, [notice("rate limit reached", until), notice("no", until), notice("no", None)]);
}
