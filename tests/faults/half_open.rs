//! A network that stops carrying without saying so: a proxy on loopback that holds back one direction, or both.

use std::sync::Arc;
use std::time::Duration;

use ropewalk_protocol::limits;
use ropewalk_transport::client::dial_tcp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::harness::{Home, all_events, annotate, block_on, create, descriptors, eventually_async, from, take, verify};

/// What a proxy holds back of connections that were made before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Held {
    Nothing,
    ToClient,
    ToDaemon,
    Both,
}

struct Proxy {
    port: u16,
    held: Arc<watch::Sender<Held>>,
}

impl Proxy {
    async fn to(daemon: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let held = Arc::new(watch::Sender::new(Held::Nothing));
        let proxy = Self { port, held: held.clone() };
        drop(tokio::spawn(async move {
            // The first connection is the one that is cut off; those after it are carried.
            let mut first = true;
            while let Ok((client, _)) = listener.accept().await {
                let daemon = TcpStream::connect(("127.0.0.1", daemon)).await.unwrap();
                let rule = if std::mem::take(&mut first) { held.subscribe() } else { watch::channel(Held::Nothing).1 };
                let ((from_client, to_client), (from_daemon, to_daemon)) = (client.into_split(), daemon.into_split());
                tokio::spawn(carry(from_client, to_daemon, rule.clone(), [Held::ToDaemon, Held::Both]));
                tokio::spawn(carry(from_daemon, to_client, rule, [Held::ToClient, Held::Both]));
            }
        }));
        proxy
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, rule: watch::Receiver<Held>, holds: [Held; 2]) {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut bytes).await;
        if holds.contains(&*rule.borrow()) {
            // Neither bytes nor an end come through any more.
            return std::future::pending().await;
        }
        match read {
            Ok(count @ 1..) if to.write_all(&bytes[..count]).await.is_ok() => {}
            _ => return,
        }
    }
}

/// Both sides notice within two heartbeats and some air; the rest is for a slow machine.
const NOTICED_WITHIN: Duration = Duration::from_millis(limits::SILENCE_MILLIS_MAX + limits::HEARTBEAT_MILLIS + 30_000);

#[test]
fn half_open() {
    let home = Home::started();
    let daemon = home.daemon_pid();
    let port = u16::try_from(home.discovery()["port"].as_u64().unwrap()).unwrap();
    block_on(async {
        let writer = home.client().await;
        let notes = create(&writer, Some("notes")).await;
        let before = descriptors(daemon);
        let mut followers = Vec::new();
        for held in [Held::ToClient, Held::ToDaemon, Held::Both] {
            let proxy = Proxy::to(port).await;
            let client = home.client_by(dial_tcp(proxy.port, home.token()), false).await;
            let (_, mut items) = client.subscribe(from(0)).await.unwrap();
            let head = all_events(&writer).await.len();
            take(&mut items, head).await;
            let connections = client.welcomes();
            followers.push((held, proxy, client, items, head, connections));
        }
        for (held, proxy, ..) in &followers {
            proxy.held.send_replace(*held);
        }
        for number in 0..5 {
            annotate(&writer, notes, &format!("nobody hears {number}")).await;
        }
        let log = all_events(&writer).await;
        let deadline = tokio::time::Instant::now() + NOTICED_WITHIN;
        for (held, _, _, items, head, connections) in &mut followers {
            let rest = tokio::time::timeout_at(deadline, take(items, log.len() - *head)).await;
            let rest = rest.unwrap_or_else(|_| panic!("{held:?} is not noticed"));
            assert!(rest[..] == log[*head..], "{held:?}: what was missed came, once");
            // Where nothing was held back on the way here, the events themselves need no new connection.
            if *held != Held::ToDaemon {
                assert!(connections.has_changed().unwrap(), "{held:?}: another connection was made");
            }
        }
        // The daemon let go of the dead side: what is left are the three connections that were made anew.
        let (_, _, told, ..) = &followers[1];
        tokio::time::timeout_at(deadline, told.query(ropewalk_protocol::Query::DaemonInfo {})).await.unwrap().unwrap();
        while descriptors(daemon) > before + followers.len() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert!(
            descriptors(daemon) <= before + followers.len(),
            "{} descriptors, {before} before",
            descriptors(daemon)
        );
        drop(followers);
        eventually_async("every connection is gone", || descriptors(daemon) <= before).await;
        assert!(verify(&writer).await.intact);
    });
}
