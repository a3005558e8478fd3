//! `ropewalk doctor`, on a machine that has what the test puts there.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::harness::Home;

#[test]
fn doctor_says_what_is_there_and_what_is_missing() {
    let home = Home::new();
    let (bin, own) = (home.path().join("bin"), home.path().join("own"));
    std::fs::create_dir_all(own.join(".codex")).unwrap();
    std::fs::create_dir(&bin).unwrap();
    let program = |name: &str, script: &str| {
        let file = bin.join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    program("claude", "echo '2.1.100 (Claude Code)'");
    program("codex", "echo codex-cli 0.200.1");
    program("gemini", "exec sleep 600");
    let doctor = |key: Option<&str>| {
        let mut command = home.command(&["doctor", "--json"]);
        command.env_clear().env("ROPEWALK_HOME", home.path()).env("HOME", &own);
        command.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
        key.map(|key| command.env("GEMINI_API_KEY", key));
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains("very-secret"), "{text}");
        (output.status.code(), serde_json::from_str::<Value>(&text).unwrap())
    };
    let agent = |report: &Value, name: &str| {
        let agents = report["agents"].as_array().unwrap().clone();
        agents.into_iter().find(|agent| agent["name"] == name).unwrap()
    };

    let (code, report) = doctor(None);
    assert_eq!((code, &report["usable"]), (Some(1), &Value::Bool(false)));
    let claude = agent(&report, "Claude Code");
    assert_eq!((claude["version"].as_str(), claude["usable"].as_bool()), (Some("2.1.100"), Some(false)));
    let next = claude["next"].to_string();
    assert!(next.contains("older than what was tried") && next.contains("npm install") && next.contains("log in"));
    assert!(agent(&report, "OpenCode")["next"].to_string().contains("npm install -g opencode-ai"));
    assert!(report["daemon"]["pid"].is_null(), "it starts none");

    std::fs::write(own.join(".codex/auth.json"), r#"{"key": "very-secret"}"#).unwrap();
    let (code, report) = doctor(Some("very-secret"));
    assert_eq!((code, &report["usable"]), (Some(0), &Value::Bool(true)));
    let codex = agent(&report, "Codex");
    assert_eq!((codex["version"].as_str(), codex["usable"].as_bool()), (Some("0.200.1"), Some(true)));
    let gemini = agent(&report, "Gemini CLI");
    assert!(gemini["version"].is_null() && gemini["next"].to_string().contains("does not tell its version"));
    assert!(gemini["login"].as_str().unwrap().contains("GEMINI_API_KEY"));
    assert!(home.ok(&["daemon", "start"]).contains("daemon") || home.daemon_pid() > 0);
    assert_eq!(doctor(None).1["daemon"]["pid"], home.daemon_pid());
}
