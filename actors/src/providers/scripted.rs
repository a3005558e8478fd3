//! `scripted`: the agent of tests, demos and examples. Its program writes observations as they are, a JSON object a line, and
//! reads what it is told in the same way.

use super::{Abilities, Observed, Outgoing, Parser, Provider, Starting, tell_opaque};

/// An agent that speaks our own words.
#[derive(Debug)]
pub(crate) struct Scripted;

impl Provider for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn abilities(&self) -> Abilities {
        Abilities { steers: true, resumes: true, asks_hold_cancel: false, ready_at_once: false }
    }

    fn program(&self) -> Option<&'static str> {
        None
    }

    fn argv(&self, starting: &Starting<'_>) -> Vec<String> {
        starting.command.to_vec()
    }

    fn parser(&self) -> Box<dyn Parser> {
        Box::new(Words)
    }

    fn encode(&self, outgoing: &Outgoing, _: Option<&[u8]>) -> Vec<u8> {
        let mut line = serde_json::to_vec(outgoing).expect("what is to be written always encodes");
        line.push(b'\n');
        line
    }
}

struct Words;

impl Parser for Words {
    fn line(&mut self, line: &[u8], seen: &mut Vec<Observed>) {
        match serde_json::from_slice(line) {
            Ok(observed) => seen.push(observed),
            Err(_) => tell_opaque(line, seen),
        }
    }
}

#[cfg(test)]
mod tests {
    use ropewalk_protocol::{ItemKind, NoticeKind};

    use super::*;

    #[test]
    fn what_an_agent_writes_is_what_is_seen() {
        let mut seen = Vec::new();
        let mut parser = Scripted.parser();
        parser.line(br#"{"type":"greeted","step":1}"#, &mut seen);
        parser.line(br#"{"type":"item_started","key":"a","kind":"text"}"#, &mut seen);
        parser.line(b"garbage", &mut seen);
        assert_eq!(seen[0], Observed::Greeted { step: 1 });
        let (kind, title, input) = (ItemKind::Text, String::new(), String::new());
        assert_eq!(seen[1], Observed::ItemStarted { key: "a".into(), parent: None, kind, title, input });
        assert!(matches!(&seen[2], Observed::Noticed { kind: NoticeKind::Opaque, text, .. } if text == "garbage"));
    }

    #[test]
    fn what_an_agent_is_told_is_a_line() {
        let outgoing = Outgoing::Interrupt { conversation: None, turn: None };
        let line = Scripted.encode(&outgoing, None);
        assert_eq!(String::from_utf8_lossy(&line), "{\"interrupt\":{\"conversation\":null,\"turn\":null}}\n");
    }
}
