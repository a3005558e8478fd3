//! The agents' own programs against the stand-in for the model: `scripts/agents.sh` installs them, and what is not
//! installed is skipped, with a line that says so.
//!
//! A test takes `let model = Model::start();` and `let Some(agent) = Agent::claude(&model) else { return };`
//! (or `codex`, `opencode`, `gemini`, `claude_acp`, `codex_acp`; `drivers.rs` says how ropewalk is asked for each).
//! The agent has a home of its own that speaks to this model and to nothing else. A run of it through ropewalk gets
//! `agent.environment` as its whole environment (its `PATH` finds the program), `agent.directory` as its directory and
//! `agent.model` as its `--model`. What the model does is told by the prompt (`model/directives.rs`);
//! `model.wait_for(..)` waits until it was asked or let go, `model.turns("text")` proves how often a prompt reached it,
//! `[[gate NAME]]` with `model.open_gate("NAME")` holds an answer for as long as the test needs the agent in the middle
//! of it.

mod alone;
pub(crate) mod driven;
mod drivers;
mod failing;
mod helpers;
mod history;
mod homes;
mod restarts;
mod ruled;
mod scripted;
mod settings;
mod turns;

pub(crate) use self::homes::Agent;
