//! `ropewalk bench`.
use crate::args::Bench;
use crate::exit::{Failure, OK};

pub(crate) fn bench(_what: Bench, _quick: bool, _json: bool) -> Result<u8, Failure> {
    Ok(OK)
}
