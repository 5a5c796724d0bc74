//! Random sequences of operations. There are few names, so operations often meet on one.

use super::op::{DIRS, FILES, LISTINGS, Op};
use crate::rng::Rng;
use kvfs::{Access, At, Follow, OpenFlags, Quota, SetTime, Timestamp};

/// Three names for files, links and their replacements, and one that is nearly always a directory.
const NAMES: &[&str] = &["a", "b", "c"];
const DIRECTORY: &str = "d";

fn path(rng: &mut Rng) -> String {
    match rng.below(60) {
        0 => rng
            .pick(&[
                "",
                ".",
                "..",
                "a/..",
                "a/.",
                "/a",
                "a\0b",
                "a//b",
                "./b",
                "b/../a",
                "a/../../b",
                "c/",
                "l/..",
                "/",
            ])
            .to_owned(),
        1 => "x".repeat(rng.pick(&[255, 256])),
        2..4 => format!(
            "{}/{}",
            rng.pick(&["a", "b", "c", "d"]),
            rng.pick(&["a", "b", "d", ".", "..", "../b", "d/a"])
        ),
        4..6 => format!("{}/", rng.pick(&["a", "b", "d"])),
        6..26 => format!("{DIRECTORY}/{}", rng.pick(NAMES)),
        _ => rng.pick(NAMES).to_owned(),
    }
}

fn directory(rng: &mut Rng) -> String {
    match rng.below(8) {
        0..5 => DIRECTORY.to_owned(),
        5 => format!("{DIRECTORY}/{}", rng.pick(&["d", "a"])),
        6 => rng.pick(&[".", "d/.", "d/..", "d/../d/"]).to_owned(),
        _ => path(rng),
    }
}

/// A path to make or read a link at. One name is favoured, so that reads find links.
fn link(rng: &mut Rng) -> String {
    if rng.chance(3) { "c".to_owned() } else { path(rng) }
}

pub(super) fn quota(rng: &mut Rng) -> Quota {
    let bytes = rng.pick(&[None, Some(1000), Some(4000), Some(13_000), Some(31_000)]);
    let inodes = rng.pick(&[None, Some(5), Some(7)]);
    let names = match (bytes, inodes) {
        (None | Some(13_000), None) => Some(4),
        (Some(31_000), _) => Some(7),
        _ => None,
    };
    let file_bytes = match (bytes, inodes) {
        (Some(1000), Some(7)) => Some(0),
        (Some(4000), None) | (None, Some(5)) => Some(700),
        (Some(31_000), _) | (None, None) => Some(9000),
        _ => None,
    };
    Quota { bytes, inodes, names, file_bytes }
}

fn offset(rng: &mut Rng) -> u64 {
    match rng.below(30) {
        0 => rng.pick(&[(1 << 40) - 1, 1 << 40, i64::MAX as u64 - 5, i64::MAX as u64 - 600, u64::MAX - 3]),
        1..10 => rng.pick(&[0, 1, 63, 65, 511, 512, 513, 1024, 4095, 4096, 4097, 8192]),
        10..20 => 0,
        _ => rng.below(10_000),
    }
}

/// Often the root, or the first directory of most sequences.
fn start(rng: &mut Rng) -> u64 {
    if rng.chance(2) { u64::MAX - rng.pick(&[1, 2]) } else { back(rng) }
}

/// Mostly the number of an object that is there: there are few in a sequence.
fn back(rng: &mut Rng) -> u64 {
    if rng.chance(30) { rng.pick(&[0, u64::MAX]) } else { 1 + rng.below(12) }
}

fn length(rng: &mut Rng) -> usize {
    rng.pick(&[0, 1, 10, 63, 100, 300, 512, 600, 1024, 1500, 4096, 5000, 9000, 16_000])
}

fn time(rng: &mut Rng) -> SetTime {
    let at = |seconds, nanoseconds| SetTime::At(Timestamp { seconds, nanoseconds });
    rng.pick(&[SetTime::Keep, SetTime::Now, at(-7, 999_999_999), at(5, 1_000_000_000), at(99, 0)])
}

pub fn random(rng: &mut Rng) -> Op {
    let follow = rng.pick(&[Follow::Yes, Follow::No]);
    let slot = rng.below(FILES as u64) as usize;
    let dir = if rng.chance(8) { rng.below(DIRS as u64) as usize } else { 0 };
    let other = if rng.chance(8) { rng.below(DIRS as u64) as usize } else { 0 };
    let listing = rng.below(LISTINGS as u64) as usize;
    match rng.below(128) {
        0..16 => {
            let flags = OpenFlags {
                create: !rng.chance(4),
                directory: rng.chance(20),
                exclusive: rng.chance(12),
                truncate: rng.chance(5),
            };
            let access = Access {
                read: !rng.chance(8),
                write: !rng.chance(8),
                sync: rng.chance(15),
                mutate_directory: rng.chance(2),
            };
            Op::Open { dir, path: path(rng), follow, flags, access, slot }
        }
        16..19 => Op::Close { slot },
        19..23 => Op::OpenDir { dir, path: directory(rng), slot: 1 + rng.below(DIRS as u64 - 1) as usize },
        23 => Op::CloseDir { slot: 1 + rng.below(DIRS as u64 - 1) as usize },
        24 => Op::Stream { slot },
        25..47 => {
            let at = if rng.chance(4) { At::End } else { At::Offset(offset(rng)) };
            Op::Write { slot, at, length: length(rng), fill: 1 + rng.below(250) as u8 }
        }
        47..53 => Op::Read { slot, offset: offset(rng), length: length(rng) },
        53..62 => {
            let size = if rng.chance(4) { 0 } else { offset(rng) };
            Op::SetSize { slot, size }
        }
        62 => Op::Stat { slot },
        63 => Op::StatDir { slot: dir },
        64..67 => Op::StatAt { dir, path: path(rng), follow },
        67..71 => Op::Mkdir { dir, path: directory(rng) },
        71 => Op::Mkdir { dir, path: path(rng) },
        // Directories with other names are more often empty.
        72..75 => {
            let path = if rng.chance(2) { path(rng) } else { directory(rng) };
            Op::Rmdir { dir, path }
        }
        75..81 => Op::Unlink { dir, path: path(rng) },
        81..89 => Op::Rename { old: (dir, path(rng)), new: (other, path(rng)) },
        89 => Op::Rename { old: (dir, directory(rng)), new: (other, directory(rng)) },
        90..94 => Op::Link { old: (dir, path(rng)), follow, new: (other, path(rng)) },
        94..97 => {
            let target = if rng.chance(3) {
                path(rng)
            } else {
                rng.pick(&["a", "b", "../a", "d/b", "d", "d/x"]).to_owned()
            };
            Op::Symlink { target, dir, path: link(rng) }
        }
        97..99 | 126 => Op::Readlink { dir, path: link(rng) },
        99 => Op::SetTimes { slot, atime: time(rng), mtime: time(rng) },
        100 => Op::SetTimesAt { dir, path: path(rng), follow, atime: time(rng), mtime: time(rng) },
        101 => Op::List { slot: dir },
        102..104 => Op::ListStart { dir, slot: listing },
        104..106 => Op::ListNext { slot: listing, count: 1 + rng.below(3) as usize },
        106 => Op::ListEnd { slot: listing },
        107 => Op::SetQuota { quota: quota(rng) },
        108 => Op::Sync,
        109..112 => Op::StatNumber { back: back(rng) },
        112..116 => {
            // As a mount opens them: by number there is no directory whose rights count.
            let (read, write, sync) = (!rng.chance(8), rng.chance(2), rng.chance(15));
            let access = Access { read, write, sync, mutate_directory: true };
            Op::OpenNumber { back: back(rng), access, slot }
        }
        // Links are made late.
        116..119 => Op::ReadlinkNumber { back: if rng.chance(4) { back(rng) } else { 1 + rng.below(3) } },
        119..122 => Op::LinkNumber { back: back(rng), dir, path: path(rng) },
        122..124 => Op::LookUpFrom { back: start(rng), path: path(rng) },
        124 => Op::MkdirFrom { back: start(rng), path: path(rng) },
        125 => Op::UnlinkFrom { back: start(rng), path: path(rng) },
        _ => Op::Reopen,
    }
}

pub fn sequence(rng: &mut Rng, length: usize) -> Vec<Op> {
    // Most sequences start with something to work on.
    let mut ops = Vec::with_capacity(length);
    if !rng.chance(4) {
        let create = OpenFlags { create: true, ..OpenFlags::default() };
        let access = Access { read: true, write: true, ..Access::default() };
        ops.push(Op::Mkdir { dir: 0, path: DIRECTORY.to_owned() });
        for (slot, name) in ["a", "b", "d/c"].into_iter().enumerate() {
            ops.push(Op::Open {
                dir: 0,
                path: name.to_owned(),
                follow: Follow::No,
                flags: create,
                access,
                slot,
            });
        }
        ops.push(Op::Rename { old: (0, "b".to_owned()), new: (0, "d/b".to_owned()) });
    }
    ops.extend((ops.len()..length).map(|_| random(rng)));
    ops
}
