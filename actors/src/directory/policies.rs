//! Commands that bound agents or answer for people, where no single actor is to decide.

use std::path::Path;

use ropewalk_kernel::Answer;
use ropewalk_kernel::log::Batch;
use ropewalk_kernel::offload;
use ropewalk_protocol::record::NewEvent;
use ropewalk_protocol::{
    Budget, Cause, Code, CommandResult, DayBudgetSet, EventBody, Rejection, Rule, RulesOwner, Stream, Timestamp,
    WorkspaceRulesSet, limits,
};

use super::Directory;
use super::agents::real_directory;
use crate::agent::rules;
use crate::agent::structured::AgentInput;
use crate::core::Input;
use crate::host::Commanded;

impl Directory {
    /// Bounds what a day may cost; agents that it may stop or hold look again.
    pub(super) async fn set_day_budget(&self, budget: Budget, by: Commanded, now: Timestamp) -> Answer {
        let answer = self.of_machine(DayBudgetSet { budget }.into(), by, now).await;
        if answer.is_ok()
            && let Some(surroundings) = self.0.surroundings.get()
        {
            for (session, agent) in surroundings.bounded() {
                self.report(Stream::Agent(session, agent), None, Input::Agent(AgentInput::Reconsider));
            }
        }
        answer
    }

    pub(super) async fn set_rules(&self, of: RulesOwner, rules: Vec<Rule>, by: Commanded, now: Timestamp) -> Answer {
        if let Err(rejection) = rules::check(&rules) {
            return self.refuse_for_good(by, rejection).await;
        }
        match of {
            RulesOwner::Session { session } => {
                self.ask(Stream::Session(session), Input::SetRules { rules }, Some(by), now).await
            }
            RulesOwner::Workspace { directory } => {
                // One that is gone has no other name.
                let (named, is_cleared) = (directory.clone(), rules.is_empty());
                let real = offload::blocking(move || real_directory(Path::new(&named))).await;
                let directory = match real.map_err(|error| Rejection::new(Code::Internal, error.to_string()))? {
                    Ok(real) => real,
                    Err(_) if is_cleared => directory,
                    Err(rejection) => return self.refuse_for_good(by, rejection).await,
                };
                let ruled = self.0.surroundings.get().map(|surroundings| surroundings.workspaces_ruled(&directory));
                if let Some((count, is_one)) = ruled
                    && !is_one
                    && count >= limits::WORKSPACES_RULED_MAX
                {
                    let hint = "Take the rules of another one back: `ropewalk rules --workspace DIR --clear`.";
                    let message = format!("{count} directories have rules already");
                    return self.refuse_for_good(by, Rejection::new(Code::TooLarge, message).hint(hint)).await;
                }
                self.of_machine(WorkspaceRulesSet { directory, rules }.into(), by, now).await
            }
        }
    }

    /// Records something that a client said of the machine.
    async fn of_machine(&self, body: EventBody, by: Commanded, now: Timestamp) -> Answer {
        let cause = Some(Cause { command: by.id, client: by.client });
        let event = NewEvent { stream: Stream::Machine, at: now, cause, body };
        let done = CommandResult::Done {};
        let receipt = Some((by.id, by.digest, Ok(done.clone())));
        let batch = Batch { epoch: self.0.journal.epoch(), events: vec![event], receipt };
        let stored = self.0.journal.append(batch)?.await;
        let committed = stored.map_err(|_| Rejection::new(Code::ShuttingDown, "the log is closed"))??;
        Ok((committed.last, done))
    }
}
