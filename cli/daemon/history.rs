//! Pages of what happened, for those who ask: forwards, and backwards from the newest.

use ropewalk_kernel::log::store::StoreError;
use ropewalk_kernel::log::{Filter, Gap, Journal};
use ropewalk_projections::{Search, timeline};
use ropewalk_protocol::{
    AgentId, Code, Event, EventBody, EventGap, EventWriter, QueryAnswer, QueryResult, Rejection, Seq, SessionId,
    Stream, limits,
};

/// Which events a page is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) session: Option<SessionId>,
    pub(super) agent: Option<AgentId>,
    pub(super) after: Seq,
    pub(super) before: Option<Seq>,
}

impl Wanted {
    fn filter(&self) -> Filter {
        self.session.map_or(Filter::All, Filter::Session)
    }

    /// Whether an event of the session is of the agent, or is about it.
    fn is_wanted(&self, event: &Event) -> bool {
        let Some(wanted) = self.agent else { return true };
        match (&event.stream, &event.body) {
            (Stream::Agent(_, agent), _) => *agent == wanted,
            (_, EventBody::AgentJoined(joined)) => joined.agent == wanted,
            (_, EventBody::AgentAdded(added)) => added.agent == wanted,
            _ => false,
        }
    }
}

/// What lies before a place, the newest first, a page of the log at a time.
pub(super) struct Backwards<'a> {
    journal: &'a Journal,
    filter: Filter,
    after: Seq,
    /// Everything from here on was given.
    pub(super) from: Seq,
}

impl<'a> Backwards<'a> {
    pub(super) fn new(journal: &'a Journal, filter: Filter, before: Seq, after: Seq) -> Self {
        Self { journal, filter, after, from: before.min(journal.head().next()) }
    }

    /// Nothing more lies before.
    pub(super) fn is_over(&self) -> bool {
        self.from <= self.after.next()
    }

    /// The events of the next older page, oldest first, and what of it cannot be read.
    pub(super) fn page(&mut self) -> Result<(Vec<Event>, Vec<Gap>), StoreError> {
        let page = self.journal.page_before(self.filter, self.from, self.after)?;
        self.from = page.from;
        Ok((page.events()?, page.gaps))
    }
}

/// A page of events on its way.
struct Page {
    /// In the order they were read in.
    events: Vec<Event>,
    gaps: Vec<EventGap>,
    limit: usize,
    /// What the events take as JSON.
    bytes: usize,
    json: Vec<u8>,
    writer: EventWriter,
}

impl Page {
    fn new(limit: usize) -> Self {
        Self { events: Vec::new(), gaps: Vec::new(), limit, bytes: 0, json: Vec::new(), writer: EventWriter::default() }
    }

    fn is_full(&self) -> bool {
        self.events.len() >= self.limit || self.bytes >= limits::PAGE_BYTES_MAX
    }

    fn add(&mut self, event: Event) {
        self.json.clear();
        self.writer.event(&event, &mut self.json);
        self.bytes += self.json.len();
        self.events.push(event);
    }

    fn add_gaps(&mut self, gaps: Vec<Gap>) {
        self.gaps.extend(gaps.into_iter().map(event_gap));
    }

    /// The place of the last event that had room.
    fn last(&self) -> Seq {
        self.events.last().map_or(Seq::ZERO, |event| event.seq)
    }

    fn answer(self, at: Seq, next: Option<Seq>) -> QueryAnswer {
        let (events, gaps, more) = (self.events, self.gaps, next.is_some());
        QueryAnswer { at, result: QueryResult::Events { events, more, gaps, next } }
    }
}

/// A page of events.
pub(super) fn events_page(journal: &Journal, wanted: Wanted, limit: usize) -> Result<QueryAnswer, Rejection> {
    let head = journal.head();
    if wanted.agent.is_some() && wanted.session.is_none() {
        return Err(Rejection::new(Code::InvalidParams, "an agent is asked for without its session"));
    }
    if wanted.after > head {
        let message = format!("the cursor {} is beyond the head {head}", wanted.after);
        return Err(Rejection::new(Code::CursorAhead, message).at(head));
    }
    match wanted.before {
        Some(before) => newest_before(journal, wanted, before, limit),
        None => oldest_after(journal, wanted, limit),
    }
}

fn oldest_after(journal: &Journal, wanted: Wanted, limit: usize) -> Result<QueryAnswer, Rejection> {
    let (mut to, head) = (wanted.after, journal.head());
    let mut found = Page::new(limit);
    for _ in 0..limits::QUERY_PAGES_MAX {
        if to >= head {
            break;
        }
        let page = journal.page(wanted.filter(), to)?;
        to = page.to;
        for event in page.events()?.into_iter().filter(|event| wanted.is_wanted(event)) {
            if found.is_full() {
                let next = found.last();
                found.add_gaps(page.gaps);
                found.gaps.retain(|gap| gap.to < next);
                return Ok(found.answer(head, Some(next)));
            }
            found.add(event);
        }
        found.add_gaps(page.gaps);
    }
    Ok(found.answer(head, Some(to).filter(|to| *to < head)))
}

fn newest_before(journal: &Journal, wanted: Wanted, before: Seq, limit: usize) -> Result<QueryAnswer, Rejection> {
    let head = journal.head();
    let mut log = Backwards::new(journal, wanted.filter(), before, wanted.after);
    let mut found = Page::new(limit);
    let mut cut = None;
    for _ in 0..limits::QUERY_PAGES_MAX {
        if log.is_over() || cut.is_some() {
            break;
        }
        let (events, mut gaps) = log.page()?;
        gaps.reverse();
        for event in events.into_iter().rev().filter(|event| wanted.is_wanted(event)) {
            if found.is_full() {
                cut = Some(found.last());
                break;
            }
            found.add(event);
        }
        found.add_gaps(gaps);
    }
    if let Some(next) = cut {
        found.gaps.retain(|gap| gap.from > next);
    }
    found.events.reverse();
    found.gaps.reverse();
    let next = cut.or_else(|| Some(log.from).filter(|_| !log.is_over()));
    Ok(found.answer(head, next))
}

/// A page of a session's history, newest first.
pub(super) fn timeline_page(
    journal: &Journal,
    session: SessionId,
    before: Option<Seq>,
    limit: usize,
) -> Result<QueryAnswer, Rejection> {
    let head = journal.head();
    let mut log = Backwards::new(journal, Filter::Session(session), before.unwrap_or(Seq(u64::MAX)), Seq::ZERO);
    let mut entries = Vec::new();
    while !log.is_over() && entries.len() <= limit {
        let (events, _) = log.page()?;
        let room = limit + 1 - entries.len();
        entries.extend(events.iter().rev().filter_map(timeline::entry).take(room));
    }
    let more = entries.len() > limit;
    entries.truncate(limit);
    Ok(QueryAnswer { at: head, result: QueryResult::Timeline { entries, more } })
}

/// Where words are found, newest first.
pub(super) fn search(
    journal: &Journal,
    text: &str,
    session: Option<SessionId>,
    before: Option<Seq>,
    limit: usize,
) -> Result<QueryAnswer, Rejection> {
    if text.trim().is_empty() {
        return Err(Rejection::invalid("there are no words to search for"));
    }
    if text.len() > limits::SEARCH_TEXT_BYTES_MAX {
        return Err(Rejection::too_large("a text to search for", text.len(), limits::SEARCH_TEXT_BYTES_MAX));
    }
    let head = journal.head();
    let filter = session.map_or(Filter::All, Filter::Session);
    let mut log = Backwards::new(journal, filter, before.unwrap_or(Seq(u64::MAX)), Seq::ZERO);
    let mut search = Search::new(text);
    let (mut hits, mut gaps) = (Vec::new(), Vec::new());
    for _ in 0..limits::SEARCH_PAGES_MAX {
        if log.is_over() || hits.len() >= limit {
            break;
        }
        let (events, unread) = log.page()?;
        hits.extend(search.look(&events));
        gaps.extend(unread.into_iter().rev().map(event_gap));
    }
    let (mut reached, mut more) = (log.from, !log.is_over());
    if hits.len() > limit {
        hits.truncate(limit);
        (reached, more) = (hits.last().map_or(reached, |last| last.seq), true);
        gaps.retain(|gap| gap.from > reached);
    }
    gaps.reverse();
    Ok(QueryAnswer { at: head, result: QueryResult::Found { hits, reached, more, gaps } })
}

fn event_gap(Gap { from, to, reason }: Gap) -> EventGap {
    EventGap { from, to, reason }
}
