//! A style for each role, and the signs that stand for how something went.
//!
//! Colours are the sixteen of the terminal and its own fore- and background, so that the user's palette rules; only what
//! is selected has a grey of its own. Nothing is told by colour alone: every state has a sign or a word too.

use ratatui::style::{Color, Modifier, Style};

/// How everything looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theme {
    /// What agents say.
    pub text: Style,
    /// What is beside the point.
    pub faint: Style,
    /// A heading.
    pub heading: Style,
    /// What is said with weight.
    pub strong: Style,
    /// What is said with emphasis.
    pub emphasis: Style,
    /// Code, inline and in blocks.
    pub code: Style,
    /// Words that lead somewhere.
    pub link: Style,
    /// What people said.
    pub prompt: Style,
    /// What agents think.
    pub thinking: Style,
    /// What a tool is called with.
    pub tool: Style,
    /// A line that came.
    pub added: Style,
    /// A line that went.
    pub removed: Style,
    /// Where a hunk of a difference begins.
    pub hunk: Style,
    /// What went wrong.
    pub error: Style,
    /// What may go wrong.
    pub warning: Style,
    /// What went well.
    pub ok: Style,
    /// What waits for somebody.
    pub waiting: Style,
    /// What is going on now.
    pub running: Style,
    /// What is to be seen first.
    pub accent: Style,
    /// What is selected; over the style that is there.
    pub selected: Style,
    /// A border.
    pub border: Style,
    /// The border of what the keys go to.
    pub border_focused: Style,
    /// What is spent of a budget, or used of a context.
    pub gauge: Style,
    /// What is left of it.
    pub gauge_rest: Style,
    /// Characters that would not be seen, made visible.
    pub escaped: Style,
    /// The signs.
    pub glyphs: Glyphs,
}

/// Signs of one cell each, but for `more`. None is of a width that terminals disagree about, but for lines, which they
/// draw borders with too, and the ellipsis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glyphs {
    /// It goes on.
    pub running: &'static str,
    /// It went well.
    pub ok: &'static str,
    /// It failed.
    pub failed: &'static str,
    /// It was not allowed.
    pub declined: &'static str,
    /// It was cancelled.
    pub cancelled: &'static str,
    /// Nobody knows how it went.
    pub orphaned: &'static str,
    /// It is not begun.
    pub open: &'static str,
    /// Something is asked.
    pub question: &'static str,
    /// Something may be wrong.
    pub warning: &'static str,
    /// Something is folded.
    pub folded: &'static str,
    /// Something is unfolded.
    pub unfolded: &'static str,
    /// There is more than is shown.
    pub more: &'static str,
    /// A horizontal line, to be repeated.
    pub rule: &'static str,
    /// A vertical line.
    pub bar: &'static str,
    /// Where both meet.
    pub cross: &'static str,
}

const DRAWN: Glyphs = Glyphs {
    running: "⋯",
    ok: "✓",
    failed: "✗",
    declined: "⊘",
    cancelled: "◌",
    orphaned: "?",
    open: "☐",
    question: "?",
    warning: "!",
    folded: "▸",
    unfolded: "▾",
    more: "…",
    rule: "─",
    bar: "│",
    cross: "┼",
};

const ASCII: Glyphs = Glyphs {
    running: "*",
    ok: "+",
    failed: "x",
    declined: "-",
    cancelled: "/",
    orphaned: "?",
    open: ".",
    question: "?",
    warning: "!",
    folded: ">",
    unfolded: "v",
    more: "...",
    rule: "-",
    bar: "|",
    cross: "+",
};

impl Theme {
    /// For a dark background.
    pub const fn dark() -> Self {
        Self::coloured(Colours { yellow: Color::Yellow, cyan: Color::Cyan, selected: Color::Indexed(238) })
    }

    /// For a light background, on which yellow and cyan are hard to read.
    pub const fn light() -> Self {
        Self::coloured(Colours { yellow: Color::Magenta, cyan: Color::Blue, selected: Color::Indexed(253) })
    }

    /// Without any colour, in ASCII.
    pub const fn plain() -> Self {
        let (none, bold) = (Style::new(), Style::new().add_modifier(Modifier::BOLD));
        let dim = Style::new().add_modifier(Modifier::DIM);
        let underlined = Style::new().add_modifier(Modifier::UNDERLINED);
        let reversed = Style::new().add_modifier(Modifier::REVERSED);
        Self {
            text: none,
            faint: dim,
            heading: bold,
            strong: bold,
            emphasis: underlined,
            code: none,
            link: underlined,
            prompt: bold,
            thinking: dim,
            tool: none,
            added: bold,
            removed: dim,
            hunk: underlined,
            error: bold,
            warning: bold,
            ok: none,
            waiting: reversed,
            running: bold,
            accent: bold,
            selected: reversed,
            border: dim,
            border_focused: bold,
            gauge: reversed,
            gauge_rest: dim,
            escaped: reversed,
            glyphs: ASCII,
        }
    }

    const fn coloured(colours: Colours) -> Self {
        let faint = Style::new().add_modifier(Modifier::DIM);
        Self {
            text: Style::new(),
            faint,
            heading: Style::new().add_modifier(Modifier::BOLD),
            strong: Style::new().add_modifier(Modifier::BOLD),
            emphasis: Style::new().add_modifier(Modifier::ITALIC),
            code: Style::new().fg(colours.cyan),
            link: Style::new().fg(Color::Blue).add_modifier(Modifier::UNDERLINED),
            prompt: Style::new().add_modifier(Modifier::BOLD),
            thinking: faint.add_modifier(Modifier::ITALIC),
            tool: Style::new(),
            added: Style::new().fg(Color::Green),
            removed: Style::new().fg(Color::Red),
            hunk: Style::new().fg(colours.cyan),
            error: Style::new().fg(Color::Red),
            warning: Style::new().fg(colours.yellow),
            ok: Style::new().fg(Color::Green),
            waiting: Style::new().fg(colours.yellow).add_modifier(Modifier::BOLD),
            running: Style::new().fg(colours.cyan),
            accent: Style::new().fg(colours.cyan).add_modifier(Modifier::BOLD),
            selected: Style::new().bg(colours.selected),
            border: faint,
            border_focused: Style::new().fg(colours.cyan),
            gauge: Style::new().fg(Color::Green),
            gauge_rest: faint,
            escaped: Style::new().fg(Color::Red).add_modifier(Modifier::REVERSED),
            glyphs: DRAWN,
        }
    }

    /// Every style, for what holds for all of them.
    #[cfg(test)]
    fn styles(&self) -> Vec<Style> {
        let Self { text, faint, heading, strong, emphasis, code, link, prompt, thinking, tool, .. } = *self;
        let Self { added, removed, hunk, error, warning, ok, waiting, running, accent, selected, .. } = *self;
        let Self { border, border_focused, gauge, gauge_rest, escaped, .. } = *self;
        let said = [text, faint, heading, strong, emphasis, code, link, prompt, thinking, tool];
        let done = [added, removed, hunk, error, warning, ok, waiting, running, accent, selected];
        said.into_iter().chain(done).chain([border, border_focused, gauge, gauge_rest, escaped]).collect()
    }
}

/// What differs between a dark and a light background.
struct Colours {
    yellow: Color,
    cyan: Color,
    selected: Color,
}

impl Glyphs {
    #[cfg(test)]
    fn all(&self) -> [&'static str; 15] {
        let Self { running, ok, failed, declined, cancelled, orphaned, open, question, .. } = *self;
        let Self { warning, folded, unfolded, more, rule, bar, cross, .. } = *self;
        let how = [running, ok, failed, declined, cancelled, orphaned, open, question];
        let [a, b, c, d, e, f, g, h] = how;
        [a, b, c, d, e, f, g, h, warning, folded, unfolded, more, rule, bar, cross]
    }
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::*;

    #[test]
    fn the_users_palette_rules() {
        for theme in [Theme::dark(), Theme::light()] {
            for style in theme.styles() {
                for colour in [style.fg, style.bg].into_iter().flatten() {
                    let is_grey = matches!(colour, Color::Indexed(232..=255));
                    assert!(is_grey || !matches!(colour, Color::Indexed(_) | Color::Rgb(..)), "{colour:?}");
                    // They are one of the two backgrounds, or next to it.
                    assert!(!matches!(colour, Color::White | Color::Black | Color::Gray | Color::DarkGray));
                }
            }
            assert_eq!(theme.text, Style::new(), "what is read most is as the user's terminal has it");
        }
        assert!(Theme::light().styles().iter().all(|style| style.fg != Some(Color::Yellow)));
    }

    #[test]
    fn plain_has_no_colour_and_only_what_every_terminal_shows() {
        let plain = Theme::plain();
        let known = Modifier::BOLD | Modifier::DIM | Modifier::REVERSED | Modifier::UNDERLINED;
        for style in plain.styles() {
            assert_eq!((style.fg, style.bg), (None, None));
            assert!(known.contains(style.add_modifier), "{style:?}");
        }
        assert!(plain.glyphs.all().iter().all(|glyph| glyph.is_ascii()));
    }

    #[test]
    fn signs_are_one_cell_wide_and_tell_states_apart() {
        for glyphs in [DRAWN, ASCII] {
            assert!(glyphs.all().iter().all(|glyph| glyph.width() == 1 || *glyph == glyphs.more));
            let states = [glyphs.running, glyphs.ok, glyphs.failed, glyphs.declined, glyphs.cancelled, glyphs.orphaned];
            for (at, state) in states.iter().enumerate() {
                assert!(!states[..at].contains(state), "{state} twice");
            }
        }
        for theme in [Theme::dark(), Theme::light(), Theme::plain()] {
            assert_ne!(theme.added, theme.removed);
            assert_ne!(theme.border, theme.border_focused);
        }
    }
}
