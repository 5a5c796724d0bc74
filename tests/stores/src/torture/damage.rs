//! Damage to the files of a store.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::disk;
use crate::random::Random;

const PAGE_BYTES: usize = 4096;
const SECTOR_BYTES: usize = 512;

/// Most bytes that a cut takes off.
const MAX_CUT_BYTES: u64 = 64 << 10;

/// How often another place is tried if the damage changes nothing.
const MAX_TRIES: u32 = 200;

/// A kind of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Damage {
    /// One bit is another.
    FlippedBit,
    /// A page of 4 KiB is all zeros.
    ZeroedPage,
    /// The end of a file is missing.
    CutTail,
    /// A page is new up to some sector, and behind it as it was in an older copy, or zeros.
    TornPage,
    /// A file of several is missing.
    MissingFile,
    /// A file is as it was in an older copy.
    OldFile,
}

/// Kinds of damage, each with how many of ten variants have it.
const SHARES: [(Damage, usize); 6] = [
    (Damage::FlippedBit, 4),
    (Damage::ZeroedPage, 2),
    (Damage::CutTail, 1),
    (Damage::TornPage, 1),
    (Damage::MissingFile, 1),
    (Damage::OldFile, 1),
];

impl Damage {
    /// The damage of the variant `number`.
    pub(super) fn of_variant(number: u64) -> Self {
        let tenths: Vec<Self> =
            SHARES.iter().flat_map(|(damage, share)| std::iter::repeat_n(*damage, *share)).collect();
        tenths[number as usize % tenths.len()]
    }

    pub(super) fn all() -> impl Iterator<Item = Self> {
        SHARES.iter().map(|(damage, _)| *damage)
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FlippedBit => "flipped bit",
            Self::ZeroedPage => "zeroed page",
            Self::CutTail => "cut tail",
            Self::TornPage => "torn page",
            Self::MissingFile => "missing file",
            Self::OldFile => "old file",
        })
    }
}

/// What was done.
#[derive(Clone, Debug)]
pub(super) struct Done {
    pub(super) damage: Damage,
    pub(super) text: String,
}

/// Damages the store in `dir`, of which `old` is an older copy. A bit is flipped where a store has
/// nothing that the damage could change.
pub(super) fn damage(dir: &Path, old: &Path, damage: Damage, random: &mut Random) -> io::Result<Done> {
    for _ in 0..MAX_TRIES {
        if let Some(text) = attempt(dir, old, damage, random)? {
            return Ok(Done { damage, text });
        }
        if matches!(damage, Damage::MissingFile | Damage::OldFile) {
            break;
        }
    }
    for _ in 0..MAX_TRIES {
        if let Some(text) = attempt(dir, old, Damage::FlippedBit, random)? {
            return Ok(Done { damage: Damage::FlippedBit, text });
        }
    }
    Err(io::Error::other("the store has no file with any byte"))
}

/// Tries damage at one place. Returns what was done, or `None` if that place would not change.
fn attempt(dir: &Path, old: &Path, damage: Damage, random: &mut Random) -> io::Result<Option<String>> {
    let files = disk::files(dir)?;
    match damage {
        Damage::MissingFile => {
            if files.len() < 2 {
                return Ok(None);
            }
            let name = &files[random.below(files.len() as u64) as usize];
            fs::remove_file(dir.join(name))?;
            return Ok(Some(format!("{} is gone", name.display())));
        }
        Damage::OldFile => return old_file(dir, old, &files, random),
        _ => {}
    }
    let Some(name) = choose(dir, &files, random)? else { return Ok(None) };
    let path = dir.join(&name);
    let mut bytes = fs::read(&path)?;
    let text = match damage {
        Damage::FlippedBit => {
            let bit = random.below(bytes.len() as u64 * 8);
            bytes[bit as usize / 8] ^= 1 << (bit % 8);
            format!("{}: bit {bit}", name.display())
        }
        Damage::CutTail => {
            let cut = 1 + random.below(MAX_CUT_BYTES.min(bytes.len() as u64));
            bytes.truncate(bytes.len() - cut as usize);
            format!("{}: without its last {cut} bytes", name.display())
        }
        _ => {
            let pages = bytes.len().div_ceil(PAGE_BYTES);
            let start = random.below(pages as u64) as usize * PAGE_BYTES;
            let end = (start + PAGE_BYTES).min(bytes.len());
            let from = match damage {
                Damage::ZeroedPage => start,
                _ => start + SECTOR_BYTES * (1 + random.below(7) as usize),
            };
            if from >= end {
                return Ok(None);
            }
            let older = match damage {
                Damage::TornPage => fs::read(old.join(&name)).unwrap_or_default(),
                _ => Vec::new(),
            };
            let older = older.get(from..).unwrap_or_default().iter().chain(std::iter::repeat(&0));
            let mut changed = false;
            for (byte, older) in bytes[from..end].iter_mut().zip(older) {
                changed |= byte != older;
                *byte = *older;
            }
            if !changed {
                return Ok(None);
            }
            format!("{}: bytes {from} to {end}", name.display())
        }
    };
    fs::write(path, bytes)?;
    Ok(Some(text))
}

/// Chooses a file with bytes in it: half of the times by size, so that most damage hits where most
/// bytes are, and half of the times any.
fn choose(dir: &Path, files: &[PathBuf], random: &mut Random) -> io::Result<Option<PathBuf>> {
    let mut sized = Vec::new();
    for file in files {
        let size = fs::metadata(dir.join(file))?.len();
        if size > 0 {
            sized.push((file, size));
        }
    }
    if sized.is_empty() {
        return Ok(None);
    }
    if random.below(2) == 0 {
        return Ok(Some(sized[random.below(sized.len() as u64) as usize].0.clone()));
    }
    let mut place = random.below(sized.iter().map(|(_, size)| size).sum());
    for (file, size) in sized {
        if place < size {
            return Ok(Some(file.clone()));
        }
        place -= size;
    }
    Ok(None)
}

fn old_file(dir: &Path, old: &Path, files: &[PathBuf], random: &mut Random) -> io::Result<Option<String>> {
    let mut candidates = Vec::new();
    for name in disk::files(old)? {
        let differs = !files.contains(&name) || fs::read(dir.join(&name))? != fs::read(old.join(&name))?;
        if differs {
            candidates.push(name);
        }
    }
    if candidates.is_empty() {
        return Ok(None);
    }
    let name = candidates.swap_remove(random.below(candidates.len() as u64) as usize);
    let path = dir.join(&name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(old.join(&name), path)?;
    Ok(Some(format!("{} as it was before", name.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_damage_changes_the_files_and_no_more_than_it_says() {
        let temp = tempfile::tempdir().unwrap();
        let (old, new, copy) = (temp.path().join("old"), temp.path().join("new"), temp.path().join("copy"));
        for (dir, byte) in [(&old, 1), (&new, 2)] {
            fs::create_dir_all(dir).unwrap();
            fs::write(dir.join("a"), vec![byte; 20_000]).unwrap();
            fs::write(dir.join("b"), vec![byte; 100]).unwrap();
        }
        let mut random = Random::new(&[1]);
        for number in 0..60 {
            disk::copy(&new, &copy).unwrap();
            let wanted = Damage::of_variant(number);
            let done = damage(&copy, &old, wanted, &mut random).unwrap();
            assert_eq!(done.damage, wanted);
            let names = disk::files(&copy).unwrap();
            let read = |name: &str| fs::read(copy.join(name)).unwrap_or_default();
            let whole = |name: &str| read(name) == fs::read(new.join(name)).unwrap();
            assert!(whole("a") != whole("b"), "{wanted}: one file changed: {}", done.text);
            let (name, length) = if whole("a") { ("b", 100) } else { ("a", 20_000) };
            let others = read(name).iter().filter(|byte| **byte != 2).count();
            match wanted {
                Damage::FlippedBit => assert_eq!(others, 1),
                Damage::ZeroedPage => assert!(others <= PAGE_BYTES && read(name).len() == length),
                Damage::TornPage => assert!(others < PAGE_BYTES && read(name).len() == length),
                Damage::CutTail => assert!(others == 0 && read(name).len() < length),
                Damage::MissingFile => assert_eq!(names.len(), 1),
                Damage::OldFile => assert_eq!(others, length),
            }
        }
        assert_eq!(Damage::all().count(), 6);
    }
}
