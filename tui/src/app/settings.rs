//! What a person sets, in the configuration or by a key.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::keymap::{Keymap, KeymapError};

/// The configuration file, `tui.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The key that begins the longer ones; `ctrl+x` if nothing is said.
    pub leader: Option<String>,
    /// Keys by the names of actions; `[]` or `["none"]` for none.
    #[serde(default)]
    pub keys: BTreeMap<String, Vec<String>>,
    /// `dark`, `light` or `auto`.
    #[serde(default)]
    pub theme: ThemeChoice,
    /// The mouse is taken: the wheel scrolls, a click selects. With shift the terminal has it all the same.
    pub mouse: Option<bool>,
    /// How a person is called who does not look: `bell`, `osc9`, `osc777`, `title`; `[]` for not at all.
    pub notify: Option<Vec<Notify>>,
    /// Where there is no clipboard over the terminal: a program that takes the text on its input.
    pub clipboard_command: Option<String>,
    /// The agent that a new session begins with, by its name or provider.
    pub agent: Option<String>,
    /// Agents of one's own.
    #[serde(default)]
    pub agents: Vec<OwnAgent>,
    /// Nothing may be changed: prompts, answers and all other commands are refused.
    #[serde(default)]
    pub read_only: bool,
}

/// An agent of one's own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnAgent {
    /// What it is called.
    pub name: String,
    /// Its provider: `acp`, mostly.
    pub provider: String,
    /// The program and its arguments, where it is not the provider's usual one.
    #[serde(default)]
    pub command: Vec<String>,
}

/// Which colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThemeChoice {
    /// What the terminal says of its background.
    #[default]
    Auto,
    /// For a dark background.
    Dark,
    /// For a light one.
    Light,
}

/// How a person is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notify {
    /// The bell.
    Bell,
    /// A notification, as iTerm2, kitty, WezTerm and foot know it.
    Osc9,
    /// A notification, as urxvt and others know it.
    Osc777,
    /// A mark in the title.
    Title,
}

/// What holds for this client.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Which keys mean what.
    pub keymap: Keymap,
    /// Which colours.
    pub theme: ThemeChoice,
    /// What the terminal said of its background.
    pub is_light: bool,
    /// No colours at all.
    pub is_plain: bool,
    /// The mouse is taken.
    pub mouse: bool,
    /// How a person is called.
    pub notify: Vec<Notify>,
    /// Nothing may be changed.
    pub read_only: bool,
    /// A program takes what is copied.
    pub has_clipboard: bool,
}

impl Config {
    /// What a file says.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn read(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }
}

impl Settings {
    /// What the configuration says.
    ///
    /// # Errors
    /// A key that is wrong.
    pub fn new(config: &Config, no_colour: bool) -> Result<Self, KeymapError> {
        Ok(Self {
            keymap: Keymap::new(config.leader.as_deref(), &config.keys)?,
            theme: config.theme,
            is_light: config.theme == ThemeChoice::Light,
            is_plain: no_colour,
            mouse: config.mouse.unwrap_or(true),
            notify: config.notify.clone().unwrap_or_else(|| vec![Notify::Bell, Notify::Title]),
            read_only: config.read_only,
            has_clipboard: config.clipboard_command.is_some(),
        })
    }
}
