//! What the client asks for is answered, and what happens is passed on.

use bytes::Bytes;
use ropewalk_protocol::{Attached, Event as Fact, EventBody, Stream, TerminalId, TerminalResized};
use ropewalk_transport::client::AttachmentItem;
use ropewalk_tui::app::event::{Effect, Event, Ticket};

use super::{Shown, Stage};

/// Files of the directory, as a completion finds them.
const FILES: &[&str] = &["src/cart.rs", "src/checkout/total.rs", "src/main.rs", "tests/checkout.rs", "Cargo.toml"];

impl Stage {
    pub(super) fn carry_out(&mut self, effect: Effect) {
        let needs_daemon = matches!(
            effect,
            Effect::Command(..)
                | Effect::Read(_)
                | Effect::Older(..)
                | Effect::History(..)
                | Effect::Search(..)
                | Effect::Type(..)
        );
        if needs_daemon {
            return if self.is_up { self.ask_daemon(effect) } else { self.waiting.push(effect) };
        }
        match effect {
            Effect::KeepDraft(of, text) if text.is_empty() => drop(self.kept.drafts.remove(&of)),
            Effect::KeepDraft(of, text) => drop(self.kept.drafts.insert(of, text)),
            Effect::KeepHistory(text) => self.kept.sent.push(text),
            Effect::KeepPlace(place) => self.kept.place = *place,
            Effect::Edit(target, _) => {
                let edited = self.edits.take();
                self.asked.push(effect);
                if !self.is_editing {
                    self.update(Event::Edited(target, edited));
                }
            }
            Effect::Files(typed) => {
                let files = FILES.iter().filter(|file| file.contains(typed.as_str()));
                let files = files.map(|file| (*file).to_owned()).collect();
                self.update(Event::Files { typed, files });
            }
            Effect::Run(words) => {
                let (title, text) = (words.join(" "), self.prints.clone());
                self.asked.push(Effect::Run(words));
                self.update(Event::Ran { title, text });
            }
            Effect::Redraw => {
                self.asked.push(effect);
                self.canvas.clear();
            }
            other => self.asked.push(other),
        }
    }

    fn ask_daemon(&mut self, effect: Effect) {
        match effect {
            Effect::Command(ticket, command) => self.command(ticket, *command),
            Effect::Read(_) if self.is_slow => {}
            Effect::Read(read) => {
                let found = self.world.read(read);
                self.update(Event::Found(found));
            }
            Effect::Older(_, agent, before) => {
                let page = self.world.older(agent, before);
                self.update(Event::Older { agent, before, page });
            }
            Effect::History(session, before) => {
                let page = Ok(self.world.history(session, before));
                self.update(Event::History { session, page });
            }
            Effect::Search(text, _, before) => {
                let (hits, reached, more) = self.world.search(&text, before);
                self.update(Event::Hits { text, hits, reached, more });
            }
            Effect::Type(terminal, bytes) => {
                self.typed.extend_from_slice(&bytes);
                // As a terminal does for a program that reads lines.
                self.world.writes(terminal, &bytes);
            }
            other => self.asked.push(other),
        }
    }

    fn command(&mut self, ticket: Ticket, command: ropewalk_protocol::Command) {
        let answer = self.world.carry_out(command);
        // What happened may come before the answer to the command that made it happen.
        self.pass_on();
        self.update(Event::Done(ticket, answer));
    }

    /// Follows what the client wants to be followed; whether there was anything new.
    pub(super) fn follow(&mut self) -> bool {
        if !self.is_up {
            return false;
        }
        let wants = self.state.wants();
        self.followed.retain(|session, _| wants.sessions.contains(session));
        self.attached.retain(|terminal, _| wants.terminals.contains_key(terminal));
        let head = self.world.head();
        if let Some(session) = wants.sessions.into_iter().find(|session| !self.followed.contains_key(session)) {
            self.followed.insert(session, head);
            self.update(Event::Followed(session, head));
            return true;
        }
        for (terminal, size) in wants.terminals {
            match self.attached.get_mut(&terminal) {
                Some(attached) if attached.size == size => continue,
                Some(attached) => attached.size = size,
                None => {
                    let output = Bytes::copy_from_slice(self.world.output(terminal));
                    let attached = Shown { size, passed: output.len(), is_over: false };
                    self.attached.insert(terminal, attached);
                    let offset = u64::try_from(output.len()).unwrap_or(u64::MAX);
                    let told = Attached { offset, end: offset, size, snapshot: true, closed_at: None };
                    self.update(Event::Attached(terminal, told));
                    let snapshot = AttachmentItem::Snapshot { offset, bytes: output, last: true };
                    self.update(Event::Terminal(terminal, snapshot));
                }
            }
            if let Some(session) = self.world.session_of(terminal) {
                let offset = u64::try_from(self.world.output(terminal).len()).unwrap_or(u64::MAX);
                self.world.tell(Stream::Terminal(session, terminal), TerminalResized { size, offset });
            }
            return true;
        }
        false
    }

    /// Passes on what happened since; whether anything did.
    pub(super) fn pass_on(&mut self) -> bool {
        if !self.is_up {
            return false;
        }
        let head = self.world.head();
        let facts: Vec<Fact> = self.world.after(self.told).iter().filter(|fact| is_fact(fact)).cloned().collect();
        self.told = head;
        let mut is_any = !facts.is_empty();
        if is_any {
            self.update(Event::Facts(facts));
        }
        for (session, from) in self.followed.clone() {
            let of_session = |fact: &&Fact| fact.stream.session() == Some(session);
            let said: Vec<Fact> = self.world.after(from).iter().filter(of_session).cloned().collect();
            self.followed.insert(session, head);
            if !said.is_empty() {
                is_any = true;
                self.update(Event::Said(session, said));
            }
        }
        for terminal in self.attached.keys().copied().collect::<Vec<_>>() {
            is_any |= self.pass_on_output(terminal);
        }
        is_any
    }

    fn pass_on_output(&mut self, terminal: TerminalId) -> bool {
        let Some(attached) = self.attached.get_mut(&terminal) else { return false };
        let output = self.world.output(terminal);
        let (from, to) = (attached.passed, output.len());
        let bytes = Bytes::copy_from_slice(&output[from..]);
        attached.passed = to;
        let is_over = !attached.is_over && self.world.is_closed(terminal);
        attached.is_over |= is_over;
        let offset = |at: usize| u64::try_from(at).unwrap_or(u64::MAX);
        if !bytes.is_empty() {
            self.update(Event::Terminal(terminal, AttachmentItem::Output { offset: offset(from), bytes }));
        }
        if is_over {
            self.update(Event::Terminal(terminal, AttachmentItem::End(offset(to))));
        }
        from < to || is_over
    }
}

/// Whether everybody is told: pieces of what agents say go to those who read it only.
fn is_fact(event: &Fact) -> bool {
    !matches!(event.body, EventBody::ItemDelta(_) | EventBody::ItemText(_) | EventBody::ItemChanged(_))
}
