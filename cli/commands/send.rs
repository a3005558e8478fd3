//! `ropewalk send`.

use std::io::Read;

use bytes::Bytes;
use ropewalk_protocol::{AttachParams, limits};
use ropewalk_transport::client::AttachmentItem;

use super::{Context, find_terminal};
use crate::exit::{Failure, OK};
use crate::print;

pub(super) async fn send(context: &Context, reference: &str, text: &str, enter: bool) -> Result<u8, Failure> {
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
    let mut last = 0;
    for piece in Bytes::from(bytes.clone()).chunks(limits::INPUT_FRAME_BYTES_MAX) {
        last += 1;
        client.input(terminal, last, Bytes::copy_from_slice(piece)).await?;
        // One piece at a time: the program may be slower than we are.
        written(&mut items, last).await?;
    }
    if context.json {
        print::json(&serde_json::json!({"written_bytes": bytes.len()}))?;
    }
    Ok(OK)
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
    let closed = ropewalk_protocol::Rejection::new(ropewalk_protocol::Code::InputRefused, "the terminal is closed");
    Err(closed.into())
}
