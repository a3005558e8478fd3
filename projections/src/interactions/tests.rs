use ropewalk_protocol::{AgentClosed, Answer, Answered, AskClosed, AskEnd, InteractionId, SessionDeleted, SessionId};

use crate::story::{AGENT, SESSION, Story, ask, asked, turn};

fn open(story: &Story) -> Vec<InteractionId> {
    story.projections.interactions().iter().map(|open| open.interaction).collect()
}

#[test]
fn a_question_is_open_until_it_is_answered_or_closed() {
    let mut story = Story::of_a_ready_agent();
    let seq = story.agent(asked(1, Some(turn(1)), Vec::new()));
    for number in 2..=4 {
        story.agent(asked(number, None, Vec::new()));
    }
    let first = story.projections.interactions().iter().next().unwrap();
    assert_eq!((first.session, first.agent, first.name.as_str()), (SESSION, AGENT, "reviewer-1"));
    assert_eq!((first.seq, first.turn), (seq, Some(turn(1))));
    story.agent(Answered { interaction: ask(2), answer: Answer::Allow { always: true }, input: 2 });
    story.agent(AskClosed { interaction: ask(1), reason: AskEnd::Cancelled, input: 0 });
    assert_eq!(open(&story), [ask(3), ask(4)]);
    let mut other = Story::default();
    std::mem::swap(&mut other.projections, &mut story.projections);
    other.events.clone_from(&story.events);
    other.agent(AgentClosed { reason: "asked to end".to_owned() });
    assert_eq!(open(&other), []);
}

#[test]
fn questions_of_a_deleted_session_are_gone() {
    let mut story = Story::of_a_ready_agent();
    story.agent(asked(1, None, Vec::new()));
    story.session(SessionDeleted {});
    assert_eq!(open(&story), []);
}

#[test]
fn questions_are_shown_in_pages_that_fit_into_a_frame() {
    let mut story = Story::of_a_ready_agent();
    for number in 1..=5 {
        let mut question = asked(number, None, Vec::new());
        question.detail = "d".repeat(10_000);
        story.agent(question);
    }
    let mut seen = Vec::new();
    loop {
        let (page, more) = story.projections.interactions().page(Some(SESSION), seen.last().copied(), 25_000);
        assert!(page.len() <= 2);
        seen.extend(page.iter().map(|open| open.interaction));
        if !more {
            break;
        }
    }
    assert_eq!(seen, [1, 2, 3, 4, 5].map(ask));
    let interactions = story.projections.interactions();
    assert_eq!(interactions.page(None, None, 1).0.len(), 1, "one that is too large is shown all the same");
    assert_eq!(interactions.page(Some(SessionId::from_bytes([9; 16])), None, 25_000), (Vec::new(), false));
}
