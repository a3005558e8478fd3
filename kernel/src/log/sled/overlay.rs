//! Rows that are in a volume's write-ahead log and not in its database yet: what readers see in front of it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use super::super::store::Row;

/// Rows by their keys.
pub(super) type Rows = BTreeMap<Vec<u8>, Bytes>;

/// Two generations of rows: those that are added to, and those on their way into the database.
#[derive(Default)]
pub(super) struct Overlay {
    newest: Rows,
    leaving: Option<Arc<Rows>>,
}

impl Overlay {
    /// Adds rows; one whose key is there takes its place.
    pub(super) fn add(&mut self, rows: Vec<Row>) {
        self.newest.extend(rows.into_iter().map(|(key, value)| (key, Bytes::from(value))));
    }

    /// The value under this key.
    pub(super) fn get(&self, key: &[u8]) -> Option<Bytes> {
        self.newest.get(key).or_else(|| self.leaving.as_ref()?.get(key)).cloned()
    }

    /// The first rows with `from <= key < to`, in order, and no more than this many.
    pub(super) fn first(&self, from: &[u8], to: &[u8], count_max: usize) -> Vec<(Vec<u8>, Bytes)> {
        if from >= to {
            return Vec::new();
        }
        let mut newest = range(&self.newest, from, to).peekable();
        let mut leaving = self.leaving.iter().flat_map(|rows| range(rows, from, to)).peekable();
        let mut first = Vec::new();
        while first.len() < count_max {
            let next = match (newest.peek(), leaving.peek()) {
                (Some((new, _)), Some((old, _))) if old < new => leaving.next(),
                (Some((new, _)), Some((old, _))) => {
                    if new == old {
                        leaving.next();
                    }
                    newest.next()
                }
                (Some(_), None) => newest.next(),
                (None, _) => leaving.next(),
            };
            let Some((key, value)) = next else {
                break;
            };
            first.push((key.clone(), value.clone()));
        }
        first
    }

    /// The last row with `from <= key < to`.
    pub(super) fn last(&self, from: &[u8], to: &[u8]) -> Option<(Vec<u8>, Bytes)> {
        if from >= to {
            return None;
        }
        let newest = range(&self.newest, from, to).next_back();
        let leaving = self.leaving.iter().filter_map(|rows| range(rows, from, to).next_back()).next();
        // Of two under one key the newer one counts, and `max_by` takes the later of equals.
        let last = leaving.into_iter().chain(newest).max_by(|one, other| one.0.cmp(other.0));
        last.map(|(key, value)| (key.clone(), value.clone()))
    }

    /// Sends the newest generation on its way. The one before it must have arrived.
    pub(super) fn leave(&mut self) -> Arc<Rows> {
        let leaving = Arc::new(std::mem::take(&mut self.newest));
        self.leaving = Some(leaving.clone());
        leaving
    }

    /// The generation that was on its way is in the database.
    pub(super) fn arrived(&mut self) {
        self.leaving = None;
    }
}

fn range<'a>(rows: &'a Rows, from: &[u8], to: &[u8]) -> std::collections::btree_map::Range<'a, Vec<u8>, Bytes> {
    rows.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[(u8, u8)]) -> Vec<Row> {
        rows.iter().map(|(key, value)| (vec![*key], vec![*value])).collect()
    }

    fn shown(rows: &[(Vec<u8>, Bytes)]) -> Vec<(u8, u8)> {
        rows.iter().map(|(key, value)| (key[0], value[0])).collect()
    }

    #[test]
    fn two_generations_are_read_as_one_and_the_newer_row_counts() {
        let mut overlay = Overlay::default();
        overlay.add(rows(&[(1, 10), (3, 10), (5, 10), (9, 10)]));
        overlay.leave();
        overlay.add(rows(&[(2, 20), (3, 20), (8, 20), (9, 20)]));
        let all = [(1, 10), (2, 20), (3, 20), (5, 10), (8, 20), (9, 20)];
        assert_eq!(shown(&overlay.first(&[0], &[255], 100)), all);
        assert_eq!(shown(&overlay.first(&[2], &[9], 100)), all[1..5]);
        assert_eq!(shown(&overlay.first(&[2], &[9], 3)), all[1..4], "as many as were asked for");
        assert_eq!(shown(&overlay.first(&[9], &[2], 3)), [], "a range that ends before it begins");
        for (key, value) in all {
            assert_eq!(overlay.get(&[key]).map(|value| value[0]), Some(value), "{key}");
        }
        assert_eq!(overlay.get(&[4]), None);
        let last = |to: u8| shown(&Vec::from_iter(overlay.last(&[1], &[to])));
        assert_eq!((last(255), last(9), last(6), last(1)), (vec![(9, 20)], vec![(8, 20)], vec![(5, 10)], vec![]));
        overlay.arrived();
        assert_eq!(shown(&overlay.first(&[0], &[255], 100)), [(2, 20), (3, 20), (8, 20), (9, 20)]);
    }
}
