//! What an agent may be told, and the order in which it is told.

use ropewalk_protocol::record::NewEvent;
use ropewalk_protocol::{
    AgentJoined, AgentSpec, Answer, Code, Command, Delivery, PromptQueued, Rejection, RunAsked, Stream, limits,
};

use crate::samples::{self, agents as sampled};

fn code_of<T>(result: Result<T, Rejection>) -> Option<Code> {
    result.err().map(|rejection| rejection.code)
}

fn spec_with(change: impl FnOnce(&mut AgentSpec)) -> Option<Code> {
    let mut spec = sampled::spec();
    change(&mut spec);
    code_of(spec.check())
}

#[test]
fn an_agent_is_refused_where_a_bound_is_passed_and_not_before() {
    assert_eq!(spec_with(|_| {}), None);
    assert_eq!(spec_with(|spec| spec.command.clear()), None, "the provider's usual program");
    assert_eq!(spec_with(|spec| spec.provider.clear()), Some(Code::InvalidParams));
    for bad in [String::new(), "two\nlines".to_owned(), "m".repeat(limits::AGENT_WORD_BYTES_MAX + 1)] {
        assert_eq!(spec_with(|spec| spec.name = Some(bad.clone())), Some(Code::InvalidParams), "{bad:?}");
        assert_eq!(spec_with(|spec| spec.model = Some(bad.clone())), Some(Code::InvalidParams), "{bad:?}");
        assert_eq!(spec_with(|spec| spec.mode = Some(bad.clone())), Some(Code::InvalidParams), "{bad:?}");
    }
    assert_eq!(spec_with(|spec| spec.model = Some("m".repeat(limits::AGENT_WORD_BYTES_MAX))), None);
    assert_eq!(spec_with(|spec| spec.directory = "here".to_owned()), Some(Code::InvalidParams));
    assert_eq!(spec_with(|spec| spec.command = vec!["a\0".to_owned()]), Some(Code::InvalidParams));
    assert_eq!(spec_with(|spec| spec.prompt = Some(" \n".to_owned())), Some(Code::InvalidParams));
    assert_eq!(spec_with(|spec| spec.prompt = Some("p".repeat(limits::PROMPT_BYTES_MAX))), None);
    assert_eq!(spec_with(|spec| spec.prompt = Some("p".repeat(limits::PROMPT_BYTES_MAX + 1))), Some(Code::TooLarge));
}

#[test]
fn what_is_said_to_an_agent_is_refused_where_a_bound_is_passed_and_not_before() {
    let (session, agent) = (samples::SESSION, samples::AGENT);
    let edit = |text| code_of(Command::PromptEdit { session, agent, prompt: sampled::PROMPT, text }.check());
    assert_eq!(edit("p".repeat(limits::PROMPT_BYTES_MAX)), None);
    assert_eq!(edit("p".repeat(limits::PROMPT_BYTES_MAX + 1)), Some(Code::TooLarge));
    assert_eq!(edit(String::new()), Some(Code::InvalidParams));
    for (long, max) in [(limits::ANSWER_BYTES_MAX, None), (limits::ANSWER_BYTES_MAX + 1, Some(Code::TooLarge))] {
        let text = "a".repeat(long);
        assert_eq!(code_of(Answer::Text { text: text.clone() }.check()), max);
        assert_eq!(code_of(Answer::Choose { option: text.clone() }.check()), max);
        assert_eq!(code_of(Answer::Deny { reason: Some(text) }.check()), max);
    }
    let set = |model, mode| code_of(Command::AgentSet { session, agent, model, mode }.check());
    assert_eq!(set(None, None), Some(Code::InvalidParams), "nothing is to be set");
    assert_eq!(set(None, Some("plan".to_owned())), None);
    assert_eq!(set(Some(String::new()), None), Some(Code::InvalidParams));
    let environment = [("X".to_owned(), "y".repeat(limits::PROGRAM_ENVIRONMENT_BYTES_MAX))].into();
    let prompt = Command::AgentPrompt { session, agent, text: "hi".to_owned(), delivery: Delivery::Steer, environment };
    assert_eq!(code_of(prompt.check()), Some(Code::TooLarge));
}

#[test]
fn a_session_is_created_with_a_program_or_an_agent_and_not_with_both() {
    let agent = Some(Box::new(sampled::spec()));
    let create =
        |program| Command::SessionCreate { name: None, workspace: None, program, size: None, agent: agent.clone() };
    assert_eq!(code_of(create(None).check()), None);
    assert_eq!(code_of(create(Some(samples::program())).check()), Some(Code::InvalidParams));
}

#[test]
fn the_environment_of_an_agent_is_not_shown() {
    let shown = format!("{:?}", sampled::spec());
    for value in sampled::spec().environment.values() {
        assert!(!shown.contains(value), "the environment may hold secrets and is not shown: {shown}");
    }
}

/// A command that passes `check` must fit into the event it becomes: refused at the log, it has cost a decision.
#[test]
fn an_agent_that_passes_its_check_fits_into_one_event() {
    let word = Some("w".repeat(limits::AGENT_WORD_BYTES_MAX));
    for (argument, count) in [(1, 1024), (100, 100), (limits::AGENT_COMMAND_BYTES_MAX, 1)] {
        let mut spec = AgentSpec { name: word.clone(), model: word.clone(), mode: word.clone(), ..sampled::spec() };
        spec.directory = format!("/{}", "d".repeat(limits::PATH_BYTES_MAX - 1));
        spec.prompt = Some("p".repeat(limits::PROMPT_BYTES_MAX));
        spec.command = vec!["a".repeat(argument); count];
        while spec.check().is_err() {
            match spec.command.as_mut_slice() {
                [only] => only.truncate(only.len() - 1),
                _ => spec.command.truncate(spec.command.len() - 1),
            }
        }
        let prompt =
            spec.prompt.map(|text| PromptQueued { prompt: sampled::PROMPT, text, delivery: Delivery::AfterTurn });
        let own = ["--print", "--input-format", "stream-json", "--output-format", "stream-json"].map(str::to_owned);
        let argv = spec.command.iter().cloned().chain(own).collect();
        let run = RunAsked { run: samples::RUN, output: samples::TERMINAL, errors: samples::ERRORS, argv };
        let joined = AgentJoined {
            agent: samples::AGENT,
            provider: spec.provider,
            name: spec.name.unwrap_or_default(),
            parent: None,
            command: spec.command,
            directory: spec.directory,
            model: spec.model,
            mode: spec.mode,
            on_ask: spec.on_ask,
            run,
            prompt,
            terms: Box::new(samples::limited::terms()),
        };
        let stream = Stream::Session(samples::SESSION);
        let event = NewEvent { stream, at: samples::AT, cause: Some(samples::cause()), body: joined.into() };
        let bytes = event.encode().len();
        assert!(bytes <= limits::EVENT_BYTES_MAX, "{count} arguments of {argument} bytes make {bytes}");
    }
}

#[test]
fn urgent_prompts_stand_before_those_that_wait_for_a_turn() {
    use Delivery::{AfterTurn, Interrupt, Steer};
    for (waiting, new, place) in [
        (&[][..], AfterTurn, 0),
        (&[], Steer, 0),
        (&[AfterTurn, AfterTurn], AfterTurn, 2),
        (&[AfterTurn, AfterTurn], Steer, 0),
        (&[Steer, AfterTurn], Interrupt, 1),
        (&[Interrupt, Steer, AfterTurn], Steer, 2),
        (&[Steer, Interrupt], AfterTurn, 2),
        // Somebody moved an urgent one behind.
        (&[AfterTurn, Steer], Interrupt, 0),
        (&[AfterTurn, Steer], AfterTurn, 2),
    ] {
        assert_eq!(new.place(waiting.iter().copied()), place, "{new:?} among {waiting:?}");
    }
}
