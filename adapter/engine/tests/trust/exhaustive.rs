//! Every sequence of up to three operations from a small alphabet, with all its cuts.

use crate::crash::sweep;
use crate::ops::{Op, Setup};
use crate::run::run;
use crate::store::{JOURNALLED, LARGE, SMALL, TINY};
use kvfs::{Access, At, CacheLimits, Follow, Limits, Mode, OpenFlags};
use std::sync::atomic::{AtomicU64, Ordering};

/// Operations on two names, one of them also in a directory, and on a file large enough to be cut
/// and split.
fn alphabet() -> Vec<Op> {
    let access = Access { read: true, write: true, ..Access::default() };
    let open = |path: &str, truncate: bool, slot| {
        let flags = OpenFlags { create: true, truncate, ..OpenFlags::default() };
        Op::Open { dir: 0, path: path.to_owned(), follow: Follow::Yes, flags, access, slot }
    };
    let name = |path: &str| (0, path.to_owned());
    let rename = |old: &str, new: &str| Op::Rename { old: name(old), new: name(new) };
    vec![
        open("a", true, 0),
        open("d/a", false, 1),
        Op::Close { slot: 0 },
        Op::Write { slot: 0, at: At::Offset(0), length: 9_000, fill: 3 },
        Op::Write { slot: 0, at: At::Offset(600), length: 600, fill: 40 },
        Op::Write { slot: 0, at: At::End, length: 100, fill: 80 },
        Op::SetSize { slot: 0, size: 0 },
        Op::SetSize { slot: 0, size: 700 },
        Op::SetSize { slot: 0, size: 12_000 },
        Op::Mkdir { dir: 0, path: "d".to_owned() },
        Op::Rmdir { dir: 0, path: "d".to_owned() },
        Op::Unlink { dir: 0, path: "a".to_owned() },
        rename("a", "b"),
        rename("b", "a"),
        rename("d", "a"),
        rename("a", "d/b"),
        Op::Link { old: name("a"), follow: Follow::No, new: name("b") },
        Op::Symlink { target: "d/a".to_owned(), dir: 0, path: "b".to_owned() },
        Op::Sync,
        Op::Reopen,
    ]
}

/// The operations before the three: none, or a tree with a large open file.
fn starts() -> [Vec<Op>; 2] {
    let all = alphabet();
    let [open_a, large, mkdir, open_in_d] = [0, 3, 9, 1].map(|index: usize| all[index].clone());
    [Vec::new(), vec![open_a, large, mkdir, open_in_d, Op::Sync]]
}

fn setups() -> Vec<Setup> {
    let tiny = CacheLimits { extent_bytes: 0, inodes: 1, inode_bytes: 0, dentries: 1 };
    let setup = |mode, limits: Limits, cache| Setup {
        mode,
        limits,
        cache,
        extent_bytes: 512,
        inline_bytes: 500,
        ..Setup::plain()
    };
    vec![
        setup(Mode::Close, LARGE, CacheLimits::default()),
        setup(Mode::Close, SMALL, tiny),
        setup(Mode::Lazy, SMALL, CacheLimits::default()),
        setup(Mode::Lazy, Limits { max_batch_entries: 30, ..LARGE }, tiny),
        setup(Mode::Close, TINY, tiny),
        setup(Mode::Lazy, JOURNALLED[3], CacheLimits::default()),
    ]
}

#[test]
fn every_sequence_of_three_operations_survives_every_cut() {
    let (alphabet, starts) = (alphabet(), starts());
    let size = alphabet.len() as u64;
    let all = size * size * size * starts.len() as u64 * setups().len() as u64;
    let next = AtomicU64::new(0);
    let worker = || {
        // The base of a setup cannot be sent to another thread.
        let setups = setups();
        loop {
            let mut number = next.fetch_add(1, Ordering::Relaxed);
            if number >= all {
                return;
            }
            let mut digit = |base: u64| {
                let digit = number % base;
                number /= base;
                digit as usize
            };
            let (setup, start) = (&setups[digit(setups.len() as u64)], &starts[digit(starts.len() as u64)]);
            let mut ops = start.clone();
            ops.extend((0..3).map(|_| alphabet[digit(size)].clone()));
            // Shorter sequences are prefixes of these, and so are their cuts.
            let outcome = run(setup, &ops).and_then(|()| sweep(setup, &ops, None));
            outcome.unwrap_or_else(|what| panic!("{what}\n{setup:?}\n{ops:#?}"));
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(worker);
        }
    });
    println!("{all} sequences");
}
