//! Random operations under random policies: nothing that a policy protects changes, no file gets
//! more rights than it had, and nothing hidden is seen.
//!
//! No model predicts the outcomes. The tree is looked at from outside, without the policy, before
//! and after each operation.

use crate::rng::Rng;
use crate::shrink::seeds;
use crate::store::{LARGE, TestStore};
use kvfs::{
    Access, At, Descriptor, Follow, Grant, Kind, OpenFlags, Options, Policy, Rights, SetTime, Stat,
    Timestamp, Volume,
};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// A name of the tree: what it means, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Name {
    parent: u64,
    stat: Stat,
    bytes: Vec<u8>,
}

/// All names, by their paths.
type Names = BTreeMap<String, Name>;

struct Run {
    volume: Volume,
    root: Descriptor,
    policy: Rc<Policy>,
    /// Files that are open, with what they were opened for.
    open: Vec<Descriptor>,
}

/// Which parts of an operation were done and seen.
#[derive(Default)]
struct Seen {
    /// Inodes whose metadata were told.
    told: Vec<u64>,
    /// Inodes whose bytes were read, through which descriptor: true for one opened before.
    read: Vec<(u64, bool)>,
    /// The path of a directory and the names that were listed there.
    listed: Vec<(u64, String)>,
}

impl Run {
    fn outside(&mut self) -> Names {
        self.volume.set_policy(None);
        let mut names = Names::new();
        let mut todo = vec![(1, String::new())];
        while let Some((parent, path)) = todo.pop() {
            let at = if path.is_empty() { ".".to_owned() } else { path.clone() };
            let flags = OpenFlags { directory: true, ..OpenFlags::default() };
            let access = Access { read: true, ..Access::default() };
            let directory = self.volume.open_at(&self.root, &at, Follow::No, flags, access).unwrap();
            for (name, kind, ino) in crate::tree::list(&mut self.volume, &directory).unwrap() {
                let below = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                let stat = self.volume.stat_at(&directory, &name, Follow::No).unwrap();
                let bytes = match kind {
                    Kind::File => crate::fixture::read(&mut self.volume, &directory, &name).unwrap(),
                    Kind::Symlink => self.volume.readlink_at(&directory, &name).unwrap().into_bytes(),
                    Kind::Directory => {
                        todo.push((ino, below.clone()));
                        Vec::new()
                    }
                };
                names.insert(below, Name { parent, stat, bytes });
            }
            self.volume.close(directory).unwrap();
        }
        self.volume.set_policy(Some(self.policy.clone()));
        names
    }

    fn file_rights(&self, path: &str) -> Rights {
        self.policy.at(path).rights().intersection(Rights::FILE_READ | Rights::FILE_WRITE)
    }

    /// The rights that each file has by any of its names.
    fn rights(&self, names: &Names) -> BTreeMap<u64, Rights> {
        let mut rights = BTreeMap::new();
        for (path, name) in names.iter().filter(|(_, name)| name.stat.kind == Kind::File) {
            let known = rights.entry(name.stat.ino.0).or_insert(Rights::NONE);
            *known = *known | self.file_rights(path);
        }
        rights
    }

    /// Does a random operation.
    fn step(&mut self, rng: &mut Rng) -> (String, Seen) {
        let mut seen = Seen::default();
        let (path, other) = (path(rng), path(rng));
        let follow = rng.pick(&[Follow::Yes, Follow::No]);
        let (volume, root) = (&mut self.volume, &self.root);
        let told = match rng.below(14) {
            0 => format!("mkdir {path}: {:?}", volume.create_directory_at(root, &path)),
            1 => format!("symlink {other} {path}: {:?}", volume.symlink_at(&other, root, &path)),
            2 | 3 => format!("link {path} {other}: {:?}", volume.link_at(root, &path, follow, root, &other)),
            4..7 => format!("rename {path} {other}: {:?}", volume.rename_at(root, &path, root, &other)),
            7 => format!("unlink {path}: {:?}", volume.unlink_file_at(root, &path)),
            8 => format!("rmdir {path}: {:?}", volume.remove_directory_at(root, &path)),
            9 => {
                let time = SetTime::At(Timestamp { seconds: rng.below(1000) as i64, nanoseconds: 0 });
                format!("times {path}: {:?}", volume.set_times_at(root, &path, follow, time, time))
            }
            10 => {
                let stat = volume.stat_at(root, &path, follow);
                seen.told.extend(stat.iter().map(|stat| stat.ino.0));
                format!("stat {path}: {stat:?}")
            }
            11 => {
                let flags = OpenFlags { directory: true, ..OpenFlags::default() };
                let access = Access { read: true, mutate_directory: true, ..Access::default() };
                let directory = volume.open_at(root, &path, follow, flags, access);
                if let Ok(directory) = directory {
                    seen.told.push(directory.ino().0);
                    if let Ok(names) = crate::tree::list(volume, &directory) {
                        seen.listed.extend(names.into_iter().map(|(name, ..)| (directory.ino().0, name)));
                    }
                    volume.close(directory).unwrap();
                }
                format!("list {path}")
            }
            12 => {
                let bool = |rng: &mut Rng| rng.chance(2);
                let flags = OpenFlags {
                    create: bool(rng),
                    directory: false,
                    exclusive: rng.chance(4),
                    truncate: rng.chance(3),
                };
                let access = Access { read: bool(rng), write: bool(rng), ..Access::default() };
                let file = volume.open_at(root, &path, follow, flags, access);
                let told = format!("open {path} {flags:?} {access:?}: {:?}", file.as_ref().map(drop));
                match file {
                    Ok(file) if file.kind() == Kind::File && self.open.len() < 6 => {
                        self.use_file(&file, false, &mut seen);
                        self.open.push(file);
                    }
                    Ok(file) => {
                        self.use_file(&file, false, &mut seen);
                        self.volume.close(file).unwrap();
                    }
                    Err(_) => {}
                }
                told
            }
            _ if self.open.is_empty() => "nothing".to_owned(),
            _ => {
                let at = rng.below(self.open.len() as u64) as usize;
                let file = self.open.swap_remove(at);
                self.use_file(&file, true, &mut seen);
                let now = SetTime::Now;
                let _ = self.volume.set_times(&file, now, now);
                let told = format!("use of {:?}", file.ino());
                if rng.chance(2) {
                    self.volume.close(file).unwrap()
                } else {
                    self.open.push(file)
                }
                told
            }
        };
        (told, seen)
    }

    fn use_file(&mut self, file: &Descriptor, before: bool, seen: &mut Seen) {
        let mut bytes = Vec::new();
        if self.volume.read(file, 0, 64, &mut bytes).is_ok() {
            seen.read.push((file.ino().0, before));
        }
        let _ = self.volume.write(file, At::End, b"+");
        let _ = self.volume.set_size(file, 3);
    }

    /// Checks what an operation has changed and shown.
    fn check(
        &self,
        before: &Names,
        after: &Names,
        seen: &Seen,
        opened_before: &BTreeSet<u64>,
    ) -> Result<(), String> {
        let entry = |(path, name): (&String, &Name)| {
            let last = path.rsplit('/').next().unwrap_or_default().to_owned();
            ((name.parent, last), (path.clone(), name.stat.ino))
        };
        let (old, new): (BTreeMap<_, _>, BTreeMap<_, _>) =
            (before.iter().map(entry).collect(), after.iter().map(entry).collect());
        for (key, (path, ino)) in old.iter().chain(&new) {
            let at = |names: &BTreeMap<_, (String, _)>| names.get(key).map(|(_, ino)| *ino);
            if at(&old) == at(&new) {
                continue;
            }
            let parent = path
                .rsplit_once('/')
                .map_or(self.policy.default_rights(), |(above, _)| self.policy.at(above).rights());
            let rights = self.policy.at(path).rights().intersection(parent);
            if !rights.contains(Rights::DIR_MUTATE) {
                return Err(format!("the name {path} of {ino:?} changed"));
            }
        }
        // A directory that moved has the same rules below it.
        let places = |names: &Names| -> BTreeMap<u64, String> {
            let directories = names.iter().filter(|(_, name)| name.stat.kind == Kind::Directory);
            directories.map(|(path, name)| (name.stat.ino.0, path.clone())).collect()
        };
        let moved = places(before);
        for (ino, path) in places(after) {
            let Some(old) = moved.get(&ino).filter(|old| **old != path) else { continue };
            for suffix in ["", "/a", "/b", "/.env", "/a/b", "/a/.env", "/b/a/c", "/x/y"] {
                if self.policy.at(&format!("{old}{suffix}")) != self.policy.at(&format!("{path}{suffix}")) {
                    return Err(format!("{old} became {path}, where other rules hold for {suffix}"));
                }
            }
        }
        let (had, has) = (self.rights(before), self.rights(after));
        for (ino, rights) in &has {
            if had.get(ino).is_some_and(|had| !had.contains(*rights)) {
                return Err(format!("the file {ino} has more rights: {rights}, not {}", had[ino]));
            }
        }
        let content = |names: &Names| -> BTreeMap<u64, (Kind, Vec<u8>, u64, Timestamp)> {
            let files = names.values().filter(|name| name.stat.kind != Kind::Directory);
            files
                .map(|name| {
                    (name.stat.ino.0, (name.stat.kind, name.bytes.clone(), name.stat.size, name.stat.mtime))
                })
                .collect()
        };
        let contents = content(after);
        for (ino, old) in content(before) {
            let changed = contents.get(&ino).is_some_and(|new| *new != old);
            let may = had.get(&ino).is_some_and(|rights| rights.contains(Rights::FILE_WRITE));
            if changed && old.0 == Kind::File && !may && !opened_before.contains(&ino) {
                return Err(format!("the file {ino} changed"));
            }
        }
        for (ino, opened) in &seen.read {
            let may = has.get(ino).is_some_and(|rights| rights.contains(Rights::FILE_READ));
            if !may && !opened {
                return Err(format!("the file {ino} was read"));
            }
        }
        let shown = |ino: u64| {
            let mut paths = before.iter().filter(|(_, name)| name.stat.ino.0 == ino).map(|(path, _)| path);
            ino == 1
                || paths.clone().next().is_none()
                || paths.any(|path| self.policy.at(path) != Grant::Hide)
        };
        if let Some(ino) = seen.told.iter().find(|ino| !shown(**ino)) {
            return Err(format!("the hidden {ino} was seen"));
        }
        for (directory, name) in &seen.listed {
            let (path, _) = old.get(&(*directory, name.clone())).ok_or("a name that was not there")?;
            if self.policy.at(path) == Grant::Hide {
                return Err(format!("the hidden name {path} was listed"));
            }
        }
        Ok(())
    }
}

fn name(rng: &mut Rng) -> &'static str {
    rng.pick(&["a", "b", "c", "a", "b", ".env"])
}

fn path(rng: &mut Rng) -> String {
    let names = (0..1 + rng.below(3)).map(|_| if rng.chance(9) { ".." } else { name(rng) });
    names.collect::<Vec<_>>().join("/")
}

fn policy(rng: &mut Rng) -> Policy {
    let all = [Rights::DIR_READ, Rights::DIR_MUTATE, Rights::FILE_READ, Rights::FILE_WRITE];
    let some = |rng: &mut Rng| match rng.below(4) {
        0 => Rights::ALL,
        1 => Rights::NONE,
        _ => (0..3).fold(Rights::DIR_MUTATE, |rights, _| rights | rng.pick(&all)),
    };
    let default = if rng.chance(3) { some(rng) } else { Rights::ALL };
    let mut policy = Policy::new(default);
    for _ in 0..1 + rng.below(5) {
        let names = (0..1 + rng.below(3)).map(|_| rng.pick(&["**", "*", "a", "b", "c", ".env", "[ab]"]));
        let pattern = names.collect::<Vec<_>>().join("/");
        let grant = if rng.chance(4) { Grant::Hide } else { Grant::Allow(some(rng)) };
        policy.add(grant, &pattern).unwrap();
    }
    policy
}

/// Runs a seed, and returns how many operations changed names.
fn run(seed: u64) -> usize {
    let mut rng = Rng::new(seed);
    let store = TestStore::new(LARGE);
    let (mut volume, root) = crate::fixture::open_volume(&store, Options::default());
    let write = Access { write: true, ..Access::default() };
    let create = OpenFlags { create: true, ..OpenFlags::default() };
    for _ in 0..40 {
        let (path, other) = (path(&mut rng), path(&mut rng));
        match rng.below(5) {
            0 | 1 => drop(volume.create_directory_at(&root, &path)),
            2 => drop(volume.symlink_at(&other, &root, &path)),
            3 => drop(volume.link_at(&root, &path, Follow::No, &root, &other)),
            _ => {
                if let Ok(file) = volume.open_at(&root, &path, Follow::No, create, write) {
                    volume.write(&file, At::End, path.as_bytes()).unwrap();
                    volume.close(file).unwrap();
                }
            }
        }
    }
    volume.close(root).unwrap();
    let policy = Rc::new(policy(&mut rng));
    volume.set_policy(Some(policy.clone()));
    let root = volume.root().unwrap();
    let mut run = Run { volume, root, policy, open: Vec::new() };
    let mut changes = 0;
    let mut before = run.outside();
    for step in 0..60 {
        let opened: BTreeSet<u64> = run.open.iter().map(|file| file.ino().0).collect();
        let (told, seen) = run.step(&mut rng);
        let after = run.outside();
        if let Err(error) = run.check(&before, &after, &seen, &opened) {
            panic!("seed {seed}, step {step}: {told}: {error}\nunder `{}`\nbefore: {before:#?}", run.policy);
        }
        changes += usize::from(before.keys().ne(after.keys()));
        before = after;
    }
    changes
}

#[test]
fn no_operation_changes_reads_or_sees_what_a_policy_protects() {
    let changes: usize = seeds(400).map(run).sum();
    assert!(changes > 400, "{changes} operations changed names");
}
