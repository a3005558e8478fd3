//! kill -9 of the daemon, at any moment, as often as you like.

use std::process::Command as Process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ropewalk_protocol::{Command as Change, CommandId, Event, EventBody, Seq};

use crate::harness::{
    Choice, Home, all_events, annotate, as_printed, block_on, create, ended, eventually, eventually_async, mint,
    output, process_exists, run, session, verify,
};

/// What the same program writes when nobody is in between.
fn written(argv: &[&str]) -> Vec<u8> {
    as_printed(&Process::new(argv[0]).args(&argv[1..]).output().unwrap().stdout)
}

#[test]
fn output_is_whole_when_the_daemon_is_killed_five_times_meanwhile() {
    let home = Home::started();
    block_on(async {
        let client = home.client().await;
        let (big, terminal) = run(&client, "big", &["sh", "-c", "seq 1 2000000"]).await;
        for kill in 1..=5u64 {
            // Somewhere in the output, further each time.
            let (_, mut items) = client.attach(crate::harness::watch(terminal, Some(0))).await.unwrap();
            let mut seen = 0;
            while seen < kill * 1_500_000 {
                match items.recv().await.unwrap() {
                    ropewalk_transport::client::AttachmentItem::Output { bytes, .. } => seen += bytes.len() as u64,
                    ropewalk_transport::client::AttachmentItem::End(_) => break,
                    _ => {}
                }
            }
            home.kill_daemon();
            home.start();
        }
        ended(&client, big).await;
        let (got, expected) = (output(&client, terminal).await, written(&["seq", "1", "2000000"]));
        assert!(got == expected, "{} bytes, {} expected", got.len(), expected.len());
        assert!(verify(&client).await.intact);
    });
}

#[test]
fn random_bytes_are_whole_when_the_daemon_is_killed_five_times_meanwhile() {
    let home = Home::started();
    let copy = home.path().join("copy");
    let script = format!(
        "stty raw; for i in $(seq 40); do head -c 500000 /dev/urandom; sleep 0.1; done | tee {}",
        copy.display()
    );
    block_on(async {
        let client = home.client().await;
        let (random, terminal) = run(&client, "random", &["sh", "-c", &script]).await;
        for kill in 1..=5u64 {
            eventually("the program wrote more", || {
                std::fs::metadata(&copy).is_ok_and(|copy| copy.len() > kill * 3_000_000)
            });
            home.kill_daemon();
            home.start();
        }
        ended(&client, random).await;
        let (got, expected) = (output(&client, terminal).await, std::fs::read(&copy).unwrap());
        assert_eq!(expected.len(), 20_000_000);
        assert!(got == expected, "{} bytes, {} expected", got.len(), expected.len());
    });
}

fn caused(events: &[Event], command: CommandId) -> Vec<Seq> {
    let by = |event: &&Event| event.cause.as_ref().is_some_and(|cause| cause.command == command);
    events.iter().filter(by).map(|event| event.seq).collect()
}

#[test]
fn a_command_sent_over_three_connections_and_through_200_kills_has_one_effect_and_equal_answers() {
    const KILLS: u64 = 200;
    let home = Home::started();
    block_on(async {
        let clients = [home.client().await, home.client().await, home.client().await];
        let into = create(&clients[0], Some("into")).await;
        let mut choice = Choice::seeded(1);
        let mut commands = Vec::new();
        for round in 0..KILLS {
            let id = mint();
            let command = Change::SessionAnnotate { session: into, text: format!("round {round}") };
            let [first, second, third] = &clients;
            let answers = async {
                tokio::join!(
                    first.command(id, command.clone()),
                    second.command(id, command.clone()),
                    third.command(id, command.clone())
                )
            };
            let pause = Duration::from_micros(choice.below(4000));
            let killed = async {
                tokio::time::sleep(pause).await;
                home.kill_daemon();
                home.start();
            };
            let ((one, two, three), ()) = tokio::join!(answers, killed);
            let (one, two, three) = (one.unwrap(), two.unwrap(), three.unwrap());
            assert_eq!(one, two);
            assert_eq!(one, three);
            commands.push((id, one.seq));
        }
        let events = all_events(&clients[0]).await;
        for (id, seq) in commands {
            assert_eq!(caused(&events, id), [seq], "command {id}");
        }
        assert!(verify(&clients[0]).await.intact);
    });
}

#[test]
fn the_same_id_with_another_body_is_a_conflict_also_after_a_restart() {
    let home = Home::started();
    block_on(async {
        let client = home.client().await;
        let into = create(&client, None).await;
        let id = mint();
        let one = Change::SessionAnnotate { session: into, text: "one".into() };
        let two = Change::SessionAnnotate { session: into, text: "two".into() };
        let first = client.command(id, one.clone()).await.unwrap();
        for _ in 0..2 {
            let conflict = client.command(id, two.clone()).await.unwrap_err();
            assert_eq!((conflict.code.name().as_str(), conflict.seq), ("conflict", Some(first.seq)));
            assert_eq!(client.command(id, one.clone()).await.unwrap(), first);
            home.kill_daemon();
            home.start();
        }
    });
}

#[test]
fn a_refusal_is_repeated_word_for_word_even_when_it_would_not_be_refused_any_more() {
    let home = Home::started();
    block_on(async {
        let client = home.client().await;
        let taken = create(&client, Some("taken")).await;
        let id = mint();
        let command = Change::SessionCreate {
            name: Some("taken".into()),
            workspace: None,
            program: None,
            size: None,
            agent: None,
        };
        let first = client.command(id, command.clone()).await.unwrap_err();
        assert_eq!(first.code.name(), "name_taken");
        client.command(mint(), Change::SessionEnd { session: taken }).await.unwrap();
        client.command(mint(), Change::SessionDelete { session: taken }).await.unwrap();
        home.kill_daemon();
        home.start();
        assert_eq!(client.command(id, command.clone()).await.unwrap_err(), first);
        client.command(mint(), command).await.unwrap();
    });
}

#[test]
fn what_was_acknowledged_survives_200_kills_under_load_and_the_sequence_is_dense() {
    const KILLS: usize = 200;
    let home = Home::started();
    block_on(async {
        let client = home.client().await;
        let into = create(&client, Some("load")).await;
        let (program, _) = run(&client, "program", &["sh", "-c", "while :; do seq 1 300; sleep 0.01; done"]).await;
        let stop = Arc::new(AtomicBool::new(false));
        let mut writers = Vec::new();
        let count = Arc::new(AtomicUsize::new(0));
        for _ in 0..4 {
            let (client, stop, count) = (home.client().await, stop.clone(), count.clone());
            writers.push(tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let id = mint();
                    let command = Change::SessionAnnotate { session: into, text: id.to_string() };
                    acknowledged.push((id, client.command(id, command).await.unwrap().seq));
                    count.fetch_add(1, Ordering::Relaxed);
                }
                acknowledged
            }));
        }
        let mut choice = Choice::seeded(7);
        for _ in 0..KILLS {
            // However busy the machine is, there is load between kills.
            let before = count.load(Ordering::Relaxed);
            eventually_async("there is load", || count.load(Ordering::Relaxed) > before).await;
            tokio::time::sleep(Duration::from_micros(choice.below(20_000))).await;
            home.kill_daemon();
            home.start();
        }
        stop.store(true, Ordering::Relaxed);
        let mut acknowledged = Vec::new();
        for writer in writers {
            acknowledged.extend(writer.await.unwrap());
        }
        let report = verify(&client).await;
        assert!(report.intact, "{:?}", report.damage);
        let events = all_events(&client).await;
        let dense = events.iter().zip(1..).all(|(event, seq)| event.seq == Seq(seq));
        assert!(dense, "the sequence has a hole");
        assert!(acknowledged.len() >= KILLS, "there was load: {}", acknowledged.len());
        for (id, seq) in acknowledged {
            let index = usize::try_from(seq.0 - 1).unwrap();
            let EventBody::SessionAnnotated(annotated) = &events[index].body else {
                panic!("event {seq} is {:?}", events[index]);
            };
            assert_eq!(annotated.text, id.to_string());
            assert_eq!(caused(&events, id), [seq]);
        }
        let pid = session(&client, "program").await.agents[0].pid.unwrap();
        assert!(process_exists(pid), "the program outlived 200 daemons");
        client.command(mint(), Change::SessionEnd { session: program }).await.unwrap();
        ended(&client, program).await;
        eventually("the program is gone", || !process_exists(pid));
    });
}

#[test]
fn a_run_whose_holder_died_is_interrupted_and_its_bytes_stay() {
    let home = Home::started();
    block_on(async {
        let client = home.client().await;
        let (session_id, terminal) = run(&client, "lost", &["sh", "-c", "echo before; cat"]).await;
        let (_, mut items) = client.attach(crate::harness::watch(terminal, Some(0))).await.unwrap();
        crate::harness::until(&mut items, "before").await;
        // Stored, so that the holder's death takes nothing with it.
        annotate(&client, session_id, "mark").await;
        let holder = client.welcome().daemon.holder_pid.unwrap();
        eventually("the bytes are stored", || {
            let report = home.ok(&["log", "verify", "--json"]);
            serde_json::from_str::<serde_json::Value>(&report).unwrap()["output_bytes"].as_u64() == Some(8)
        });
        crate::harness::kill_and_wait(holder, rustix::process::Signal::KILL);
        ended(&client, session_id).await;
        let lost = session(&client, "lost").await;
        assert!(matches!(lost.agents[0].outcome, Some(ropewalk_protocol::RunOutcome::Interrupted { .. })), "{lost:?}");
        assert_eq!(output(&client, terminal).await, b"before\r\n");
        // A new holder serves new programs.
        let (again, terminal) = run(&client, "again", &["echo", "after"]).await;
        ended(&client, again).await;
        assert_eq!(output(&client, terminal).await, b"after\r\n");
    });
}
