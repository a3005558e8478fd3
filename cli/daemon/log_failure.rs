//! A log that cannot be opened, as people are told of it.

use std::path::Path;

use ropewalk_kernel::log::OpenError;
use ropewalk_kernel::log::store::StoreError;
use ropewalk_protocol::{Code, Rejection};

use super::discovery::lock_owner;
use crate::exit::{DAMAGED, FAILURE, Failure, TRY_LATER};

/// Why the log cannot be opened, with what to do about it.
pub(crate) fn log_failure(error: impl Into<OpenError>) -> Failure {
    let error = error.into();
    let message = format!("opening the log: {error}");
    let OpenError::Store(error) = error else {
        return Failure::new(FAILURE, message);
    };
    match error {
        StoreError::Full(_) => Rejection::new(Code::StorageFull, message).into(),
        StoreError::Locked(path) => match lock_owner(&Path::new(&path).join("db")) {
            Some(pid) => Failure::new(FAILURE, format!("{message}: process {pid}"))
                .hint(format!("End process {pid} if it is not meant to read the log, and start again.")),
            None => Failure::new(FAILURE, message).hint("End the process that reads the log, and start again."),
        },
        StoreError::Damaged(_) | StoreError::Unreadable { .. } => Failure::new(DAMAGED, message).hint(
            "Copy the log's directory away (`ropewalk info` names it), then see what `ropewalk log repair --dry-run` would do: the \
             daemon starts with what is before.",
        ),
        StoreError::Exhausted(_) => Failure::new(TRY_LATER, message)
            .hint("Raise the limit (`ulimit -n`) or end what holds files or memory, and start again. What is stored is as it was."),
        newer @ StoreError::Newer { .. } => Failure::from(Rejection { message, ..Rejection::from(newer) }),
        StoreError::Io(_) => {
            Rejection::new(Code::StorageFailed, message).hint("Look at the disk, and try again: what is stored is as it was.").into()
        }
        StoreError::Closed
        | StoreError::Stopped
        | StoreError::TooLarge { .. }
        | StoreError::Stalled(_)
        | StoreError::Failed(_) => {
            Failure::new(FAILURE, message).hint("Look at the disk and at who may read and write that directory.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(error: StoreError) -> Failure {
        log_failure(error)
    }

    #[test]
    fn what_keeps_the_log_from_opening_has_its_code_and_a_next_step() {
        let full = failure(StoreError::Full("no room".to_owned()));
        assert_eq!(full.code, TRY_LATER);
        assert!(full.message().contains("storage_full"), "{}", full.message());
        assert_eq!(failure(StoreError::Exhausted("files".to_owned())).code, TRY_LATER);
        let broken = failure(StoreError::Io("Input/output error (os error 5)".to_owned()));
        assert!(broken.code == TRY_LATER && broken.message().contains("storage_failed"), "{broken:?}");
        assert_eq!(failure(StoreError::Failed("Permission denied (os error 13)".to_owned())).code, FAILURE);
        let newer = failure(StoreError::Newer { format: 99, by: "build 9.9.9".to_owned() });
        assert!(newer.code == FAILURE && newer.message().contains("unsupported_version"), "{newer:?}");
        let damaged = failure(StoreError::Damaged("a snapshot".to_owned()));
        assert_eq!(damaged.code, DAMAGED);
        assert!(format!("{damaged:?}").contains("log repair --dry-run"), "{damaged:?}");
        assert_eq!(failure(StoreError::Locked("/home/log/v-1".to_owned())).code, FAILURE);
    }
}
