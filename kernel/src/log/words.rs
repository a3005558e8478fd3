//! What the operating system said, in its words: sled passes errors on as programmers see them.

/// Rewrites each `Os { code: 28, kind: StorageFull, message: "No space left" }` as `No space left (os error 28)`.
pub(super) fn in_words(text: &str) -> String {
    let mut said = String::new();
    let mut rest = text;
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

#[cfg(test)]
mod tests {
    use super::in_words;

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
