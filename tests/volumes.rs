//! Output that is longer than any one volume of the log.

use ropewalk_protocol::limits;

use crate::harness::{Choice, Home, block_on, ended, output, run, verify};

#[test]
fn output_over_three_volumes_is_byte_equal() {
    let home = Home::started();
    // Noise does not compress, so a volume holds no more of it than its own length.
    let mut choice = Choice::seeded(3);
    let length = limits::VOLUME_BYTES_MAX * 2 + limits::VOLUME_BYTES_MAX / 4;
    let noise: Vec<u8> = (0..length / 8).flat_map(|_| choice.below(u64::MAX).to_le_bytes()).collect();
    let file = home.path().join("noise");
    std::fs::write(&file, &noise).unwrap();
    let volumes = || {
        let entries = std::fs::read_dir(home.path().join("data/log")).unwrap().flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("v-")).count()
    };
    block_on(async {
        let client = home.client().await;
        let script = format!("stty raw -echo; exec cat {}", file.display());
        let (session, terminal) = run(&client, "noise", &["sh", "-c", &script]).await;
        ended(&client, session).await;
        assert!(volumes() >= 3, "{} volumes", volumes());
        assert!(output(&client, terminal).await == noise, "what comes back is not what was written");
        // The command line reads the same, and after a restart, when nothing is in memory.
        home.ok(&["daemon", "restart"]);
        let read = home.run(&["output", "noise"]);
        assert!(
            read.stdout == noise,
            "{} of {} bytes: {}",
            read.stdout.len(),
            noise.len(),
            String::from_utf8_lossy(&read.stderr)
        );
        assert!(verify(&client).await.intact);
    });
}
