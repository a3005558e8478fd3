//! What the operating system said, in its words: sled passes errors on as programmers see them.

/// Rewrites each `Os { code: 28, kind: StorageFull, message: "No space left" }` as `No space left (os error 28)`, also where
/// it was passed on as the text of another error, and that one again.
pub(super) fn in_words(text: &str) -> String {
    if !text.contains("Os { code: ") {
        return text.to_owned();
    }
    let mut text = text.replace('\\', "");
    while let Some((before, after)) = text.rsplit_once("Custom { kind: ")
        && let Some((_, after)) = after.split_once(", error: \"")
        && let Some((inner, after)) = after.rsplit_once("\" }")
    {
        text = format!("{before}{inner}{after}");
    }
    let mut said = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("Os { code: ") {
        let parsed = after.split_once(", kind: ").and_then(|(code, after)| {
            let (_, after) = after.split_once(", message: \"")?;
            let (message, after) = after.split_once("\" }")?;
            Some((code, message, after))
        });
        let Some((code, message, after)) = parsed else {
            break;
        };
        said.push_str(&format!("{before}{message} (os error {code})"));
        rest = after;
    }
    said + rest
}

/// Whether the operating system could not read or write: the disk may yet do it, and what is stored need not be damaged.
pub(super) fn is_io_error(text: &str) -> bool {
    text.contains("Input/output error")
}

/// Whether there are no more file descriptors, or there is no memory: nothing is said of the disk or of what is on it.
pub(super) fn is_exhausted(text: &str) -> bool {
    text.contains("Too many open files") || text.contains("Cannot allocate memory")
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{in_words, is_exhausted, is_io_error};

    #[test]
    fn errors_that_were_passed_on_as_text_are_told_in_words_however_often_they_were() {
        let full = io::Error::from_raw_os_error(28);
        let once = io::Error::new(full.kind(), format!("{full:?}"));
        let twice = io::Error::new(once.kind(), format!("{once:?}"));
        let thrice = io::Error::new(twice.kind(), format!("{twice:?}"));
        for error in [once, twice, thrice] {
            assert_eq!(in_words(&error.to_string()), "No space left on device (os error 28)");
        }
        assert!(is_io_error(&io::Error::from_raw_os_error(5).to_string()));
        // Of the process, of the system, and memory.
        for number in [24, 23, 12] {
            assert!(is_exhausted(&io::Error::from_raw_os_error(number).to_string()), "{number}");
        }
    }

    #[test]
    fn errors_of_the_operating_system_are_told_in_words() {
        let raw = r#"could not lock "/a": Os { code: 11, kind: WouldBlock, message: "Try again" }; Io(Os { code: 28, kind: StorageFull, message: "No space left on device" })"#;
        let told = r#"could not lock "/a": Try again (os error 11); Io(No space left on device (os error 28))"#;
        assert_eq!(in_words(raw), told);
        for whole in ["", "nothing of the kind", "Os { code: ", "Os { code: 1, kind: X }"] {
            assert_eq!(in_words(whole), whole);
        }
    }
}
