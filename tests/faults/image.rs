//! What a disk may hold after the power went: a model of files and names, of which only what was synced is certain.

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use super::trace::Entry;
use crate::harness::Choice;

/// What became of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Model {
    /// Nothing of it is there: names neither, until their directory was synced.
    SyncedOnly,
    /// All of it is there.
    Everything,
    /// Some writes are there, in no order; names up to some moment.
    SomeWrites,
    /// The same, and each write by sectors of its own.
    TornWrites,
}

pub(crate) const MODELS: [Model; 4] = [Model::SyncedOnly, Model::Everything, Model::SomeWrites, Model::TornWrites];

const SECTOR_BYTES: usize = 512;

#[derive(Debug, Clone)]
enum Change {
    Write(u64, Rc<[u8]>),
    Size(u64),
}

#[derive(Debug, Default)]
struct Contents {
    changes: Vec<Change>,
    /// So many of the changes are certain.
    synced: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Directory,
    File(usize),
}

#[derive(Debug, Clone)]
enum Naming {
    Add(String, Node),
    Remove(String),
    Rename(String, String),
}

/// A disk, followed through a trace.
#[derive(Default)]
pub(crate) struct Disk {
    files: Vec<Contents>,
    names: HashMap<String, Node>,
    /// In order, and whether the directory was synced since.
    naming: Vec<(Naming, bool)>,
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

impl Disk {
    /// Follows one operation. With `lying`, syncs of databases and of write-ahead logs promise and do nothing.
    pub(crate) fn follow(&mut self, entry: &Entry, lying: bool) {
        match entry {
            Entry::Write { path, offset, bytes } => {
                self.change(path, Change::Write(*offset, bytes.as_slice().into()));
            }
            Entry::Truncate { path, size } => self.change(path, Change::Size(*size)),
            Entry::Create { path } => {
                self.files.push(Contents::default());
                self.name(Naming::Add(path.clone(), Node::File(self.files.len() - 1)));
            }
            Entry::Mkdir { path } => self.name(Naming::Add(path.clone(), Node::Directory)),
            Entry::Rename { from, to } => self.name(Naming::Rename(from.clone(), to.clone())),
            Entry::Unlink { path } => self.name(Naming::Remove(path.clone())),
            Entry::Sync { path } if lying && (path.ends_with("/db") || path.contains("/wal-")) => {}
            Entry::Sync { path } => self.sync(path),
            Entry::Range { .. } | Entry::Acknowledged { .. } => {}
        }
    }

    fn change(&mut self, path: &str, change: Change) {
        if let Some(Node::File(file)) = self.names.get(path) {
            self.files[*file].changes.push(change);
        }
    }

    fn name(&mut self, naming: Naming) {
        apply(&mut self.names, &naming);
        self.naming.push((naming, false));
    }

    fn sync(&mut self, path: &str) {
        if let Some(Node::File(file)) = self.names.get(path) {
            let contents = &mut self.files[*file];
            contents.synced = contents.changes.len();
            return;
        }
        for (naming, certain) in &mut self.naming {
            let changed = match naming {
                Naming::Add(path, _) | Naming::Remove(path) | Naming::Rename(_, path) => path,
            };
            *certain |= parent(changed) == path;
        }
    }

    /// Writes what a machine finds that starts again now: what is below `root`, into `to`.
    pub(crate) fn write(&self, model: Model, choice: &mut Choice, root: &str, to: &Path) {
        let uncertain = self.naming.iter().filter(|(_, certain)| !certain).count() as u64;
        let mut named_up_to = match model {
            Model::SyncedOnly => 0,
            Model::Everything => uncertain,
            Model::SomeWrites | Model::TornWrites => choice.below(uncertain + 1),
        };
        let mut names = HashMap::new();
        for (naming, certain) in &self.naming {
            if !certain {
                if named_up_to == 0 {
                    continue;
                }
                named_up_to -= 1;
            }
            apply(&mut names, naming);
        }
        let mut paths: Vec<(&String, &Node)> = names.iter().filter(|(path, _)| path.starts_with(root)).collect();
        // Directories first, and the same choices in every run.
        paths.sort_by_key(|(path, node)| (**node != Node::Directory, path.len(), *path));
        for (path, node) in paths {
            let place = to.join(path[root.len()..].trim_start_matches('/'));
            match node {
                // A name whose directory is not there is not found either.
                _ if !place.parent().is_some_and(Path::is_dir) => {}
                Node::Directory => std::fs::create_dir(place).unwrap(),
                Node::File(file) => std::fs::write(place, self.files[*file].found(model, choice)).unwrap(),
            }
        }
    }
}

fn apply(names: &mut HashMap<String, Node>, naming: &Naming) {
    match naming {
        Naming::Add(path, node) => drop(names.insert(path.clone(), *node)),
        Naming::Remove(path) => drop(names.remove(path)),
        Naming::Rename(from, to) => {
            if let Some(node) = names.remove(from) {
                names.insert(to.clone(), node);
            }
        }
    }
}

impl Contents {
    fn found(&self, model: Model, choice: &mut Choice) -> Vec<u8> {
        let mut bytes = Vec::new();
        let (synced, unsynced) = self.changes.split_at(self.synced);
        synced.iter().for_each(|change| put(&mut bytes, change, |_| true));
        for change in unsynced {
            match model {
                Model::SyncedOnly => {}
                Model::Everything => put(&mut bytes, change, |_| true),
                Model::SomeWrites if choice.below(2) == 0 => {}
                Model::SomeWrites => put(&mut bytes, change, |_| true),
                Model::TornWrites => put(&mut bytes, change, |_| choice.below(2) == 0),
            }
        }
        bytes
    }
}

/// Makes a change, by sectors: those that `reaches` says.
fn put(bytes: &mut Vec<u8>, change: &Change, mut reaches: impl FnMut(usize) -> bool) {
    match change {
        Change::Size(size) => {
            if reaches(0) {
                bytes.resize(usize::try_from(*size).unwrap(), 0);
            }
        }
        Change::Write(offset, written) => {
            let begin = usize::try_from(*offset).unwrap();
            let mut at = 0;
            while at < written.len() {
                let sector = (begin + at) / SECTOR_BYTES;
                let end = (((sector + 1) * SECTOR_BYTES) - begin).min(written.len());
                if reaches(sector) {
                    if bytes.len() < begin + end {
                        bytes.resize(begin + end, 0);
                    }
                    bytes[begin + at..begin + end].copy_from_slice(&written[at..end]);
                }
                at = end;
            }
        }
    }
}
