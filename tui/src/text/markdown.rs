//! What agents write, as lines: Markdown, also while it is still being written.
//!
//! What is written later changes what stands above it as little as can be: lists are laid out alike whether or not there
//! are empty lines in them, ends of lines stay where they are, and marks that have no end yet are taken as ended.

mod table;
mod unfinished;

use pulldown_cmark::{CodeBlockKind, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::clean;
use super::theme::Theme;
use super::wrap::{Indent, hard_wrap, wrap};

use table::Table;

/// How far code stands in.
const CODE_INDENT: &str = "  ";
/// Quotes and lists within each other that are told apart.
const NESTING_MAX: usize = 16;

/// The text as lines of this width; whether more of it may follow.
pub fn markdown(text: &str, is_open: bool, width: u16, theme: &Theme) -> Vec<Line<'static>> {
    let text = clean::clean(text);
    let text = if is_open { unfinished::ended(&text) } else { text.into() };
    let mut writer = Writer::new(width, theme);
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    for event in Parser::new_ext(&text, options) {
        writer.event(event);
    }
    writer.end_block();
    writer.lines
}

/// Something that text stands in: a quote, or an item of a list.
struct Container {
    /// What stands before its first row, until that is written.
    first: Option<Span<'static>>,
    rest: Span<'static>,
}

/// A link that is open.
struct Link {
    address: String,
    /// What it is called, so far.
    name: String,
}

struct Writer<'t> {
    lines: Vec<Line<'static>>,
    width: u16,
    theme: &'t Theme,
    /// The text of the block that is open, a line each.
    block: Vec<Vec<Span<'static>>>,
    styles: Vec<Style>,
    containers: Vec<Container>,
    /// The next number of each list that is open, if it has numbers.
    lists: Vec<Option<u64>>,
    /// The next block does not follow at once.
    has_gap: bool,
    code: Option<String>,
    link: Option<Link>,
    table: Option<Table>,
}

impl<'t> Writer<'t> {
    fn new(width: u16, theme: &'t Theme) -> Self {
        Self {
            lines: Vec::new(),
            width,
            theme,
            block: Vec::new(),
            styles: Vec::new(),
            containers: Vec::new(),
            lists: Vec::new(),
            has_gap: false,
            code: None,
            link: None,
            table: None,
        }
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match &mut self.code {
                Some(code) => code.push_str(&text),
                None => self.text(&text, self.style()),
            },
            Event::Code(text) => self.text(&text, self.style().patch(self.theme.code)),
            // Not ours to lay out: it is shown as it is written.
            Event::Html(text) => {
                for line in text.trim_end_matches('\n').split('\n') {
                    self.text(line, self.theme.faint);
                    self.end_line();
                }
            }
            Event::InlineHtml(text) => self.text(&text, self.theme.faint),
            Event::InlineMath(text) | Event::DisplayMath(text) => self.text(&text, self.style()),
            Event::FootnoteReference(name) => self.text(&format!("[^{name}]"), self.style()),
            Event::SoftBreak | Event::HardBreak => self.end_line(),
            Event::Rule => self.rule(),
            Event::TaskListMarker(is_done) => {
                let mark = if is_done { Span::styled("[x] ", self.theme.ok) } else { Span::raw("[ ] ") };
                self.push(mark);
            }
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        let theme = self.theme;
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => self.begin_block(),
            Tag::Heading { level, .. } => {
                self.begin_block();
                let underlined = Style::new().add_modifier(Modifier::UNDERLINED);
                self.styles.push(if level == HeadingLevel::H1 {
                    theme.heading.patch(underlined)
                } else {
                    theme.heading
                });
            }
            Tag::BlockQuote(_) => {
                self.begin_block();
                let bar = Span::styled(format!("{} ", theme.glyphs.bar), theme.border);
                self.containers.push(Container { first: None, rest: bar });
                self.styles.push(theme.faint);
            }
            Tag::CodeBlock(kind) => {
                self.begin_block();
                if let CodeBlockKind::Fenced(language) = kind {
                    self.language(&language);
                }
                self.code = Some(String::new());
            }
            Tag::List(number) => {
                if self.lists.is_empty() {
                    self.begin_block();
                } else {
                    self.end_block();
                }
                self.lists.push(number);
            }
            Tag::Item => self.item(),
            Tag::Table(alignments) => {
                self.begin_block();
                self.table = Some(Table::new(alignments));
            }
            Tag::TableHead | Tag::TableRow => self.table.iter_mut().for_each(Table::begin_row),
            Tag::Emphasis => self.styles.push(theme.emphasis),
            Tag::Strong => self.styles.push(theme.strong),
            Tag::Strikethrough => self.styles.push(Style::new().add_modifier(Modifier::CROSSED_OUT)),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                self.styles.push(theme.link);
                self.link = Some(Link { address: clean::one_line(&dest_url), name: String::new() });
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock => self.end_block(),
            TagEnd::Heading(_) => {
                self.end_block();
                self.styles.pop();
            }
            TagEnd::BlockQuote(_) => {
                self.end_block();
                self.containers.pop();
                self.styles.pop();
            }
            TagEnd::CodeBlock => self.end_code(),
            TagEnd::List(_) => {
                self.lists.pop();
                self.has_gap = self.lists.is_empty();
            }
            TagEnd::Item => {
                self.end_block();
                self.end_item();
            }
            TagEnd::Table => {
                if let Some(table) = self.table.take() {
                    let indent = self.indent();
                    let lines = table.lines(self.width, &indent, self.theme);
                    self.lines.extend(lines);
                    self.has_gap = true;
                }
            }
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.block).concat();
                self.table.iter_mut().for_each(|table| table.push(cell.clone()));
            }
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough => drop(self.styles.pop()),
            TagEnd::Link | TagEnd::Image => self.end_link(),
            _ => {}
        }
    }

    fn style(&self) -> Style {
        self.styles.iter().fold(self.theme.text, |style, more| style.patch(*more))
    }

    fn push(&mut self, span: Span<'static>) {
        match self.block.last_mut() {
            Some(line) => line.push(span),
            None => self.block.push(vec![span]),
        }
    }

    fn text(&mut self, text: &str, style: Style) {
        // What stands for a character by its number is one by now.
        let text = clean::again(text).into_owned();
        if let Some(link) = &mut self.link {
            link.name.push_str(&text);
        }
        self.push(Span::styled(text, style));
    }

    fn end_line(&mut self) {
        if self.table.is_none() {
            self.block.push(Vec::new());
        }
    }

    /// What stands before the next rows. The first of them takes the marks of items that have none yet.
    fn indent(&mut self) -> Indent {
        let rest = self.rest();
        let first = |container: &mut Container| container.first.take().unwrap_or_else(|| container.rest.clone());
        Indent { first: self.containers.iter_mut().take(NESTING_MAX).map(first).collect(), rest }
    }

    fn rest(&self) -> Vec<Span<'static>> {
        self.containers.iter().take(NESTING_MAX).map(|container| container.rest.clone()).collect()
    }

    /// Another block begins: what is open ends, and an empty line stands between.
    fn begin_block(&mut self) {
        self.end_block();
        if std::mem::take(&mut self.has_gap) {
            let mut spans = self.rest();
            while spans.pop_if(|span| span.content.trim().is_empty()).is_some() {}
            if let Some(last) = spans.last_mut() {
                last.content = last.content.trim_end().to_owned().into();
            }
            self.lines.extend(hard_wrap(&[], self.width, &Indent { first: spans, rest: Vec::new() }));
        }
    }

    fn end_block(&mut self) {
        let mut block = std::mem::take(&mut self.block);
        while block.last().is_some_and(Vec::is_empty) {
            block.pop();
        }
        if block.is_empty() {
            return;
        }
        let first = self.indent();
        let rest = Indent { first: first.rest.clone(), rest: first.rest.clone() };
        for (number, line) in block.iter().enumerate() {
            self.lines.extend(wrap(line, self.width, if number == 0 { &first } else { &rest }));
        }
        self.has_gap = true;
    }

    fn item(&mut self) {
        self.end_block();
        self.has_gap = false;
        let mark = match self.lists.last_mut() {
            Some(Some(number)) => {
                let mark = format!("{number}. ");
                *number = number.saturating_add(1);
                mark
            }
            _ => "- ".to_owned(),
        };
        let rest = Span::raw(" ".repeat(mark.len()));
        self.containers.push(Container { first: Some(Span::styled(mark, self.theme.accent)), rest });
    }

    fn end_item(&mut self) {
        // An item of nothing is still an item.
        if self.containers.last().is_some_and(|item| item.first.is_some()) {
            let indent = self.indent();
            self.lines.extend(hard_wrap(&[], self.width, &indent));
        }
        self.containers.pop();
        self.has_gap = false;
    }

    fn rule(&mut self) {
        self.begin_block();
        let indent = self.indent();
        let before: usize = indent.first.iter().map(|span| span.width()).sum();
        let length = usize::from(self.width).saturating_sub(before);
        let rule = Span::styled(self.theme.glyphs.rule.repeat(length), self.theme.border);
        self.lines.extend(hard_wrap(&[rule], self.width, &indent));
        self.has_gap = true;
    }

    fn language(&mut self, language: &CowStr<'_>) {
        let language = clean::one_line(language);
        if !language.is_empty() {
            let indent = self.indent();
            let name = Span::styled(format!("{CODE_INDENT}{language}"), self.theme.faint);
            self.lines.extend(hard_wrap(&[name], self.width, &indent));
        }
    }

    /// Code is as it is written: it is cut where a row is full, and nowhere else.
    fn end_code(&mut self) {
        let Some(code) = self.code.take() else { return };
        for line in code.strip_suffix('\n').unwrap_or(&code).split('\n').filter(|_| !code.is_empty()) {
            let mut indent = self.indent();
            indent.first.push(Span::raw(CODE_INDENT));
            indent.rest.push(Span::raw(CODE_INDENT));
            let span = Span::styled(clean::again(line).into_owned(), self.theme.code);
            self.lines.extend(hard_wrap(&[span], self.width, &indent));
        }
        self.has_gap = true;
    }

    fn end_link(&mut self) {
        self.styles.pop();
        let Some(link) = self.link.take() else { return };
        let is_told = link.name == link.address || link.address.strip_prefix("mailto:") == Some(&link.name);
        if !link.address.is_empty() && !is_told {
            self.push(Span::styled(format!(" ({})", link.address), self.theme.faint));
        }
    }
}

#[cfg(test)]
mod tests;
