//! Whether what was typed means a text: for filters, palettes and completions.

/// How well a text fits what was typed; `None`: not at all. Case does not matter; nothing typed fits everything. The whole word
/// somewhere is better than its letters in order, a beginning better than a middle, a short text better than a long one.
pub(super) fn score(typed: &str, text: &str) -> Option<u32> {
    let (typed, text) = (typed.to_lowercase(), text.to_lowercase());
    let length = u32::try_from(text.chars().count().min(200)).unwrap_or(200);
    if let Some(at) = text.find(&typed) {
        let begins_word = text[..at].chars().next_back().is_none_or(|before| !before.is_alphanumeric());
        let place = if at == 0 {
            2000
        } else if begins_word {
            1000
        } else {
            0
        };
        return Some(10_000 + place - length);
    }
    let mut characters = text.chars();
    let mut gaps = 0;
    for wanted in typed.chars().filter(|character| !character.is_whitespace()) {
        gaps += u32::try_from(characters.by_ref().position(|found| found == wanted)?).unwrap_or(u32::MAX / 2).min(100);
    }
    Some(5_000_u32.saturating_sub(10 * gaps).max(length) - length)
}

/// Whether a text passes a filter: each word must fit; one that `!` begins must not be in it.
pub(super) fn passes(filter: &str, text: &str) -> bool {
    filter.split_whitespace().all(|word| match word.strip_prefix('!') {
        Some("") => true,
        Some(unwanted) => !text.to_lowercase().contains(&unwanted.to_lowercase()),
        None => text.split_whitespace().any(|part| score(word, part).is_some()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn better_matches_come_first() {
        let mut found: Vec<_> = ["src/main.rs", "domain.rs", "mxaxixn.rs", "main.rs", "other"]
            .into_iter()
            .filter_map(|text| Some((score("main", text)?, text)))
            .collect();
        found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        assert_eq!(
            found.iter().map(|(_, text)| *text).collect::<Vec<_>>(),
            ["main.rs", "src/main.rs", "domain.rs", "mxaxixn.rs"]
        );
        assert!(score("", "anything").is_some() && score("ÄB", "xäby").is_some());
    }

    #[test]
    fn a_filter_has_words_and_unwanted_words() {
        for (filter, passed) in
            [("", true), ("fix idle", true), ("!working", true), ("fix !idle", false), ("zz", false), ("!", true)]
        {
            assert_eq!(passes(filter, "fix-login claude idle"), passed, "{filter}");
        }
    }
}
