//! Frames on the holder's socket: `u32 LE length | bincode`. Pure; both sides of the socket use it.

use super::{FromHolder, ToHolder};
use crate::codec::{self, CodecError};
use crate::{TerminalId, limits};

/// What stands before each frame's body: its length.
pub const HEADER_BYTES: usize = 4;

/// Bytes of one stream in one `Output` frame: small enough that streams take turns.
pub const OUTPUT_FRAME_BYTES_MAX: usize = 64 * 1024;

const _: () = assert!(OUTPUT_FRAME_BYTES_MAX + 64 <= limits::CODEC_BYTES_MAX);

/// Bytes that are no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The length says more than any frame has.
    #[error("a frame of {0} bytes is larger than any frame")]
    TooLarge(usize),
    /// The body does not decode.
    #[error(transparent)]
    Body(#[from] CodecError),
}

/// Puts a frame to the holder behind what `out` holds.
pub fn encode_to_holder(frame: &ToHolder, out: &mut Vec<u8>) {
    framed(out, |out| codec::encode_into(frame, out));
}

/// Puts a frame from the holder behind what `out` holds.
pub fn encode_from_holder(frame: &FromHolder, out: &mut Vec<u8>) {
    framed(out, |out| codec::encode_into(frame, out));
}

/// Puts a `FromHolder::Output` behind what `out` holds: the same bytes as [`encode_from_holder`], but the stream's are
/// copied once and as a whole, because serde would take them one at a time.
pub fn encode_output(stream: TerminalId, offset: u64, bytes: &[u8], out: &mut Vec<u8>) {
    framed(out, |out| {
        codec::encode_into(&FromHolder::Output { stream, offset, bytes: Vec::new() }, out);
        out.pop();
        encode_length(bytes.len(), out);
        out.extend_from_slice(bytes);
    });
}

/// Finds the first frame in `bytes`: its body and how many bytes it takes in all. `None`: more bytes are needed.
///
/// # Errors
/// The length is larger than any frame's.
pub fn split_frame(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, WireError> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    let length = body_bytes(*header)?;
    Ok(rest.get(..length).map(|body| (body, HEADER_BYTES + length)))
}

/// How long the body behind this header is.
///
/// # Errors
/// Longer than any frame's.
pub fn body_bytes(header: [u8; HEADER_BYTES]) -> Result<usize, WireError> {
    let length = u32::from_le_bytes(header) as usize;
    if length > limits::CODEC_BYTES_MAX { Err(WireError::TooLarge(length)) } else { Ok(length) }
}

/// Decodes the body of a frame to the holder.
///
/// # Errors
/// The body is malformed or of a newer build.
pub fn decode_to_holder(body: &[u8]) -> Result<ToHolder, WireError> {
    Ok(codec::decode(body)?)
}

/// Decodes the body of a frame from the holder.
///
/// # Errors
/// The body is malformed or of a newer build.
pub fn decode_from_holder(body: &[u8]) -> Result<FromHolder, WireError> {
    Ok(codec::decode(body)?)
}

fn framed(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    body(out);
    let length = u32::try_from(out.len() - start - HEADER_BYTES).expect("a frame is far below 4 GiB");
    out[start..start + HEADER_BYTES].copy_from_slice(&length.to_le_bytes());
}

/// A length as bincode's variable integers have it.
fn encode_length(length: usize, out: &mut Vec<u8>) {
    if let Ok(short @ 0..=250) = u8::try_from(length) {
        out.push(short);
    } else if let Ok(medium) = u16::try_from(length) {
        out.push(251);
        out.extend_from_slice(&medium.to_le_bytes());
    } else {
        out.push(252);
        out.extend_from_slice(&u32::try_from(length).expect("a frame is far below 4 GiB").to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_encoded_as_serde_does() {
        let stream = TerminalId::from_bytes([7; 16]);
        for length in [0, 1, 250, 251, 255, 256, 4095, 65_535, 65_536, 70_000] {
            for offset in [0, 250, 251, 70_000, u64::from(u32::MAX) + 1] {
                let bytes: Vec<u8> = (0..length).map(|at: u32| at.to_le_bytes()[0]).collect();
                let (mut fast, mut plain) = (vec![1], vec![1]);
                encode_output(stream, offset, &bytes, &mut fast);
                encode_from_holder(&FromHolder::Output { stream, offset, bytes }, &mut plain);
                assert!(fast == plain, "{length} bytes at {offset}");
            }
        }
    }

    #[test]
    fn a_frame_is_found_once_it_is_whole() {
        let mut bytes = Vec::new();
        let frame = ToHolder::Hello { protocol: 1 };
        encode_to_holder(&frame, &mut bytes);
        let whole = bytes.len();
        bytes.push(9);
        for length in 0..whole {
            assert_eq!(split_frame(&bytes[..length]), Ok(None));
        }
        let (body, used) = split_frame(&bytes).unwrap().unwrap();
        assert_eq!((decode_to_holder(body), used), (Ok(frame), whole));
    }

    #[test]
    fn a_length_that_no_frame_has_is_refused_before_its_bytes_come() {
        assert_eq!(split_frame(&u32::MAX.to_le_bytes()), Err(WireError::TooLarge(u32::MAX as usize)));
    }

    #[test]
    fn a_body_with_an_unknown_word_is_refused() {
        assert!(decode_to_holder(&[200, 1, 2]).is_err());
        assert!(decode_to_holder(&[]).is_err());
    }
}
