//! Whose size a terminal has.

use bytes::Bytes;
use ropewalk_protocol::{AttachParams, Size};
use ropewalk_transport::client::AttachmentItem;
use tokio::sync::mpsc::Receiver;

use crate::harness::{Home, block_on, run, session, typing, until, watch};

const SMALL: Size = Size { cols: 60, rows: 20 };
const LARGE: Size = Size { cols: 140, rows: 45 };

/// Says its size at the start and after every SIGWINCH, and answers each line so that silence can be told from waiting.
const SAYS_ITS_SIZE: &str = r#"
    stty -echo
    trap 'echo "changed $(stty size)."' WINCH
    echo "begins $(stty size)."
    while :; do read line && echo "heard $line."; done
"#;

async fn hears(
    client: &ropewalk_transport::client::Client,
    items: &mut Receiver<AttachmentItem>,
    terminal: ropewalk_protocol::TerminalId,
    id: u64,
) -> String {
    client.input(terminal, id, Bytes::from(format!("{id}\r"))).await.unwrap();
    until(items, &format!("heard {id}.")).await
}

#[test]
fn the_client_that_was_used_last_decides_the_size() {
    let home = Home::started();
    block_on(async {
        let (first, second) = (home.client().await, home.client().await);
        let (_, terminal) = run(&first, "sized", &["sh", "-c", SAYS_ITS_SIZE]).await;
        let (_, mut items) = first.attach(typing(terminal, None)).await.unwrap();
        until(&mut items, "begins 24 80.").await;
        first.resize(terminal, LARGE).await.unwrap();
        until(&mut items, "changed 45 140.").await;
        let (_, mut others) = second.attach(typing(terminal, Some(SMALL))).await.unwrap();
        until(&mut items, "changed 20 60.").await;
        // Typing takes the size back. A shell may run its trap before or after it read the line.
        let seen = hears(&first, &mut items, terminal, 1).await;
        if !seen.contains("changed 45 140.") {
            until(&mut items, "changed 45 140.").await;
        }
        // A client that leaves gives it to the one used last among those left.
        until(&mut others, "changed 45 140.").await;
        first.detach(terminal).await.unwrap();
        until(&mut others, "changed 20 60.").await;
        // It is recorded a moment after it is shown.
        while session(&second, "sized").await.terminals[0].size != SMALL {}
    });
}

#[test]
fn attaching_without_a_size_or_to_look_or_with_the_same_size_disturbs_nobody() {
    let home = Home::started();
    block_on(async {
        let client = home.client().await;
        let (_, terminal) = run(&client, "quiet", &["sh", "-c", SAYS_ITS_SIZE]).await;
        let (_, mut items) = client.attach(typing(terminal, None)).await.unwrap();
        until(&mut items, "begins 24 80.").await;
        let others = [
            watch(terminal, None),
            typing(terminal, None),
            typing(terminal, Some(Size::DEFAULT)),
            AttachParams { size: Some(LARGE), ..watch(terminal, None) },
        ];
        for params in others {
            let other = home.client().await;
            let (attached, _items) = other.attach(params).await.unwrap();
            assert_eq!(attached.size, Size::DEFAULT);
        }
        let seen = hears(&client, &mut items, terminal, 1).await;
        assert!(!seen.contains("changed"), "{seen:?}");
    });
}

#[test]
fn the_resize_command_changes_the_size_and_is_recorded_at_its_byte() {
    let home = Home::started();
    block_on(async {
        let client = home.client().await;
        let (_, terminal) = run(&client, "resized", &["sh", "-c", SAYS_ITS_SIZE]).await;
        let (_, mut items) = client.attach(typing(terminal, None)).await.unwrap();
        until(&mut items, "begins 24 80.").await;
        home.ok(&["resize", "resized", "100x30"]);
        until(&mut items, "changed 30 100.").await;
        let seen = session(&client, "resized").await;
        assert_eq!(seen.terminals[0].size, Size { cols: 100, rows: 30 });
        let (code, error) = home.fails(&["resize", "resized", "0x30"]);
        assert_eq!(code, 2, "{error}");
    });
}
