//! A daemon that runs out of file descriptors: what needs one is refused, what does not goes on, and all of it comes back.

use std::os::unix::net::UnixStream;
use std::process::Command;

use ropewalk_kernel::log::SledShelf;
use ropewalk_kernel::log::store::Shelf;
use ropewalk_protocol::{Query, QueryResult, Seq};
use ropewalk_transport::client::{Client, SubscriptionItem};

use super::shim::Shim;
use crate::harness::{
    Home, ROPEWALK, all_events, annotate, block_on, create, descriptors, ended, eventually, from, options, output, run,
    verify,
};

/// Enough for a daemon, its log and a few connections.
const DESCRIPTORS: usize = 48;

/// A home with a sealed volume that holds events from its first on; the last of them.
fn with_a_sealed_volume() -> (Home, Seq) {
    let home = Home::started();
    let head = block_on(async {
        let client = home.client().await;
        let notes = create(&client, Some("old")).await;
        for number in 0..10 {
            annotate(&client, notes, &format!("old {number}")).await;
        }
        all_events(&client).await.last().unwrap().seq
    });
    home.ok(&["daemon", "stop"]);
    let shelf = SledShelf::open(&home.path().join("data/log")).unwrap();
    drop(shelf.create(Seq(head.0 + 2)).unwrap());
    (home, Seq(head.0 + 1))
}

/// Whether all of the log comes, or the reason why not; never a gap.
async fn replayed(client: &Client) -> Result<usize, String> {
    let (subscribed, mut items) = client.subscribe(from(0)).await.map_err(|rejection| rejection.to_string())?;
    let mut events = 0;
    while events < usize::try_from(subscribed.head.0).unwrap() {
        match items.recv().await.unwrap() {
            SubscriptionItem::Events(more) => events += more.len(),
            SubscriptionItem::Live(_) => {}
            SubscriptionItem::Failed(rejection) => return Err(rejection.to_string()),
            other => panic!("nothing is damaged: {other:?}"),
        }
    }
    Ok(events)
}

#[test]
fn fd_exhaustion() {
    let (home, sealed) = with_a_sealed_volume();
    let shim = Shim::new(&home);
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -n {DESCRIPTORS}; exec \"$0\" \"$@\""), ROPEWALK]);
    let mut daemon = shim.start_as(&home, limited).expect("it has enough to start");
    block_on(async {
        let client = home.client().await;
        let notes = create(&client, Some("notes")).await;
        assert!(annotate(&client, notes, "before").await > sealed);
        // Connections that never say who they are take what is left.
        let mut held = Vec::new();
        eventually("nothing is left", || {
            held.extend(UnixStream::connect(home.socket()));
            descriptors(daemon.pid()) >= DESCRIPTORS
        });
        let kept = annotate(&client, notes, "in need").await;
        match client.query(Query::LogVerify {}).await.map(|answer| answer.result) {
            Ok(QueryResult::LogVerify { report }) => assert!(report.intact, "{:?}", report.damage),
            Ok(other) => panic!("{other:?}"),
            Err(rejection) => assert!(rejection.retryable(), "{rejection}"),
        }
        let meanwhile = replayed(&client).await;
        assert!(meanwhile.is_ok() || !home.daemon_log().contains("damaged"), "{meanwhile:?}");
        drop(held);
        let again =
            Client::connect(ropewalk_transport::client::dial_unix(home.socket()), options(false)).await.unwrap();
        eventually("they are let go of", || descriptors(daemon.pid()) < DESCRIPTORS - 8);
        let (prints, terminal) = run(&again, "prints", &["echo", "afterwards"]).await;
        ended(&again, prints).await;
        assert_eq!(output(&again, terminal).await, b"afterwards\r\n");
        let all = all_events(&again).await;
        assert!(all.iter().zip(1..).all(|(event, seq)| event.seq == Seq(seq)), "nothing acknowledged is missing");
        assert!(all.iter().any(|event| event.seq == kept));
        assert!(replayed(&again).await.unwrap() >= all.len());
        let report = verify(&again).await;
        assert!(report.intact && report.volumes == 2, "{report:?}");
    });
    assert!(!daemon.is_gone(), "it lives");
    daemon.stop();
    home.start();
    block_on(async { assert!(verify(&home.client().await).await.intact) });
}
