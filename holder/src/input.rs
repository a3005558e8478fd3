//! The input of one stream that the program has not taken yet, and which of it was written before. Pure.

use std::collections::VecDeque;

use ropewalk_protocol::{ClientId, limits};

/// What an input counts besides its bytes: about what it takes in memory, so that empty ones fill the queue as well.
const ITEM_BYTES: usize = 64;

/// What becomes of input that is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    /// It waits now.
    Queued,
    /// It waits already, from an earlier connection; it is answered when it is written.
    Waiting,
    /// It was written before. The last id written.
    Written(u64),
    /// It was refused before, or there is no place for it.
    Full,
}

/// One input, named.
pub(crate) type Name = (ClientId, u64);

#[derive(Debug)]
struct Item {
    name: Name,
    bytes: Vec<u8>,
    written: usize,
}

impl Item {
    /// What it counts in a queue that is bounded.
    fn charge(&self) -> usize {
        self.bytes.len() + ITEM_BYTES
    }
}

#[derive(Debug)]
struct Client {
    id: ClientId,
    queued: Option<u64>,
    written: Option<u64>,
    refused: Option<u64>,
}

/// The queue. Clients stand in the order they were last heard, the one silent longest first.
#[derive(Debug, Default)]
pub(crate) struct InputQueue {
    items: VecDeque<Item>,
    charged: usize,
    clients: Vec<Client>,
}

impl InputQueue {
    /// Takes input unless it was taken before or there is no place for it.
    pub(crate) fn offer(&mut self, client: ClientId, id: u64, bytes: Vec<u8>) -> Offer {
        let item = Item { name: (client, id), bytes, written: 0 };
        let charged = self.charged + item.charge();
        let known = self.hear(client);
        if known.queued.is_some_and(|queued| id <= queued) {
            return match known.written {
                _ if known.refused == Some(id) => Offer::Full,
                Some(written) if id <= written => Offer::Written(written),
                _ => Offer::Waiting,
            };
        }
        if charged > limits::INPUT_QUEUE_BYTES_MAX {
            known.refused = Some(id);
            return Offer::Full;
        }
        known.queued = Some(id);
        if known.refused == Some(id) {
            known.refused = None;
        }
        self.charged = charged;
        self.items.push_back(item);
        Offer::Queued
    }

    /// The last id written for this client, if it covers this one.
    pub(crate) fn written(&self, client: ClientId, id: u64) -> Option<u64> {
        let known = self.clients.iter().find(|known| known.id == client)?;
        known.written.filter(|written| id <= *written && known.refused != Some(id))
    }

    /// Whether all input was written.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The bytes to write next. Empty input is whole without a write: its piece is empty.
    pub(crate) fn next(&self) -> Option<&[u8]> {
        self.items.front().map(|item| &item.bytes[item.written..])
    }

    /// Notes that this many bytes of [`Self::next`] were written; the input that is whole now.
    pub(crate) fn wrote(&mut self, count: usize) -> Option<Name> {
        let item = self.items.front_mut()?;
        item.written += count;
        if item.written < item.bytes.len() {
            return None;
        }
        let item = self.items.pop_front()?;
        self.charged -= item.charge();
        if self.items.is_empty() {
            self.items.shrink_to(4);
        }
        let (id, number) = item.name;
        if let Some(client) = self.clients.iter_mut().find(|client| client.id == id) {
            client.written = Some(number);
        }
        Some(item.name)
    }

    /// Gives up all that waits, because nobody will take it.
    pub(crate) fn give_up(&mut self) -> Vec<Name> {
        self.charged = 0;
        let names: Vec<Name> = std::mem::take(&mut self.items).into_iter().map(|item| item.name).collect();
        for (id, number) in &names {
            if let Some(client) = self.clients.iter_mut().find(|client| client.id == *id) {
                client.queued = client.written;
                client.refused = Some(*number);
            }
        }
        names
    }

    /// Moves a client to the end of the order of silence, and makes place for it if it is new.
    fn hear(&mut self, id: ClientId) -> &mut Client {
        let known = match self.clients.iter().position(|client| client.id == id) {
            Some(at) => self.clients.remove(at),
            None => {
                if self.clients.len() >= limits::INPUT_CLIENTS_MAX {
                    let idle = self.clients.iter().position(|client| client.queued == client.written);
                    self.clients.remove(idle.unwrap_or(0));
                }
                Client { id, queued: None, written: None, refused: None }
            }
        };
        self.clients.push(known);
        self.clients.last_mut().expect("a client was pushed just now")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u8) -> ClientId {
        ClientId::from_bytes([number; 16])
    }

    fn write_all(queue: &mut InputQueue) -> Vec<u64> {
        let mut done = Vec::new();
        while let Some(length) = queue.next().map(<[u8]>::len) {
            done.extend(queue.wrote(length).map(|(_, id)| id));
        }
        done
    }

    #[test]
    fn an_id_is_written_once() {
        let mut queue = InputQueue::default();
        assert_eq!(queue.offer(client(1), 5, b"abc".to_vec()), Offer::Queued);
        assert_eq!(queue.offer(client(1), 5, b"abc".to_vec()), Offer::Waiting);
        assert_eq!(queue.wrote(2), None);
        assert_eq!(queue.next(), Some(&b"c"[..]));
        assert_eq!(queue.wrote(1), Some((client(1), 5)));
        assert_eq!(queue.offer(client(1), 5, b"abc".to_vec()), Offer::Written(5));
        assert_eq!(queue.offer(client(1), 3, b"abc".to_vec()), Offer::Written(5));
        assert_eq!(queue.offer(client(1), 9, b"d".to_vec()), Offer::Queued);
        assert_eq!(queue.offer(client(2), 1, b"e".to_vec()), Offer::Queued);
        assert_eq!(write_all(&mut queue), [9, 1]);
    }

    #[test]
    fn the_first_id_may_be_zero() {
        let mut queue = InputQueue::default();
        assert_eq!(queue.offer(client(1), 0, b"a".to_vec()), Offer::Queued);
        assert_eq!(write_all(&mut queue), [0]);
        assert_eq!(queue.offer(client(1), 0, b"a".to_vec()), Offer::Written(0));
    }

    #[test]
    fn a_full_queue_refuses_and_a_refused_id_is_never_said_to_be_written() {
        let mut queue = InputQueue::default();
        let half = vec![0; limits::INPUT_QUEUE_BYTES_MAX / 2 - ITEM_BYTES];
        assert_eq!(queue.offer(client(1), 1, half.clone()), Offer::Queued);
        assert_eq!(queue.offer(client(1), 2, half.clone()), Offer::Queued);
        assert_eq!(queue.offer(client(1), 3, vec![1]), Offer::Full);
        assert_eq!(write_all(&mut queue), [1, 2]);
        assert_eq!(queue.offer(client(1), 4, vec![1]), Offer::Queued);
        assert_eq!(queue.offer(client(1), 3, vec![1]), Offer::Full);
        assert_eq!(queue.offer(client(1), 4, vec![1]), Offer::Waiting);
    }

    /// Regression: input without bytes waited without bound.
    #[test]
    fn regression_input_without_bytes_fills_the_queue_as_well() {
        let mut queue = InputQueue::default();
        let most = limits::INPUT_QUEUE_BYTES_MAX / ITEM_BYTES;
        for id in 0..most as u64 {
            assert_eq!(queue.offer(client(1), id, Vec::new()), Offer::Queued);
        }
        assert_eq!(queue.offer(client(1), most as u64, Vec::new()), Offer::Full);
        assert_eq!(write_all(&mut queue).len(), most);
        assert_eq!(queue.offer(client(1), most as u64 + 1, Vec::new()), Offer::Queued);
    }

    #[test]
    fn input_given_up_may_be_offered_again() {
        let mut queue = InputQueue::default();
        queue.offer(client(1), 1, vec![1]);
        queue.offer(client(1), 2, vec![1]);
        assert_eq!(queue.give_up(), [(client(1), 1), (client(1), 2)]);
        assert!(queue.is_empty());
        assert_eq!(queue.offer(client(1), 1, vec![1]), Offer::Queued);
    }

    #[test]
    fn the_client_silent_longest_is_forgotten_first() {
        let mut queue = InputQueue::default();
        let most = u8::try_from(limits::INPUT_CLIENTS_MAX).unwrap();
        for number in 0..most {
            queue.offer(client(number), 7, vec![1]);
        }
        write_all(&mut queue);
        assert_eq!(queue.offer(client(0), 7, vec![1]), Offer::Written(7));
        queue.offer(client(most), 1, vec![1]);
        assert_eq!(queue.offer(client(0), 7, vec![1]), Offer::Written(7));
        assert_eq!(queue.offer(client(1), 7, vec![1]), Offer::Queued, "it was silent longest");
    }
}
