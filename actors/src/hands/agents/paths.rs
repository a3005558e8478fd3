//! Where paths really lead that an agent wants to read or write: links are followed here, so that rules are held against what
//! is touched in the end. What is a link a moment later nobody knows: rules save questions, they are no fence.

use std::io;
use std::path::{Path, PathBuf};

use ropewalk_kernel::offload;

use crate::agent::structured::Seen;
use crate::providers::{Observed, Want};

/// Files of one question that are looked at. About more than that people are asked.
const FILES_MAX: usize = 256;

/// Adds where the paths lead to what was seen.
pub(super) async fn follow(directory: &str, seen: &mut [Seen]) {
    for seen in seen {
        let Observed::Asked { wants, .. } = &mut seen.observed else { continue };
        if wants.len() > FILES_MAX {
            wants.clear();
        }
        if !wants.iter().any(|want| matches!(want, Want::Read { .. } | Want::Write { .. })) {
            continue;
        }
        let (mut followed, directory) = (std::mem::take(wants), PathBuf::from(directory));
        let looked = offload::blocking(move || {
            followed.iter_mut().for_each(|want| look(&directory, want));
            followed
        });
        // Nothing at all is what nobody but people may allow.
        *wants = looked.await.unwrap_or_default();
    }
}

/// Blocking.
fn look(directory: &Path, want: &mut Want) {
    if let Want::Read { path, real } | Want::Write { path, real } = want {
        *real = leads(&directory.join(&*path)).ok().and_then(|leads| leads.into_os_string().into_string().ok());
    }
}

/// The path without links. The last parts of it need not be there yet.
fn leads(path: &Path) -> io::Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // A link that leads nowhere is there all the same: what is written to it is made elsewhere.
            if path.symlink_metadata().is_ok() {
                return Err(error);
            }
            let (Some(above), Some(name)) = (path.parent(), path.file_name()) else { return Err(error) };
            Ok(leads(above)?.join(name))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_and_what_is_not_there_yet_is_taken_as_it_is_named() {
        let home = std::env::temp_dir().canonicalize().unwrap().join(format!("rw-links-{}", std::process::id()));
        std::fs::create_dir_all(home.join("project/src")).unwrap();
        std::fs::write(home.join("secret"), "").unwrap();
        symlink(&home, home.join("project/up")).unwrap();
        symlink(home.join("nowhere"), home.join("project/dangling")).unwrap();
        let look = |path: &str| {
            let mut want = Want::Write { path: path.to_owned(), real: None };
            super::look(&home.join("project"), &mut want);
            let Want::Write { real, .. } = want else { panic!("it is written") };
            real.map(|real| real.strip_prefix(home.to_str().unwrap()).unwrap_or(&real).to_owned())
        };
        assert_eq!(look("src").as_deref(), Some("/project/src"));
        assert_eq!(look("src/new/file").as_deref(), Some("/project/src/new/file"));
        assert_eq!(look("up/secret").as_deref(), Some("/secret"));
        assert_eq!(look("up/new").as_deref(), Some("/new"));
        assert_eq!(look("src/../up/secret").as_deref(), Some("/secret"));
        assert_eq!(look("dangling"), None);
        assert_eq!(look("new/../x"), None, "what is above of nothing?");
        std::fs::remove_dir_all(&home).unwrap();
    }
}
