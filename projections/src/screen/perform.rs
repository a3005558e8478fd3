//! What control characters and escape sequences do. Queries are ignored: the model never answers.

use vte::{Params, Perform};

use super::grid::Charset;
use super::model::Model;
use super::modes::{Modes, MouseEncoding, MouseTracking};
use super::sgr;

impl Perform for Model {
    fn execute(&mut self, byte: u8) {
        self.control(byte);
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], ignore: bool, byte: u8) {
        self.printed = None;
        match (intermediates, byte) {
            _ if ignore => {}
            ([], b'7') => self.save_cursor(),
            ([], b'8') => self.restore_cursor(),
            ([], b'D') => self.index(),
            ([], b'E') => {
                self.index();
                self.cursor.col = 0;
            }
            ([], b'H') => self.set_tab(),
            ([], b'M') => self.reverse_index(),
            ([], b'c') => self.reset(),
            ([], b'=') => self.modes.application_keypad = true,
            ([], b'>') => self.modes.application_keypad = false,
            ([b'#'], b'8') => self.align(),
            ([b'('], _) => self.cursor.charsets[0] = charset(byte),
            ([b')'], _) => self.cursor.charsets[1] = charset(byte),
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        if ignore {
            self.printed = None;
        } else if (intermediates, action) == (&[], 'b') {
            self.repeat(count(params));
        } else {
            self.printed = None;
            match intermediates {
                [] => self.control_sequence(params, action),
                b"?" => self.private_sequence(params, action),
                _ => self.other_sequence(params, intermediates, action),
            }
        }
    }

    fn osc_dispatch(&mut self, params: &[&[u8]], _bell_terminated: bool) {
        self.printed = None;
        if let [b"0" | b"2", title @ ..] = params {
            self.set_title(&title.join(&b';'));
        }
    }
}

impl Model {
    /// A C0 control, by itself or in the middle of a sequence.
    pub(super) fn control(&mut self, byte: u8) {
        self.printed = None;
        match byte {
            0x08 => self.move_to_col(self.col().saturating_sub(1)),
            b'\t' => self.tab(1),
            b'\n' | 0x0b | 0x0c => {
                self.index();
                if self.modes.newline {
                    self.cursor.col = 0;
                }
            }
            b'\r' => self.move_to_col(0),
            0x0e => self.cursor.shifted = true,
            0x0f => self.cursor.shifted = false,
            _ => {}
        }
    }

    fn control_sequence(&mut self, params: &Params, action: char) {
        let count = count(params);
        match action {
            'A' | 'k' => self.move_rows(false, count),
            'B' | 'e' => self.move_rows(true, count),
            'C' | 'a' => self.move_to_col(self.col() + count),
            'D' | 'j' => self.move_to_col(self.col().saturating_sub(count)),
            'E' | 'F' => {
                self.move_rows(action == 'E', count);
                self.cursor.col = 0;
            }
            'G' | '`' => self.move_to_col(count - 1),
            'd' => self.go_to(count - 1, self.col()),
            'H' | 'f' => self.go_to(count - 1, usize::from(param(params, 1).max(1)) - 1),
            'I' => self.tab(count),
            'Z' => self.tab_back(count),
            'J' => self.erase_display(param(params, 0)),
            'K' => self.erase_line(param(params, 0)),
            'X' => self.erase_chars(count),
            '@' => self.insert_chars(count),
            'P' => self.delete_chars(count),
            'L' => self.shift_lines(true, count),
            'M' => self.shift_lines(false, count),
            // With five parameters, `T` begins highlight tracking.
            'T' if params.iter().count() > 1 => {}
            'S' | 'T' | '^' => {
                self.cursor.wraps = false;
                if action == 'S' { self.scroll_up(count) } else { self.scroll_down(count) }
            }
            'g' => self.clear_tabs(param(params, 0)),
            'h' | 'l' => self.set_ansi_modes(params, action == 'h'),
            'm' => sgr::apply(&mut self.cursor.pen, params),
            'r' => self.set_region(usize::from(param(params, 0)), usize::from(param(params, 1))),
            's' => self.save_cursor(),
            'u' => self.restore_cursor(),
            _ => {}
        }
    }

    fn private_sequence(&mut self, params: &Params, action: char) {
        match action {
            'J' if param(params, 0) < 3 => self.erase_display(param(params, 0)),
            'K' => self.erase_line(param(params, 0)),
            'h' | 'l' => params.iter().for_each(|mode| self.set_private_mode(mode[0], action == 'h')),
            _ => {}
        }
    }

    fn other_sequence(&mut self, params: &Params, intermediates: &[u8], action: char) {
        let first = param(params, 0);
        match (intermediates, action) {
            (b"!", 'p') => self.soft_reset(),
            (b" ", 'q') if first <= 6 => self.modes.cursor_style = first.to_le_bytes()[0],
            (b">", 'm') if matches!(first, 0 | 4) => {
                self.modes.modify_other_keys = param(params, 1).min(3).to_le_bytes()[0];
            }
            (b">", 'u') => self.modes.keyboard.push(first),
            (b"<", 'u') => self.modes.keyboard.pop(count(params)),
            (b"=", 'u') => self.modes.keyboard.set(first, param(params, 1).max(1)),
            _ => {}
        }
    }

    fn set_ansi_modes(&mut self, params: &Params, on: bool) {
        for mode in params {
            match mode[0] {
                4 => self.modes.insert = on,
                20 => self.modes.newline = on,
                _ => {}
            }
        }
    }

    fn set_private_mode(&mut self, mode: u16, on: bool) {
        match mode {
            1 => self.modes.application_cursor = on,
            5 => self.modes.reverse_video = on,
            6 => {
                self.modes.origin = on;
                self.go_to(0, 0);
            }
            7 => {
                self.modes.autowrap = on;
                self.cursor.wraps &= on;
            }
            25 => self.modes.cursor_visible = on,
            47 | 1047 => self.show_alternate(on),
            66 => self.modes.application_keypad = on,
            1004 => self.modes.focus = on,
            1007 => self.modes.alternate_scroll = on,
            1048 if on => self.save_cursor(),
            1048 => self.restore_cursor(),
            1049 if on == self.modes.alternate => {}
            1049 if on => {
                self.save_cursor();
                self.show_alternate(true);
            }
            1049 => {
                self.show_alternate(false);
                self.restore_cursor();
            }
            2004 => self.modes.bracketed_paste = on,
            2026 => self.modes.synchronized = on,
            _ => self.set_mouse_mode(mode, on),
        }
    }

    fn set_mouse_mode(&mut self, mode: u16, on: bool) {
        if let Some(tracking) = Modes::mouse_tracking(mode) {
            self.modes.mouse = if on { tracking } else { MouseTracking::Off };
        }
        if let Some(encoding) = Modes::mouse_encoding(mode) {
            if on {
                self.modes.mouse_encoding = encoding;
            } else if self.modes.mouse_encoding == encoding {
                self.modes.mouse_encoding = MouseEncoding::Bytes;
            }
        }
    }
}

fn charset(name: u8) -> Charset {
    match name {
        b'0' => Charset::Lines,
        b'A' => Charset::British,
        _ => Charset::Ascii,
    }
}

/// A parameter's number; 0 if it is not there.
fn param(params: &Params, at: usize) -> u16 {
    params.iter().nth(at).and_then(|param| param.first().copied()).unwrap_or(0)
}

/// The first parameter where it is a count: 0 means 1.
fn count(params: &Params) -> usize {
    usize::from(param(params, 0).max(1))
}
