//! Rules on paths: a walk knows which rules count where it leads, whichever way it came.

use crate::mounts::{self, At, code};
use crate::rng::Rng;
use crate::shrink::seeds;
use crate::store::{LARGE, TestStore};
use kvfs::{Code, Follow, Grant, InodeNo, MountNo, MountSpec, Mounts, Policy, Result, Rights};
use std::collections::HashMap;
use std::rc::Rc;

/// Nested mounts, one volume seen twice, and an image.
const PLACES: [(&str, usize); 5] = [("/", 0), ("/a/b", 1), ("/a/b/c/d", 2), ("/b", 1), ("/c/a", 9)];

fn specs(mut policy: impl FnMut(usize) -> Option<Policy>) -> Vec<MountSpec> {
    let spec = |(number, (path, volume)): (usize, &(&str, usize))| MountSpec {
        policy: policy(number).map(Rc::new),
        ..mounts::spec(path, *volume, *volume == 9)
    };
    PLACES.iter().enumerate().map(spec).collect()
}

fn name(rng: &mut Rng) -> &'static str {
    rng.pick(&["a", "b", "c", "d"])
}

fn path(rng: &mut Rng, names: u64) -> String {
    let names = (0..1 + rng.below(names)).map(|_| match rng.below(6) {
        0 => "..",
        1 if rng.chance(3) => ".",
        _ => name(rng),
    });
    names.collect::<Vec<_>>().join("/")
}

fn pattern(rng: &mut Rng) -> String {
    let names = (0..1 + rng.below(3)).map(|_| match rng.below(8) {
        0 | 1 => "**",
        2 => "*",
        3 => "[ab]",
        _ => name(rng),
    });
    names.collect::<Vec<_>>().join("/")
}

fn policy(rng: &mut Rng, hides: bool) -> Policy {
    let rights = [Rights::DIR_READ, Rights::DIR_MUTATE, Rights::FILE_READ, Rights::FILE_WRITE];
    let some = |rng: &mut Rng| rng.pick(&rights) | rng.pick(&rights) | rng.pick(&rights);
    let mut policy = Policy::new(some(rng));
    for _ in 0..1 + rng.below(8) {
        let grant = if hides && rng.chance(3) { Grant::Hide } else { Grant::Allow(some(rng)) };
        policy.add(grant, &pattern(rng)).unwrap();
    }
    policy
}

/// Fills the volumes with directories, files and links, through a table without policies.
fn fill(rng: &mut Rng, mounts: &mut Mounts) {
    let top = mounts::root(mounts);
    for _ in 0..60 {
        let (path, target) = (path(rng, 6), path(rng, 5));
        let (mount, start) = top.start();
        // Many fail: names that are taken, missing directories, paths above the root.
        let _ = mounts.walk(mount, start, &path, |volume, start, path| match rng.below(3) {
            0 => volume.symlink_at(&target, start, path),
            _ => volume.create_directory_at(start, path),
        });
    }
    mounts.sync_all().unwrap();
}

/// The path of each object from the root of its mount.
type Paths = HashMap<(MountNo, InodeNo), String>;

/// Finds all objects, by walks that go down only.
fn paths(mounts: &mut Mounts) -> Paths {
    let mut found = Paths::new();
    let top = mounts::root(mounts);
    let mut todo = vec![(top, String::new())];
    while let Some((at, here)) = todo.pop() {
        found.insert((at.0, at.1.ino()), here.clone());
        for name in mounts::names(mounts, &at) {
            let (mount, start) = at.start();
            let (mount, stat) = mounts
                .walk(mount, start, &name, |volume, start, path| volume.stat_at(start, path, Follow::No))
                .unwrap();
            let below = if mount != at.0 { String::new() } else { format!("{here}/{name}") };
            found.insert((mount, stat.ino), below.clone());
            if stat.kind == kvfs::Kind::Directory {
                todo.push((mounts::open(mounts, &at, &name), below));
            }
        }
    }
    found
}

fn reach(mounts: &mut Mounts, at: &At, path: &str, follow: Follow) -> Result<(MountNo, InodeNo, Rights)> {
    let (mount, start) = at.start();
    let (mount, (ino, rights)) = mounts.walk(mount, start, path, |volume, start, path| {
        let rights = volume.rights_at(start, path, follow)?;
        Ok((volume.stat_at(start, path, follow)?.ino, rights))
    })?;
    Ok((mount, ino, rights))
}

/// Random walks from random directories, with random rules on every mount, compared with the real
/// paths of what they reach.
fn compare(seed: u64, hides: bool) -> [usize; 3] {
    let mut rng = Rng::new(seed);
    let store = TestStore::new(LARGE);
    let mut plain = mounts::table_on(&store, specs(|_| None));
    fill(&mut rng, &mut plain);
    let real = paths(&mut plain);

    let random: Vec<Policy> = PLACES.iter().map(|_| policy(&mut rng, hides)).collect();
    let places = |mount: MountNo| &random[mount.0 as usize];
    // A table whose mountpoints are hidden is refused.
    let hidden = |(path, _): &(&str, usize)| {
        let mut holders = PLACES.iter().enumerate().rev().filter(|(_, (above, _))| above.len() < path.len());
        let holder = holders.find_map(|(number, (above, _))| {
            let rest = path.strip_prefix(above)?;
            (*above == "/" || rest.starts_with('/')).then_some((number, rest))
        });
        holder.is_some_and(|(number, rest)| random[number].at(rest) == Grant::Hide)
    };
    let given = specs(|number| Some(random[number].clone()));
    if PLACES.iter().any(hidden) {
        let opener = Box::new(|_| panic!("nothing is opened"));
        assert_eq!(Mounts::new(given, opener).err(), Some(kvfs::Error::Invalid), "seed {seed}");
        return [0; 3];
    }
    // On a copy: an opener fences off the one before.
    let copy = TestStore::from_map(store.0.borrow().map.clone(), LARGE);
    let mut ruled = mounts::table_on(&copy, given);
    let mut counts = [0; 3];
    let (mut plain_bases, mut ruled_bases) = (vec![mounts::root(&mut plain)], vec![mounts::root(&mut ruled)]);
    for step in 0..300 {
        let base = rng.below(ruled_bases.len() as u64) as usize;
        let (path, follow) = (path(&mut rng, 7), rng.pick(&[Follow::Yes, Follow::No]));
        let expected = reach(&mut plain, &plain_bases[base], &path, follow);
        let found = reach(&mut ruled, &ruled_bases[base], &path, follow);
        let context = format!("seed {seed}, step {step}: `{path}`");
        match (expected, found) {
            (Ok((mount, ino, _)), Ok((found_mount, found_ino, rights))) => {
                assert_eq!((found_mount, found_ino), (mount, ino), "{context}");
                let real = &real[&(mount, ino)];
                let expected = places(mount).at(real);
                assert_eq!(Grant::Allow(rights), expected, "{context} leads to `{real}` of {mount:?}");
                counts[0] += 1;
                let is_dir = mounts::stat(&mut ruled, &ruled_bases[base], &path);
                if is_dir.is_ok_and(|(_, stat)| stat.kind == kvfs::Kind::Directory) && ruled_bases.len() < 12
                {
                    ruled_bases.push(mounts::open(&mut ruled, &ruled_bases[base], &path));
                    plain_bases.push(mounts::open(&mut plain, &plain_bases[base], &path));
                }
            }
            (Ok((mount, ino, _)), Err(error)) => {
                assert!(hides, "{context}: {error}");
                assert_eq!(error.code(), Code::NoEntry, "{context}");
                let real = &real[&(mount, ino)];
                counts[if places(mount).at(real) == Grant::Hide { 1 } else { 2 }] += 1;
            }
            (Err(expected), found) => {
                let found = code(found);
                let is_hidden = hides && found == Code::NoEntry;
                assert!(found == expected.code() || is_hidden, "{context}: {found:?}, not {expected:?}");
            }
        }
    }
    counts
}

#[test]
fn every_way_to_a_path_finds_the_rules_of_the_path() {
    let reached: usize = seeds(60).map(|seed| compare(seed, false)[0]).sum();
    assert!(reached > 1000, "{reached} walks reached anything");
}

#[test]
fn no_way_leads_to_a_hidden_path_or_through_one() {
    let mut counts = [0; 3];
    for seed in seeds(1000) {
        let more = compare(seed, true);
        counts.iter_mut().zip(more).for_each(|(count, more)| *count += more);
    }
    // Reached; hidden itself; not hidden, but reached through something that is, as by `hidden/..`.
    assert!(counts.iter().all(|count| *count > 100), "{counts:?}");
}
