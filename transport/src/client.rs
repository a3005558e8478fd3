//! The client: one handle that survives cuts. It reconnects with backoff, sends again what was not answered under the same
//! ids, and resumes both lanes from its cursors.

mod dial;
mod handle;
mod incoming;
mod open;
mod pending;
mod resume;
mod task;

pub use dial::{Dial, DialFuture, Io, dial_tcp, dial_unix};
pub use handle::{Client, ClientError, Link, Options};
pub use resume::{AttachmentItem, SubscriptionItem};
