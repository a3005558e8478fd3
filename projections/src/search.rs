//! Finding words in what people read: what is said to agents, what they say, think, do and ask, remarks, and names.

use std::collections::BTreeMap;

use ropewalk_protocol::{Answer, Event, EventBody, ItemId, SearchHit, Stream, TurnId};

/// Characters of an excerpt: what fits on a line or two of a list.
const EXCERPT_CHARS: usize = 160;
/// Those of them that stand before what was found.
const BEFORE_CHARS: usize = 50;

/// A search that goes back from the newest events to older ones.
#[derive(Debug, Clone)]
pub struct Search {
    wanted: String,
    /// What items say from where the search is on.
    said: BTreeMap<ItemId, Said>,
}

/// What an item says.
#[derive(Debug, Clone, Default)]
struct Said {
    /// Its beginning as far as it was read: a word may begin in an older piece and end in it.
    text: String,
    /// The whole text was told: previews do not count.
    is_told: bool,
    /// Its first piece was read.
    is_over: bool,
}

impl Search {
    /// Looks for these words, whether their letters are large or small.
    pub fn new(text: &str) -> Self {
        Self { wanted: folded(text), said: BTreeMap::new() }
    }

    /// Looks through a page of events, oldest first, that lie before all that it looked through so far. What it finds is the
    /// newest first, one hit an event. Pieces of an item are looked through as one text.
    pub fn look(&mut self, page: &[Event]) -> Vec<SearchHit> {
        let turns: BTreeMap<ItemId, TurnId> = page.iter().filter_map(turn_of_item).collect();
        page.iter().rev().filter_map(|event| self.look_at(event, &turns)).collect()
    }

    fn look_at(&mut self, event: &Event, turns: &BTreeMap<ItemId, TurnId>) -> Option<SearchHit> {
        let session = event.stream.session()?;
        let agent = match (&event.stream, &event.body) {
            (Stream::Agent(_, agent), _) => Some(*agent),
            (_, EventBody::AgentJoined(joined)) => Some(joined.agent),
            _ => None,
        };
        let (item, turn, excerpt) = match &event.body {
            EventBody::ItemDelta(delta) => (Some(delta.item), None, self.preview(delta.item, &delta.text)?),
            EventBody::ItemText(piece) => (Some(piece.item), None, self.piece(piece.item, &piece.text, piece.first)?),
            body => {
                let excerpt = texts(body).into_iter().find_map(|text| self.find(text, text.len()))?;
                let (item, turn) = place(body);
                (item, turn, excerpt)
            }
        };
        let turn = turn.or_else(|| turns.get(&item?).copied());
        Some(SearchHit { session, agent, seq: event.seq, at: event.at, item, turn, excerpt })
    }

    fn preview(&mut self, item: ItemId, text: &str) -> Option<String> {
        let said = self.said.entry(item).or_default();
        if said.is_told || said.is_over { None } else { self.part(item, text) }
    }

    fn piece(&mut self, item: ItemId, text: &str, is_first: bool) -> Option<String> {
        let said = self.said.entry(item).or_default();
        if said.is_over {
            return None;
        }
        if !std::mem::replace(&mut said.is_told, true) {
            said.text.clear();
        }
        said.is_over = is_first;
        self.part(item, text)
    }

    /// Looks through a part of a text that goes on as is known.
    fn part(&mut self, item: ItemId, text: &str) -> Option<String> {
        let said = self.said.entry(item).or_default();
        let mut joined = text.to_owned() + &std::mem::take(&mut said.text);
        let excerpt = self.find(&joined, text.len());
        let kept = EXCERPT_CHARS + self.wanted.chars().count();
        if let Some((end, _)) = joined.char_indices().nth(kept) {
            joined.truncate(end);
        }
        self.said.entry(item).or_default().text = joined;
        excerpt
    }

    /// What stands around the first place where the words are, if they begin before this one.
    fn find(&self, text: &str, before: usize) -> Option<String> {
        let folded = folded(text);
        let at = folded.find(&self.wanted)?;
        let at = folded[..at].chars().count();
        let (begin, _) = text.char_indices().nth(at)?;
        (begin < before).then(|| excerpt(text, at))
    }
}

/// Small letters, as many characters as there were.
fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().map(|character| character.to_lowercase().next().unwrap_or(character)).collect()
}

/// The line around a character of a text.
fn excerpt(text: &str, at: usize) -> String {
    let from = at.saturating_sub(BEFORE_CHARS);
    let mut characters = text.chars().skip(from);
    let line: String = characters
        .by_ref()
        .take(EXCERPT_CHARS)
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let (begin, end) = (if from > 0 { "…" } else { "" }, if characters.next().is_some() { "…" } else { "" });
    format!("{begin}{line}{end}")
}

fn turn_of_item(event: &Event) -> Option<(ItemId, TurnId)> {
    match &event.body {
        EventBody::ItemStarted(started) => Some((started.item, started.turn?)),
        _ => None,
    }
}

/// The item and the turn that an event names.
fn place(body: &EventBody) -> (Option<ItemId>, Option<TurnId>) {
    match body {
        EventBody::ItemStarted(started) => (Some(started.item), started.turn),
        EventBody::ItemChanged(changed) => (Some(changed.item), None),
        EventBody::Asked(asked) => (asked.item, asked.turn),
        _ => (None, None),
    }
}

/// What people read of an event.
fn texts(body: &EventBody) -> Vec<&str> {
    match body {
        EventBody::SessionCreated(created) => created.name.iter().map(String::as_str).collect(),
        EventBody::SessionRenamed(renamed) => vec![&renamed.name],
        EventBody::SessionAnnotated(annotated) => vec![&annotated.text],
        EventBody::AgentJoined(joined) => {
            let prompt = joined.prompt.as_ref().map(|prompt| prompt.text.as_str());
            prompt.into_iter().chain([joined.name.as_str()]).collect()
        }
        EventBody::PromptQueued(queued) => vec![&queued.text],
        EventBody::PromptEdited(edited) => vec![&edited.text],
        EventBody::ItemStarted(started) => vec![&started.title, &started.input],
        EventBody::ItemChanged(changed) => vec![&changed.title, &changed.input],
        EventBody::Asked(asked) => vec![&asked.title, &asked.detail],
        EventBody::Answered(answered) => match &answered.answer {
            Answer::Allow { .. } | Answer::Deny { reason: None } => Vec::new(),
            Answer::Deny { reason: Some(text) } | Answer::Choose { option: text } | Answer::Text { text } => vec![text],
        },
        EventBody::Noticed(noticed) => vec![&noticed.text],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use ropewalk_protocol::{Answered, ItemDelta, ItemKind, ItemText, Seq, SessionAnnotated};

    use super::*;
    use crate::story::{AGENT, SESSION, Story, ask, item, item_started, turn};

    /// What is found in pages of this length, the newest first.
    fn found(story: &Story, text: &str, page: usize) -> Vec<(Seq, String)> {
        let mut search = Search::new(text);
        let pages = story.events.rchunks(page);
        pages.flat_map(|page| search.look(page)).map(|hit| (hit.seq, hit.excerpt)).collect()
    }

    fn delta(text: &str) -> ItemDelta {
        ItemDelta { item: item(1), text: text.to_owned() }
    }

    fn piece(first: bool, text: &str) -> ItemText {
        ItemText { item: item(1), first, text: text.to_owned() }
    }

    #[test]
    fn what_people_read_is_found_whatever_the_size_of_its_letters() {
        let mut story = Story::of_a_ready_agent();
        let mut tool = item_started(1, Some(turn(1)), ItemKind::Tool);
        tool.input = "{\"command\":\"grep ÅNGSTRÖM\"}".to_owned();
        let answer = Answer::Text { text: "use ångström".to_owned() };
        let mut expected = vec![
            story.session(SessionAnnotated { text: "the Ångström remark".to_owned() }),
            story.agent(tool),
            story.agent(Answered { interaction: ask(1), answer, input: 1 }),
        ];
        expected.reverse();
        let seqs: Vec<Seq> = found(&story, "åNGSTRöm", 2).into_iter().map(|(seq, _)| seq).collect();
        assert_eq!(seqs, expected);
        assert_eq!(found(&story, "build", 100).len(), 1, "a session's name");
        assert_eq!(found(&story, "reviewer", 100).len(), 1, "an agent's name");
        assert_eq!(found(&story, "nowhere", 100), []);
    }

    #[test]
    fn a_hit_says_whose_it_is() {
        let mut story = Story::of_a_ready_agent();
        story.agent(item_started(1, Some(turn(1)), ItemKind::Text));
        story.agent(delta("a needle"));
        let hits = Search::new("needle").look(&story.events);
        let [hit] = hits.as_slice() else { panic!("{hits:?}") };
        assert_eq!((hit.session, hit.agent), (SESSION, Some(AGENT)));
        assert_eq!((hit.item, hit.turn), (Some(item(1)), Some(turn(1))));
    }

    #[test]
    fn a_word_cut_between_pieces_is_found_once_however_pages_are_cut() {
        let mut story = Story::of_a_ready_agent();
        story.agent(item_started(1, Some(turn(1)), ItemKind::Text));
        let first = story.agent(delta("hay and a nee"));
        for text in ["d", "", "l"] {
            story.agent(delta(text));
            story.session(SessionAnnotated { text: "between".to_owned() });
        }
        story.agent(delta("e and hay"));
        for page in 1..=story.events.len() {
            assert_eq!(found(&story, "Needle", page), [(first, "hay and a needle and hay".to_owned())], "by {page}");
        }
    }

    #[test]
    fn what_was_previewed_is_not_found_beside_what_was_told_in_its_place() {
        let mut story = Story::of_a_ready_agent();
        story.agent(item_started(1, Some(turn(1)), ItemKind::Text));
        story.agent(delta("a needle that was never said, and a needle"));
        story.agent(piece(true, "an old needle"));
        story.agent(piece(true, "a "));
        let told = story.agent(piece(false, "needle"));
        for page in 1..=story.events.len() {
            let hits: Vec<Seq> = found(&story, "needle", page).into_iter().map(|(seq, _)| seq).collect();
            assert_eq!(hits, [told], "by {page}");
        }
    }

    #[test]
    fn an_excerpt_is_one_line_around_the_place() {
        let mut story = Story::of_a_ready_agent();
        let text = format!("{}\n\n\tthe \u{1b}[1mneedle\u{1b}[m in\r\nit {}", "x ".repeat(200), "y".repeat(300));
        story.session(SessionAnnotated { text });
        let (_, excerpt) = found(&story, "needle", 9).remove(0);
        assert!(excerpt.starts_with("…") && excerpt.ends_with("yyy…"), "{excerpt:?}");
        assert!(excerpt.contains("x x the [1mneedle [m in it yyy"), "{excerpt:?}");
        assert!(excerpt.chars().count() <= EXCERPT_CHARS + 2 && !excerpt.contains(char::is_control), "{excerpt:?}");
    }
}
