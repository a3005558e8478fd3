//! The ids of our requests. They say all that the parser has to know of a request when it sees the reply: it never sees
//! what was written.

use std::fmt;

/// A request of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Minted<'a> {
    /// The first word.
    Initialize,
    /// A new conversation; `settings`: some are to follow.
    New { settings: bool },
    /// An old conversation.
    Load { conversation: &'a str },
    /// Nothing is wanted but the reply, which is one of so many that are awaited.
    Fence { awaited: usize },
    /// Another model or mode; `awaited`: as for a fence, 0 once the greeting is over.
    Set { awaited: usize, setting: Setting, way: Way, value: &'a str },
    /// A prompt: the reply is the end of the turn. `is_command`: it may be for the agent itself, which asks no model then.
    Prompt { turn: &'a str, is_command: bool },
}

/// What can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Setting {
    Model,
    Mode,
}

/// How it is set: agents know a method of its own for it, or options of the session, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Method,
    Option,
}

impl Setting {
    pub(crate) const ALL: [Setting; 2] = [Setting::Model, Setting::Mode];

    /// What people, and the options of a session, call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Setting::Model => "model",
            Setting::Mode => "mode",
        }
    }
}

impl Way {
    pub(crate) const ALL: [Way; 2] = [Way::Method, Way::Option];

    fn name(self) -> &'static str {
        match self {
            Way::Method => "method",
            Way::Option => "option",
        }
    }
}

impl fmt::Display for Minted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Minted::Initialize => f.write_str("greet:0"),
            Minted::New { settings: false } => f.write_str("greet:1"),
            Minted::New { settings: true } => f.write_str("greet:1:settings"),
            Minted::Load { conversation } => write!(f, "greet:1:load:{conversation}"),
            Minted::Fence { awaited } => write!(f, "greet:2:{awaited}"),
            Minted::Set { awaited, setting, way, value } => {
                write!(f, "set:{awaited}:{}:{}:{value}", setting.name(), way.name())
            }
            Minted::Prompt { turn, is_command: false } => write!(f, "prompt:{turn}"),
            Minted::Prompt { turn, is_command: true } => write!(f, "command:{turn}"),
        }
    }
}

impl<'a> Minted<'a> {
    /// The request with this id; `None`: none of ours has it.
    pub(crate) fn of(id: &'a str) -> Option<Self> {
        match id {
            "greet:0" => return Some(Minted::Initialize),
            "greet:1" => return Some(Minted::New { settings: false }),
            "greet:1:settings" => return Some(Minted::New { settings: true }),
            _ => {}
        }
        if let Some(conversation) = id.strip_prefix("greet:1:load:") {
            return Some(Minted::Load { conversation });
        }
        if let Some(awaited) = id.strip_prefix("greet:2:") {
            return Some(Minted::Fence { awaited: awaited.parse().ok()? });
        }
        if let Some(turn) = id.strip_prefix("prompt:") {
            return Some(Minted::Prompt { turn, is_command: false });
        }
        if let Some(turn) = id.strip_prefix("command:") {
            return Some(Minted::Prompt { turn, is_command: true });
        }
        let mut parts = id.strip_prefix("set:")?.splitn(4, ':');
        let awaited = parts.next()?.parse().ok()?;
        let (setting, way) = (parts.next()?, parts.next()?);
        let setting = Setting::ALL.into_iter().find(|known| known.name() == setting)?;
        let way = Way::ALL.into_iter().find(|known| known.name() == way)?;
        Some(Minted::Set { awaited, setting, way, value: parts.next()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_what_was_asked() {
        let set = |awaited, setting, way| Minted::Set { awaited, setting, way, value: "$a:b|c" };
        for minted in [
            Minted::Initialize,
            Minted::New { settings: false },
            Minted::New { settings: true },
            Minted::Load { conversation: "ses:1" },
            Minted::Fence { awaited: 5 },
            set(2, Setting::Model, Way::Option),
            set(0, Setting::Mode, Way::Method),
            Minted::Prompt { turn: "01-2", is_command: false },
            Minted::Prompt { turn: "01-2", is_command: true },
        ] {
            assert_eq!(Minted::of(&minted.to_string()), Some(minted));
        }
        for id in
            ["", "greet", "greet:2", "greet:2:x", "set:", "set:1:model", "set:1:model:way:v", "set:-1:mode:option:v"]
        {
            assert_eq!(Minted::of(id), None, "{id}");
        }
    }
}
