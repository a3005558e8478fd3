//! A session that is about to be started.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::action::Action;
use crate::app::state::State;
use crate::text::units;
use crate::text::wrap::{Indent, wrap};

use super::put;

pub(super) fn draw(buffer: &mut Buffer, state: &State, area: Rect) {
    let theme = &state.theme;
    let width = area.width.saturating_sub(2);
    let directory =
        units::path(&state.directory, state.home.as_deref(), usize::from(width).saturating_sub(4), theme.glyphs.more);
    let sentence = |text: String, style| wrap(&[Span::styled(text, style)], width, &Indent::default());
    let mut lines = vec![Line::default()];
    lines.extend(sentence(
        format!("Say what is to be done in {directory}, and press {}.", state.key_of(Action::Send)),
        theme.strong,
    ));
    lines.extend(sentence(
        "An agent works on it. It goes on when you leave, and is here when you come back.".to_owned(),
        theme.text,
    ));
    lines.push(Line::default());
    for (at, provider) in state.providers.iter().enumerate() {
        let is_chosen = at == state.provider;
        let mark = if is_chosen { ">" } else { " " };
        let style = match (is_chosen, &provider.missing) {
            (true, None) => theme.accent,
            (_, Some(_)) => theme.faint,
            (false, None) => theme.text,
        };
        let note = provider
            .missing
            .clone()
            .or(provider.note.clone())
            .map(|missing| format!("  {missing}"))
            .unwrap_or_default();
        lines.push(Line::from(vec![
            Span::styled(format!("{mark} {}", provider.label), style),
            Span::styled(note, theme.faint),
        ]));
    }
    if state.providers.iter().all(|provider| provider.missing.is_some()) {
        lines.push(Line::default());
        lines.extend(sentence(
            "No agent was found. Install one of these; `:doctor` says more. Programs can be run: `:run -- htop`."
                .to_owned(),
            theme.warning,
        ));
    } else if state.providers.len() > 1 {
        lines.push(Line::default());
        lines.extend(sentence(
            format!(
                "{}: another agent.  {}: explains.  {}: everything there is to do.",
                state.key_of(Action::Enqueue),
                "?",
                state.key_of(Action::Palette)
            ),
            theme.faint,
        ));
    }
    for (line, y) in lines.iter().zip(area.top()..area.bottom()) {
        put(buffer, Rect { x: area.x + 1, y, width, height: 1 }, line);
    }
}
