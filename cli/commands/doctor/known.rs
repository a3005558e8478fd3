//! The agents that `doctor` looks for, and what tells that somebody is logged in. Pure.

/// An agent's program.
#[derive(Debug)]
pub(super) struct Known {
    /// What people call it.
    pub(super) name: &'static str,
    /// How it is started: what `ropewalk run` takes.
    pub(super) run: &'static str,
    /// What is looked for in PATH.
    pub(super) program: &'static str,
    /// What installs the newest one.
    pub(super) install: &'static str,
    /// The oldest version that was tried.
    pub(super) oldest: &'static str,
    /// What logs in.
    pub(super) log_in: &'static str,
    /// Environment variables of which one is enough.
    pub(super) variables: &'static [&'static str],
    /// Files of which one is enough.
    pub(super) files: &'static [Place],
}

/// A file of an agent's: below the directory that a variable names, else below one of HOME.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) variable: &'static str,
    /// Between the directory that the variable names and the file.
    pub(super) below_variable: &'static str,
    pub(super) below_home: &'static str,
    pub(super) file: &'static str,
    /// What must stand in it, where the file alone tells nothing.
    pub(super) says: Option<&'static str>,
}

const fn place(variable: &'static str, below_home: &'static str, file: &'static str) -> Place {
    Place { variable, below_variable: "", below_home, file, says: None }
}

const CLAUDE: &[Place] = &[place("CLAUDE_CONFIG_DIR", ".claude", ".credentials.json")];
const CLAUDE_VARIABLES: &[&str] = &[
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
];
const CODEX: &[Place] = &[
    place("CODEX_HOME", ".codex", "auth.json"),
    Place { says: Some("model_provider"), ..place("CODEX_HOME", ".codex", "config.toml") },
];
const CODEX_VARIABLES: &[&str] = &["OPENAI_API_KEY", "CODEX_API_KEY"];

/// Every agent that was tried.
pub(super) const ALL: &[Known] = &[
    Known {
        name: "Claude Code",
        run: "--provider claude",
        program: "claude",
        install: "npm install -g @anthropic-ai/claude-code",
        oldest: "2.1.197",
        log_in: "run `claude` and log in, or set ANTHROPIC_API_KEY",
        variables: CLAUDE_VARIABLES,
        files: CLAUDE,
    },
    Known {
        name: "Codex",
        run: "--provider codex",
        program: "codex",
        install: "npm install -g @openai/codex",
        oldest: "0.169.0",
        log_in: "run `codex login`, or set OPENAI_API_KEY",
        variables: CODEX_VARIABLES,
        files: CODEX,
    },
    Known {
        name: "OpenCode",
        run: "--provider opencode",
        program: "opencode",
        install: "npm install -g opencode-ai",
        oldest: "1.18.33",
        log_in: "run `opencode auth login`, or set a key that it knows, such as ANTHROPIC_API_KEY",
        variables: &["OPENCODE_CONFIG_CONTENT", "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENROUTER_API_KEY"],
        files: &[
            Place { below_variable: "opencode", ..place("XDG_DATA_HOME", ".local/share/opencode", "auth.json") },
            Place {
                below_variable: "opencode",
                says: Some("\"provider\""),
                ..place("XDG_CONFIG_HOME", ".config/opencode", "opencode.json")
            },
        ],
    },
    Known {
        name: "Gemini CLI",
        run: "--provider acp --command gemini",
        program: "gemini",
        install: "npm install -g @google/gemini-cli",
        oldest: "0.61.0",
        log_in: "run `gemini` and log in, or set GEMINI_API_KEY",
        variables: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        files: &[place("", ".gemini", "oauth_creds.json")],
    },
    Known {
        name: "Claude's ACP adapter",
        run: "--provider acp --command claude-agent-acp",
        program: "claude-agent-acp",
        install: "npm install -g @agentclientprotocol/claude-agent-acp",
        oldest: "0.49.0",
        log_in: "run `claude` and log in, or set ANTHROPIC_API_KEY",
        variables: CLAUDE_VARIABLES,
        files: CLAUDE,
    },
    Known {
        name: "Codex' ACP adapter",
        run: "--provider acp --command codex-acp",
        program: "codex-acp",
        install: "npm install -g @agentclientprotocol/codex-acp",
        oldest: "2.6.0",
        log_in: "run `codex login`, or set OPENAI_API_KEY",
        variables: CODEX_VARIABLES,
        files: CODEX,
    },
];

/// The version in what a program prints when it is asked for it.
pub(super) fn version(printed: &str) -> Option<&str> {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
    printed
        .split(|c: char| !is_inner(c))
        .map(|word| word.strip_prefix('v').unwrap_or(word))
        .find(|word| numbers(word).len() >= 2 && word.starts_with(|c: char| c.is_ascii_digit()))
}

/// Whether a version is older than another one.
pub(super) fn is_older(version: &str, than: &str) -> bool {
    numbers(version) < numbers(than)
}

fn numbers(version: &str) -> Vec<u64> {
    version.split(['-', '+']).next().unwrap_or_default().split('.').map_while(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_programs_print() {
        for (printed, found) in [
            ("2.1.329 (Claude Code)\n", Some("2.1.329")),
            ("codex-cli 0.169.0", Some("0.169.0")),
            ("v1.18.33", Some("1.18.33")),
            ("gemini\nversion: 0.61.0-nightly.1+abc\n", Some("0.61.0-nightly.1+abc")),
            ("usage: x [-h]", None),
            ("error 7", None),
            ("", None),
        ] {
            assert_eq!(version(printed), found, "{printed}");
        }
        assert!(is_older("2.1.9", "2.1.197") && is_older("0.61.0-rc1", "0.61.1"));
        assert!(!is_older("2.1.197", "2.1.197") && !is_older("10.0.0", "9.9.9"));
    }

    #[test]
    fn every_agent_says_how_to_get_it() {
        for known in ALL {
            assert!(
                known.run.starts_with("--provider ") && known.run.contains(known.program.split('-').next().unwrap())
            );
            assert!(!known.install.is_empty() && !known.files.is_empty());
            assert_eq!(numbers(known.oldest).len(), 3, "{}", known.oldest);
        }
    }
}
