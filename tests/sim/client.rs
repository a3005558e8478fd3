//! A client: the real one, with readers behind it that hand everything to the reference.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use ropewalk_kernel::watch;
use ropewalk_protocol::{
    AttachParams, ClientId, ClientInfo, Command, CommandId, Query, QueryResult, RequestMethod, SessionId, Size,
    StateSnapshot, SubscribeAfter, SubscribeParams, TerminalId,
};
use ropewalk_transport::client::{AttachmentItem, Client, Dial, Options, SubscriptionItem};
use tokio::sync::mpsc;

use super::readers::{Attachment, Subscription};
use super::reference::{Asked, Reference, Shown};
use super::trace::{note, violation};

/// How long a client waits before it tries again.
const PAUSE: Duration = Duration::from_millis(200);
/// How often a client repeats a command by itself before it leaves that to somebody else.
const REPEATS: usize = 3;

/// The reference, shared by everybody who is shown something.
pub(super) type Shared = Arc<Mutex<Reference>>;

pub(super) fn lock(shared: &Shared) -> MutexGuard<'_, Reference> {
    shared.lock().expect("no panic while the reference is locked")
}

/// A client. Clones share it.
#[derive(Clone)]
pub(super) struct SimClient {
    number: usize,
    pub(super) instance: ClientId,
    shared: Shared,
    client: watch::Receiver<Option<Client>>,
    /// Readers take something.
    pub(super) reads: Arc<watch::Sender<bool>>,
}

impl SimClient {
    pub(super) fn start(number: usize, instance: ClientId, dial: Dial, shared: Shared) -> Self {
        let connected = watch::Sender::new(None);
        let client = connected.subscribe();
        let info = ClientInfo { name: format!("sim-{number}"), version: "1".to_owned(), instance: Some(instance) };
        // Both wires are used.
        let options = Options { info, bincode: number % 2 == 1, give_up_after: None };
        tokio::spawn(async move {
            loop {
                match Client::connect(dial.clone(), options.clone()).await {
                    Ok(client) => {
                        connected.send_replace(Some(client));
                        // As long as the run lasts.
                        return std::future::pending().await;
                    }
                    Err(error) => note(format!("client {number}: {error}")),
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { number, instance, shared, client, reads: Arc::new(watch::Sender::new(true)) }
    }

    async fn client(&self) -> Client {
        let mut client = self.client.clone();
        client.wait_for(Option::is_some).await.expect("the client connects as long as the run lasts");
        client.borrow().clone().expect("it was just waited for")
    }

    /// Sends a command for the first time.
    pub(super) fn command(&self, id: CommandId, command: Command) {
        let asked = {
            let mut reference = lock(&self.shared);
            let (bodies, answers) = (vec![command], Vec::new());
            reference.asked.push(Asked { id, bodies, answers, waiting: 0 });
            reference.asked.len() - 1
        };
        self.repeat(asked, 0);
    }

    /// Sends one of a command's bodies, maybe not for the first time.
    pub(super) fn repeat(&self, asked: usize, body: usize) {
        let (id, command) = {
            let mut reference = lock(&self.shared);
            let asked = &mut reference.asked[asked];
            asked.waiting += 1;
            (asked.id, asked.bodies[body].clone())
        };
        note(format!("client {} sends command {asked} body {body}: {}", self.number, command.name()));
        let me = self.clone();
        tokio::spawn(async move {
            let client = me.client().await;
            let mut left = REPEATS;
            loop {
                let answer = client.command(id, command.clone()).await;
                let again = answer.as_ref().is_err_and(|rejection| rejection.retryable()) && left > 0;
                if !again {
                    return lock(&me.shared).answered(asked, body, answer);
                }
                left -= 1;
                tokio::time::sleep(PAUSE).await;
            }
        });
    }

    pub(super) fn subscribe(&self, session: Option<SessionId>, first: SubscribeAfter) {
        let number = {
            let mut reference = lock(&self.shared);
            let number = reference.subscriptions.len();
            let (events, gaps) = (Vec::new(), Vec::new());
            reference.subscriptions.push(Subscription {
                number,
                session,
                from: None,
                cursor: None,
                events,
                gaps,
                over: false,
            });
            number
        };
        note(format!("client {}: subscription {number} of {session:?} after {first:?}", self.number));
        let me = self.clone();
        tokio::spawn(async move { me.follow(number, session, first).await });
    }

    async fn follow(self, number: usize, session: Option<SessionId>, first: SubscribeAfter) {
        let client = self.client().await;
        loop {
            let after = lock(&self.shared).subscriptions[number].request(first);
            match client.subscribe(SubscribeParams { session, after, log: None, only: None }).await {
                Ok((subscribed, items)) => {
                    if after != SubscribeAfter::SNAPSHOT {
                        lock(&self.shared).subscriptions[number].began(subscribed.from);
                    }
                    self.read_events(number, items).await;
                }
                Err(rejection) => {
                    note(format!("subscription {number} is not made: {rejection}"));
                    lock(&self.shared).subscriptions[number].refused(&rejection);
                }
            }
            if lock(&self.shared).subscriptions[number].over {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn read_events(&self, number: usize, mut items: mpsc::Receiver<SubscriptionItem>) {
        let mut reads = self.reads.subscribe();
        while let Some(item) = items.recv().await {
            reads.wait_for(|reads| *reads).await.expect("the client lives");
            let mut reference = lock(&self.shared);
            let mut subscription = reference.subscriptions[number].clone();
            let goes_on = subscription.take(item, &mut reference);
            reference.subscriptions[number] = subscription;
            if !goes_on {
                return;
            }
        }
    }

    pub(super) fn attach(&self, terminal: TerminalId, from: Option<u64>, size: Option<Size>) {
        let number = {
            let mut reference = lock(&self.shared);
            let number = reference.attachments.len();
            // One client has one attachment to one terminal: the newest.
            let mine =
                |attachment: &&mut Attachment| attachment.client == self.number && attachment.terminal == terminal;
            reference.attachments.iter_mut().filter(mine).for_each(|older| older.over = true);
            reference.attachments.push(Attachment::new(number, self.number, terminal, from));
            number
        };
        note(format!("client {}: attachment {number} to {terminal} from {from:?}", self.number));
        let me = self.clone();
        tokio::spawn(async move { me.watch(number, terminal, size).await });
    }

    async fn watch(self, number: usize, terminal: TerminalId, size: Option<Size>) {
        let client = self.client().await;
        while !lock(&self.shared).attachments[number].over {
            let after = lock(&self.shared).attachments[number].request();
            let params = AttachParams { terminal, after, size, view_only: false, scrollback: 0 };
            match client.attach(params).await {
                Ok((_, items)) => self.read_bytes(number, terminal, items).await,
                Err(rejection) => {
                    note(format!("attachment {number} is not made: {rejection}"));
                    let mut reference = lock(&self.shared);
                    let attachment = &mut reference.attachments[number];
                    if !attachment.over {
                        attachment.refused(&rejection);
                    }
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn read_bytes(&self, number: usize, terminal: TerminalId, mut items: mpsc::Receiver<AttachmentItem>) {
        let mut reads = self.reads.subscribe();
        while let Some(item) = items.recv().await {
            reads.wait_for(|reads| *reads).await.expect("the client lives");
            let mut reference = lock(&self.shared);
            let mut attachment = reference.attachments[number].clone();
            if attachment.over {
                return;
            }
            if let AttachmentItem::Written(id) = &item {
                let written = reference.written.entry((self.instance, terminal)).or_default();
                *written = (*written).max(*id);
            }
            let goes_on = attachment.take(item, &mut reference);
            reference.attachments[number] = attachment;
            if !goes_on {
                return;
            }
        }
    }

    pub(super) fn detach(&self, terminal: TerminalId) {
        let me = self.clone();
        tokio::spawn(async move { me.client().await.detach(terminal).await.ok() });
    }

    pub(super) fn window(&self, terminal: TerminalId, size: Size) {
        let me = self.clone();
        tokio::spawn(async move { me.client().await.resize(terminal, size).await.ok() });
    }

    pub(super) async fn type_into(&self, terminal: TerminalId, bytes: Vec<u8>) {
        let Some(client) = self.client.borrow().clone() else {
            return;
        };
        let id = {
            let mut reference = lock(&self.shared);
            let typed = reference.typed.entry((self.instance, terminal)).or_default();
            let id = typed.last().map_or(1, |(last, _)| last + 1);
            typed.push((id, bytes.clone()));
            id
        };
        note(format!("client {} types {id} into {terminal}", self.number));
        // A client that is busy is not typed into for ever.
        let typing = client.input(terminal, id, Bytes::from(bytes));
        tokio::time::timeout(PAUSE, typing).await.ok();
    }

    pub(super) fn ask(&self, query: Query) {
        let me = self.clone();
        tokio::spawn(async move {
            let client = me.client().await;
            match client.query(query.clone()).await {
                Ok(answer) => me.told(&query, answer.at, answer.result),
                Err(rejection) if rejection.retryable() || rejection.code == ropewalk_protocol::Code::NotFound => {}
                Err(rejection) => violation(format!("{query:?} is refused: {rejection}")),
            }
        });
    }

    fn told(&self, query: &Query, at: ropewalk_protocol::Seq, result: QueryResult) {
        let mut reference = lock(&self.shared);
        match (query, result) {
            (_, QueryResult::Sessions { sessions, more: false }) => {
                reference.states.push((at, None, StateSnapshot { sessions }));
            }
            (_, QueryResult::Events { events, .. }) => events.iter().for_each(|event| reference.see(event)),
            (
                Query::TerminalScreen { terminal, .. },
                QueryResult::Screen { offset, lines, cursor_col, cursor_row, .. },
            ) => {
                let shown = Shown::Text { lines, cursor: (cursor_col, cursor_row) };
                reference.screens.push((*terminal, offset, shown));
            }
            _ => {}
        }
    }

    /// Asks, and waits for the answer.
    pub(super) async fn answer(
        &self,
        query: Query,
    ) -> Result<ropewalk_protocol::QueryAnswer, ropewalk_protocol::Rejection> {
        self.client().await.request(RequestMethod::Query(query)).await
    }
}
