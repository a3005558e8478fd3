//! Attaching: the screen as it is, then what follows; bytes untouched; keys once.

use bytes::Bytes;
use ropewalk_projections::screen::Screen;
use ropewalk_protocol::{Command as Change, Size};
use ropewalk_transport::client::AttachmentItem;

use crate::harness::{Home, block_on, ended, eventually, mint, output, run, screen, typing, until, watch};

#[test]
fn snapshot_equivalence_of_a_late_snapshot_and_the_bytes_after_it() {
    let home = Home::started();
    let script = r#"
        i=0; while [ $i -lt 60 ]; do i=$((i+1)); printf '\033[3%dmline %d \344\270\255\346\226\207 e\314\201\033[0m\r\n' $((i % 8)) $i; done
        printf '\033[5;15r\033[10;1Hin a region\033[?1049h\033[2Jalternate \033[1;31mred'; read x
        printf '\033[?1049l\033[rback\r\nand more'; read x
    "#;
    block_on(async {
        let client = home.client().await;
        let (session, terminal) = run(&client, "draws", &["sh", "-c", script]).await;
        let (_, mut early) = client.attach(typing(terminal, None)).await.unwrap();
        until(&mut early, "red").await;
        let late = home.client().await;
        let (attached, mut items) = late.attach(watch(terminal, None)).await.unwrap();
        assert!(attached.snapshot);
        let mut model = Screen::new(attached.size);
        client.input(terminal, 1, Bytes::from_static(b"\r")).await.unwrap();
        client.input(terminal, 2, Bytes::from_static(b"\r")).await.unwrap();
        ended(&client, session).await;
        loop {
            match items.recv().await.unwrap() {
                AttachmentItem::Snapshot { bytes, .. } | AttachmentItem::Output { bytes, .. } => model.feed(&bytes),
                AttachmentItem::End(_) => break,
                other => panic!("{other:?}"),
            }
        }
        let mut direct = Screen::new(Size::DEFAULT);
        direct.feed(&output(&client, terminal).await);
        assert_eq!(model.observe(), direct.observe());
        assert!(direct.scrollback_len() > 30);
        let rows: Vec<String> = (0..24).map(|row| direct.row_text(row)).collect();
        assert_eq!(screen(&client, terminal).await, rows, "the daemon's own model agrees");
    });
}

#[test]
fn the_screen_is_the_same_after_the_daemon_was_killed_and_started_again() {
    let home = Home::started();
    block_on(async {
        let client = home.client().await;
        let (_, terminal) = run(&client, "shows", &["sh", "-c", "seq 1 5000; printf 'the end'; cat"]).await;
        let (_, mut items) = client.attach(watch(terminal, Some(0))).await.unwrap();
        until(&mut items, "the end").await;
        let before = screen(&client, terminal).await;
        assert!(before.last().is_some_and(|line| line == "the end"), "{before:?}");
        for _ in 0..2 {
            home.kill_daemon();
            home.start();
            assert_eq!(screen(&client, terminal).await, before);
        }
        home.ok(&["daemon", "restart"]);
        assert_eq!(screen(&client, terminal).await, before, "and after a clean stop, from a checkpoint");
    });
}

#[test]
fn keys_typed_through_cuts_and_kills_arrive_once_and_in_order() {
    const KEYS: u64 = 400;
    let home = Home::started();
    block_on(async {
        let client = home.client().await;
        let (_, terminal) = run(&client, "keys", &["sh", "-c", "stty raw -echo; printf ready; exec cat"]).await;
        let (_, mut items) = client.attach(typing(terminal, None)).await.unwrap();
        until(&mut items, "ready").await;
        let mut expected = String::new();
        for id in 1..=KEYS {
            let key = format!("{id},");
            client.input(terminal, id, Bytes::from(key.clone())).await.unwrap();
            expected.push_str(&key);
            match id % 80 {
                20 => client.cut().await.unwrap(),
                60 => {
                    home.kill_daemon();
                    home.start();
                }
                _ => {}
            }
        }
        client.input(terminal, KEYS + 1, Bytes::from_static(b"END")).await.unwrap();
        let seen = until(&mut items, "END").await;
        assert_eq!(seen, format!("{expected}END"));
    });
}

#[test]
fn a_view_only_attachment_cannot_type() {
    let home = Home::started();
    block_on(async {
        let client = home.client().await;
        let (_, terminal) = run(&client, "watched", &["cat"]).await;
        let (_, mut items) = client.attach(watch(terminal, None)).await.unwrap();
        client.input(terminal, 1, Bytes::from_static(b"x")).await.unwrap();
        loop {
            match items.recv().await.unwrap() {
                AttachmentItem::Failed(rejection) => {
                    assert_eq!(rejection.code.name(), "not_attached");
                    break;
                }
                AttachmentItem::Snapshot { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    });
}

/// The command line itself, in a real terminal: a session that runs `ropewalk attach` of another session.
#[test]
fn the_attach_command_shows_types_detaches_and_puts_the_terminal_back() {
    let home = Home::started();
    let other = Home::started();
    let attach = format!(
        "stty -a > {0}; ROPEWALK_HOME={1} {2} attach inner; echo code $?; stty -a > {0}.after; exec cat",
        other.path().join("modes").display(),
        home.path().display(),
        crate::harness::ROPEWALK
    );
    block_on(async {
        let client = home.client().await;
        let script = "echo inner here; stty -echo; while read line; do echo \"got $line\"; done";
        let (_, inner) = run(&client, "inner", &["sh", "-c", script]).await;
        let (_, mut inner_items) = client.attach(watch(inner, Some(0))).await.unwrap();
        until(&mut inner_items, "inner here").await;
        let outer_client = other.client().await;
        let (_, outer) = run(&outer_client, "outer", &["sh", "-c", &attach]).await;
        let (_, mut items) = outer_client.attach(typing(outer, None)).await.unwrap();
        until(&mut items, "inner here").await;
        outer_client.input(outer, 1, Bytes::from_static(b"hello\r")).await.unwrap();
        until(&mut items, "got hello").await;
        outer_client.input(outer, 2, Bytes::from_static(b"\x1c")).await.unwrap();
        let left = until(&mut items, "code 0").await;
        assert!(left.contains("detached"), "{left:?}");
        assert!(left.contains("\x1b[?25h"), "the cursor is shown again: {left:?}");
        let modes = other.path().join("modes");
        eventually("the modes were written", || {
            std::fs::metadata(modes.with_extension("after")).is_ok_and(|file| file.len() > 100)
        });
        let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
        assert_eq!(read(&modes), read(&modes.with_extension("after")), "the terminal is as it was");
        // The program goes on.
        client
            .command(
                mint(),
                Change::SessionAnnotate {
                    session: crate::harness::session(&client, "inner").await.session,
                    text: "x".into(),
                },
            )
            .await
            .unwrap();
        assert_eq!(home.run(&["send", "inner", "again"]).status.code(), Some(0));
        until(&mut inner_items, "got again").await;
    });
}
