//! Whether the index beside the volumes says of them what they say of themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use ropewalk_protocol::Seq;

use super::summary::{Summary, last_chunk, name_rows, summarize};
use super::{StoreError, Volume, Volumes};
use crate::log::chunk::GENESIS;
use crate::log::rows::{self, Tag};

/// A volume that the index is wrong about, and how.
pub(in crate::log) type Disagreement = (Seq, &'static str);

impl Volumes {
    /// Makes the index's rows on these sealed volumes anew, each of its own volume, and holds them against the index. A
    /// volume that cannot be read is left out: nobody knows what the index should say of it. Asked before each volume whether
    /// to go on.
    pub(in crate::log) fn check_index(
        &self,
        sealed: &[Seq],
        go_on: impl Fn() -> Result<(), StoreError>,
    ) -> Result<Vec<Disagreement>, StoreError> {
        let mut wrong = BTreeMap::new();
        let mut known: BTreeSet<Vec<u8>> = BTreeSet::new();
        let mut checked = BTreeSet::new();
        for first in sealed {
            go_on()?;
            // One that the index does not name is looked into for whatever is asked: nothing is said of it that could be wrong.
            if self.lock().unread.contains(first) {
                continue;
            }
            match self.read(*first, |volume| Ok((facts(volume, *first)?, name_rows(volume, *first)?))) {
                Ok((facts, names)) => {
                    checked.insert(*first);
                    if let Some(reason) = self.disagrees(&facts)? {
                        wrong.insert(*first, reason);
                    }
                    for (key, value) in names {
                        if self.index.get(&key)?.as_ref() != Some(&value) {
                            wrong.entry(*first).or_insert("the index does not name what the volume holds");
                        }
                        known.insert(key);
                    }
                }
                Err(StoreError::Damaged(_)) => {}
                Err(error) => return Err(error),
            }
        }
        for tag in [Tag::SessionVolume, Tag::TerminalVolume] {
            self.index.scan(&[tag as u8], &rows::end(tag), &mut |key, _| {
                let first = Seq(rows::trailing_number(key).unwrap_or_default());
                if checked.contains(&first) && !known.contains(key) {
                    wrong.entry(first).or_insert("the index names what the volume does not hold");
                }
                ControlFlow::Continue(())
            })?;
        }
        Ok(wrong.into_iter().collect())
    }

    /// How the index's summary of a volume is wrong, if it is.
    fn disagrees(&self, facts: &Summary) -> Result<Option<&'static str>, StoreError> {
        let Some(said) = self.remembered(facts.first)? else {
            return Ok(Some("the index says nothing of the volume"));
        };
        // A volume without a chunk of its own ends where the one before it does, or later if a tail was lost.
        let same_end = said.last > facts.last || (said.last == facts.last && said.hash == facts.hash);
        let ends = facts.hash == GENESIS || same_end;
        let agrees = !said.indexed || (said.first == facts.first && said.commands == facts.commands && ends);
        Ok((!agrees).then_some("the index says something else of the volume than the volume itself"))
    }
}

fn facts(volume: &dyn Volume, first: Seq) -> Result<Summary, StoreError> {
    let (last, hash) = last_chunk(volume)?.unwrap_or((first.previous(), GENESIS));
    summarize(volume, first, last, hash)
}
