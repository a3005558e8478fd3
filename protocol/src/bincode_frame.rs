//! Events as they are stored, for Rust clients of the same build.

use crate::Seq;

/// Events as stored records, on the same-build wire: `u8 16 | u64 LE subscription | run…`, where a run of neighbouring events
/// is `u64 LE first seq | u32 LE bytes | record…` and a record `u32 LE length | bytes`, as chunks of the log hold them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BincodeFrame {
    /// Which subscription.
    pub subscription: u64,
    /// The runs; their lengths add up.
    runs: bytes::Bytes,
}

impl BincodeFrame {
    /// The first byte, told apart from the kinds of terminal frames.
    pub const KIND: u8 = 16;
    const HEADER_BYTES: usize = 1 + 8;
    const RUN_HEADER_BYTES: usize = 8 + 4;

    /// The start of a frame for a subscription yet unknown; runs are added with [`BincodeFrame::push`].
    pub fn begin(capacity: usize) -> Vec<u8> {
        let mut frame = Vec::with_capacity(capacity + Self::HEADER_BYTES);
        frame.push(Self::KIND);
        frame.extend_from_slice(&[0; 8]);
        frame
    }

    /// Adds a run of events that follow each other, the records as they lie in a chunk.
    pub fn push(frame: &mut Vec<u8>, first: Seq, records: &[u8]) {
        let length = u32::try_from(records.len()).expect("a run is smaller than a chunk");
        frame.extend_from_slice(&first.0.to_le_bytes());
        frame.extend_from_slice(&length.to_le_bytes());
        frame.extend_from_slice(records);
    }

    /// Says which subscription a frame that was begun is for.
    pub fn address(frame: &mut [u8], subscription: u64) {
        frame[1..Self::HEADER_BYTES].copy_from_slice(&subscription.to_le_bytes());
    }

    /// Reads a frame; `None` when it is not one.
    pub fn decode(frame: &bytes::Bytes) -> Option<Self> {
        if frame.len() < Self::HEADER_BYTES || frame[0] != Self::KIND {
            return None;
        }
        let subscription = u64::from_le_bytes(frame[1..Self::HEADER_BYTES].try_into().ok()?);
        let runs = frame.slice(Self::HEADER_BYTES..);
        let mut rest = &runs[..];
        while !rest.is_empty() {
            let (_, mut records, next) = Self::run(rest)?;
            while !records.is_empty() {
                records = Self::record(records)?.1;
            }
            rest = next;
        }
        Some(Self { subscription, runs })
    }

    /// Seq and stored record of each event, in order.
    pub fn records(&self) -> impl Iterator<Item = (Seq, &[u8])> {
        let mut rest = &self.runs[..];
        let (mut seq, mut records) = (Seq::ZERO, &[][..]);
        std::iter::from_fn(move || {
            if records.is_empty() {
                let (first, run, next) = Self::run(rest)?;
                (seq, records, rest) = (first, run, next);
            }
            let (record, left) = Self::record(records)?;
            records = left;
            let at = seq;
            seq = seq.next();
            Some((at, record))
        })
    }

    fn run(bytes: &[u8]) -> Option<(Seq, &[u8], &[u8])> {
        let (header, rest) = bytes.split_at_checked(Self::RUN_HEADER_BYTES)?;
        let first = u64::from_le_bytes(header[..8].try_into().ok()?);
        let length = u32::from_le_bytes(header[8..].try_into().ok()?) as usize;
        let (records, rest) = rest.split_at_checked(length)?;
        Some((Seq(first), records, rest)).filter(|_| length > 0)
    }

    fn record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
        let (length, rest) = bytes.split_at_checked(4)?;
        rest.split_at_checked(u32::from_le_bytes(length.try_into().ok()?) as usize)
    }
}
