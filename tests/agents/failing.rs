//! The model fails the agents' own programs: with an error of its server, with a stream that is cut, with too many requests.

use ropewalk_protocol::{AgentState, NoticeKind, TurnOutcome};

use super::driven::Driven;
use super::drivers::{CLAUDE, CODEX, Driver, GEMINI, OPENCODE};
use crate::harness::{Home, block_on};
use crate::model::{Model, Outcome, Request};

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    Error,
    Cut,
    Limit,
}

impl Trouble {
    const ALL: [Trouble; 3] = [Trouble::Error, Trouble::Cut, Trouble::Limit];

    /// The next answer fails, and no other.
    fn once(self, model: &Model) {
        match self {
            Trouble::Error => model.fail_next(500, &[]),
            Trouble::Cut => model.cut_next(),
            Trouble::Limit => model.fail_next(429, &[("retry-after", "1")]),
        }
    }

    /// The directive that has every answer fail.
    fn always(self) -> &'static str {
        match self {
            Trouble::Error => "[[err 500]]",
            Trouble::Cut => "[[drop]]",
            Trouble::Limit => "[[err 429]]",
        }
    }

    fn outcome(self) -> Outcome {
        match self {
            Trouble::Error => Outcome::Refused(500),
            Trouble::Cut => Outcome::Broken,
            Trouble::Limit => Outcome::Refused(429),
        }
    }

    fn notice(self) -> NoticeKind {
        match self {
            Trouble::Error | Trouble::Cut => NoticeKind::Retry,
            Trouble::Limit => NoticeKind::RateLimited,
        }
    }
}

/// What becomes of a turn whose model goes on failing.
#[derive(Debug, Clone, Copy)]
enum End {
    /// The agent gives up, after as many retries as its home allows.
    Fails,
    /// It asks for the answer in one piece, and gets it.
    Completes,
    /// It asks again and again, until somebody cancels.
    Lasts,
}

/// What a program does about each trouble.
struct Habits {
    driver: &'static Driver,
    ends: [End; 3],
    /// It tells of a retry after a single failure.
    tells: [bool; 3],
}

const CLAUDES: Habits =
    Habits { driver: &CLAUDE, ends: [End::Fails, End::Completes, End::Fails], tells: [true, true, true] };
/// It asks again after an error at once, and tells only when that was in vain.
const CODEXES: Habits =
    Habits { driver: &CODEX, ends: [End::Fails, End::Fails, End::Fails], tells: [false, true, true] };
const OPENCODES: Habits =
    Habits { driver: &OPENCODE, ends: [End::Lasts, End::Lasts, End::Lasts], tells: [true, true, true] };
/// It asks again in silence: nothing marks the end of what was cut.
const GEMINIS: Habits =
    Habits { driver: &GEMINI, ends: [End::Lasts, End::Fails, End::Lasts], tells: [false, false, false] };

/// Each trouble comes to stay, and then comes once: the turn settles as what it was, and the next one is as any other.
fn endures(habits: &Habits) {
    let model = Model::start();
    let Some(agent) = habits.driver.home(&model) else { return };
    let home = Home::started();
    block_on(async {
        let mut driven = Driven::start(&home, habits.driver.spec(&agent)).await;
        for (trouble, (end, tells)) in Trouble::ALL.into_iter().zip(habits.ends.into_iter().zip(habits.tells)) {
            stays(&mut driven, &model, trouble, end, habits.tells.contains(&true)).await;
            let asked = model.turns(trouble.always()).len();
            passes(&mut driven, &model, trouble, tells).await;
            assert_eq!(model.turns(trouble.always()).len(), asked, "{trouble:?}: what is over is not asked again");
        }
        driven.is_settled();
        driven.end().await;
        driven.event("session.ended", 0).await;
    });
}

/// A turn whose model goes on failing.
async fn stays(driven: &mut Driven, model: &Model, trouble: Trouble, end: End, tells: bool) {
    let told = driven.count("agent.noticed");
    let prompt = driven.prompt(&format!("{} it stays", trouble.always())).await;
    let is_refused =
        |request: &Request| request.prompt.starts_with(trouble.always()) && request.outcome == trouble.outcome();
    model.wait_for(|requests| requests.iter().any(is_refused)).await;
    if let End::Lasts = end {
        if tells {
            driven.event("agent.noticed", told).await;
        }
        driven.cancel().await;
    }
    let outcome = driven.outcome(prompt).await;
    let is_as_expected = match end {
        End::Fails => matches!(outcome, TurnOutcome::Failed { .. }),
        End::Completes => outcome == TurnOutcome::Completed,
        End::Lasts => outcome == TurnOutcome::Cancelled,
    };
    assert!(is_as_expected, "{trouble:?}: {outcome:?}\n{}", driven.story());
    let has_notice = driven.notices(prompt).contains(&trouble.notice());
    assert_eq!(has_notice, tells, "{trouble:?}\n{}", driven.story());
    if let (Trouble::Limit, End::Fails) = (trouble, end) {
        // It would be given the next prompt when the limit may be over.
        driven.is(AgentState::Parked).await;
        driven.release().await;
        driven.is(AgentState::Idle).await;
    }
}

/// A turn whose model fails once.
async fn passes(driven: &mut Driven, model: &Model, trouble: Trouble, tells: bool) {
    trouble.once(model);
    let text = format!("[[plain It goes well.]] {trouble:?} passes");
    let prompt = driven.prompt(&text).await;
    assert_eq!(driven.outcome(prompt).await, TurnOutcome::Completed, "{}", driven.story());
    let outcomes: Vec<Outcome> = model.turns(&text).iter().map(|turn| turn.outcome).collect();
    assert_eq!(outcomes, [trouble.outcome(), Outcome::Answered], "{trouble:?}: it is asked once again");
    let said = driven.finished(prompt);
    assert!(said.ends_with("It goes well."), "{said:?}\n{}", driven.story());
    if tells {
        assert!(driven.notices(prompt).contains(&trouble.notice()), "{trouble:?}\n{}", driven.story());
        assert_eq!(said, "It goes well.", "what was cut is not what was said: {}", driven.story());
    }
}

#[test]
fn claude_endures_a_model_that_fails() {
    endures(&CLAUDES);
}

#[test]
fn codex_endures_a_model_that_fails() {
    endures(&CODEXES);
}

#[test]
fn opencode_endures_a_model_that_fails() {
    endures(&OPENCODES);
}

#[test]
fn gemini_endures_a_model_that_fails() {
    endures(&GEMINIS);
}
