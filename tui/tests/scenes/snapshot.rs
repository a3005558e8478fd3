//! Screens as text files: written when they are asked for, else compared.

use std::path::{Path, PathBuf};

use ropewalk_projections::screen::Screen;
use ropewalk_protocol::Size;
use ropewalk_tui::emulator;

use crate::stage::Stage;

/// The sizes that every scene is played at: a terminal as it always was, half of a wide screen, and all of it.
const SIZES: [Size; 3] = [Size { cols: 80, rows: 24 }, Size { cols: 120, rows: 40 }, Size { cols: 200, rows: 60 }];

/// Plays a scene at every size, and compares what is on the screen in the end. The scene is named by its test.
#[track_caller]
pub(crate) fn play<F: Fn(Size) -> Stage>(scene: F) {
    let name = name_of::<F>();
    for size in SIZES {
        let stage = scene(size);
        stage.is_as_drawn_at_once();
        let file = folder("tests/scenes/screens").join(format!("{name}.{}x{}.txt", size.cols, size.rows));
        compare(&file, &told(stage.screen()));
    }
}

/// Plays a scene without a screen, and compares the lines that were told.
#[track_caller]
pub(crate) fn tell<F: Fn() -> Stage>(scene: F) {
    let file = folder("tests/scenes/screens").join(format!("{}.plain.txt", name_of::<F>()));
    compare(&file, &format!("{}\n", scene().lines.join("\n")));
}

/// The name of the test that a closure is written in.
fn name_of<F>() -> &'static str {
    let path = std::any::type_name::<F>().trim_end_matches("::{{closure}}");
    path.rsplit("::").next().unwrap_or(path)
}

/// A folder of the crate.
pub(crate) fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A screen as text: its rows, and where the cursor is.
fn told(screen: &Screen) -> String {
    let (column, row) = screen.cursor();
    let cursor = match screen.cursor_visible() {
        true => format!("cursor: column {}, row {}", column + 1, row + 1),
        false => "cursor: hidden".to_owned(),
    };
    format!("{}\n{cursor}\n", emulator::rows(screen).join("\n"))
}

/// Compares a text with its file, or writes it there if that is asked for.
#[track_caller]
pub(crate) fn compare(file: &Path, text: &str) {
    if std::env::var_os("ROPEWALK_WRITE_SCREENS").is_some() {
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("the folder can be made");
        return std::fs::write(file, text).expect("the file can be written");
    }
    let shown = file.display();
    let known = std::fs::read_to_string(file)
        .unwrap_or_else(|error| panic!("{shown}: {error}; ROPEWALK_WRITE_SCREENS=1 writes it"));
    assert!(
        known == text,
        "{shown} is not what is drawn now (- known, + now). ROPEWALK_WRITE_SCREENS=1 writes it anew.\n{}",
        difference(&known, text)
    );
}

/// The lines that differ, each with its number.
fn difference(known: &str, now: &str) -> String {
    let (known, now): (Vec<&str>, Vec<&str>) = (known.lines().collect(), now.lines().collect());
    let lines = known.len().max(now.len());
    let line = |of: &[&str], at: usize| of.get(at).copied().unwrap_or_default().to_owned();
    let differing = (0..lines).filter(|at| known.get(*at) != now.get(*at));
    differing.map(|at| format!("{:>3} - {}\n    + {}\n", at + 1, line(&known, at), line(&now, at))).collect()
}

#[test]
fn every_screen_is_made_by_a_scene() {
    let sources = std::fs::read_dir(folder("tests/scenes")).expect("the scenes are there");
    let sources = sources.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file());
    let sources: String = sources.map(|path| std::fs::read_to_string(path).expect("it can be read")).collect();
    for entry in std::fs::read_dir(folder("tests/scenes/screens")).expect("the screens are there") {
        let file = entry.expect("an entry").file_name().into_string().expect("a plain name");
        let name = file.split('.').next().unwrap_or_default();
        assert!(sources.contains(&format!("fn {name}()")), "{file} is made by no scene");
    }
}
