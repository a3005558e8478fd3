//! The one place that names bincode: stored records, the holder's frames and the same-build wire.
//!
//! bincode is not self-describing, so nothing is stored without a kind and a version beside it ([`crate::record`]).
//! Every decode has a limit: without one a few bytes can ask for all memory.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::limits;

const _: () = assert!(limits::CODEC_BYTES_MAX >= limits::FRAME_BYTES_MAX);

type Config = Configuration<LittleEndian, Varint, Limit<{ limits::CODEC_BYTES_MAX }>>;

fn config() -> Config {
    bincode::config::standard().with_limit()
}

/// Bytes that are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes do not decode.
    #[error("bytes do not decode: {0}")]
    Malformed(String),
    /// Something follows the value.
    #[error("{0} bytes follow the value")]
    Trailing(usize),
}

/// Encodes a value. Our own types always encode: they hold no maps of unknown length and no pointers.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    encode_into(value, &mut bytes);
    bytes
}

/// Encodes a value behind what `bytes` holds.
pub fn encode_into<T: Serialize>(value: &T, bytes: &mut Vec<u8>) {
    bincode::serde::encode_into_std_write(value, bytes, bincode::config::standard())
        .expect("writing our own types to memory cannot fail");
}

/// Decodes a value that fills `bytes`.
///
/// # Errors
/// The bytes are malformed, too many or too few.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    decode_borrowed(bytes)
}

/// Decodes a value that fills `bytes`, and may point into them.
///
/// # Errors
/// The bytes are malformed, too many or too few.
pub(crate) fn decode_borrowed<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, CodecError> {
    let (value, used) = bincode::serde::borrow_decode_from_slice(bytes, config())
        .map_err(|error| CodecError::Malformed(error.to_string()))?;
    if used == bytes.len() { Ok(value) } else { Err(CodecError::Trailing(bytes.len() - used)) }
}

/// Decodes the value that `bytes` begin with; what follows it is not looked at.
///
/// # Errors
/// The bytes are malformed or too few.
pub(crate) fn decode_first<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let decoded = bincode::serde::decode_from_slice(bytes, config());
    decoded.map(|(value, _)| value).map_err(|error| CodecError::Malformed(error.to_string()))
}
