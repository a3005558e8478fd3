//! Where a log is read: at the daemon that has it open, or on the files of one that nobody has.

use ropewalk_kernel::log::{Journal, OpenError, Opened, ViewShelf};
use ropewalk_kernel::offload::Worker;
use ropewalk_protocol::{Event, LogId};
use ropewalk_transport::client::Client;

use crate::connect;
use crate::daemon::discovery::HomeLock;
use crate::daemon::log_failure::log_failure;
use crate::exit::{FAILURE, Failure, UNREACHABLE};
use crate::paths::Paths;

/// A log that can be read.
pub(super) enum Log {
    Daemon(Client),
    Files(Files),
}

/// Why what lies beside the volumes cannot be read, if it cannot.
pub(super) struct Beside {
    pub(super) index: Option<String>,
    pub(super) head: Option<String>,
}

/// A log on disk, kept from daemons while it is looked at, and not changed.
pub(super) struct Files {
    pub(super) journal: Journal,
    pub(super) damage: Beside,
    writer: Worker,
    lock: HomeLock,
}

impl Log {
    pub(super) async fn open(paths: &Paths) -> Result<Self, Failure> {
        let Some(pid) = HomeLock::holder(paths) else {
            return Files::open(paths).map(Log::Files);
        };
        connect::refuse_stopped(paths)?;
        // One that was started a moment ago answers in a moment.
        let client = match connect::connect_running(paths).await {
            Err(_) if connect::wait_for_other(paths).is_some() => connect::connect_running(paths).await,
            other => other,
        };
        client.map(Log::Daemon).map_err(|_| {
            Failure::new(UNREACHABLE, format!("process {pid} has the log, and no daemon answers"))
                .hint(format!("Wait until it does, or end it with `kill {pid}`: programs go on."))
        })
    }

    pub(super) async fn close(self) {
        match self {
            Log::Daemon(_) => {}
            Log::Files(files) => files.close().await,
        }
    }
}

impl Files {
    pub(super) fn open(paths: &Paths) -> Result<Self, Failure> {
        let lock = take(paths)?;
        let (opened, damage) = view(paths).map_err(log_failure)?;
        Ok(Self { journal: opened.journal, damage, writer: opened.writer, lock })
    }

    pub(super) async fn close(self) {
        let Self { journal, writer, lock, .. } = self;
        journal.stop().await.ok();
        drop(journal);
        writer.ended().await;
        drop(lock);
    }
}

/// Takes the home's lock, as a daemon does: while a log is read or changed here, none starts.
pub(super) fn take(paths: &Paths) -> Result<HomeLock, Failure> {
    if !paths.log().is_dir() {
        let message = format!("there is no log in {}", paths.data.display());
        return Err(Failure::new(FAILURE, message).hint("`ropewalk run` begins one; ROPEWALK_HOME says where."));
    }
    HomeLock::take(paths)
}

/// Opens the log of a home whose lock is held, without a change to it; also says what beside its volumes cannot be read.
pub(super) fn view(paths: &Paths) -> Result<(Opened, Beside), OpenError> {
    let shelf = ViewShelf::open(&paths.log())?;
    let damage = Beside { index: shelf.index_damage().map(str::to_owned), head: shelf.head_damage()? };
    let fresh = LogId::from(uuid::Uuid::now_v7());
    let opened = Journal::open(std::sync::Arc::new(shelf), fresh, |_| Box::new(|_: &[Event]| {}))?;
    Ok((opened, damage))
}
