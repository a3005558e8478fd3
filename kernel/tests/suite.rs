//! The log, its receipts, its router and its followers: the same suite on a disk and in memory, then everything that breaks.

mod adopted;
mod append;
mod archive;
mod chain;
mod damage;
mod failure;
mod faults;
mod follow;
mod format;
mod looking;
mod model;
mod newest;
mod output;
mod pieces;
mod read_ahead;
mod read_back;
mod receipts;
mod regressions;
mod repair;
mod router;
mod snapshots;
mod stall;
mod support;
