//! `ropewalk rules`.

use ropewalk_protocol::{Command as Change, PolicyView, Rule, RulesOwner};

use super::super::run::directory;
use super::super::{Context, find};
use super::budgets::policy;
use super::change;
use crate::args::{RulesCommand, rule};
use crate::exit::{Failure, OK, USAGE};
use crate::print;

pub(super) async fn rules(
    context: &Context,
    session: Option<&str>,
    workspace: Option<String>,
    command: Option<RulesCommand>,
) -> Result<u8, Failure> {
    // What cannot be a rule needs no daemon.
    let added = match &command {
        Some(RulesCommand::Add { rule: words }) => Some(rule(words).map_err(|error| Failure::new(USAGE, error))?),
        _ => None,
    };
    let client = context.client().await?;
    let of = match session {
        Some(reference) => RulesOwner::Session { session: find(&client, reference).await?.session },
        None => RulesOwner::Workspace { directory: real(directory(workspace.map(Into::into))?) },
    };
    let known = match &of {
        RulesOwner::Session { session } => policy(&client, Some(*session)).await?.rules,
        RulesOwner::Workspace { directory } => of_directory(policy(&client, None).await?, directory),
    };
    let rules = match command {
        None => return list(context, &of, &known),
        Some(RulesCommand::Add { .. }) => known.into_iter().chain(added).collect(),
        Some(RulesCommand::Remove { numbers }) => without(known, &numbers)?,
        Some(RulesCommand::Clear) => Vec::new(),
    };
    let answer = change(&client, Change::RulesSet { of: of.clone(), rules: rules.clone() }).await?;
    if context.json {
        print::json(&answer)?;
        return Ok(OK);
    }
    list(context, &of, &rules)
}

/// The path by which the daemon knows a directory. One that is not there is named as it was.
fn real(directory: String) -> String {
    let real = std::fs::canonicalize(&directory).ok().and_then(|real| real.into_os_string().into_string().ok());
    real.unwrap_or(directory)
}

fn of_directory(policy: PolicyView, directory: &str) -> Vec<Rule> {
    let found = policy.workspaces.into_iter().find(|workspace| workspace.directory == directory);
    found.map(|workspace| workspace.rules).unwrap_or_default()
}

fn without(rules: Vec<Rule>, numbers: &[usize]) -> Result<Vec<Rule>, Failure> {
    if let Some(wrong) = numbers.iter().find(|number| !(1..=rules.len()).contains(number)) {
        return Err(Failure::new(USAGE, format!("there is no rule {wrong}; there are {}", rules.len())));
    }
    let kept = (1..).zip(rules).filter(|(number, _)| !numbers.contains(number));
    Ok(kept.map(|(_, rule)| rule).collect())
}

fn list(context: &Context, of: &RulesOwner, rules: &[Rule]) -> Result<u8, Failure> {
    if context.json {
        rules.iter().try_for_each(print::json)?;
        return Ok(OK);
    }
    let whose = match of {
        RulesOwner::Session { session } => format!("session {session}"),
        RulesOwner::Workspace { directory } => format!("whoever works in {} or below", print::plain(directory)),
    };
    match rules.is_empty() {
        true => {
            print::talk(&format!("no rules of its own for {whose}; `ropewalk rules add --help` says how they are made"))
        }
        false => print::talk(&format!("rules for {whose}:")),
    }
    for (number, rule) in (1..).zip(rules) {
        print::line(&format!("{number:>3}  {}", print::plain(&rule.to_string())));
    }
    Ok(OK)
}
