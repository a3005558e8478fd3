//! The command line of structured agents.

use std::time::Duration;

use clap::{Args, Subcommand};
use ropewalk_protocol::OnAsk;

use super::terms::{BudgetArgs, RULES_HELP, RulesCommand, TermsArgs};
use super::values::{Words, parse_duration, parse_on_ask, parse_words};

pub(super) const RUN_HELP: &str = "Examples:
  ropewalk run
  ropewalk run --name build --detach -- make -j8
  ropewalk run -- claude
  ropewalk run --provider claude 'fix the failing test'
  ropewalk run --provider codex --json --timeout 10m 'fix the failing test'
  ropewalk run --provider acp --command gemini 'explain this directory'

With --provider and --json each event is a line as the protocol has it, and there is always a last line:
  {\"type\": \"result\", \"outcome\": …, \"exit\": N, \"session\": …, \"agent\": …, \"turn\": …, \"text\": …, \"usage\": {…}}";

/// The exit codes of a turn that was followed.
pub(crate) const RUN_EXITS: &str = "Exit codes with --provider:
  0    completed    the agent was done
  1    failed       the agent or its model gave up, or it could not be started
  3    cancelled    somebody cancelled the turn, or took the prompt back
  5    interrupted  nobody knows how far the turn went: it is never sent again by itself
  6    asked        the agent asked, and --on-ask fail ended the turn
  7    limited      a budget is spent, or the agent went round in circles and was to be held: it is parked
  75   rate_limited the model's server refuses more for now: the agent is parked until it does not
  124  timeout      --timeout or --idle-timeout was over: the turn was cancelled
  130  left         by a second ctrl-C; 143 by SIGTERM: the turn goes on";

pub(super) const SCRIPT_HELP: &str =
    "The program of provider `scripted`: follows a script, for tests, demos and examples.

  ropewalk run --provider scripted --command 'ropewalk scripted-agent FILE' PROMPT

One step a line; `#` begins a comment. {prompt}, {turn}, {turns}, {answer}, {steer}, {child} and {pid} are filled in.

  resume                    first line: remember how many turns each conversation had, in FILE.<conversation>
  deaf                      first lines: never read what is written
  on start                  steps before it says that it is ready
  on prompt [/REGEX/]       steps of a turn: the first block that matches; it ends as completed unless `end` says else
  on steer [/REGEX/]        steps when a prompt comes into the turn; one that comes after it is not taken
  on interrupt              steps when the turn is to end, instead of ending it as cancelled; no steps: it goes on

  say TEXT                  a whole text; after `delta` it settles what was streamed
  delta TEXT                a preview of the text
  think TEXT, plan TEXT, edit TEXT
  tool NAME INPUT OUTPUT    INPUT is JSON
  ask TITLE [| DETAIL]      a permission, and waits; then `allowed`, `denied`, `done` lines may hold steps;
                            rules are held against `run COMMAND`, `read PATH`, `write PATH`, `fetch URL`, `tool NAME`
  choose TITLE | A | B      a choice, and waits
  question TITLE            a question, and waits
  usage KEY=N …             scope=turn|call|run|total input= cached= output= cost= context= max=
  notice KIND [+SECONDS] TEXT  retry, rate_limited, warning or opaque; and when it goes on
  confirm                   shows that it has the prompt
  sleep MS
  repeat N … done
  flood BYTES               that much streamed text, as fast as it goes
  line BYTES                one long line
  garbage                   lines that mean nothing
  raw LINE                  this line, as it is
  complain TEXT             a line on the error output
  spawn-child SECONDS       a process in a session of its own that outlives it
  half                      half a line, then it dies
  hang                      does and reads nothing any more
  refuse REASON             will not work
  exit N
  end completed|cancelled|failed REASON|interrupted REASON

Each prompt it takes is appended to the file that SCRIPTED_LOG names, as a JSON line.";

/// A structured agent.
#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    /// The model, by the agent's own name for it.
    #[arg(long, requires = "provider")]
    pub(crate) model: Option<String>,
    /// The mode, by the agent's own name for it.
    #[arg(long, requires = "provider")]
    pub(crate) mode: Option<String>,
    /// What people call the agent, in its session.
    #[arg(long, requires = "provider", value_name = "NAME")]
    pub(crate) agent_name: Option<String>,
    /// The program and its first arguments, split as in a shell, where it is not the provider's usual one. Acp needs one: gemini, or a whole command.
    #[arg(long, requires = "provider", value_name = "COMMAND", value_parser = parse_words)]
    pub(crate) command: Option<Words>,
    /// What becomes of questions: `wait`, `wait:DURATION` (then deny), `deny`, `fail` (the turn is cancelled); wait on a terminal, else deny.
    #[arg(long, requires = "provider", value_name = "POLICY", value_parser = parse_on_ask)]
    pub(crate) on_ask: Option<OnAsk>,
    #[command(flatten)]
    pub(crate) terms: TermsArgs,
}

/// How long a turn is followed.
#[derive(Debug, Args)]
pub(crate) struct FollowArgs {
    /// Cancel the turn when it has not ended after this time, with exit code 124: 30s, 5m, or a number of seconds.
    #[arg(long, value_parser = parse_duration, value_name = "D")]
    pub(crate) timeout: Option<Duration>,
    /// Cancel the turn when the agent has said nothing for this time, with exit code 124. A question that nobody answers counts too.
    #[arg(long, value_parser = parse_duration, value_name = "D")]
    pub(crate) idle_timeout: Option<Duration>,
}

/// What `run` takes for an agent.
#[derive(Debug, Args)]
pub(crate) struct RunAgentArgs {
    /// Start a structured agent of this provider: claude, codex, opencode, acp or scripted; see `ropewalk doctor`.
    #[arg(long, requires = "prompt")]
    pub(crate) provider: Option<String>,
    #[command(flatten)]
    pub(crate) spec: AgentArgs,
    #[command(flatten)]
    pub(crate) follow: FollowArgs,
    /// The agent's prompt, or `-` for what comes on stdin.
    #[arg(value_name = "PROMPT", requires = "provider")]
    pub(crate) prompt: Vec<String>,
}

/// Structured agents, by session: REF, or REF/AGENT with an agent's name or a unique prefix of its id. Where a session has one agent, REF is enough.
#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// Give an agent a prompt.
    ///
    /// It is queued and delivered once, when those before it are done. Prints the prompt's id, which is its turn's too.
    #[command(
        mut_arg("timeout", |arg| arg.requires("follow")),
        mut_arg("idle_timeout", |arg| arg.requires("follow"))
    )]
    Prompt {
        /// The session, or REF/AGENT.
        #[arg(value_name = "REF[/AGENT]")]
        reference: String,
        /// What it says, or `-` for what comes on stdin.
        #[arg(required = true)]
        text: Vec<String>,
        /// Into the running turn, where the agent can; else before those that wait.
        #[arg(long, conflicts_with = "interrupt")]
        steer: bool,
        /// At once: the running turn is cancelled.
        #[arg(long)]
        interrupt: bool,
        /// Give it to every agent of the session that is not ended.
        #[arg(long, conflicts_with = "follow")]
        all: bool,
        /// Follow its turn, as `run` does, with the same exit codes.
        #[arg(long, short)]
        follow: bool,
        #[command(flatten)]
        limits: FollowArgs,
    },
    /// List the prompts that wait for an agent, or change them.
    #[command(after_help = "N is a prompt's place in the list, from 1, or a unique prefix of its id.")]
    Queue {
        /// The session, or REF/AGENT.
        #[arg(value_name = "REF[/AGENT]")]
        reference: String,
        #[command(subcommand)]
        command: Option<QueueCommand>,
    },
    /// List a session's agents: how each is, what waits for it, what it cost.
    Agents {
        /// Name, id or unique prefix of an id.
        #[arg(value_name = "REF")]
        reference: String,
    },
    /// Start another agent in a session.
    Spawn {
        /// Name, id or unique prefix of an id.
        #[arg(value_name = "REF")]
        reference: String,
        /// claude, codex, opencode, acp or scripted: see `ropewalk doctor`.
        #[arg(long)]
        provider: String,
        /// The agent of the session that it works for: `cancel --tree` of that one cancels this one too.
        #[arg(long, value_name = "AGENT")]
        parent: Option<String>,
        #[command(flatten)]
        spec: AgentArgs,
        /// Its first prompt, or `-` for what comes on stdin; none: it waits for one.
        #[arg(value_name = "PROMPT")]
        prompt: Vec<String>,
    },
    /// List open questions, with what will be done in full.
    Asks {
        /// Only this session's.
        #[arg(value_name = "REF")]
        reference: Option<String>,
    },
    /// Answer a question. The first answer counts.
    #[command(after_help = "Answers:
  allow            it may, this once
  always           it may, and what is like it, from now on
  deny [REASON]    it may not; the reason is for the agent to read
  choose OPTION    this option, by its number, its id or its name
  TEXT             the answer to a question that wants text; to a choice, the same as choose")]
    Answer {
        /// The question's id, or a unique prefix of it: see `ropewalk asks`.
        id: String,
        /// The answer.
        #[arg(required = true, value_name = "ANSWER", trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Cancel an agent's turn: it is asked to stop, then made to.
    Cancel {
        /// The session, or REF/AGENT.
        #[arg(value_name = "REF[/AGENT]")]
        reference: String,
        /// Also the turns of all agents that work for it, and for those.
        #[arg(long)]
        tree: bool,
        /// Do not wait until the agent ends the turn by itself: end its process. The next prompt starts it again.
        #[arg(long)]
        hard: bool,
    },
    /// Print what was asked and done, turn by turn.
    ///
    /// What tools put out is in --markdown and --json, and thinking too.
    Transcript {
        /// The session, or REF/AGENT; all of its agents, where it has several.
        #[arg(value_name = "REF[/AGENT]")]
        reference: String,
        /// As Markdown.
        #[arg(long)]
        markdown: bool,
    },
    /// Say what agents cost: tokens, and money where the agent tells.
    Usage {
        /// Only this session's.
        #[arg(value_name = "REF")]
        reference: Option<String>,
    },
    /// Park an agent: it is given no prompts until it is released. A turn that it has goes on.
    Hold {
        /// The session, or REF/AGENT.
        #[arg(value_name = "REF[/AGENT]")]
        reference: String,
    },
    /// Let an agent go on that is parked.
    Release {
        /// The session, or REF/AGENT.
        #[arg(value_name = "REF[/AGENT]")]
        reference: String,
    },
    /// Say what may be spent and what is, or bound it: of an agent, of a session's agents together, of each day.
    ///
    /// At 80 % it is told of; at 100 % the turn is cancelled and the agent parked. A day is from midnight to midnight, UTC.
    /// Bounds that are not named stay as they are.
    Budget {
        /// The session, for all of its agents together; or REF/AGENT; none: the day.
        #[arg(value_name = "REF[/AGENT]")]
        reference: Option<String>,
        #[command(flatten)]
        budget: BudgetArgs,
        /// Take all bounds away.
        #[arg(long, conflicts_with_all = ["cost_micro_usd", "tokens", "turns", "time"])]
        clear: bool,
    },
    /// List the rules that answer questions of agents, or change them.
    #[command(after_help = RULES_HELP)]
    Rules {
        /// The session; none: the directory.
        #[arg(long, global = true, value_name = "REF")]
        session: Option<String>,
        /// The directory, by default this one.
        #[arg(long, global = true, value_name = "DIR", conflicts_with = "session")]
        workspace: Option<String>,
        #[command(subcommand)]
        command: Option<RulesCommand>,
    },
    /// Have an agent use another model or mode.
    Set {
        /// The session, or REF/AGENT.
        #[arg(value_name = "REF[/AGENT]")]
        reference: String,
        /// The model, by the agent's own name for it.
        #[arg(long, required_unless_present = "mode")]
        model: Option<String>,
        /// The mode, by the agent's own name for it.
        #[arg(long)]
        mode: Option<String>,
    },
}

/// Changes of a queue.
#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// Say something else.
    Edit {
        /// Its place, or a unique prefix of its id.
        n: String,
        /// What it says now, or `-` for what comes on stdin.
        #[arg(required = true)]
        text: Vec<String>,
    },
    /// Put it elsewhere: `move N before M`, or `move N last`.
    Move {
        /// Its place, or a unique prefix of its id.
        n: String,
        /// `before M`, or `last`.
        #[arg(required = true, num_args = 1..=2, value_name = "PLACE")]
        place: Vec<String>,
    },
    /// Take it back.
    Withdraw {
        /// Its place, or a unique prefix of its id.
        n: String,
    },
}
