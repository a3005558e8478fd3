//! No word that was typed for somebody is lost, whatever happens: keys, a cut line, refusals, somebody who is faster, the end of
//! the client. It is a draft, or in the history, or the daemon has it, or it is on its way there.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::Config;
use ropewalk_protocol::{Answer, Code, Delivery, InteractionId, Rejection, Size};
use ropewalk_tui::app::overlay::{Ask, Overlay, Purpose};
use ropewalk_tui::app::state::State;

use crate::stage::Stage;
use crate::tales;
use crate::world::{Who, World};

#[derive(Debug, Clone)]
enum Step {
    /// A word that is typed nowhere else.
    Word,
    Keys(&'static str),
    Refuse,
    Cut,
    Back,
    Restart,
    Later,
    Happens(Happening),
}

#[derive(Debug, Clone, Copy)]
enum Happening {
    Asks,
    AsksFor,
    AnsweredByAnother,
    Expires,
    Ends,
    Queued,
    Starts,
}

/// Keys that take no text away by themselves.
const KEYS: &[&str] = &[
    "enter",
    "tab",
    "esc",
    "up",
    "down",
    "ctrl+x p e",
    "alt+w",
    "alt+y",
    "alt+n",
    "ctrl+c",
    "ctrl+g",
    "ctrl+r",
    "ctrl+s",
    "ctrl+x p",
    "ctrl+x n",
    "alt+down",
    "alt+up",
    "ctrl+x l",
    "e",
    "i",
    "d",
    "n",
    "j",
    "1",
];

fn step() -> impl Strategy<Value = Step> {
    use Happening::{AnsweredByAnother, Asks, AsksFor, Ends, Expires, Queued, Starts};
    let happenings = vec![Asks, AsksFor, AnsweredByAnother, Expires, Ends, Queued, Starts];
    prop_oneof![
        6 => Just(Step::Word),
        10 => proptest::sample::select(KEYS).prop_map(Step::Keys),
        2 => Just(Step::Refuse),
        1 => Just(Step::Cut),
        1 => Just(Step::Back),
        1 => Just(Step::Restart),
        3 => Just(Step::Later),
        5 => proptest::sample::select(happenings).prop_map(Step::Happens),
    ]
}

/// What is being typed for somebody.
fn typed(state: &State) -> String {
    let editor = match &state.overlay {
        Some(Overlay::Attention(attention)) => attention.answer.as_ref(),
        Some(Overlay::Line(Ask { purpose: Purpose::Deny(_), editor, .. })) => Some(editor),
        Some(Overlay::Queue(queue)) => queue.editor.as_ref(),
        Some(_) => None,
        None => return state.composer().map(|composer| composer.text()).unwrap_or_default(),
    };
    editor.map(|editor| editor.text()).unwrap_or_default()
}

struct Story {
    stage: Stage,
    who: Who,
    asked: Vec<InteractionId>,
}

impl Story {
    fn new() -> Self {
        let (world, who) = tales::at_work_beside(&[("other", "Hello.", "Hello.")]);
        let stage = Stage::open(Size { cols: 100, rows: 30 }, world);
        Self { stage, who, asked: Vec::new() }
    }

    fn happens(&mut self, what: Happening) {
        let (world, who): (&mut World, Who) = (&mut self.stage.world, self.who);
        let has_turn = world.turn(who).is_some();
        let open = self.asked.iter().copied().find(|asked| world.is_open(*asked));
        match (what, open) {
            (Happening::Asks, _) if has_turn => self.asked.push(world.asks_to(who, "Bash", r#"{"command":"make"}"#)),
            (Happening::AsksFor, _) if has_turn => self.asked.push(world.asks_for(who, "Which name?")),
            (Happening::AnsweredByAnother, Some(asked)) => {
                world.answered_by("phone", who, asked, Answer::Deny { reason: None });
            }
            (Happening::Expires, Some(asked)) => world.expires(who, asked),
            (Happening::Ends, None) if has_turn => world.ends(who),
            (Happening::Queued, _) if has_turn => {
                world.queued(who, "said by another", Delivery::AfterTurn, "phone");
            }
            (Happening::Starts, _) if !has_turn => match world.first_waiting(who) {
                Some(prompt) => _ = world.starts(who, prompt),
                None => _ = world.prompt(who, "said by another"),
            },
            _ => {}
        }
        self.stage.goes_on();
    }

    fn step(mut self, step: &Step, owed: &mut BTreeSet<String>, number: usize) -> Self {
        match step {
            Step::Word => {
                let word = format!("word{number}x");
                self.stage.types(&format!("{word} "));
                if typed(self.stage.state()).contains(&word) {
                    owed.insert(word);
                }
            }
            Step::Keys(keys) => self.stage.press(keys),
            Step::Refuse => self.stage.world.refuses = Some(Rejection::new(Code::Busy, "too many commands wait")),
            Step::Cut => self.stage.is_cut(),
            Step::Back => self.stage.is_back(),
            Step::Restart => self.stage = self.stage.restarts(),
            Step::Later => self.stage.later(700),
            Step::Happens(what) => self.happens(*what),
        }
        self
    }

    /// Words that are nowhere.
    fn lost(&self, owed: &BTreeSet<String>) -> Vec<String> {
        let kept = format!("{:?} {:?} {}", self.stage.kept.drafts, self.stage.kept.sent, self.stage.world.told());
        let on_their_way = self.stage.on_their_way();
        owed.iter()
            .filter(|word| !kept.contains(word.as_str()) && !on_their_way.contains(word.as_str()))
            .cloned()
            .collect()
    }
}

proptest! {
    #![proptest_config(Config { cases: 250, failure_persistence: None, max_shrink_iters: 5_000, ..Config::default() })]

    #[test]
    fn no_word_is_lost(steps in proptest::collection::vec(step(), 1..50)) {
        let (mut story, mut owed) = (Story::new(), BTreeSet::new());
        for (number, step) in steps.iter().enumerate() {
            story = story.step(step, &mut owed, number);
            prop_assert_eq!(story.lost(&owed), Vec::<String>::new(), "after {:?}", step);
        }
        // The line is there again, and another client begins.
        story.stage.is_back();
        story.stage = story.stage.restarts();
        prop_assert_eq!(story.lost(&owed), Vec::<String>::new());
    }
}
