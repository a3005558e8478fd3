use proptest::prelude::*;
use proptest::test_runner::Config;

use super::paste::{BEGIN, PASTE_BYTES_MAX};
use super::*;

/// Inputs of these bytes and, where something waits then, of that.
fn inputs(bytes: &[u8]) -> Vec<Input> {
    let mut decoder = Decoder::default();
    let decoded = decoder.feed(bytes);
    decoded.into_iter().chain(decoder.flush()).map(|decoded| decoded.input).collect()
}

fn keys(bytes: &[u8]) -> Vec<String> {
    let name = |input| match input {
        Input::Key(key) => key.to_string(),
        other => format!("{other:?}"),
    };
    inputs(bytes).into_iter().map(name).collect()
}

/// What has begun and not ended.
fn unread(decoder: &Decoder) -> &[u8] {
    match &decoder.state {
        State::Paste(paste) => &paste.raw,
        _ => &decoder.pending,
    }
}

#[test]
fn keys_are_known_in_every_way_terminals_send_them() {
    let table: &[(&[u8], &[&str])] = &[
        (b"a", &["a"]),
        (b"A?", &["A", "?"]),
        (b" ", &["space"]),
        ("é€😀".as_bytes(), &["é", "€", "😀"]),
        // Control characters.
        (b"\r", &["enter"]),
        (b"\n", &["ctrl+j"]),
        (b"\t", &["tab"]),
        (b"\x7f\x08", &["backspace", "backspace"]),
        (b"\0", &["ctrl+space"]),
        (b"\x01\x1a", &["ctrl+a", "ctrl+z"]),
        (b"\x1c\x1d\x1e\x1f", &["ctrl+\\", "ctrl+]", "ctrl+^", "ctrl+_"]),
        // Alt is an escape before it.
        (b"\x1bx\x1bX", &["alt+x", "alt+X"]),
        (b"\x1b\r", &["alt+enter"]),
        (b"\x1b\x7f", &["alt+backspace"]),
        (b"\x1b\x01", &["ctrl+alt+a"]),
        ("\x1bé".as_bytes(), &["alt+é"]),
        (b"\x1b\x1b[A", &["alt+up"]),
        (b"\x1b\x1bOA", &["alt+up"]),
        (b"\x1b\x1b[3~", &["alt+delete"]),
        (b"\x1b\x1b[[A", &["alt+f1"]),
        // Escape.
        (b"\x1b", &["esc"]),
        (b"\x1b\x1b", &["esc", "esc"]),
        (b"\x1b\x1b\x1b", &["esc", "esc", "esc"]),
        (b"\x1b\x1ba", &["esc", "alt+a"]),
        (b"\x1b\x1b\x1b[A", &["esc", "alt+up"]),
        (b"\x1b\x1b[I", &["esc", "Focus(true)"]),
        (b"\x1b[", &["alt+["]),
        (b"\x1bO", &["alt+O"]),
        (b"\x1b]", &["alt+]"]),
        (b"\x1bP", &["alt+P"]),
        (b"\x1b_", &["alt+_"]),
        (b"\x1b\x1b[", &["esc", "alt+["]),
        (b"\x1b[\r", &["alt+[", "enter"]),
        (b"\x1b]\x1bx", &["alt+]", "alt+x"]),
        // Named keys.
        (b"\x1b[A\x1b[B\x1b[C\x1b[D", &["up", "down", "right", "left"]),
        (b"\x1bOA\x1bOB\x1bOC\x1bOD", &["up", "down", "right", "left"]),
        (b"\x1b[H\x1b[F\x1bOH\x1bOF", &["home", "end", "home", "end"]),
        (b"\x1b[1~\x1b[4~\x1b[7~\x1b[8~", &["home", "end", "home", "end"]),
        (b"\x1b[2~\x1b[3~\x1b[5~\x1b[6~", &["insert", "delete", "pageup", "pagedown"]),
        (b"\x1b[1;2A\x1b[1;3A\x1b[1;5A\x1b[1;8A", &["shift+up", "alt+up", "ctrl+up", "ctrl+alt+shift+up"]),
        (b"\x1b[1;9A", &["alt+up"]),
        (b"\x1b[3;5~\x1b[5;2~", &["ctrl+delete", "shift+pageup"]),
        (b"\x1b[Z\x1b[1;5Z", &["shift+tab", "ctrl+shift+tab"]),
        (b"\x1b[a\x1bOa\x1b[3^\x1b[3@", &["shift+up", "ctrl+up", "ctrl+delete", "ctrl+shift+delete"]),
        // Function keys.
        (b"\x1bOP\x1bOQ\x1bOR\x1bOS", &["f1", "f2", "f3", "f4"]),
        (b"\x1b[P\x1b[Q\x1b[R\x1b[S", &["f1", "f2", "f3", "f4"]),
        (b"\x1b[11~\x1b[15~\x1b[17~\x1b[21~", &["f1", "f5", "f6", "f10"]),
        (b"\x1b[23~\x1b[24~\x1b[25~\x1b[28~\x1b[34~", &["f11", "f12", "f13", "f15", "f20"]),
        (b"\x1b[[A\x1b[[E", &["f1", "f5"]),
        (b"\x1b[1;5R\x1b[1;2P\x1bO5P\x1bO1;2Q", &["ctrl+f3", "shift+f1", "ctrl+f1", "shift+f2"]),
        (b"\x1b[57376u\x1b[57387u", &["f13", "f24"]),
        // The keypad.
        (b"\x1bOM\x1bOp\x1bOy\x1bOj\x1bOo\x1bOX", &["enter", "0", "9", "*", "/", "="]),
        (b"\x1b[57399u\x1b[57408u\x1b[57413u\x1b[57414u\x1b[57416u", &["0", "9", "+", "enter", ","]),
        (b"\x1b[57417u\x1b[57426;5u", &["left", "ctrl+delete"]),
        // The kitty keyboard protocol.
        (b"\x1b[97u\x1b[97;2u\x1b[97;3u\x1b[97;5u\x1b[97;7u", &["a", "A", "alt+a", "ctrl+a", "ctrl+alt+a"]),
        (b"\x1b[97;6u\x1b[97;4u", &["ctrl+a", "alt+A"]),
        (b"\x1b[49:33;2u\x1b[97:65;2u", &["!", "A"]),
        (b"\x1b[1089::99;5u", &["ctrl+c"]),
        (
            b"\x1b[27u\x1b[13;2u\x1b[13;5u\x1b[9;2u\x1b[127;5u",
            &["esc", "shift+enter", "ctrl+enter", "shift+tab", "ctrl+backspace"],
        ),
        (b"\x1b[105;5u\x1b[32;5u\x1b[32;2u", &["ctrl+i", "ctrl+space", "space"]),
        (b"\x1b[97;65u\x1b[97;66u\x1b[97;129u", &["A", "a", "a"]),
        (b"\x1b[97;1:2u\x1b[1;1:2A", &["a", "up"]),
        (b"\x1b[97;;229u\x1b[0;;128512u", &["å", "😀"]),
        (b"\x1b[0;;20320:22909u", &["Paste(\"你好\")"]),
        (b"\x1b[97;1:3u\x1b[1;1:3A\x1b[3;1:3~", &["Other", "Other", "Other"]),
        (b"\x1b[97;9u\x1b[57358u\x1b[57441;2u\x1b[57388u", &["Other", "Other", "Other", "Other"]),
        // xterm's modifyOtherKeys.
        (
            b"\x1b[27;2;13~\x1b[27;5;105~\x1b[27;6;65~\x1b[27;5;127~",
            &["shift+enter", "ctrl+i", "ctrl+a", "ctrl+backspace"],
        ),
        (b"\x1b[27;3;27~", &["alt+esc"]),
    ];
    for (bytes, expected) in table {
        assert_eq!(keys(bytes), *expected, "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn what_is_unknown_is_swallowed_whole() {
    let table: &[(&[u8], &[&str])] = &[
        (b"\x1b[99Xa", &["Other", "a"]),
        (b"\x1b[1;2;3;4 qa", &["Other", "a"]),
        (b"\x1bOza", &["Other", "a"]),
        (b"\x1b[[Za", &["Other", "a"]),
        (b"\x1b[M !!a", &["Other", "a"]),
        (b"\x1b[M\xff\xff\xffa", &["Other", "a"]),
        (b"\x1b]52;c;aGk=\x07a", &["Reply(Other)", "a"]),
        (b"\x1bP>|term 1\x1b\\a", &["Reply(Other)", "a"]),
        (b"\x1b_Gi=1;OK\x1b\\a", &["Reply(Other)", "a"]),
        (b"\x1b[>1;10;0ca", &["Reply(Other)", "a"]),
        (b"\x1b[5;7Ra", &["Reply(Other)", "a"]),
        (b"\x1b[48;24;80;0;0ta", &["Reply(Other)", "a"]),
        (b"\x1b[201~a", &["Other", "a"]),
        (b"\xffa\xc2\x85\xc3a", &["Other", "a", "Other", "Other", "a"]),
        (b"\xed\xa0\x80a", &["Other", "a"]),
        (b"\x1b\xffa", &["Other", "a"]),
        // A control key ends what has begun.
        (b"\x1b[1;5\x03a", &["Other", "ctrl+c", "a"]),
        (b"\x1b]11;rgb:\x03a", &["Other", "ctrl+c", "a"]),
        (b"\x1b]11;rgb:\x1b[A", &["Other", "up"]),
        (b"\x1b[1;\x1b[A", &["Other", "up"]),
        ("\x1b[1;é".as_bytes(), &["Other", "é"]),
        (b"\x1b[99999999999999999999~\x1b[1;99999999999A", &["Other", "up"]),
    ];
    for (bytes, expected) in table {
        assert_eq!(keys(bytes), *expected, "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn a_terminal_answers() {
    let background = |red, green, blue| Reply::Background { red, green, blue };
    let table: &[(&[u8], Reply)] = &[
        (b"\x1b]11;rgb:ffff/8080/0000\x07", background(255, 128, 0)),
        (b"\x1b]11;rgb:1e1e/1e1e/2e2e\x1b\\", background(0x1e, 0x1e, 0x2e)),
        (b"\x1b]11;rgb:f/0/8\x07", background(255, 0, 136)),
        (b"\x1b]11;rgba:ff/00/80/ff\x07", background(255, 0, 128)),
        (b"\x1b]11;rgb:ff/00\x07", Reply::Other),
        (b"\x1b]11;rgb:+f/00/00\x07", Reply::Other),
        (b"\x1b]10;rgb:ff/00/00\x07", Reply::Other),
        (b"\x1b[?997;1n", Reply::Scheme(Scheme::Dark)),
        (b"\x1b[?997;2n", Reply::Scheme(Scheme::Light)),
        (b"\x1b[?2026;2$y", Reply::Mode { mode: 2026, state: 2 }),
        (b"\x1b[?2026;0$y", Reply::Mode { mode: 2026, state: 0 }),
        (b"\x1b[?5u", Reply::KittyFlags(5)),
        (b"\x1b[?62;22c", Reply::Attributes),
    ];
    for (bytes, expected) in table {
        assert_eq!(inputs(bytes), [Input::Reply(*expected)], "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn the_mouse_and_the_focus_are_told_of() {
    let at = |kind, col, row| Mouse { kind, col, row, ctrl: false, alt: false, shift: false };
    let table: &[(&[u8], Mouse)] = &[
        (b"\x1b[<0;1;1M", at(MouseKind::Press(Button::Left), 0, 0)),
        (b"\x1b[<2;80;24m", at(MouseKind::Release(Button::Right), 79, 23)),
        (b"\x1b[<33;5;6M", at(MouseKind::Drag(Button::Middle), 4, 5)),
        (b"\x1b[<35;300;200M", at(MouseKind::Move, 299, 199)),
        (b"\x1b[<64;1;1M", at(MouseKind::ScrollUp, 0, 0)),
        (b"\x1b[<65;1;1M", at(MouseKind::ScrollDown, 0, 0)),
        (b"\x1b[<66;1;1M", at(MouseKind::ScrollLeft, 0, 0)),
        (b"\x1b[<67;1;1M", at(MouseKind::ScrollRight, 0, 0)),
        (b"\x1b[<128;1;1M", at(MouseKind::Press(Button::Other(8)), 0, 0)),
        (b"\x1b[<80;1;1M", Mouse { ctrl: true, ..at(MouseKind::ScrollUp, 0, 0) }),
        (b"\x1b[<12;1;1M", Mouse { alt: true, shift: true, ..at(MouseKind::Press(Button::Left), 0, 0) }),
        (b"\x1b[<0;0;99999999M", at(MouseKind::Press(Button::Left), 0, u16::MAX)),
    ];
    for (bytes, expected) in table {
        assert_eq!(inputs(bytes), [Input::Mouse(*expected)], "{:?}", String::from_utf8_lossy(bytes));
    }
    assert_eq!(inputs(b"\x1b[I\x1b[O"), [Input::Focus(true), Input::Focus(false)]);
    assert_eq!(inputs(b"\x1b[<0;1M"), [Input::Other]);
}

#[test]
fn a_paste_is_text_and_nothing_else() {
    let paste = |text: &str| [b"\x1b[200~", text.as_bytes(), b"\x1b[201~"].concat();
    let table = [
        ("", ""),
        ("one\rtwo\r\nthree\nfour\r\r\nfive", "one\ntwo\nthree\nfour\n\nfive"),
        ("\tdo\u{7}\u{8}\u{7f}\u{85} it\u{3}", "\tdo it"),
        ("\u{1b}[31mred\u{1b}", "[31mred"),
        ("\u{1b}[20\u{1b}\u{1b}[201", "[20[201"),
        ("é😀", "é😀"),
    ];
    for (sent, text) in table {
        assert_eq!(inputs(&paste(sent)), [Input::Paste(text.to_owned())], "{sent:?}");
    }
    assert_eq!(inputs(b"\x1b[200~a\xffb\xc3\x1b[201~"), [Input::Paste("a\u{fffd}b\u{fffd}".to_owned())]);
    assert_eq!(keys(b"\x1b\x1b[200~\x1b[201~x"), ["esc", "Paste(\"\")", "x"]);

    let mut decoder = Decoder::default();
    assert_eq!(decoder.feed(b"\x1b[200~half\x1b[20"), []);
    assert!(!decoder.is_waiting(), "a paste ends with its end, however long that takes");
    assert_eq!(decoder.flush(), []);
    assert_eq!(decoder.feed(b"1~")[0].input, Input::Paste("half".to_owned()));
}

#[test]
fn a_paste_beyond_the_bound_comes_to_its_end() {
    for filler in ["x", "é", "\u{1b}"] {
        let long = filler.repeat(PASTE_BYTES_MAX / filler.len() + 100_000);
        let bytes = [BEGIN, b"y", long.as_bytes(), b"\x1b[201~", b"k"].concat();
        let mut decoder = Decoder::default();
        let mut decoded = Vec::new();
        for piece in bytes.chunks(60_000) {
            decoded.extend(decoder.feed(piece));
            assert!(unread(&decoder).len() <= PASTE_BYTES_MAX + 64, "what waits is bounded");
        }
        let Input::Paste(text) = &decoded[0].input else {
            panic!("{:?} is no paste", decoded[0].input);
        };
        let kept = if filler == "\u{1b}" { 1 } else { PASTE_BYTES_MAX };
        assert!(text.len() <= kept && text.len() + 2 > kept, "{} bytes of {filler:?}", text.len());
        assert!(!text.contains(char::REPLACEMENT_CHARACTER));
        let (last, rest) = decoded[1..].split_last().unwrap();
        assert_eq!(last.input, Input::Key(Key::char('k')));
        assert!(!rest.is_empty() && rest.iter().all(|decoded| decoded.input == Input::Other));
        assert_eq!(decoded.iter().flat_map(|decoded| decoded.raw.clone()).collect::<Vec<u8>>(), bytes);
    }
}

#[test]
fn a_sequence_without_an_end_is_bounded() {
    for begin in ["\x1b]11;", "\x1b[", "\x1bO"] {
        let bytes = [begin.as_bytes(), &b"1".repeat(3 * SEQUENCE_BYTES_MAX)].concat();
        let mut decoder = Decoder::default();
        for piece in bytes.chunks(100) {
            let decoded = decoder.feed(piece);
            assert!(decoded.iter().all(|decoded| decoded.input == Input::Other));
            assert!(unread(&decoder).len() <= SEQUENCE_BYTES_MAX);
        }
        assert!(!decoder.is_waiting());
        let inputs: Vec<Input> = decoder.feed(b"\x03A").into_iter().map(|decoded| decoded.input).collect();
        assert_eq!(inputs, [Input::Other, Input::Key(Key::ctrl('c')), Input::Key(Key::char('A'))]);
    }
}

#[test]
fn an_escape_waits_until_time_tells() {
    let mut decoder = Decoder::default();
    assert!(!decoder.is_waiting());
    for (bytes, is_waiting) in [
        (&b"\x1b"[..], true),
        (b"[", true),
        (b"1", false),
        (b";5A", false),
        (b"\x1b\x1b", true),
        (b"O", true),
        (b"A", false),
        (b"\xc3", false),
        (b"\xa9", false),
    ] {
        decoder.feed(bytes);
        assert_eq!(decoder.is_waiting(), is_waiting, "{bytes:?}");
    }
    decoder.feed(b"\x1b");
    assert_eq!(decoder.flush()[0].input, Input::Key(Key::plain(Code::Escape)));
    assert!(!decoder.is_waiting());
    assert_eq!(decoder.feed(b"[A").len(), 2, "what follows is typed");
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let whole: Vec<&[u8]> = vec![
        b"\x1b",
        b"\x1b\x1b",
        b"\x1b[",
        b"\x1b]",
        b"\x1bO",
        b"\x1bP",
        b"\x1b\\",
        b"\x07",
        b"\x1b[A",
        b"\x1b[1;5A",
        b"\x1b[[A",
        b"\x1b[97;1:3u",
        b"\x1b[<0;10;10M",
        b"\x1b[M !!",
        b"\x1b[I",
        b"\x1b]11;rgb:00/00/00\x07",
        b"\x1b]11;rgb:00/00/00\x1b\\",
        b"\x1b[?62c",
        b"\x1b[200~",
        b"\x1b[201~",
        b"\x1b[200~pas\rte\x1b[201~",
        "é😀".as_bytes(),
        b"\r",
        b"a",
    ];
    let within =
        prop::collection::vec(prop::sample::select(b"\x1b[]OPM0123456789;:<?$~uARcy\\\x07 a\xc3".to_vec()), 0..8);
    prop_oneof![
        4 => prop::sample::select(whole).prop_map(<[u8]>::to_vec),
        2 => within,
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ]
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(piece(), 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(Config { cases: 4000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn cutting_the_bytes_changes_nothing(bytes in stream(), cuts in prop::collection::vec(1usize..9, 1..6)) {
        let mut whole = Decoder::default();
        let at_once = whole.feed(&bytes);
        let mut decoder = Decoder::default();
        let mut in_pieces = Vec::new();
        let (mut rest, mut cuts) = (&bytes[..], cuts.iter().cycle());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            in_pieces.extend(decoder.feed(piece));
            rest = after;
        }
        prop_assert_eq!(&at_once, &in_pieces);
        prop_assert_eq!(unread(&whole), unread(&decoder));
        prop_assert_eq!(whole.is_waiting(), decoder.is_waiting());
    }

    #[test]
    fn no_byte_is_lost(bytes in stream(), every in 1usize..9, flushes in any::<bool>()) {
        let mut decoder = Decoder::default();
        let mut raw = Vec::new();
        for piece in bytes.chunks(every) {
            let mut decoded = decoder.feed(piece);
            if flushes {
                decoded.extend(decoder.flush());
                prop_assert!(!decoder.is_waiting());
            }
            for Decoded { input, raw: bytes } in decoded {
                prop_assert!(!bytes.is_empty());
                if let Input::Key(Key { code: Code::Char(character), shift, .. }) = input {
                    prop_assert!(!shift && !character.is_control());
                }
                raw.extend_from_slice(&bytes);
            }
        }
        raw.extend_from_slice(unread(&decoder));
        prop_assert_eq!(raw, bytes);
    }
}
