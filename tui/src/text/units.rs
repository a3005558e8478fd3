//! Ages, money, tokens, bytes and paths, for people.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use unicode_segmentation::UnicodeSegmentation;

use super::wrap::{cells, cut};

/// How long ago, in one unit: `3s`, `4m`, `2h`, `5d`.
pub fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

/// How long something took, in its two largest units: `80ms`, `2.3s`, `41s`, `3m 5s`, `2h 10m`, `1d 4h`.
pub fn duration(took: Duration) -> String {
    let (millis, seconds) = (took.as_millis(), took.as_secs());
    let two = |large: u64, small: u64, units: [&str; 2]| match small {
        0 => format!("{large}{}", units[0]),
        _ => format!("{large}{} {small}{}", units[0], units[1]),
    };
    match seconds {
        0 => format!("{millis}ms"),
        1..10 => format!("{seconds}.{}s", millis % 1000 / 100),
        10..60 => format!("{seconds}s"),
        60..3600 => two(seconds / 60, seconds % 60, ["m", "s"]),
        3600..86400 => two(seconds / 3600, seconds % 3600 / 60, ["h", "m"]),
        _ => two(seconds / 86400, seconds % 86400 / 3600, ["d", "h"]),
    }
}

/// Millionths of a dollar: `$1.2345`; `-` where nobody knows.
pub fn dollars(micro_usd: Option<u64>) -> String {
    match micro_usd {
        Some(micro) => format!("${}.{:04}", micro / 1_000_000, micro % 1_000_000 / 100),
        None => "-".to_owned(),
    }
}

/// How many tokens: `950`, `12.3k`, `123k`, `1.2M`.
pub fn tokens(count: u64) -> String {
    scaled(count, 1000, &["", "k", "M", "G"], "")
}

/// How many bytes: `950 B`, `1.5 KiB`, `12 MiB`.
pub fn bytes(count: u64) -> String {
    scaled(count, 1024, &["B", "KiB", "MiB", "GiB", "TiB"], " ")
}

/// With three digits at most, cut and never rounded up to what it is not yet.
fn scaled(count: u64, step: u64, units: &[&str], between: &str) -> String {
    let mut unit = 1_u64;
    let mut at = 0;
    while at + 1 < units.len() && count / unit >= step {
        unit *= step;
        at += 1;
    }
    let (whole, tenth) = (count / unit, u128::from(count % unit) * 10 / u128::from(unit));
    if unit == 1 || whole >= 100 {
        format!("{whole}{between}{}", units[at])
    } else {
        format!("{whole}.{tenth}{between}{}", units[at])
    }
}

/// A path of no more than so many cells: the home directory is `~`, and what does not fit is left out in the middle, where
/// it tells least.
pub fn path(path: &str, home: Option<&Path>, width: usize, mark: &str) -> String {
    let below_home = home.and_then(|home| Path::new(path).strip_prefix(home).ok()).and_then(Path::to_str);
    let path: Cow<'_, str> = match below_home {
        Some("") => "~".into(),
        Some(rest) => format!("~/{rest}").into(),
        None => path.into(),
    };
    if cells(&path) <= width {
        return path.into_owned();
    }
    let mut parts = path.split('/');
    let begin = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    // As many of the last names as fit behind the first.
    for kept in (1..rest.len()).rev() {
        let short = format!("{begin}/{mark}/{}", rest[rest.len() - kept..].join("/"));
        if cells(&short) <= width {
            return short;
        }
    }
    let name = rest.last().copied().unwrap_or(begin);
    if cells(name) <= width { name.to_owned() } else { cut_middle(name, width, mark) }
}

/// Its beginning and its end, so that what it is called and what kind of file it is can both be seen.
fn cut_middle(name: &str, width: usize, mark: &str) -> String {
    let Some(room) = width.checked_sub(cells(mark)).filter(|room| *room >= 2) else {
        return cut(name, width, "").into_owned();
    };
    let mut end = name.len();
    let mut taken = 0;
    for (at, grapheme) in name.grapheme_indices(true).rev() {
        taken += cells(grapheme);
        if taken > room / 2 {
            break;
        }
        end = at;
    }
    format!("{}{mark}{}", cut(name, room - room / 2, ""), &name[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let seconds = Duration::from_secs;
        assert_eq!([0, 59, 60, 7199, 7200, 432_000].map(|at| age(seconds(at))), ["0s", "59s", "1m", "1h", "2h", "5d"]);
        assert_eq!(duration(Duration::from_millis(80)), "80ms");
        assert_eq!(duration(Duration::from_millis(2390)), "2.3s");
        assert_eq!(
            [41, 185, 180, 7800, 100_800].map(|at| duration(seconds(at))),
            ["41s", "3m 5s", "3m", "2h 10m", "1d 4h"]
        );
    }

    #[test]
    fn amounts_are_short() {
        assert_eq!(
            (dollars(Some(1_234_567)), dollars(Some(0)), dollars(None)),
            ("$1.2345".into(), "$0.0000".into(), "-".into())
        );
        assert_eq!(
            [0, 999, 1000, 12_345, 123_456, 999_999, 1_250_000].map(tokens),
            ["0", "999", "1.0k", "12.3k", "123k", "999k", "1.2M"]
        );
        assert_eq!(
            [1023, 1024, 1536, 200 * 1024, 1 << 20].map(bytes),
            ["1023 B", "1.0 KiB", "1.5 KiB", "200 KiB", "1.0 MiB"]
        );
        assert_eq!(bytes(u64::MAX), "16777215 TiB");
    }

    #[test]
    fn paths_keep_their_ends() {
        let home = Some(Path::new("/home/me"));
        assert_eq!(path("/home/me/a/b", home, 40, "…"), "~/a/b");
        assert_eq!(path("/home/me", home, 40, "…"), "~");
        assert_eq!(path("/home/meme/x", home, 40, "…"), "/home/meme/x");
        assert_eq!(path("/home/me/code/project/src/text/main.rs", home, 20, "…"), "~/…/src/text/main.rs");
        assert_eq!(path("/home/me/code/project/src/text/main.rs", home, 12, "…"), "~/…/main.rs");
        assert_eq!(path("/srv/deep/er/main.rs", None, 12, "…"), "/…/main.rs");
        assert_eq!(path("/srv/a_very_long_file_name.rs", None, 11, "…"), "a_ver…me.rs");
        assert_eq!(path("漢字漢字", None, 5, "…"), "漢…字");
        for width in 0..12 {
            assert!(cells(&path("/srv/漢字/a_very_long_file_name.rs", None, width, "...")) <= width);
        }
    }
}
