//! Programs without a guest: the store's own library stores, reads and removes the records that the
//! guest's program would, in batches as large. What a file system on that store takes cannot be less.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use kvfs_host::{Durability, Mutation, SyncStore};

use crate::extents::{
    EXTENT_BYTES, entries, entry, entry_value, extent, extent_value, inode, inode_value, superblock,
    superblock_value,
};
use crate::lines::Line;

const MIB: u64 = 1 << 20;
const EXTENTS_PER_MIB: u64 = MIB / EXTENT_BYTES;
/// What one call asks for when it lists.
const PAGE_ENTRIES: u32 = 1024;
const PAGE_BYTES: u32 = 1 << 20;
/// Removals of one batch.
const REMOVALS: u64 = 1000;

const FILE: u64 = 10;
const COPY: u64 = 11;

/// Returns whether there is a program for a workload.
pub(crate) fn has(workload: &str) -> bool {
    matches!(workload, "file" | "sparse" | "directory")
}

/// Runs a workload's program on a store.
///
/// # Errors
/// Those of the store; a workload without a program.
pub(crate) fn run(workload: &str, numbers: &[u64], store: &dyn SyncStore) -> Result<Vec<Line>> {
    let mut program = Program { store, lines: Vec::new(), scattered: 0x9e37_79b9_7f4a_7c15 };
    match (workload, numbers) {
        ("file", &[bytes, random]) => program.file(bytes, random)?,
        ("sparse", &[bytes, random]) => program.sparse(bytes, random)?,
        ("directory", &[files, random]) => program.directory(files, random)?,
        _ => bail!("there is no native program for the workload {workload}"),
    }
    Ok(program.lines)
}

struct Program<'s> {
    store: &'s dyn SyncStore,
    lines: Vec<Line>,
    scattered: u64,
}

impl Program<'_> {
    fn file(&mut self, bytes: u64, random: u64) -> Result<()> {
        let mib = bytes / MIB;
        let extents = bytes / EXTENT_BYTES;
        let value = extent_value();
        self.measure("write, per MiB", mib, |this, i| this.put(&this.mib_of(FILE, i), &value))?;
        self.once("fsync after it, per MiB", mib, |this| this.sync())?;
        self.measure("read, per MiB", mib, |this, i| this.get(&this.mib_of(FILE, i)))?;
        self.once("stream read by 64 KiB, per MiB", mib, |this| {
            (0..extents / 2).try_for_each(|i| this.get(&[extent(FILE, 2 * i), extent(FILE, 2 * i + 1)]))
        })?;
        self.measure("copy by 64 KiB streams, per MiB", mib, |this, i| this.copy_mib(i))?;
        self.remove(extents, |i| vec![extent(COPY, i)])?;
        self.measure("4 KiB pread at random", random, |this, _| {
            let at = this.below(extents);
            this.get(&[extent(FILE, at)])
        })?;
        // A page is a part of its record, which is read and stored whole.
        self.measure("4 KiB pwrite at random", random, |this, _| {
            let key = [extent(FILE, this.below(extents))];
            this.get(&key)?;
            this.put(&key, &value)
        })?;
        self.once("fsync after them, per write", random, |this| this.sync())?;
        self.once("unlink", 1, |this| this.remove(extents, |i| vec![extent(FILE, i)]))
    }

    fn sparse(&mut self, bytes: u64, random: u64) -> Result<()> {
        let extents = bytes / EXTENT_BYTES;
        let value = extent_value();
        self.measure("4 KiB pwrite into holes", random, |this, _| {
            let key = [extent(FILE, this.below(extents))];
            this.store.get(&[&key[0]])?;
            this.put(&key, &value)
        })?;
        self.once("fsync after them, per write", random, |this| this.sync())?;
        let start = self.scattered;
        self.scattered = 0x9e37_79b9_7f4a_7c15;
        self.measure("4 KiB pread of what was written", random, |this, _| {
            let at = this.below(extents);
            this.get(&[extent(FILE, at)])
        })?;
        ensure!(self.scattered == start, "the same pages were not read");
        self.measure("4 KiB pread of holes, mostly", random, |this, _| {
            black_box(this.store.get(&[&extent(FILE, this.below(extents))])?);
            Ok(())
        })
    }

    fn directory(&mut self, files: u64, random: u64) -> Result<()> {
        let name = |number: u64| format!("file-{number:08}");
        let moved = |number: u64| format!("moved-{number:08}");
        let (entry_value, inode_value, superblock_value) =
            (entry_value(), inode_value(100), superblock_value());
        let head = superblock();
        self.measure("create + write 100 B + close", files, |this, i| {
            let (entry, inode) = (entry(&name(i)), inode(FILE + i));
            this.apply(&[
                Mutation::Put { key: &entry, value: &entry_value },
                Mutation::Put { key: &inode, value: &inode_value },
                Mutation::Put { key: &head, value: &superblock_value },
            ])
        })?;
        self.once("readdir, per entry", files, |this| this.list(files, |_| Ok(())))?;
        self.once("readdir + stat of each, per entry", files, |this| {
            // Entries are in the order of their inodes, a page of which one call gets.
            this.list(files, |page| {
                let inodes: Vec<_> = page.map(|i| inode(FILE + i)).collect();
                this.get(&inodes)
            })
        })?;
        self.measure("stat in order", files, |this, i| this.get(&[inode(FILE + i)]))?;
        self.measure("stat at random", random, |this, _| {
            let at = this.below(files);
            this.get(&[inode(FILE + at)])
        })?;
        self.measure("missing name", random, |this, _| {
            let none = entry(&format!("none-{:08}", this.below(files)));
            ensure!(this.store.get(&[&none])? == [None], "a name that nobody made is there");
            Ok(())
        })?;
        self.measure("open + read 100 B + close at random", random, |this, _| {
            let at = this.below(files);
            this.get(&[entry(&name(at)), inode(FILE + at)])
        })?;
        let renamed = random.min(files);
        self.measure("rename", renamed, |this, i| {
            let (old, new) = (entry(&name(i)), entry(&moved(i)));
            this.apply(&[
                Mutation::Delete { key: &old },
                Mutation::Put { key: &new, value: &entry_value },
                Mutation::Put { key: &head, value: &superblock_value },
            ])
        })?;
        self.once("unlink", files, |this| {
            this.remove(files, |i| {
                vec![entry(&if i < renamed { moved(i) } else { name(i) }), inode(FILE + i)]
            })
        })
    }

    /// Times operations one by one.
    fn measure(
        &mut self,
        name: &str,
        count: u64,
        mut operation: impl FnMut(&mut Self, u64) -> Result<()>,
    ) -> Result<()> {
        self.once(name, count, |this| (0..count).try_for_each(|i| operation(this, i)))
    }

    /// Times one action that counts as `count` operations.
    fn once(&mut self, name: &str, count: u64, action: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let start = Instant::now();
        action(self)?;
        let amount = start.elapsed().as_nanos() as u64;
        self.lines.push(Line { name: name.to_owned(), count, amount });
        Ok(())
    }

    /// The keys of a MiB of a file.
    fn mib_of(&self, file: u64, mib: u64) -> Vec<Vec<u8>> {
        (mib * EXTENTS_PER_MIB..(mib + 1) * EXTENTS_PER_MIB).map(|index| extent(file, index)).collect()
    }

    fn apply(&self, mutations: &[Mutation<'_>]) -> Result<()> {
        Ok(self.store.apply(&[], mutations, Durability::Buffered)?)
    }

    fn put(&self, keys: &[Vec<u8>], value: &[u8]) -> Result<()> {
        self.apply(&keys.iter().map(|key| Mutation::Put { key, value }).collect::<Vec<_>>())
    }

    /// Gets values, all of which are there.
    fn get(&self, keys: &[Vec<u8>]) -> Result<()> {
        let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        let values = black_box(self.store.get(&keys)?);
        ensure!(values.iter().all(Option::is_some), "the store has lost a value");
        Ok(())
    }

    fn copy_mib(&self, mib: u64) -> Result<()> {
        let keys = self.mib_of(FILE, mib);
        let values = self.store.get(&keys.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        let copies = self.mib_of(COPY, mib);
        let mut puts = Vec::with_capacity(copies.len());
        for (key, value) in copies.iter().zip(&values) {
            ensure!(value.is_some(), "the store has lost a value");
            puts.push(Mutation::Put { key, value: value.as_deref().unwrap_or_default() });
        }
        self.apply(&puts)
    }

    fn sync(&self) -> Result<()> {
        Ok(self.store.apply(&[], &[], Durability::Durable)?)
    }

    /// Lists the directory by pages, and passes on which files each page has.
    fn list(&self, files: u64, mut each: impl FnMut(std::ops::Range<u64>) -> Result<()>) -> Result<()> {
        let (mut start, end) = entries();
        let mut found = 0;
        loop {
            let page = self.store.scan(&start, &end, PAGE_ENTRIES, PAGE_BYTES)?;
            let Some(last) = page.last() else { break };
            start = last.key.to_vec();
            start.push(0);
            each(found..found + page.len() as u64)?;
            found += page.len() as u64;
        }
        ensure!(found == files, "the store listed {found} of {files} entries");
        Ok(())
    }

    /// Removes the records of `count` things in large batches.
    fn remove(&self, count: u64, keys_of: impl Fn(u64) -> Vec<Vec<u8>>) -> Result<()> {
        for first in (0..count).step_by(REMOVALS as usize) {
            let keys: Vec<_> = (first..count.min(first + REMOVALS)).flat_map(&keys_of).collect();
            self.apply(&keys.iter().map(|key| Mutation::Delete { key }).collect::<Vec<_>>())?;
        }
        Ok(())
    }

    /// A number below a bound, as the guest's programs draw them.
    fn below(&mut self, bound: u64) -> u64 {
        self.scattered ^= self.scattered << 13;
        self.scattered ^= self.scattered >> 7;
        self.scattered ^= self.scattered << 17;
        self.scattered % bound
    }
}

#[cfg(test)]
mod tests {
    use kvfs_host::MemoryStore;

    use super::*;

    #[test]
    fn programs_leave_nothing_but_the_superblock_and_what_was_sparse() {
        for (workload, numbers, left) in [("file", [2 * MIB, 20], 0), ("directory", [1500, 20], 1)] {
            let store = MemoryStore::new();
            let lines = run(workload, &numbers, &store).unwrap();
            assert!(lines.len() > 8 && has(workload), "{workload}");
            assert_eq!(store.scan(b"", b"", 10, 1 << 20).unwrap().len(), left, "{workload}");
        }
        let store = MemoryStore::new();
        run("sparse", &[64 * MIB, 20], &store).unwrap();
        assert!(run("operations", &[1], &store).is_err() && !has("operations"));
    }
}
