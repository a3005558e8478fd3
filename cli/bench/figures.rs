//! Figures, and how they are printed.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::print;

/// One measured figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Figure {
    bench: Cow<'static, str>,
    what: String,
    unit: Cow<'static, str>,
    measured: f64,
    /// What the machine does without the product; `None` where nothing is a limit.
    limit: Option<f64>,
    /// `measured / limit`.
    ratio: Option<f64>,
    goal: Option<Cow<'static, str>>,
}

impl Figure {
    pub(super) fn new(bench: &'static str, what: impl Into<String>, unit: &'static str, measured: f64) -> Self {
        let (bench, unit) = (Cow::Borrowed(bench), Cow::Borrowed(unit));
        Self { bench, what: what.into(), unit, measured, limit: None, ratio: None, goal: None }
    }

    /// Beside what the machine can do.
    #[must_use]
    pub(super) fn beside(mut self, limit: f64) -> Self {
        self.limit = Some(limit);
        self.ratio = (limit > 0.0).then_some(self.measured / limit);
        self
    }

    /// What it should be.
    #[must_use]
    pub(super) fn goal(mut self, goal: &'static str) -> Self {
        self.goal = Some(Cow::Borrowed(goal));
        self
    }

    fn cells(&self) -> Vec<String> {
        let number = |value: f64| format!("{} {}", digits(value), self.unit);
        vec![
            self.bench.clone().into_owned(),
            self.what.clone(),
            number(self.measured),
            self.limit.map_or_else(|| "-".to_owned(), number),
            self.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}x")),
            self.goal.as_deref().unwrap_or("-").to_owned(),
        ]
    }
}

/// Everything that one run measured.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    /// Less work was done: the figures are rough.
    pub(super) quick: bool,
    pub(super) figures: Vec<Figure>,
}

impl Report {
    pub(super) fn table(&self) -> String {
        let head = ["bench", "what", "measured", "limit", "ratio", "goal"].map(str::to_owned).to_vec();
        let rows: Vec<Vec<String>> = [head].into_iter().chain(self.figures.iter().map(Figure::cells)).collect();
        print::table(&rows)
    }
}

/// Three significant digits or all whole ones, in groups of three.
fn digits(value: f64) -> String {
    let decimals = match value.abs() {
        below if below >= 100.0 => 0,
        below if below >= 10.0 => 1,
        below if below >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        let left = whole.len() - place;
        if place > 0 && left % 3 == 0 && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits_and_are_grouped() {
        let shown = [0.0123, 1.234, 12.34, 123.4, 1234.5, 1_234_567.0, -123.0].map(digits);
        assert_eq!(shown, ["0.012", "1.23", "12.3", "123", "1,234", "1,234,567", "-123"]);
    }

    #[test]
    fn a_limit_of_nothing_has_no_ratio() {
        let cells = Figure::new("idle", "wake-ups", "/s", 1.5).beside(0.0).cells();
        assert_eq!(cells, ["idle", "wake-ups", "1.50 /s", "0.000 /s", "-", "-"]);
    }
}
