//! The client's state and what changes it. Pure: time, events and answers come in as values, effects go out.
//!
//! - `state`: everything, and what every event makes of it; `event`: what comes in and what goes out
//! - `incoming`, `answered`: what the daemon says; `keys`, `mouse`: what the terminal says
//! - `action`, `keymap`, `verbs`: everything there is to do, by key and by name; `act`, `moving`, `writing`, `answering`,
//!   `queueing`, `lists`: how it is done
//! - `following`: what is followed; `typed`: lines without a screen; `words`: what is typed over the screen, and kept; `tree`, `talk`, `live`, `composer`, `overlay`, `search`: what is shown; `reading`, `layout`: where
//! - `place`, `settings`: what outlives the client

mod act;
pub mod action;
mod answered;
mod answering;
pub mod composer;
pub mod editor;
pub mod event;
mod fetches;
mod following;
pub(crate) mod incoming;
pub mod keymap;
mod keys;
pub mod layout;
mod lists;
pub mod live;
mod matching;
mod mouse;
mod moving;
pub mod overlay;
pub mod pending;
pub mod place;
mod queueing;
mod reading;
pub mod search;
pub mod settings;
pub mod state;
pub mod talk;
pub mod tree;
mod typed;
pub mod verbs;
mod words;
mod writing;

/// Lines above a program's screen that are asked for with it.
pub const SCROLLBACK_LINES: u32 = 1_000;
/// Panes on the screen: more cannot be read.
pub const PANES_MAX: usize = 9;
/// Places that a search finds before it pauses.
pub const HITS_MAX: usize = 200;

/// The texts that fit what was typed, the best first.
pub(crate) fn best(typed: &str, texts: &[String], count: usize) -> Vec<String> {
    let mut found: Vec<_> = texts.iter().filter_map(|text| Some((matching::score(typed, text)?, text))).collect();
    found.sort_by_key(|(score, text)| (std::cmp::Reverse(*score), text.len()));
    found.into_iter().take(count).map(|(_, text)| text.clone()).collect()
}

pub(crate) use answering::shows_options;
