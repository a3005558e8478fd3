//! Names of things: UUIDs told apart by type, and places in the log.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Text that is not an id of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {kind}: a UUID is expected, such as 0192f0c1-2b7a-7c3e-8d11-5a2f3c4d5e6f")]
pub struct IdError {
    kind: &'static str,
    text: String,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Milliseconds since the Unix epoch that a v7 id carries; `None` for any other version.
            pub fn unix_millis(&self) -> Option<u64> {
                if self.0.get_version_num() != 7 {
                    return None;
                }
                let bytes = self.0.as_bytes();
                Some(bytes[..6].iter().fold(0, |millis, byte| (millis << 8) | u64::from(*byte)))
            }

            /// The id with these 16 bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The id's 16 bytes, in the order of its text.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The id as a plain UUID.
            pub const fn uuid(&self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}:{}", $kind, self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Uuid::parse_str(text).map(Self).map_err(|_| IdError { kind: $kind, text: text.chars().take(64).collect() })
            }
        }
    };
}

id!(/** A host with one daemon for one user. */ MachineId, "machine id");
id!(/** One log: a cursor means nothing in another log. */ LogId, "log id");
id!(/** A session: the durable unit of work. */ SessionId, "session id");
id!(/** A participant in a session, driven by a provider. */ AgentId, "agent id");
id!(/** One life of a provider's process. */ RunId, "run id");
id!(/** A terminal: a PTY with a byte stream and a screen. */ TerminalId, "terminal id");
id!(/** A prompt, from its place in the queue to its turn. */ PromptId, "prompt id");
id!(/** A turn: one prompt to its settled end. */ TurnId, "turn id");
id!(/** A part of a turn: text, thinking, a tool call, a plan, a file change. */ ItemId, "item id");
id!(/** An open question to people. */ InteractionId, "interaction id");
id!(/** One client program's life; terminal input is deduplicated per client. */ ClientId, "client id");
id!(/** A command, minted by the client that sends it; a UUID v7, so that it carries its time. */ CommandId, "command id");

/// A place in the machine's one sequence of events: 1, 2, 3 … without holes. 0 stands before the first event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The place before the first event.
    pub const ZERO: Seq = Seq(0);

    /// The place after this one.
    pub const fn next(self) -> Seq {
        Seq(self.0.saturating_add(1))
    }

    /// The place before this one, or zero.
    pub const fn previous(self) -> Seq {
        Seq(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
