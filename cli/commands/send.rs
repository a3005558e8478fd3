//! `ropewalk send`.

use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use ropewalk_protocol::{AttachParams, Code, Rejection, limits};
use ropewalk_transport::client::AttachmentItem;
use tokio::time::timeout;

use super::{Context, find_terminal};
use crate::exit::{Failure, OK};
use crate::print;

pub(super) async fn send(
    context: &Context,
    reference: &str,
    text: &str,
    enter: bool,
    limit: Duration,
) -> Result<u8, Failure> {
    let bytes = if text == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes)?;
        bytes
    } else {
        let mut bytes = text.as_bytes().to_vec();
        if enter {
            bytes.push(b'\r');
        }
        bytes
    };
    let client = context.client().await?;
    let (_, terminal) = find_terminal(&client, reference).await?;
    let params = AttachParams { terminal, after: None, size: None, view_only: false, scrollback: 0 };
    let (_, mut items) = client.attach(params).await?;
    let mut taken = 0;
    let typed = timeout(limit, async {
        for (id, piece) in (1..).zip(bytes.chunks(limits::INPUT_FRAME_BYTES_MAX)) {
            client.input(terminal, id, Bytes::copy_from_slice(piece)).await?;
            // One piece at a time: the program may be slower than we are.
            written(&mut items, id).await?;
            taken += piece.len();
        }
        Ok::<_, Failure>(())
    });
    match typed.await {
        Ok(typed) => typed?,
        Err(_) => return Err(not_read(taken, bytes.len(), limit)),
    }
    if context.json {
        print::json(&serde_json::json!({"written_bytes": bytes.len()}))?;
    }
    Ok(OK)
}

/// What was handed over cannot be taken back: it is typed once the program reads.
fn not_read(taken: usize, of: usize, limit: Duration) -> Failure {
    let waited = humantime::format_duration(limit);
    let queued = (of - taken).min(limits::INPUT_FRAME_BYTES_MAX);
    let message = format!("the program has not read its input within {waited}: {taken} of {of} bytes were taken");
    Rejection::new(Code::Busy, message)
        .hint(format!("Up to {queued} more bytes stay queued until it reads; do not send them again."))
        .into()
}

async fn written(items: &mut tokio::sync::mpsc::Receiver<AttachmentItem>, id: u64) -> Result<(), Failure> {
    while let Some(item) = items.recv().await {
        match item {
            AttachmentItem::Written(up_to) if up_to >= id => return Ok(()),
            AttachmentItem::Failed(rejection) => return Err(rejection.into()),
            AttachmentItem::End(_) => break,
            _ => {}
        }
    }
    Err(Rejection::new(Code::InputRefused, "the terminal is closed").into())
}
