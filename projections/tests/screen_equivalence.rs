//! A screen restored from a snapshot, taken after any byte, goes on as the screen itself does.

use proptest::prelude::*;
use proptest::test_runner::Config;
use ropewalk_projections::screen::Screen;
use ropewalk_protocol::Size;

/// What happens to a terminal.
#[derive(Debug, Clone)]
enum Step {
    Bytes(Vec<u8>),
    Resize(Size),
}

fn config(cases: u32) -> Config {
    Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() }
}

fn size() -> impl Strategy<Value = Size> {
    prop_oneof![
        4 => (1u16..14, 1u16..7),
        1 => (1u16..3, 1u16..3),
        1 => (20u16..90, 3u16..26),
    ]
    .prop_map(|(cols, rows)| Size { cols, rows })
}

fn literal() -> impl Strategy<Value = Vec<u8>> {
    let texts: Vec<&[u8]> = vec![
        b"\n",
        b"\r\n",
        b"\r",
        b"\x08",
        b"\t",
        b"\x0e",
        b"\x0f",
        b"\x07",
        b"\x0b",
        b"\x00",
        b"\x7f",
        b"\x18",
        b"\x1a",
        b"\x1bD",
        b"\x1bE",
        b"\x1bM",
        b"\x1bH",
        b"\x1b7",
        b"\x1b8",
        b"\x1b(0",
        b"\x1b(B",
        b"\x1b)0",
        b"\x1b)A",
        b"\x1b=",
        b"\x1b>",
        b"\x1b#8",
        b"\x1b[!p",
        b"\x1b[s",
        b"\x1b[u",
        b"\x1b[r",
        b"\x1b[?6h",
        b"\x1b[?6l",
        b"\x1b[?7l",
        b"\x1b[?7h",
        b"\x1b[4h",
        b"\x1b[4l",
        b"\x1b[20h",
        b"\x1b[20l",
        b"\x1b[?25l",
        b"\x1b[?47h",
        b"\x1b[?47l",
        b"\x1b[?1047h",
        b"\x1b[?1047l",
        b"\x1b[?1049h",
        b"\x1b[?1049l",
        b"\x1b[?2026h",
        b"\x1b[?2026l",
        b"\x1b[?1;1000;1006;2004h",
        b"\x1b[?1002l",
        b"\x1b[?5h",
        b"\x1b[>5u",
        b"\x1b[<u",
        b"\x1b[=3;2u",
        b"\x1b[>4;2m",
        b"\x1b[3 q",
        b"\x1b[3J",
        b"\x1b[3g",
        b"\x1b[g",
        b"\x1b[c",
        b"\x1b[6n",
        b"\x1b[m",
        b"\x1b[?1048h",
        b"\x1b[?1048l",
        b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x07",
        b"\x1b]0;one;two\x07",
        b"\x1b]2;\xff\xc3\xa9\x18",
        b"\x1b]2;t\x1b\\",
        b"\x1bP1$qm\x1b\\",
        b"\x1bPq#0;2;0;0;0\x9c",
        b"\x1b_Gf=24;\n\n\x1b\\",
        b"\x1b^pm\x18",
        b"\x1bXsos\x1a",
        b"\x1b[1\n2C",
        b"\x1b[\r\x083D",
        b"\x1b[00000000;0;5H",
        b"\x1b[99999999999B",
        b"\x1b[1;2;3;4<5m",
        b"\x1b[1 2q",
        b"\x1b[38;2;1;2;3m",
        b"\x1b[38:2::9:8:7m",
        b"\x1b[48:5:200m",
        b"\x1b[48;5;9m",
        b"\x1b[4:3;58:2::1:2:3m",
        b"\x1b[1;3;7;9;53m",
        b"\x1b[21;58;5;4m",
        b"\x1b[22;24;27;39m",
        b"\x1b[41m",
        b"\x1b[100m",
        b"\xc3",
        b"\xe2\x82",
        b"\xf0\x9f\x98",
        b"\xed\xa0\x80",
        b"\xff",
        b"\x80",
        b"\xc2\x9b",
        b"\xe2\x28\xa1",
        b"\xc0\xaf",
    ];
    prop::sample::select(texts).prop_map(<[u8]>::to_vec)
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let characters = prop::sample::select(vec![
        "a",
        "B",
        "q",
        "~",
        " ",
        "#",
        "é",
        "字",
        "語",
        "😀",
        "👩\u{200d}💻",
        "❤\u{fe0f}",
        "\u{301}",
        "\u{200b}",
        "\u{200d}",
        "e\u{301}\u{302}",
        "한",
        "\u{ad}",
        "字\u{20dd}",
        "xyz",
        "     ",
    ]);
    prop::collection::vec(characters, 1..12).prop_map(|characters| characters.concat().into_bytes())
}

fn sequence() -> impl Strategy<Value = Vec<u8>> {
    let finals = prop::sample::select(b"ABCDEFGHIJKLMPSTXZ@`abdefgrhlmsu".to_vec());
    let marker = prop_oneof![6 => Just(""), 1 => Just("?"), 1 => Just(">"), 1 => Just("=")];
    let numbers = prop::collection::vec(prop_oneof![8 => 0u16..9, 1 => 0u16..120, 1 => Just(1049)], 0..4);
    (marker, numbers, finals).prop_map(|(marker, numbers, last)| {
        let numbers: Vec<String> = numbers.iter().map(u16::to_string).collect();
        format!("\x1b[{marker}{}{}", numbers.join(";"), char::from(last)).into_bytes()
    })
}

fn repeated() -> impl Strategy<Value = Vec<u8>> {
    (text(), 0u8..9).prop_map(|(mut text, count)| {
        text.extend_from_slice(format!("\x1b[{count}b").as_bytes());
        text
    })
}

fn long() -> impl Strategy<Value = Vec<u8>> {
    let begin = prop::sample::select(vec!["\x1b]2;", "\x1b]52;c;", "\x1bPq", "\x1b_", "\x1b[", "\x1b[?", "\x1b"]);
    let middle = prop::sample::select(vec!["x", ";", "0", "7", ":", "\u{e9}", "a;", " ", "1;", "字"]);
    let end = prop::sample::select(vec!["\x1b\\", "\x07", "\x18", "m", "h", ""]);
    (begin, middle, 1usize..9000, end)
        .prop_map(|(begin, middle, count, end)| format!("{begin}{}{end}", middle.repeat(count)).into_bytes())
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        40 => text(),
        50 => literal(),
        40 => sequence(),
        8 => repeated(),
        6 => prop::collection::vec(any::<u8>(), 1..8),
        3 => Just(b"\x1b[H\x1b[J".to_vec()),
        1 => Just(b"\x1bc".to_vec()),
        2 => (2u8..6, 3u8..9).prop_map(|(top, bottom)| format!("\x1b[{top};{bottom}r").into_bytes()),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![30 => bytes().prop_map(Step::Bytes), 1 => size().prop_map(Step::Resize)];
    prop::collection::vec(step, 1..70)
}

fn play(screen: &mut Screen, steps: &[Step]) {
    for step in steps {
        match step {
            Step::Bytes(bytes) => screen.feed(bytes),
            Step::Resize(size) => screen.resize(*size),
        }
    }
}

/// The steps before and after a cut, which may go through the bytes of one.
fn cut(steps: &[Step], at: prop::sample::Index) -> (Vec<Step>, Vec<Step>) {
    let len = |step: &Step| if let Step::Bytes(bytes) = step { bytes.len() } else { 1 };
    let mut left = at.index(steps.iter().map(len).sum::<usize>() + 1);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for step in steps {
        match step {
            Step::Bytes(bytes) => {
                let (head, tail) = bytes.split_at(left.min(bytes.len()));
                before.push(Step::Bytes(head.to_vec()));
                after.push(Step::Bytes(tail.to_vec()));
            }
            Step::Resize(_) if left > 0 => before.push(step.clone()),
            Step::Resize(_) => after.push(step.clone()),
        }
        left = left.saturating_sub(len(step));
    }
    (before, after)
}

fn restored(screen: &Screen) -> Screen {
    let mut other = Screen::new(screen.size());
    other.feed(&screen.restore(usize::MAX));
    other
}

fn check(size: Size, steps: &[Step], at: prop::sample::Index) -> Result<(), TestCaseError> {
    let (before, after) = cut(steps, at);
    let mut whole = Screen::new(size);
    play(&mut whole, &before);
    let mut snapshot = restored(&whole);
    prop_assert_eq!(snapshot.observe(), whole.observe(), "at the cut");
    prop_assert_eq!(snapshot.digest(), whole.digest());
    let mut checkpoint = Screen::from_state(&whole.state());
    prop_assert_eq!(checkpoint.state(), whole.state(), "from the checkpoint");
    for screen in [&mut whole, &mut snapshot, &mut checkpoint] {
        play(screen, &after);
    }
    prop_assert_eq!(snapshot.observe(), whole.observe(), "after the cut");
    prop_assert_eq!(checkpoint.state(), whole.state(), "after the checkpoint");
    Ok(())
}

proptest! {
    #![proptest_config(config(6000))]

    #[test]
    fn snapshot_equivalence_a_restored_screen_goes_on_as_the_screen_does(size in size(), steps in steps(), at: prop::sample::Index) {
        check(size, &steps, at)?;
    }

    #[test]
    fn chunks_do_not_matter(size in size(), steps in steps(), lengths in prop::collection::vec(1usize..6, 1..40)) {
        let mut whole = Screen::new(size);
        let mut chunked = Screen::new(size);
        let mut lengths = lengths.iter().cycle();
        let mut run = Vec::new();
        for step in &steps {
            match step {
                Step::Bytes(bytes) => run.extend_from_slice(bytes),
                Step::Resize(size) => {
                    whole.feed(&std::mem::take(&mut run));
                    whole.resize(*size);
                }
            }
            let Step::Bytes(mut bytes) = step.clone() else {
                chunked.resize(whole.size());
                continue;
            };
            while !bytes.is_empty() {
                let rest = bytes.split_off(bytes.len().min(*lengths.next().unwrap()));
                chunked.feed(&bytes);
                bytes = rest;
            }
        }
        whole.feed(&run);
        prop_assert_eq!(chunked.state(), whole.state());
    }
}

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn sequences_beyond_every_bound_restore(long in long(), rest in steps(), at: prop::sample::Index) {
        let mut steps = vec![Step::Bytes(b"text".to_vec()), Step::Bytes(long)];
        steps.extend(rest.into_iter().take(12));
        check(Size { cols: 12, rows: 4 }, &steps, at)?;
    }

    #[test]
    fn noise_restores(size in size(), noise in prop::collection::vec(any::<u8>(), 0..600), at: prop::sample::Index) {
        check(size, &[Step::Bytes(noise)], at)?;
    }
}
