//! The MCP server that agents are given to drive other agents: what it is called, and in each provider's words.

use ropewalk_protocol::limits;

/// What agents call it.
pub(super) const MCP_SERVER: &str = "ropewalk";
/// How long a call of it may take: the longest wait, and some air.
pub(super) const MCP_CALL_MILLIS_MAX: u64 = limits::MCP_WAIT_MILLIS_MAX + 20_000;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ropewalk_protocol::Program;
    use serde_json::{Value, json};

    use super::super::{Greeting, Outgoing, named};

    fn server() -> Vec<String> {
        ["/a \"b\"/ropewalk", "mcp", "--token-file", "/run/ä"].map(str::to_owned).to_vec()
    }

    /// A program of this provider once it is given the server.
    fn given(provider: &str, argv: &[&str], configuration: Option<&str>) -> Program {
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        let variable = |text: &str| ("OPENCODE_CONFIG_CONTENT".to_owned(), text.to_owned());
        let environment: BTreeMap<String, String> = configuration.map(variable).into_iter().collect();
        let mut program = Program { argv, directory: "/".to_owned(), environment };
        named(provider).unwrap().give_mcp_server(&server(), &mut program);
        program
    }

    fn greeted(provider: &str, step: u8, resume: Option<&str>, mcp: Option<Vec<String>>) -> Value {
        let greeting = Greeting { resume: resume.map(str::to_owned), mcp, ..Greeting::default() };
        let bytes = named(provider).unwrap().encode(&Outgoing::Greet { step, greeting }, None);
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn claude_reads_it_beside_the_users_own() {
        let argv = given("claude", &["claude", "-p"], None).argv;
        assert_eq!(argv[..3], ["claude", "-p", "--mcp-config"]);
        let config: Value = serde_json::from_str(&argv[3]).unwrap();
        let (command, arguments) = (&server()[0], &server()[1..]);
        assert_eq!(config, json!({"mcpServers": {"ropewalk": {"command": command, "args": arguments}}}));
        assert_eq!(argv.len(), 4);
    }

    #[test]
    fn codex_is_told_by_settings() {
        let argv = given("codex", &["codex", "app-server"], None).argv;
        let expected = [
            "codex",
            "app-server",
            "-c",
            r#"mcp_servers.ropewalk.command="/a \"b\"/ropewalk""#,
            "-c",
            r#"mcp_servers.ropewalk.args=["mcp","--token-file","/run/ä"]"#,
            "-c",
            "mcp_servers.ropewalk.tool_timeout_sec=620",
        ];
        assert_eq!(argv, expected);
    }

    #[test]
    fn opencode_finds_it_in_its_configuration_beside_all_the_rest() {
        let ours = json!({"type": "local", "command": server(), "enabled": true, "timeout": 620_000});
        let content = |program: Program| program.environment["OPENCODE_CONFIG_CONTENT"].clone();
        let merged = |configuration: Option<&str>| -> Value {
            serde_json::from_str(&content(given("opencode", &["@self"], configuration))).unwrap()
        };
        assert_eq!(merged(None), json!({"mcp": {"ropewalk": ours}}));
        assert_eq!(merged(Some("")), json!({"mcp": {"ropewalk": ours}}));
        let theirs = r#"{"model": "a/b", "mcp": {"files": {"type": "local"}}}"#;
        assert_eq!(
            merged(Some(theirs)),
            json!({"model": "a/b", "mcp": {"files": {"type": "local"}, "ropewalk": ours}})
        );
        for wrong in ["{", "[]", r#"{"mcp": 1}"#] {
            assert_eq!(content(given("opencode", &[], Some(wrong))), wrong, "what is no configuration stays as it is");
        }
    }

    #[test]
    fn acp_and_scripted_agents_are_told_in_the_greeting() {
        let (command, arguments) = (&server()[0], &server()[1..]);
        let ours = json!([{"name": "ropewalk", "command": command, "args": arguments, "env": []}]);
        for resume in [None, Some("s")] {
            assert_eq!(greeted("acp", 1, resume, Some(server()))["params"]["mcpServers"], ours);
            assert_eq!(greeted("acp", 1, resume, Some(Vec::new()))["params"]["mcpServers"], json!([]));
            assert_eq!(greeted("acp", 1, resume, None)["params"]["mcpServers"], json!([]));
        }
        assert_eq!(given("acp", &["gemini"], None), given("scripted", &["gemini"], None));
        assert_eq!(greeted("scripted", 0, None, Some(server()))["greet"]["greeting"]["mcp"], json!(server()));
    }
}
