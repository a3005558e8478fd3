//! The mouse: the wheel scrolls what is under it, a click takes what is under it. A program that asked for the mouse has it.

use bytes::Bytes;
use ratatui::layout::{Position, Rect};
use ropewalk_projections::screen::{MouseEncoding, MouseTracking};

use crate::input::{Button, Mouse, MouseKind};

use super::event::Effect;
use super::overlay::Overlay;
use super::place::Target;
use super::state::{Focus, State};

/// Lines that a notch of the wheel scrolls.
const WHEEL_LINES: i64 = 3;

impl State {
    pub(super) fn mouse(&mut self, mouse: Mouse) {
        let at = Position::new(mouse.col, mouse.row);
        let layout = self.layout();
        if self.overlay.is_some() {
            return self.mouse_over(mouse);
        }
        if let Some(tree) = layout.tree.filter(|tree| tree.contains(at)) {
            return self.mouse_in_tree(mouse, tree);
        }
        let Some(pane) = layout.panes.iter().position(|pane| pane.whole.contains(at)) else {
            if layout.composer.contains(at) && is_press(mouse.kind) {
                self.focus = Focus::Composer;
            }
            return;
        };
        let body = layout.panes[pane].body;
        if self.focus == Focus::Program && pane == self.place.focused && self.mouse_to_program(mouse, body) {
            return;
        }
        match mouse.kind {
            MouseKind::ScrollUp | MouseKind::ScrollDown => {
                let before = std::mem::replace(&mut self.place.focused, pane);
                self.scroll(if mouse.kind == MouseKind::ScrollUp { -WHEEL_LINES } else { WHEEL_LINES });
                self.place.focused = before;
            }
            MouseKind::Press(Button::Left) => self.press(pane, body, at),
            _ => {}
        }
    }

    fn press(&mut self, pane: usize, body: Rect, at: Position) {
        if pane != self.place.focused {
            self.place.focused = pane;
            return self.show(self.target());
        }
        if matches!(self.target(), Target::Terminal(..)) {
            return self.enter_program();
        }
        let body = self.target().agent().map_or(body, |(_, agent)| crate::view::body_of(self, agent, body));
        let row = usize::from(at.y.saturating_sub(body.y));
        if let Some((talk, paper, height)) = self.reading()
            && body.contains(at)
        {
            let block = talk.page(paper, height).get(row).map(|(block, _)| *block);
            if block.is_some() && talk.selected == block {
                talk.turn_over();
            } else {
                talk.selected = block;
            }
            self.focus = Focus::Reading;
        }
    }

    fn mouse_in_tree(&mut self, mouse: Mouse, tree: Rect) {
        match mouse.kind {
            MouseKind::ScrollUp => drop(self.act_in_tree(super::action::Action::TreeUp)),
            MouseKind::ScrollDown => drop(self.act_in_tree(super::action::Action::TreeDown)),
            MouseKind::Press(Button::Left) => {
                let line = usize::from(mouse.row.saturating_sub(tree.y));
                if let Some(target) = crate::view::tree::target_at(self, tree, line) {
                    self.show(target);
                }
            }
            _ => {}
        }
    }

    fn mouse_over(&mut self, mouse: Mouse) {
        let step = match mouse.kind {
            MouseKind::ScrollUp => crate::input::Code::Up,
            MouseKind::ScrollDown => crate::input::Code::Down,
            _ => return,
        };
        let key = crate::input::Key::plain(step);
        match self.overlay {
            Some(Overlay::Help { .. } | Overlay::Pager { .. }) => (0..WHEEL_LINES).for_each(|_| self.pager_key(key)),
            Some(Overlay::Picker(_) | Overlay::Timeline(_) | Overlay::Search(_)) => self.list_key(key),
            Some(Overlay::Attention(_)) => self.attention_key(key),
            _ => {}
        }
    }

    /// Passes the mouse on to the program, if that asked for it: where it is is told within the program's screen.
    fn mouse_to_program(&mut self, mouse: Mouse, body: Rect) -> bool {
        let Target::Terminal(_, terminal) = self.target() else { return false };
        let Some(live) = self.lives.get(&terminal) else { return false };
        let modes = live.screen.modes();
        if modes.mouse == MouseTracking::Off || !body.contains(Position::new(mouse.col, mouse.row)) {
            return false;
        }
        let told = match (mouse.kind, modes.mouse) {
            (MouseKind::Move, MouseTracking::Motion)
            | (MouseKind::Press(_) | MouseKind::ScrollUp | MouseKind::ScrollDown, _) => true,
            (MouseKind::Release(_), tracking) => tracking != MouseTracking::Press,
            (MouseKind::Drag(_), tracking) => matches!(tracking, MouseTracking::Drag | MouseTracking::Motion),
            _ => false,
        };
        if told && modes.mouse_encoding == MouseEncoding::Sgr {
            let (column, row) = (mouse.col - body.x + 1, mouse.row - body.y + 1);
            let bytes = sgr(mouse, column, row);
            self.effects.push(Effect::Type(terminal, Bytes::from(bytes)));
        }
        true
    }
}

fn is_press(kind: MouseKind) -> bool {
    matches!(kind, MouseKind::Press(Button::Left))
}

/// The mouse in the encoding that programs ask for today.
fn sgr(mouse: Mouse, column: u16, row: u16) -> String {
    let button = |button: Button| match button {
        Button::Left => 0,
        Button::Middle => 1,
        Button::Right => 2,
        _ => 3,
    };
    let (code, last) = match mouse.kind {
        MouseKind::Press(pressed) => (button(pressed), 'M'),
        MouseKind::Release(released) => (button(released), 'm'),
        MouseKind::Drag(held) => (32 + button(held), 'M'),
        MouseKind::Move => (35, 'M'),
        MouseKind::ScrollUp => (64, 'M'),
        MouseKind::ScrollDown => (65, 'M'),
        _ => (3, 'M'),
    };
    let held = u16::from(mouse.shift) * 4 + u16::from(mouse.alt) * 8 + u16::from(mouse.ctrl) * 16;
    format!("\x1b[<{};{column};{row}{last}", code + held)
}
