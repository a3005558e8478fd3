//! The discovery file: how clients find the daemon, and how two daemons on one home are kept apart.

mod document;
mod home_lock;

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use ropewalk_protocol::MachineId;

pub(crate) use self::document::Discovery;
pub(crate) use self::home_lock::HomeLock;
use crate::exit::Failure;
use crate::paths::{Paths, write_durable, write_private};

/// The bound on the discovery file: it is read before anything is known of who wrote it.
const DISCOVERY_BYTES_MAX: u64 = 64 * 1024;

impl Discovery {
    /// What the file says, if there is one that makes sense.
    pub(crate) fn read(paths: &Paths) -> Option<Self> {
        Self::read_from(&paths.discovery())
    }

    /// What this file says.
    pub(crate) fn read_from(file: &Path) -> Option<Self> {
        let mut bytes = Vec::new();
        File::open(file).ok()?.take(DISCOVERY_BYTES_MAX).read_to_end(&mut bytes).ok()?;
        Self::decode(&bytes)
    }

    pub(crate) fn write(&self, paths: &Paths) -> Result<(), Failure> {
        let path = paths.discovery();
        // A directory there can be nobody's discovery file; an empty one is not worth a word.
        std::fs::remove_dir(&path).ok();
        let json = serde_json::to_vec_pretty(self).map_err(std::io::Error::from)?;
        write_private(&path, &json).map_err(|error| {
            let failure = Failure::because_io(format_args!("writing {}", path.display()), &error);
            if path.is_dir() { failure.hint("It is a directory: move it away, and start again.") } else { failure }
        })
    }
}

/// Puts back what was removed from the runtime directory beside the socket.
pub(super) fn restore(found: &Discovery, token: &str, paths: &Paths) {
    let token_there = paths.token().exists();
    let put_back = if token_there { Ok(()) } else { write_private(&paths.token(), token.as_bytes()) };
    let put_back = put_back.map_err(Failure::from).and_then(|()| found.write(paths));
    if let Err(failure) = put_back {
        tracing::error!(error = failure.message(), "the discovery file could not be put back");
    }
}

/// The process that has this file locked, as far as the kernel tells.
pub(super) fn lock_owner(path: &Path) -> Option<u32> {
    let inode = path.metadata().ok()?.ino();
    owner_of(&std::fs::read_to_string("/proc/locks").ok()?, inode)
}

/// Reads the kernel's list of locks, as in `1: FLOCK  ADVISORY  WRITE 708 00:1c:1234 0 EOF`.
fn owner_of(locks: &str, inode: u64) -> Option<u32> {
    let inode = inode.to_string();
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let at = fields.iter().position(|field| field.rsplit(':').next() == Some(&inode) && field.contains(':'))?;
        fields.get(at.checked_sub(1)?)?.parse().ok()
    })
}

/// The token: made once for a runtime directory.
pub(crate) fn token(paths: &Paths) -> Result<String, Failure> {
    if let Ok(token) = std::fs::read_to_string(paths.token())
        && token.trim().len() == 64
    {
        return Ok(token.trim().to_owned());
    }
    let mut bytes = [0; 32];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).map_err(std::io::Error::from)?;
    let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    write_durable(&paths.token(), token.as_bytes())?;
    Ok(token)
}

/// The machine's id: made once for a data directory.
pub(crate) fn machine(paths: &Paths) -> Result<MachineId, Failure> {
    if let Ok(text) = std::fs::read_to_string(paths.machine_id())
        && let Ok(machine) = text.trim().parse()
    {
        return Ok(machine);
    }
    let machine = MachineId::from(uuid::Uuid::now_v7());
    write_durable(&paths.machine_id(), machine.to_string().as_bytes())?;
    Ok(machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_a_lock_is_read_from_the_kernels_list() {
        let locks = "1: POSIX  ADVISORY  WRITE 12 00:1c:77 0 EOF\n2: FLOCK  ADVISORY  WRITE 708 fd:01:1234 0 EOF\n";
        assert_eq!(owner_of(locks, 1234), Some(708));
        assert_eq!(owner_of(locks, 77), Some(12));
        assert_eq!(owner_of(locks, 34), None);
        assert_eq!(owner_of("", 1), None);
    }
}
