//! The newest chunks, in memory, for those who are nearly caught up.

use std::collections::VecDeque;
use std::sync::Arc;

use ropewalk_protocol::{Seq, limits};

use super::chunk::Chunk;

#[derive(Default)]
pub(super) struct Tail {
    chunks: VecDeque<Arc<Chunk>>,
    bytes: usize,
}

impl Tail {
    pub(super) fn push(&mut self, chunk: Arc<Chunk>) {
        self.bytes += chunk.bytes();
        self.chunks.push_back(chunk);
        while self.bytes > limits::TAIL_BYTES_MAX && self.chunks.len() > 1 {
            if let Some(oldest) = self.chunks.pop_front() {
                self.bytes -= oldest.bytes();
            }
        }
    }

    /// The chunks that hold what lies after this place, up to some bytes; `None` when it is not all here.
    pub(super) fn after(&self, after: Seq, bytes_max: usize) -> Option<Vec<Arc<Chunk>>> {
        if self.chunks.front()?.first() > after.next() {
            return None;
        }
        let start = self.chunks.partition_point(|chunk| chunk.last() <= after);
        let mut bytes = 0;
        let chunks = self.chunks.iter().skip(start).take_while(|chunk| {
            let take = bytes < bytes_max;
            bytes += chunk.bytes();
            take
        });
        Some(chunks.cloned().collect())
    }

    /// The chunks that hold what lies before this place, the newest first, up to some bytes; `None` when none is here.
    pub(super) fn before(&self, before: Seq, bytes_max: usize) -> Option<Vec<Arc<Chunk>>> {
        if self.chunks.front()?.first() >= before {
            return None;
        }
        let end = self.chunks.partition_point(|chunk| chunk.first() < before);
        let mut bytes = 0;
        let chunks = self.chunks.range(..end).rev().take_while(|chunk| {
            let take = bytes < bytes_max;
            bytes += chunk.bytes();
            take
        });
        Some(chunks.cloned().collect())
    }
}
