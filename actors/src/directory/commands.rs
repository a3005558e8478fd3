//! What becomes of each command: most are their actor's alone; some have to look or to ask elsewhere first.

use std::sync::atomic::Ordering;

use ropewalk_kernel::log::Batch;
use ropewalk_kernel::{Answer, Envelope, Owners, Reply, offload};
use ropewalk_protocol::{
    AgentSpec, BudgetOwner, Code, Command, Program, Rejection, SessionId, Size, Stream, TerminalId, Timestamp,
};

use super::Directory;
use super::adoption::Doubt;
use super::agents;
use crate::core::{Input, Launch};
use crate::host::{Commanded, Deliver};

impl Owners for Directory {
    fn deliver(&self, envelope: Envelope, reply: Reply) {
        let Envelope { id, digest, command, client, now } = envelope;
        let by = Commanded { id, digest, client };
        let directory = self.clone();
        match command {
            Command::SessionAnnotate { session, text } => {
                self.pass_on(session, Input::Annotate { text }, by, now, reply)
            }
            Command::SessionEnd { session } => self.pass_on(session, Input::End, by, now, reply),
            Command::SessionDelete { session } => self.pass_on(session, Input::Delete, by, now, reply),
            Command::SessionCreate { name, workspace, program, size, agent } => {
                let asked = Asked { program, size, agent };
                later(reply, async move { directory.create(name, workspace, asked, by, now).await });
            }
            Command::AgentSpawn { session, agent, parent } => {
                later(reply, async move { directory.spawn_agent(session, *agent, parent, by, now).await });
            }
            Command::SessionRename { session, name } => {
                later(reply, async move { directory.rename(session, name, by, now).await });
            }
            Command::TerminalResize { session, terminal, size } => {
                later(reply, async move { directory.resize(session, terminal, size, by, now).await });
            }
            Command::BudgetSet { of: BudgetOwner::Session { session }, budget } => {
                self.pass_on(session, Input::SetBudget { budget }, by, now, reply);
            }
            Command::BudgetSet { of: BudgetOwner::Day {}, budget } => {
                later(reply, async move { directory.set_day_budget(budget, by, now).await });
            }
            Command::RulesSet { of, rules } => {
                later(reply, async move { directory.set_rules(of, rules, by, now).await });
            }
            command => self.pass_on_to_agent(command, by, now, reply),
        }
    }
}

pub(super) fn later(reply: Reply, work: impl Future<Output = Answer> + Send + 'static) {
    tokio::spawn(async move { reply(work.await) });
}

impl Directory {
    /// Lets the session's actor decide and reply.
    fn pass_on(&self, session: SessionId, input: Input, by: Commanded, now: Timestamp, reply: Reply) {
        let message = Deliver { command: Some(by), reply: Some(reply), ..Deliver::fact(input, now) };
        self.send(Stream::Session(session), message);
    }

    async fn resize(
        &self,
        session: SessionId,
        terminal: TerminalId,
        size: Size,
        command: Commanded,
        now: Timestamp,
    ) -> Answer {
        // The holder says at which byte the size changed; only then is there something to record.
        let offset = match self.0.hands.resize(terminal, size).await {
            Ok(offset) => offset,
            Err(rejection) => return self.refuse_unless_retryable(command, rejection).await,
        };
        self.ask(Stream::Terminal(session, terminal), Input::Resized { size, offset }, Some(command), now).await
    }

    async fn create(
        &self,
        name: Option<String>,
        workspace: Option<String>,
        asked: Asked,
        commanded: Commanded,
        now: Timestamp,
    ) -> Answer {
        let Asked { program, size, mut agent } = asked;
        if let Some(spec) = &mut agent {
            match agents::check(spec).await {
                Ok(directory) => spec.directory = directory,
                Err(rejection) => return self.refuse_unless_retryable(commanded, rejection).await,
            }
        }
        if let Err(rejection) = check_directories(workspace.as_ref(), program.as_ref()).await {
            return self.refuse_unless_retryable(commanded, rejection).await;
        }
        let ids = &self.0.ids;
        let session = SessionId::from(ids.mint(now));
        if let Some(name) = &name
            && let Err(rejection) = self.0.names.reserve(name, session)
        {
            return self.refuse_name(commanded, rejection).await;
        }
        let named = name.clone();
        let launch = program.map(|mut program| {
            let run = ids.mint(now).into();
            let environment = std::mem::take(&mut program.environment);
            self.0.hands.keep_environment(run, environment);
            let (agent, terminal) = (ids.mint(now).into(), ids.mint(now).into());
            Launch { agent, run, terminal, program, size: size.unwrap_or(Size::DEFAULT) }
        });
        let run = launch.as_ref().map(|launch| launch.run);
        let joined = agent.map(|spec| Box::new(self.joining(*spec, None)));
        let joining = joined.as_ref().map(|joined| joined.agent);
        let input = Input::Create { name, workspace, launch, joined };
        self.start_new(session);
        let answer = self.ask(Stream::Session(session), input, Some(commanded), now).await;
        if let Err(rejection) = &answer
            && is_doubtful(rejection)
        {
            self.doubt(session, Doubt { named, created: Some(run) });
            return answer;
        }
        if let Some(named) = &named {
            self.named(session, named, &answer);
        }
        if answer.is_err() {
            run.map(|run| self.0.hands.forget_environment(run));
            if let Some(agent) = joining {
                self.0.hands.forget_agent(agent);
            }
        }
        answer
    }

    /// A command that was to name a session is over.
    fn named(&self, session: SessionId, name: &str, answer: &Answer) {
        if let Ok((at, _)) = answer {
            self.0.names.set(name, session, *at);
        }
        self.0.names.release(name, session);
    }

    fn is_in_doubt(&self) -> bool {
        self.0.doubts.load(Ordering::Relaxed) > 0
    }

    /// A name is not free: for good, unless it may be once it is known what becomes of a command before this one.
    async fn refuse_name(&self, command: Commanded, rejection: Rejection) -> Answer {
        if self.is_in_doubt() {
            return Err(names_in_doubt());
        }
        self.refuse_unless_retryable(command, rejection).await
    }

    /// A refusal that may be another one on a repeat is not remembered.
    pub(super) async fn refuse_unless_retryable(&self, command: Commanded, rejection: Rejection) -> Answer {
        if rejection.retryable() { Err(rejection) } else { self.refuse_for_good(command, rejection).await }
    }

    /// A refusal that no actor decided, remembered all the same.
    pub(super) async fn refuse_for_good(&self, command: Commanded, rejection: Rejection) -> Answer {
        let receipt = Some((command.id, command.digest, Err(rejection.clone())));
        let batch = Batch { epoch: self.0.journal.epoch(), events: Vec::new(), receipt };
        let stored = self.0.journal.append(batch)?.await;
        stored.map_err(|_| Rejection::new(Code::ShuttingDown, "the log is closed"))??;
        Err(rejection)
    }

    async fn rename(&self, session: SessionId, name: String, command: Commanded, now: Timestamp) -> Answer {
        if self.is_in_doubt() {
            return Err(names_in_doubt());
        }
        if let Err(rejection) = self.0.names.reserve(&name, session) {
            return self.refuse_name(command, rejection).await;
        }
        let answer = self.ask(Stream::Session(session), Input::Rename { name: name.clone() }, Some(command), now).await;
        match &answer {
            Err(rejection) if is_doubtful(rejection) => {
                self.doubt(session, Doubt { named: Some(name), created: None });
            }
            _ => self.named(session, &name, &answer),
        }
        answer
    }
}

fn names_in_doubt() -> Rejection {
    Rejection::new(Code::Busy, "which names are taken is not known before the disk works again")
}

/// Whether a refused append may be in the log all the same.
pub(super) fn is_doubtful(rejection: &Rejection) -> bool {
    matches!(rejection.code, Code::StorageFailed | Code::StorageFull)
}

/// What a new session is to run, if anything.
struct Asked {
    program: Option<Program>,
    size: Option<Size>,
    agent: Option<Box<AgentSpec>>,
}

async fn check_directories(workspace: Option<&String>, program: Option<&Program>) -> Result<(), Rejection> {
    let directories = workspace.into_iter().chain(program.map(|program| &program.directory)).cloned();
    let directories: Vec<String> = directories.collect();
    let looked = offload::blocking(move || {
        let missing = |path: &String| !std::fs::metadata(path).is_ok_and(|metadata| metadata.is_dir());
        directories.into_iter().find(missing)
    });
    match looked.await.map_err(|error| Rejection::new(Code::Internal, error.to_string()))? {
        Some(missing) => Err(Rejection::new(Code::WorkspaceMissing, format!("{missing} is not a directory"))),
        None => Ok(()),
    }
}
