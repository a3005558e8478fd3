//! `ropewalk log repair`: what cannot be read is put aside, so that a daemon starts and says what is missing.

use std::path::PathBuf;

use ropewalk_kernel::log::SledShelf;
use ropewalk_kernel::log::repair::{Aside, Diagnosis, apply, diagnose, write_options};
use ropewalk_kernel::log::store::StoreError;
use ropewalk_protocol::{DamageView, Rejection, Seq};
use serde::Serialize;

use super::super::Context;
use super::quarantine::Quarantine;
use super::source::{take, view};
use crate::daemon::log_failure::log_failure;
use crate::exit::{DAMAGED, Failure, OK};
use crate::paths::Paths;

#[derive(Serialize)]
struct Report {
    dry_run: bool,
    /// Where things are put; `None` when nothing has to be.
    quarantine: Option<PathBuf>,
    /// What is done, a sentence each.
    steps: Vec<String>,
    /// What cannot be read afterwards.
    damage: Vec<DamageView>,
}

pub(super) async fn repair(context: &Context, dry_run: bool) -> Result<u8, Failure> {
    let paths = &context.paths;
    let lock = take(paths)?;
    let mut quarantine = Quarantine::new(paths);
    let failed = |error: StoreError| match error {
        StoreError::Exhausted(_) | StoreError::Newer { .. } => log_failure(error),
        error => Failure::because("looking at the log's files", error),
    };
    let mut diagnosis = SledShelf::existing(&paths.log()).and_then(|shelf| diagnose(&shelf)).map_err(failed)?;
    if !dry_run && !diagnosis.options.is_empty() {
        let options = std::mem::take(&mut diagnosis.options);
        diagnosis = write_anew(paths, options).map_err(failed)?;
    }
    // Where the newest volume does not open as it is, the log may not either.
    let is_open = diagnosis.skip_to.is_none() && (diagnosis.options.is_empty() || !dry_run);
    let before = if is_open { damage(paths).await? } else { Vec::new() };
    if diagnosis.index.is_none() {
        diagnosis.index = before.iter().find(|damage| damage.place == "index").map(|damage| damage.reason.clone());
    }
    let steps = steps(&diagnosis);
    let damage = if dry_run || steps.is_empty() {
        gaps(before, &diagnosis)
    } else {
        let mended = mend(paths, &diagnosis, &mut quarantine);
        mended.map_err(|error| Failure::because("mending the log", error))?;
        damage(paths).await?
    };
    drop(lock);
    let quarantine = (!steps.is_empty()).then(|| quarantine.directory().to_owned());
    let report = Report { dry_run, quarantine, steps, damage };
    context.print(&report, told)?;
    Ok(if report.damage.is_empty() { OK } else { DAMAGED })
}

/// What is to be done, for people.
fn steps(diagnosis: &Diagnosis) -> Vec<String> {
    let mut steps = Vec::new();
    for first in &diagnosis.options {
        steps
            .push(format!("the options of volume {first} are written anew: they are torn, and what they say is known"));
    }
    for file in &diagnosis.aside {
        steps.push(format!("{file} is put aside: it holds what could not be read, and nothing reads it any more"));
    }
    for (first, reason) in &diagnosis.volumes {
        steps.push(format!("volume {first} is put aside, and what it held is known to be missing: {reason}"));
    }
    if let Some(reason) = &diagnosis.index {
        steps.push(format!("the index is put aside, to be made anew of the volumes at the next start: {reason}"));
    }
    if !diagnosis.head_slots.is_empty() {
        let slots: Vec<String> = diagnosis.head_slots.iter().map(ToString::to_string).collect();
        steps.push(format!(
            "a copy of HEAD is put aside, and slot {} made blank: no head is in it",
            slots.join(" and ")
        ));
    }
    if let Some(seq) = diagnosis.skip_to {
        steps.push(format!(
            "HEAD is made to say {seq}: nobody knows how far the log went, and behind that place no event can have been"
        ));
    }
    steps
}

/// What will be missing, as far as it can be told before anything is done.
fn gaps(mut before: Vec<DamageView>, diagnosis: &Diagnosis) -> Vec<DamageView> {
    before.retain(|damage| damage.place != "index");
    if let Some(seq) = diagnosis.skip_to {
        let first = diagnosis.volumes.last().map(|(first, _)| *first).or(diagnosis.given_up.last().copied());
        before.push(DamageView {
            place: "events".to_owned(),
            from: first.unwrap_or_default().0,
            to: seq.0,
            terminal: None,
            reason: "the newest volume does not open, and HEAD does not say how far it went".to_owned(),
        });
    }
    before
}

/// Writes the options of these volumes anew, and looks again.
fn write_anew(paths: &Paths, options: Vec<Seq>) -> Result<Diagnosis, StoreError> {
    write_options(&SledShelf::open(&paths.log())?, &options)?;
    Ok(Diagnosis { options, ..diagnose(&SledShelf::existing(&paths.log())?)? })
}

fn mend(paths: &Paths, diagnosis: &Diagnosis, quarantine: &mut Quarantine) -> Result<(), StoreError> {
    let shelf = SledShelf::open(&paths.log())?;
    diagnosis.steps().iter().try_for_each(|step| apply(step, &shelf, quarantine))
}

/// What a check of the log finds.
async fn damage(paths: &Paths) -> Result<Vec<DamageView>, Failure> {
    let (opened, _) = view(paths).map_err(log_failure)?;
    let found = opened.journal.verify(&mut |_| {}).map_err(Rejection::from);
    opened.journal.stop().await.ok();
    drop(opened.journal);
    opened.writer.ended().await;
    Ok(found?.damage)
}

fn told(report: &Report) -> String {
    let mut text = String::new();
    if report.steps.is_empty() {
        text.push_str("everything opens: nothing has to be put aside\n");
    }
    for step in &report.steps {
        text.push_str(&format!("{}{step}\n", if report.dry_run { "would: " } else { "" }));
    }
    if let Some(quarantine) = report.quarantine.as_ref().filter(|_| !report.dry_run) {
        text.push_str(&format!("put aside in {}\n", quarantine.display()));
    }
    text.push_str(&super::damaged(&report.damage));
    text
}
