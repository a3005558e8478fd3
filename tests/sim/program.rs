//! Programs: what each prints is a function of its terminal and the offset, so that any byte can be checked anywhere.

use ropewalk_protocol::TerminalId;

const LINE_BYTES: u64 = 32;

/// The bytes that the program in this terminal prints from this offset on.
pub(super) fn printed(terminal: TerminalId, offset: u64, length: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut at = offset;
    while at < offset + length {
        let line = line(terminal, at / LINE_BYTES);
        let from = usize::try_from(at % LINE_BYTES).expect("within a line");
        let to = line.len().min(from + usize::try_from(offset + length - at).expect("a test prints little"));
        bytes.extend_from_slice(&line[from..to]);
        at += (to - from) as u64;
    }
    bytes
}

fn line(terminal: TerminalId, number: u64) -> Vec<u8> {
    let name = terminal.as_bytes()[15];
    let color = 1 + number % 7;
    let text = format!("\x1b[3{color}m{name:02x} {number:08} \u{2713}");
    let mut line = text.into_bytes();
    let end: &[u8] = if number % 5 == 3 { b"\x1b[2;3H" } else { b"\r\n" };
    line.resize(usize::try_from(LINE_BYTES).expect("small") - end.len(), b'.');
    line.extend_from_slice(end);
    line
}
