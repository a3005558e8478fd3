//! End to end: the real binary, real sockets, real terminals. One test binary, each test on a home of its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails, and says where")]

mod agents;
mod agents_cli;
mod attach;
mod commands;
mod crash;
mod daemon;
mod door;
mod edges;
mod faults;
mod formats;
mod harness;
mod holder;
mod hostile_bytes;
mod log_tool;
mod mcp;
mod model;
mod opencode_bridge;
mod resume;
mod security;
mod size;
mod slow_reader;
mod start;
mod tidy;
mod tui;
mod users;
mod volumes;
mod window;
