//! The modes of the terminal that the client runs in.
//!
//! While a program's terminal has the keyboard, keys must come encoded as the program asked for: then their bytes pass
//! untouched. So the outer terminal's modes follow the program's, and are the client's own again afterwards.

use ropewalk_projections::screen::{Modes, MouseTracking};

/// What is on. The default is what a fresh terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OuterModes {
    /// Arrow keys send application codes (DECCKM).
    pub application_cursor: bool,
    /// The keypad sends application codes (DECKPAM).
    pub application_keypad: bool,
    /// The kitty keyboard protocol's flags.
    pub kitty_flags: u8,
    /// xterm's `modifyOtherKeys`, 0 to 3.
    pub modify_other_keys: u8,
    /// Pasted text is bracketed.
    pub bracketed_paste: bool,
    /// Gaining and losing the focus is reported.
    pub focus: bool,
    /// Buttons, the wheel and motion with a button held are reported, in decimal numbers.
    pub mouse: bool,
    /// The cursor's shape as DECSCUSR numbers it; 0 is the terminal's own.
    pub cursor_style: u8,
}

impl OuterModes {
    /// The client's own: pastes and the focus are told apart from keys, and escape and shift+enter from others, where the
    /// terminal can.
    pub const fn client(mouse: bool) -> Self {
        Self {
            application_cursor: false,
            application_keypad: false,
            kitty_flags: 1,
            modify_other_keys: 0,
            bracketed_paste: true,
            focus: true,
            mouse,
            cursor_style: 0,
        }
    }

    /// Those that a program asked for in its own terminal.
    pub fn of(modes: &Modes) -> Self {
        Self {
            application_cursor: modes.application_cursor,
            application_keypad: modes.application_keypad,
            kitty_flags: modes.keyboard.flags(),
            modify_other_keys: modes.modify_other_keys,
            bracketed_paste: modes.bracketed_paste,
            focus: modes.focus,
            mouse: modes.mouse != MouseTracking::Off,
            cursor_style: modes.cursor_style,
        }
    }
}

/// The sequences that lead from one to the other; nothing where they are the same.
pub fn change(from: &OuterModes, to: &OuterModes) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut say = |differ: bool, sequence: &str| {
        if differ {
            bytes.extend_from_slice(sequence.as_bytes());
        }
    };
    let private = |mode: &str, on: bool| format!("\x1b[?{mode}{}", if on { 'h' } else { 'l' });
    say(from.application_cursor != to.application_cursor, &private("1", to.application_cursor));
    say(from.application_keypad != to.application_keypad, if to.application_keypad { "\x1b=" } else { "\x1b>" });
    // The flags in force are replaced. Nothing is pushed, so nothing is left behind.
    say(from.kitty_flags != to.kitty_flags, &format!("\x1b[={};1u", to.kitty_flags));
    say(from.modify_other_keys != to.modify_other_keys, &format!("\x1b[>4;{}m", to.modify_other_keys));
    say(from.bracketed_paste != to.bracketed_paste, &private("2004", to.bracketed_paste));
    say(from.focus != to.focus, &private("1004", to.focus));
    // Not every terminal knows 1002; 1000 comes first, so that it has that at least.
    for mode in ["1000", "1002", "1006"] {
        say(from.mouse != to.mouse, &private(mode, to.mouse));
    }
    say(from.cursor_style != to.cursor_style, &format!("\x1b[{} q", to.cursor_style));
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ropewalk_projections::screen::Screen;
    use ropewalk_protocol::Size;

    use super::*;

    fn modes() -> impl Strategy<Value = OuterModes> {
        let flags = (any::<[bool; 5]>(), 0u8..32, 0u8..4, 0u8..7);
        flags.prop_map(|([cursor, keypad, paste, focus, mouse], kitty_flags, modify_other_keys, cursor_style)| {
            OuterModes {
                application_cursor: cursor,
                application_keypad: keypad,
                kitty_flags,
                modify_other_keys,
                bracketed_paste: paste,
                focus,
                mouse,
                cursor_style,
            }
        })
    }

    proptest! {
        #[test]
        fn a_terminal_has_the_modes_that_it_was_led_to(steps in prop::collection::vec(modes(), 1..6)) {
            let mut terminal = Screen::new(Size::DEFAULT);
            let mut from = OuterModes::default();
            for to in steps {
                terminal.feed(&change(&from, &to));
                prop_assert_eq!(OuterModes::of(terminal.modes()), to);
                from = to;
            }
            terminal.feed(&change(&from, &OuterModes::default()));
            prop_assert_eq!(terminal.digest(), Screen::new(Size::DEFAULT).digest(), "and a fresh one's at the end");
        }
    }

    #[test]
    fn only_what_differs_is_said() {
        let client = OuterModes::client(false);
        assert_eq!(change(&client, &client), b"");
        let fresh = OuterModes::default();
        assert_eq!(change(&fresh, &client), b"\x1b[=1;1u\x1b[?2004h\x1b[?1004h");
        assert_eq!(change(&OuterModes::client(true), &client), b"\x1b[?1000l\x1b[?1002l\x1b[?1006l");
        assert_eq!(change(&fresh, &OuterModes { cursor_style: 6, ..fresh }), b"\x1b[6 q");
    }
}
