//! Homes for the agents' programs: configured for the stand-in, silent to the rest of the world.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::model::Model;

/// An agent's program with a home, which is removed in the end.
pub(crate) struct Agent {
    pub(crate) program: PathBuf,
    /// All of its environment: nothing of the tester's own gets in.
    pub(crate) environment: BTreeMap<String, String>,
    /// An empty directory to work in.
    pub(crate) directory: PathBuf,
    /// What to call the model.
    pub(crate) model: &'static str,
    home: PathBuf,
}

static HOMES: AtomicU32 = AtomicU32::new(0);

/// Where `scripts/agents.sh` puts a program, if it is there. If not, says once how to get it.
pub(crate) fn installed(name: &str) -> Option<PathBuf> {
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = variable("ROPEWALK_AGENTS_DIR").or_else(|| {
        let caches = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
        Some(caches?.join("ropewalk-agents"))
    })?;
    let program = cache.join("bin").join(name);
    if program.exists() {
        return Some(program);
    }
    if TOLD.lock().unwrap().insert(name.to_owned()) {
        // Past the test harness, which keeps what a passing test prints to itself.
        let line = format!("skipped: the tests with {name}, which is not installed (scripts/agents.sh installs it)\n");
        std::io::stderr().write_all(line.as_bytes()).ok();
    }
    None
}

impl Agent {
    pub(crate) fn claude(model: &Model) -> Option<Self> {
        Self::of_claude("claude", model)
    }

    /// Claude Code behind the Agent Client Protocol.
    pub(crate) fn claude_acp(model: &Model) -> Option<Self> {
        let mut agent = Self::of_claude("claude-agent-acp", model)?;
        agent.set("ANTHROPIC_MODEL", agent.model);
        Some(agent)
    }

    fn of_claude(program: &str, model: &Model) -> Option<Self> {
        let mut agent = Self::new(program, "claude-sonnet-4-5")?;
        agent.set("CLAUDE_CONFIG_DIR", agent.home.join("claude"));
        agent.set("ANTHROPIC_BASE_URL", model.url());
        agent.set("ANTHROPIC_API_KEY", "sk-ant-stand-in");
        agent.set("CLAUDE_CODE_MAX_RETRIES", "2");
        for knob in [
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
            "DISABLE_AUTOUPDATER",
            "DISABLE_TELEMETRY",
            "DISABLE_ERROR_REPORTING",
        ] {
            agent.set(knob, "1");
        }
        Some(agent)
    }

    pub(crate) fn codex(model: &Model) -> Option<Self> {
        Self::of_codex("codex", model)
    }

    /// Codex behind the Agent Client Protocol; it brings a codex of its own.
    pub(crate) fn codex_acp(model: &Model) -> Option<Self> {
        Self::of_codex("codex-acp", model)
    }

    fn of_codex(program: &str, model: &Model) -> Option<Self> {
        // A model that it knows: with an unknown one it warns at every turn, and cannot patch files.
        let mut agent = Self::new(program, "gpt-5.5")?;
        agent.set("CODEX_HOME", agent.home.join("codex"));
        agent.set("STAND_IN_KEY", "sk-stand-in");
        let (name, url) = (agent.model, model.url());
        let config = format!(
            r#"
            model = "{name}"
            model_provider = "stand-in"
            check_for_update_on_startup = false
            analytics.enabled = false
            feedback.enabled = false
            features.plugins = false
            features.apps = false

            [model_providers.stand-in]
            name = "stand-in"
            base_url = "{url}/v1"
            wire_api = "responses"
            env_key = "STAND_IN_KEY"
            request_max_retries = 1
            stream_max_retries = 1
            "#
        );
        agent.write("codex/config.toml", &config);
        Some(agent)
    }

    pub(crate) fn opencode(model: &Model) -> Option<Self> {
        let mut agent = Self::new("opencode", "stand-in/stand-in")?;
        let url = format!("{}/v1", model.url());
        let known = json!({
            "name": "Stand-in", "tool_call": true, "reasoning": true,
            "limit": {"context": 200_000, "output": 8_000}, "cost": {"input": 1, "output": 2},
        });
        let config = json!({
            "model": agent.model,
            "small_model": agent.model,
            "autoupdate": false,
            "share": "disabled",
            "enabled_providers": ["stand-in"],
            "provider": {"stand-in": {
                "npm": "@ai-sdk/openai-compatible",
                "name": "Stand-in",
                "options": {"baseURL": url, "apiKey": "sk-stand-in"},
                "models": {"stand-in": known, "another": known},
            }},
            "permission": {"bash": "ask", "edit": "ask"},
        });
        agent.set("OPENCODE_CONFIG_CONTENT", config.to_string());
        // It asks npm for its plugins' library whatever it is told: nobody listens there.
        agent.set("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9/");
        for knob in ["MODELS_FETCH", "AUTOUPDATE", "DEFAULT_PLUGINS", "LSP_DOWNLOAD", "SHARE"] {
            agent.set(&format!("OPENCODE_DISABLE_{knob}"), "1");
        }
        Some(agent)
    }

    pub(crate) fn gemini(model: &Model) -> Option<Self> {
        let mut agent = Self::new("gemini", "gemini-2.5-pro")?;
        agent.set("GEMINI_API_KEY", "stand-in");
        agent.set("GOOGLE_GEMINI_BASE_URL", model.url());
        let settings: Value = json!({
            "privacy": {"usageStatisticsEnabled": false},
            "telemetry": {"enabled": false},
            "general": {"enableAutoUpdate": false},
            // By default it asks a model which model to ask.
            "model": {"name": agent.model},
            "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": false}},
        });
        agent.write("home/.gemini/settings.json", &settings.to_string());
        Some(agent)
    }

    fn new(name: &str, model: &'static str) -> Option<Self> {
        let program = installed(name)?;
        let number = HOMES.fetch_add(1, Ordering::Relaxed);
        let home = std::env::temp_dir().join(format!("rw-agent-{}-{number}", std::process::id()));
        let directory = home.join("work");
        for below in ["home", "tmp", "work"] {
            std::fs::create_dir_all(home.join(below)).unwrap();
        }
        let mut agent = Self { program, environment: BTreeMap::new(), directory, model, home };
        let ours = agent.program.parent().unwrap().to_path_buf();
        let theirs = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([ours].into_iter().chain(std::env::split_paths(&theirs))).unwrap();
        agent.set("PATH", PathBuf::from(path));
        agent.set("HOME", agent.home.join("home"));
        agent.set("TMPDIR", agent.home.join("tmp"));
        agent.set("TERM", "xterm-256color");
        agent.set("LANG", "C.UTF-8");
        Some(agent)
    }

    fn set(&mut self, name: &str, value: impl AsRef<Path>) {
        self.environment.insert(name.to_owned(), value.as_ref().to_str().unwrap().to_owned());
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.home.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.home).ok();
    }
}
