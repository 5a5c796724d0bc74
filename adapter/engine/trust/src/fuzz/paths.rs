//! Paths built from a vocabulary, over a small tree with links and loops, compared with the
//! reference's resolver. No path may reach anything outside its starting directory.
//!
//! Random bytes hardly ever make a path that leads anywhere, so an input chooses words.

use super::reached::reach;
use crate::model::{Id, Model};
use crate::ops::{DIRS, FILES, Op, Setup};
use crate::rng::Rng;
use crate::run::{Check, Runner};
use crate::shrink::check_sequence;
use crate::store::TestStore;
use kvfs::{Access, Follow, Kind, OpenFlags};
use std::collections::BTreeSet;

const MAX_BUILDING_OPERATIONS: usize = 24;
const MAX_ASKING_OPERATIONS: usize = 60;
const MAX_PATH_WORDS: u64 = 7;

fn word(rng: &mut Rng) -> String {
    let rare = ["a\0", "...", "é", ".a", "\u{10FFFF}", "a ", "-"];
    match rng.below(32) {
        0..5 => "..".to_owned(),
        5..8 => ".".to_owned(),
        8 => String::new(),
        9 => "x".repeat(rng.pick(&[254, 255, 256])),
        10 => "é".repeat(rng.pick(&[127, 128])),
        11 => rng.pick(&rare).to_owned(),
        12..20 => rng.pick(&["l", "m", "n"]).to_owned(),
        20..28 => rng.pick(&["d", "e"]).to_owned(),
        _ => rng.pick(&["a", "b"]).to_owned(),
    }
}

fn path(rng: &mut Rng) -> String {
    let words = 1 + rng.below(MAX_PATH_WORDS);
    let mut path: Vec<String> = (0..words).map(|_| word(rng)).collect();
    match rng.below(40) {
        // The longest path allowed, and a slightly longer one.
        0 => path = vec!["d/..".to_owned(); rng.pick(&[819, 820])],
        1 => path.insert(0, String::new()),
        2..6 => path.push(String::new()),
        _ => {}
    }
    path.join("/")
}

fn place(rng: &mut Rng) -> (usize, String) {
    (rng.below(DIRS as u64) as usize, path(rng))
}

fn follow(rng: &mut Rng) -> Follow {
    rng.pick(&[Follow::Yes, Follow::No])
}

fn build(rng: &mut Rng) -> Op {
    let (dir, path) = place(rng);
    let flags = OpenFlags { create: true, ..OpenFlags::default() };
    let access = Access { read: true, write: true, ..Access::default() };
    match rng.below(8) {
        0..3 => Op::Mkdir { dir, path },
        3..6 => Op::Symlink { target: self::path(rng), dir, path },
        6 => Op::Link { old: (dir, path), follow: follow(rng), new: place(rng) },
        _ => Op::Open { dir, path, follow: follow(rng), flags, access, slot: 0 },
    }
}

fn ask(rng: &mut Rng) -> Op {
    let (dir, path) = place(rng);
    match rng.below(16) {
        0..6 => Op::StatAt { dir, path, follow: follow(rng) },
        6 => Op::Readlink { dir, path },
        7..10 => {
            let flags = OpenFlags { create: rng.chance(3), directory: rng.chance(3), ..OpenFlags::default() };
            let access = Access { read: true, ..Access::default() };
            Op::Open { dir, path, follow: follow(rng), flags, access, slot: rng.below(FILES as u64) as usize }
        }
        10 | 11 => Op::OpenDir { dir, path, slot: 1 + rng.below(DIRS as u64 - 1) as usize },
        12 => Op::Rename { old: (dir, path), new: place(rng) },
        13 => Op::Unlink { dir, path },
        14 => Op::Rmdir { dir, path },
        _ => build(rng),
    }
}

pub(super) fn run(data: &[u8]) {
    let mut rng = Rng::from_bytes(data);
    let setup = Setup::random(&mut rng);
    let mut ops = vec![
        Op::Mkdir { dir: 0, path: "d".to_owned() },
        Op::Mkdir { dir: 0, path: "d/e".to_owned() },
        Op::OpenDir { dir: 0, path: "d".to_owned(), slot: 1 },
        Op::OpenDir { dir: 0, path: "d/e".to_owned(), slot: 2 },
    ];
    let building = rng.below(MAX_BUILDING_OPERATIONS as u64);
    ops.extend((0..building).map(|_| build(&mut rng)));
    while !rng.is_done() && ops.len() < MAX_BUILDING_OPERATIONS + MAX_ASKING_OPERATIONS {
        ops.push(ask(&mut rng));
    }
    check_sequence(&setup, &ops, &resolve);
    reach();
}

/// Runs the operations on both sides, and checks that nothing outside was reached.
fn resolve(setup: &Setup, ops: &[Op]) -> Check {
    let mut runner = Runner::new(setup, TestStore::new(setup.limits), false)?;
    for (index, op) in ops.iter().enumerate() {
        let bases: Vec<Id> = bases(op).into_iter().filter_map(|slot| runner.dir(slot)).collect();
        let inside = below(&runner.model, &bases);
        let before = runner.model.clone();
        let ok = runner.step(index, op)?;
        let stays = stays_inside(&before, &runner.model, &inside);
        stays.map_err(|what| format!("operation {index} {op:?}: {what}"))?;
        if let (true, Op::StatAt { dir, path, follow }) = (ok, op) {
            let base = runner.dir(*dir).ok_or("a base that was there")?;
            let id = runner.model.stat_at(base, path, *follow).map_err(|code| format!("{code:?}"))?;
            if !inside.contains(&id) {
                return Err(format!("operation {index} {op:?}: it is outside its starting directory"));
            }
        }
    }
    runner.finish()
}

/// The slots of the directories that an operation's paths start from.
fn bases(op: &Op) -> Vec<usize> {
    match op {
        Op::Mkdir { dir, .. }
        | Op::Rmdir { dir, .. }
        | Op::Unlink { dir, .. }
        | Op::StatAt { dir, .. }
        | Op::Readlink { dir, .. }
        | Op::Symlink { dir, .. }
        | Op::OpenDir { dir, .. }
        | Op::Open { dir, .. } => vec![*dir],
        Op::Rename { old, new } | Op::Link { old, new, .. } => vec![old.0, new.0],
        _ => Vec::new(),
    }
}

/// The bases and everything below them.
fn below(model: &Model, bases: &[Id]) -> BTreeSet<Id> {
    let mut inside: BTreeSet<Id> = bases.iter().copied().collect();
    let mut todo: Vec<Id> = bases.to_vec();
    while let Some(dir) = todo.pop() {
        let entries = model.entries(dir).into_iter().flatten();
        todo.extend(entries.filter(|(_, id)| inside.insert(**id)).map(|(_, id)| *id));
    }
    inside
}

/// Checks that no directory outside gained or lost a name.
fn stays_inside(before: &Model, after: &Model, inside: &BTreeSet<Id>) -> Check {
    let outside = before.objects.iter().filter(|(id, _)| !inside.contains(id));
    for (id, object) in outside.filter(|(_, object)| object.kind() == Kind::Directory) {
        if after.objects.contains_key(id) && after.entries(*id) != before.entries(*id) {
            return Err(format!("it changed {object:?}, which is outside its starting directory"));
        }
    }
    Ok(())
}
