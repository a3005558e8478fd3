//! What agents say and do, as styled lines. Pure: what goes in comes out, and nothing reads a clock.
//!
//! - `theme`: a style for each role, and the signs that stand for how something went
//! - `clean`: text of agents without what a terminal would obey, or with it made visible
//! - `wrap`: styled text in rows of so many cells
//! - `markdown`: what agents write, also while they still write it
//! - `diff`: changes of files
//! - `tool`: what a tool call is about, in a line and in full
//! - `part`: whatever was said or done in a turn, and how the turn ended
//! - `units`: ages, money, tokens, bytes and paths, for people

pub mod clean;
pub mod diff;
pub mod markdown;
pub mod part;
pub mod theme;
pub mod tool;
pub mod units;
pub mod wrap;
