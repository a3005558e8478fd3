//! The terminal client with the real binary: started in a shell, in a real terminal, and driven by keys.

mod away;
mod kept;
mod leaving;
mod plain;
mod programs;
mod slow_line;
mod start;
mod terminal;
mod together;

use std::path::PathBuf;

use self::terminal::Terminal;
use crate::harness::{Home, ROPEWALK};

/// An agent for the tests: answers, asks before it writes, and works for as long as it takes.
const SCRIPT: &str = "\
resume
on prompt /^write/
  confirm
  ask May I {prompt}?
  allowed
    say done: {prompt}
  denied
    say left: {prompt}
  done
on prompt /^work/
  confirm
  delta half of {prompt}
  sleep 6000
  say all of {prompt}
on prompt
  confirm
  say heard: {prompt}
on steer
  say heard as well: {steer}
";

/// A home whose only agent follows a script, and a directory to work in.
struct Desk {
    home: Home,
}

impl Desk {
    /// Nothing runs yet: the client starts the daemon.
    fn new() -> Self {
        Self::with(SCRIPT)
    }

    fn with(script: &str) -> Self {
        let desk = Self { home: Home::new() };
        for directory in ["config", "work", "tmux"] {
            std::fs::create_dir(desk.home.path().join(directory)).unwrap();
        }
        let file = desk.home.path().join("script");
        std::fs::write(&file, script).unwrap();
        desk.configure(&format!(
            "[[agents]]\nname = \"Scripted\"\nprovider = \"scripted\"\ncommand = [\"{ROPEWALK}\", \"scripted-agent\", \"{}\"]\n",
            file.display()
        ));
        desk
    }

    fn configure(&self, text: &str) {
        std::fs::write(self.home.path().join("config/tui.toml"), text).unwrap();
    }

    fn work(&self) -> PathBuf {
        self.home.path().join("work")
    }

    /// A terminal of the usual size.
    fn terminal(&self) -> Terminal {
        Terminal::open(self, 80, 24)
    }

    /// A client in a terminal of the usual size, with its sessions.
    fn client(&self) -> Terminal {
        let terminal = self.terminal();
        terminal.run_client();
        terminal
    }

    /// The events of the log of this name, one JSON value each.
    fn events(&self, name: &str) -> Vec<serde_json::Value> {
        let events = self.home.ok(&["events", "--json"]);
        let events = events.lines().map(|line| serde_json::from_str(line).unwrap());
        events.filter(|event: &serde_json::Value| event["type"] == name).collect()
    }
}
