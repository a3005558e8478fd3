//! Bytes as they are stored: with LZ4 where that makes them smaller.

use std::borrow::Cow;

/// The codec (0: as they are, 1: LZ4) and what it makes of these bytes: whatever is smaller.
pub(super) fn smaller(bytes: &[u8]) -> (u8, Cow<'_, [u8]>) {
    let compressed = lz4_flex::block::compress(bytes);
    if compressed.len() < bytes.len() { (1, compressed.into()) } else { (0, bytes.into()) }
}
