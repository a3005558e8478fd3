use ropewalk_protocol::{Delivery, ItemKind, TurnOutcome, Usage, UsageScope, Used};

use super::{CheckpointError, Projections, VERSION};
use crate::story::{
    AGENT, OTHER_AGENT, SESSION, Story, ask, asked, ended, item_started, joined, queued, run_asked, started, turn,
};

/// A history in which every field of the state is other than at the beginning.
fn story() -> Story {
    let mut story = Story::of_a_ready_agent();
    story.agent(queued(1, Delivery::AfterTurn));
    story.agent(queued(2, Delivery::Steer));
    story.agent(queued(3, Delivery::AfterTurn));
    story.agent(started(1));
    story.agent(item_started(1, Some(turn(1)), ItemKind::Tool));
    let usage = Usage {
        scope: UsageScope::Turn,
        input_tokens: 30,
        cached_tokens: 20,
        output_tokens: 10,
        cost_micro_usd: Some(5),
        context_tokens: Some(300),
        context_tokens_max: Some(200_000),
    };
    story.agent(Used { turn: Some(turn(1)), usage });
    story.agent(ended(1, TurnOutcome::Failed { reason: "the model said 500".to_owned() }));
    story.agent(run_asked(2));
    story.ready();
    story.agent(started(2));
    story.agent(asked(1, Some(turn(2)), Vec::new()));
    story.agent(asked(2, None, Vec::new()));
    story.session(joined(OTHER_AGENT, 3, Some(queued(4, Delivery::Interrupt))));
    story
}

#[test]
fn a_checkpoint_holds_all_of_the_state_and_what_is_folded_on_it_is_the_same() {
    let story = story();
    let whole = &story.projections;
    assert!(whole.interactions().iter().map(|open| open.interaction).eq([ask(1), ask(2)]));
    for split in 0..=story.events.len() {
        let (before, after) = story.events.split_at(split);
        let mut projections = Projections::default();
        before.iter().for_each(|event| projections.apply(event));
        let mut taken_up = Projections::from_checkpoint(&projections.checkpoint()).expect("a checkpoint");
        assert_eq!(taken_up, projections, "after {split} events");
        assert_eq!(taken_up.digests(), projections.digests());
        after.iter().for_each(|event| taken_up.apply(event));
        assert_eq!(taken_up, *whole, "after {split} events and the others");
    }
    let now = story.now();
    let again = Projections::from_checkpoint(&whole.checkpoint()).expect("a checkpoint");
    assert_eq!(again.session(SESSION, now), whole.session(SESSION, now));
    let prompts = |projections: &Projections| {
        let agent = projections.agents().get(SESSION, AGENT).and_then(|agent| agent.structured.clone());
        agent.map(|agent| agent.prompts().to_vec())
    };
    assert_eq!(prompts(&again).map(|prompts| prompts.len()), Some(1));
    assert_eq!(prompts(&again), prompts(whole));
}

#[test]
fn a_checkpoint_of_another_version_is_refused_and_so_is_a_damaged_one() {
    let mut bytes = story().projections.checkpoint();
    bytes.truncate(bytes.len() - 32);
    // `u32 length | variant | version | …`: the header is the first record.
    assert_eq!(&bytes[4..6], [0, VERSION.to_le_bytes()[0]]);
    bytes[5] = 1;
    let hash = *blake3::hash(&bytes).as_bytes();
    bytes.extend_from_slice(&hash);
    assert_eq!(Projections::from_checkpoint(&bytes), Err(CheckpointError::Version(1)));
    bytes[4] ^= 1;
    assert_eq!(Projections::from_checkpoint(&bytes), Err(CheckpointError::Damaged));
}
