//! Select graphic rendition: read into a pen, and written from one.

use std::io::Write;

use vte::Params;

use super::cell::{Colour, Pen, attribute, line};

const ATTRIBUTES: [(u32, u8); 6] = [
    (attribute::BOLD, 1),
    (attribute::DIM, 2),
    (attribute::ITALIC, 3),
    (attribute::BLINK, 5),
    (attribute::REVERSE, 7),
    (attribute::HIDDEN, 8),
];

/// Applies the parameters of `CSI … m`.
pub(super) fn apply(pen: &mut Pen, params: &Params) {
    let mut params = params.iter();
    while let Some(param) = params.next() {
        let colour = match param {
            [38 | 48 | 58] => following_colour(&mut params),
            [38 | 48 | 58, rest @ ..] => colour(rest),
            _ => {
                apply_one(pen, param);
                continue;
            }
        };
        match (param[0], colour) {
            (38, Some(colour)) => pen.set_foreground(colour),
            (48, Some(colour)) => pen.set_background(colour),
            (_, Some(colour)) => pen.set_underline_colour(colour),
            (_, None) => {}
        }
    }
}

fn apply_one(pen: &mut Pen, param: &[u16]) {
    let code = param[0].min(255).to_le_bytes()[0];
    match code {
        0 => *pen = Pen::DEFAULT,
        4 => pen.set_underline(param.get(1).map_or(1, |style| style.to_le_bytes()[0])),
        1..=3 | 5..=8 => {
            let code = if code == 6 { 5 } else { code };
            if let Some((attribute, _)) = ATTRIBUTES.iter().find(|(_, number)| *number == code) {
                pen.set(*attribute, true);
            }
        }
        9 => pen.set_line(line::STRIKE, true),
        21 => pen.set_underline(2),
        22 => pen.set(attribute::BOLD | attribute::DIM, false),
        23 => pen.set(attribute::ITALIC, false),
        24 => pen.set_underline(0),
        25 => pen.set(attribute::BLINK, false),
        27 => pen.set(attribute::REVERSE, false),
        28 => pen.set(attribute::HIDDEN, false),
        29 => pen.set_line(line::STRIKE, false),
        30..=37 => pen.set_foreground(Colour::indexed(code - 30)),
        39 => pen.set_foreground(Colour::DEFAULT),
        40..=47 => pen.set_background(Colour::indexed(code - 40)),
        49 => pen.set_background(Colour::DEFAULT),
        53 => pen.set_line(line::OVER, true),
        55 => pen.set_line(line::OVER, false),
        59 => pen.set_underline_colour(Colour::DEFAULT),
        90..=97 => pen.set_foreground(Colour::indexed(code - 82)),
        100..=107 => pen.set_background(Colour::indexed(code - 92)),
        _ => {}
    }
}

/// `38;5;index` and `38;2;red;green;blue`: the colour is in the parameters that follow.
fn following_colour<'a>(params: &mut impl Iterator<Item = &'a [u16]>) -> Option<Colour> {
    match params.next()?.first()? {
        2 => {
            let mut part = || params.next().and_then(|param| param.first().copied());
            let (red, green, blue) = (part()?, part()?, part()?);
            rgb(red, green, blue)
        }
        5 => Some(Colour::indexed(u8::try_from(*params.next()?.first()?).ok()?)),
        _ => None,
    }
}

/// `38:5:index`, `38:2:red:green:blue` and `38:2:space:red:green:blue`.
fn colour(parts: &[u16]) -> Option<Colour> {
    match *parts {
        [5, index, ..] => Some(Colour::indexed(u8::try_from(index).ok()?)),
        [2, red, green, blue] | [2, _, red, green, blue, ..] => rgb(red, green, blue),
        _ => None,
    }
}

fn rgb(red: u16, green: u16, blue: u16) -> Option<Colour> {
    Some(Colour::rgb(u8::try_from(red).ok()?, u8::try_from(green).ok()?, u8::try_from(blue).ok()?))
}

/// Writes the sequence that makes `pen` of any other.
pub(super) fn write(out: &mut Vec<u8>, pen: Pen) {
    out.extend_from_slice(b"\x1b[0");
    for (attribute, code) in ATTRIBUTES {
        if pen.has(attribute) {
            put(out, format_args!(";{code}"));
        }
    }
    match pen.underline() {
        0 => {}
        1 => out.extend_from_slice(b";4"),
        style => put(out, format_args!(";4:{style}")),
    }
    for (line, code) in [(line::STRIKE, 9), (line::OVER, 53)] {
        if pen.has_line(line) {
            put(out, format_args!(";{code}"));
        }
    }
    write_colour(out, pen.foreground(), 30);
    write_colour(out, pen.background(), 40);
    let under = pen.underline_colour();
    if let Some(index) = under.index() {
        put(out, format_args!(";58:5:{index}"));
    } else if let Some([red, green, blue]) = under.parts() {
        put(out, format_args!(";58:2::{red}:{green}:{blue}"));
    }
    out.push(b'm');
}

fn write_colour(out: &mut Vec<u8>, colour: Colour, base: u8) {
    match (colour.index(), colour.parts()) {
        (Some(index @ 0..=7), _) => put(out, format_args!(";{}", base + index)),
        (Some(index @ 8..=15), _) => put(out, format_args!(";{}", base + 52 + index)),
        (Some(index), _) => put(out, format_args!(";{};5;{index}", base + 8)),
        (None, Some([red, green, blue])) => put(out, format_args!(";{};2;{red};{green};{blue}", base + 8)),
        (None, None) => {}
    }
}

/// Appends formatted text.
pub(super) fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a vector takes all bytes");
}
