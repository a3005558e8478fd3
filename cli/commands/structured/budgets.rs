//! `ropewalk budget`.

use ropewalk_protocol::{
    Budget, BudgetOwner, BudgetScope, Command as Change, Measure, PolicyView, Query, QueryResult, SessionId, Spent,
};
use ropewalk_transport::client::Client;
use serde::Serialize;

use super::super::{Context, find};
use super::reference::find_agent;
use super::{change, unexpected};
use crate::exit::{Failure, OK};
use crate::print;

/// Whose budget, what may be spent, and what is.
#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    of: BudgetOwner,
    budget: Budget,
    spent: Spent,
}

pub(super) async fn budget(
    context: &Context,
    reference: Option<&str>,
    budget: Budget,
    clear: bool,
) -> Result<u8, Failure> {
    let client = context.client().await?;
    let line = match reference {
        None => of_day(&client).await?,
        Some(reference) if reference.contains('/') => {
            let found = find_agent(&client, reference).await?;
            let (session, agent) = (found.session.session, found.agent.agent);
            let view = found.agent.structured.ok_or_else(unexpected)?;
            Line { of: BudgetOwner::Agent { session, agent }, budget: view.budget, spent: view.spent }
        }
        Some(reference) => of_session(&client, find(&client, reference).await?.session).await?,
    };
    if !budget.is_open() || clear {
        let budget = if clear { budget } else { over(line.budget, budget) };
        let answer = change(&client, Change::BudgetSet { of: line.of, budget }).await?;
        return if context.json {
            print::json(&answer)?;
            Ok(OK)
        } else {
            show(&Line { budget, ..line });
            Ok(OK)
        };
    }
    if context.json {
        print::json(&line)?
    } else {
        show(&line)
    }
    Ok(OK)
}

/// The bounds that hold, where others are not named.
fn over(known: Budget, named: Budget) -> Budget {
    Budget {
        cost_micro_usd: named.cost_micro_usd.or(known.cost_micro_usd),
        tokens: named.tokens.or(known.tokens),
        turns: named.turns.or(known.turns),
        time_millis: named.time_millis.or(known.time_millis),
    }
}

/// Budgets and rules, with those of a session if one is named.
pub(super) async fn policy(client: &Client, session: Option<SessionId>) -> Result<PolicyView, Failure> {
    match client.query(Query::PolicyGet { session }).await?.result {
        QueryResult::Policy { policy } => Ok(*policy),
        _ => Err(unexpected()),
    }
}

async fn of_day(client: &Client) -> Result<Line, Failure> {
    let day = policy(client, None).await?.day;
    Ok(Line { of: BudgetOwner::Day {}, budget: day.budget, spent: day.spent })
}

async fn of_session(client: &Client, session: SessionId) -> Result<Line, Failure> {
    let policy = policy(client, Some(session)).await?;
    Ok(Line { of: BudgetOwner::Session { session }, budget: policy.budget, spent: policy.spent })
}

fn show(line: &Line) {
    let Line { of, budget, spent } = line;
    let scope = match of {
        BudgetOwner::Agent { .. } => BudgetScope::Agent,
        BudgetOwner::Session { .. } => BudgetScope::Session,
        BudgetOwner::Day {} => BudgetScope::Day,
    };
    let uses: Vec<_> = budget.uses(scope, *spent).collect();
    let bound = |measure: Measure| uses.iter().find(|used| used.measure == measure);
    let header = ["MEASURE", "SPENT", "OF", "PERCENT"].map(str::to_owned).to_vec();
    let dollars = |micros: u64| format!("${:.4}", micros as f64 / 1e6);
    let seconds = |millis: u64| format!("{} s", millis / 1000);
    let rows = [
        ("cost", Measure::Cost, spent.cost_micro_usd, &dollars as &dyn Fn(u64) -> String),
        ("tokens", Measure::Tokens, spent.tokens, &|tokens| tokens.to_string()),
        ("turns", Measure::Turns, spent.turns, &|turns| turns.to_string()),
        ("time", Measure::Time, spent.time_millis, &seconds),
    ];
    let rows = rows.into_iter().map(|(name, measure, spent, told)| {
        let used = bound(measure);
        let limit = used.map_or("-".to_owned(), |used| told(used.limit));
        let percent = used.map_or("-".to_owned(), |used| {
            if used.limit == 0 {
                "100".to_owned()
            } else {
                (u128::from(spent) * 100 / u128::from(used.limit)).to_string()
            }
        });
        vec![name.to_owned(), told(spent), limit, percent]
    });
    let rows: Vec<Vec<String>> = [header].into_iter().chain(rows).collect();
    print::bytes(print::table(&rows).as_bytes());
}
