//! `ropewalk output` and `ropewalk screen`.

use ropewalk_protocol::{AttachParams, Query, QueryResult};
use ropewalk_transport::client::AttachmentItem;

use super::{Context, find_terminal, unexpected};
use crate::exit::{DAMAGED, Failure, OK};
use crate::print;

pub(super) async fn output(context: &Context, reference: &str, after: u64, follow: bool) -> Result<u8, Failure> {
    let client = context.client().await?;
    let (_, terminal) = find_terminal(&client, reference).await?;
    let params = AttachParams { terminal, after: Some(after), size: None, view_only: true, scrollback: 0 };
    let (attached, mut items) = client.attach(params).await?;
    let mut at = attached.offset;
    let mut damaged = false;
    while follow || at < attached.end {
        let Some(item) = items.recv().await else {
            break;
        };
        match item {
            AttachmentItem::Output { offset, bytes } => {
                let wanted = if follow { bytes.len() as u64 } else { (attached.end - offset).min(bytes.len() as u64) };
                let wanted = usize::try_from(wanted).unwrap_or(bytes.len());
                print::bytes(&bytes[..wanted]);
                at = offset + wanted as u64;
            }
            AttachmentItem::Gap { from, to, .. } => {
                print::talk(&format!("bytes {from} to {to} cannot be read"));
                damaged = true;
                at = to;
            }
            AttachmentItem::Failed(rejection) => return Err(rejection.into()),
            AttachmentItem::End(_) => break,
            AttachmentItem::Snapshot { .. } | AttachmentItem::Written(_) | AttachmentItem::Cut => {}
        }
    }
    Ok(if damaged { DAMAGED } else { OK })
}

pub(super) async fn screen(context: &Context, reference: &str, scrollback: u32) -> Result<u8, Failure> {
    let client = context.client().await?;
    let (_, terminal) = find_terminal(&client, reference).await?;
    let answer = client.query(Query::TerminalScreen { terminal, scrollback }).await?;
    let QueryResult::Screen { .. } = &answer.result else {
        return Err(unexpected());
    };
    context.print(&answer, |answer| match &answer.result {
        QueryResult::Screen { lines, .. } => lines.iter().map(|line| format!("{}\n", print::plain(line))).collect(),
        _ => String::new(),
    })
}
