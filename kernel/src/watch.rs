//! A value that moves, and those who wait for it: woken in the order in which they began to wait.
//!
//! The same as `tokio::sync::watch`, which wakes its waiters in an order that is another one in every run.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Nobody moves the value any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

/// Moves the value. When it is dropped, those who wait are told so.
#[derive(Debug)]
pub struct Sender<T>(Arc<Shared<T>>);

/// Waits for the value to move.
#[derive(Debug)]
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
}

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    moved: Notify,
}

#[derive(Debug)]
struct State<T> {
    value: T,
    /// How often it moved.
    version: u64,
    closed: bool,
}

/// A look at the value; nobody moves it meanwhile.
#[derive(Debug)]
pub struct Ref<'a, T>(MutexGuard<'a, State<T>>);

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Sender<T> {
    /// A value that has not moved yet.
    pub fn new(value: T) -> Self {
        let state = Mutex::new(State { value, version: 0, closed: false });
        Self(Arc::new(Shared { state, moved: Notify::new() }))
    }

    /// Somebody who waits from here on.
    pub fn subscribe(&self) -> Receiver<T> {
        let seen = self.0.lock().version;
        Receiver { shared: self.0.clone(), seen }
    }

    /// The value as it is.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(self.0.lock())
    }

    /// Moves the value; returns the one before.
    pub fn send_replace(&self, value: T) -> T {
        let mut state = self.0.lock();
        let before = std::mem::replace(&mut state.value, value);
        state.version += 1;
        drop(state);
        self.0.moved.notify_waiters();
        before
    }
}

impl<T> Sender<T> {
    /// Moves the value if that changes it; whether it did.
    pub fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        let mut state = self.0.lock();
        let modified = modify(&mut state.value);
        state.version += u64::from(modified);
        drop(state);
        if modified {
            self.0.moved.notify_waiters();
        }
        modified
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.moved.notify_waiters();
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), seen: self.seen }
    }
}

impl<T> Receiver<T> {
    /// The value as it is.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(self.shared.lock())
    }

    /// The value as it is, which counts as seen.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let state = self.shared.lock();
        self.seen = state.version;
        Ref(state)
    }

    /// Waits until the value is one that was not seen, which it is then.
    ///
    /// # Errors
    /// Nobody moves it any more.
    pub async fn changed(&mut self) -> Result<(), Closed> {
        let shared = self.shared.clone();
        loop {
            // Waiting begins before the look, so that no move falls in between.
            let moved = shared.moved.notified();
            if let Some(changed) = self.look() {
                return changed;
            }
            moved.await;
        }
    }

    fn look(&mut self) -> Option<Result<(), Closed>> {
        let state = self.shared.lock();
        if state.version != self.seen {
            self.seen = state.version;
            return Some(Ok(()));
        }
        state.closed.then_some(Err(Closed))
    }

    /// Waits until the value is like this.
    ///
    /// # Errors
    /// Nobody moves it any more, and it is not.
    pub fn wait_for<'a>(
        &'a mut self,
        mut is_like: impl FnMut(&T) -> bool + Send + 'a,
    ) -> Pin<Box<dyn Future<Output = Result<(), Closed>> + Send + 'a>>
    where
        T: Send,
    {
        Box::pin(async move {
            loop {
                if is_like(&self.borrow_and_update()) {
                    return Ok(());
                }
                self.changed().await?;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(work)
    }

    #[test]
    fn a_move_before_the_wait_is_not_missed() {
        let sender = Sender::new(1);
        let mut receiver = sender.subscribe();
        sender.send_replace(2);
        assert_eq!(run(receiver.changed()), Ok(()));
        assert_eq!(*receiver.borrow(), 2);
    }

    #[test]
    fn what_was_seen_is_no_change() {
        let sender = Sender::new(1);
        let mut receiver = sender.subscribe();
        sender.send_replace(2);
        assert_eq!(*receiver.borrow_and_update(), 2);
        drop(sender);
        assert_eq!(run(receiver.changed()), Err(Closed));
    }

    #[test]
    fn the_last_value_counts_although_nobody_moves_it_any_more() {
        let sender = Sender::new(1);
        let mut receiver = sender.subscribe();
        sender.send_replace(7);
        drop(sender);
        assert_eq!(run(receiver.wait_for(|value| *value == 7)), Ok(()));
        assert_eq!(run(receiver.wait_for(|value| *value == 8)), Err(Closed));
    }

    #[test]
    fn those_who_wait_are_woken_in_the_order_in_which_they_began() {
        let sender = Sender::new(0);
        let woken = Arc::new(Mutex::new(Vec::new()));
        run(async {
            for waiter in 0..20 {
                let (mut receiver, woken) = (sender.subscribe(), woken.clone());
                tokio::spawn(async move {
                    receiver.changed().await.expect("the sender lives");
                    woken.lock().expect("no panic").push(waiter);
                });
            }
            tokio::task::yield_now().await;
            sender.send_replace(1);
            tokio::task::yield_now().await;
        });
        assert_eq!(*woken.lock().expect("no panic"), (0..20).collect::<Vec<_>>());
    }
}
