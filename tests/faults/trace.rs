//! The shim's trace: every change of a file in order, with the marks that a test puts between.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use super::shim::op;

/// A mark of the test: no operation of the shim has this number.
const MARK: u64 = 0;
const HEADER_BYTES: usize = 40;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    Write {
        path: String,
        offset: u64,
        bytes: Vec<u8>,
    },
    /// `fsync` or `fdatasync` of a file or a directory returned.
    Sync {
        path: String,
    },
    Create {
        path: String,
    },
    Truncate {
        path: String,
        size: u64,
    },
    Rename {
        from: String,
        to: String,
    },
    Unlink {
        path: String,
    },
    Mkdir {
        path: String,
    },
    /// A sync that promises nothing.
    Range {
        path: String,
    },
    /// The test says that this was acknowledged.
    Acknowledged {
        seq: u64,
        text: String,
    },
}

impl Entry {
    /// What kind of point this is: the operation, and the path without the numbers in it.
    pub(crate) fn class(&self) -> Option<(u64, &str)> {
        match self {
            Entry::Write { path, .. } => Some((op::WRITE, path)),
            Entry::Sync { path } => Some((op::SYNC, path)),
            Entry::Create { path } => Some((op::CREATE, path)),
            Entry::Truncate { path, .. } => Some((op::TRUNCATE, path)),
            Entry::Rename { from, .. } => Some((op::RENAME, from)),
            Entry::Unlink { path } => Some((op::UNLINK, path)),
            Entry::Mkdir { path } => Some((op::MKDIR, path)),
            Entry::Range { path } => Some((op::RANGE, path)),
            Entry::Acknowledged { .. } => None,
        }
    }
}

/// Marks in the trace that this event was acknowledged. Everything that led to it is in the trace already.
pub(crate) fn acknowledge(trace: &Path, seq: u64, text: &str) {
    let mut entry = Vec::new();
    for number in [MARK, seq, text.len() as u64, 0, 0] {
        entry.extend_from_slice(&number.to_ne_bytes());
    }
    entry.extend_from_slice(text.as_bytes());
    OpenOptions::new().append(true).open(trace).unwrap().write_all(&entry).unwrap();
}

/// Reads a trace. What a kill cut off at its end is left out.
pub(crate) fn read(trace: &Path) -> Vec<Entry> {
    let bytes = std::fs::read(trace).unwrap();
    let mut rest = &bytes[..];
    let mut entries = Vec::new();
    while let Some((entry, after)) = one(rest) {
        entries.push(entry);
        rest = after;
    }
    entries
}

fn one(bytes: &[u8]) -> Option<(Entry, &[u8])> {
    let (header, rest) = bytes.split_at_checked(HEADER_BYTES)?;
    let mut numbers = header.chunks_exact(8).map(|number| u64::from_ne_bytes(number.try_into().unwrap()));
    let mut number = || numbers.next().unwrap();
    let (op, offset) = (number(), number());
    let mut length = || usize::try_from(number()).unwrap();
    let (path_bytes, to_bytes, data_bytes) = (length(), length(), length());
    let (path, rest) = rest.split_at_checked(path_bytes)?;
    let (to, rest) = rest.split_at_checked(to_bytes)?;
    let (data, rest) = rest.split_at_checked(data_bytes)?;
    let path = String::from_utf8(path.to_vec()).unwrap();
    let entry = match op {
        MARK => Entry::Acknowledged { seq: offset, text: path },
        op::WRITE => Entry::Write { path, offset, bytes: data.to_vec() },
        op::SYNC => Entry::Sync { path },
        op::CREATE => Entry::Create { path },
        op::TRUNCATE => Entry::Truncate { path, size: offset },
        op::RENAME => Entry::Rename { from: path, to: String::from_utf8(to.to_vec()).unwrap() },
        op::UNLINK => Entry::Unlink { path },
        op::MKDIR => Entry::Mkdir { path },
        op::RANGE => Entry::Range { path },
        other => panic!("the trace has an operation {other}"),
    };
    Some((entry, rest))
}
