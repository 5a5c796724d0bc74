//! `bench PROGRAM SIZE …`: the cost of operations, timed inside the guest so that its start does not
//! count.
//!
//! Prints one line per operation: name, tab, number of operations, tab, nanoseconds for all of
//! them.

mod timing;

mod cold;
mod directory;
mod file;
mod operations;
mod sparse;

use crate::wasi::{Context, Descriptor, DescriptorFlags, OpenFlags, PathFlags, root};

/// Flags of descriptors.
mod flags {
    use crate::wasi::DescriptorFlags;

    pub(super) const DIRECTORY: DescriptorFlags =
        DescriptorFlags::READ.union(DescriptorFlags::MUTATE_DIRECTORY);
    pub(super) const READ_WRITE: DescriptorFlags = DescriptorFlags::READ.union(DescriptorFlags::WRITE);
}

/// Runs the program that the first argument names, with the sizes that follow.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let (name, sizes) = arguments.split_first().ok_or("bench: no program is named")?;
    let sizes = sizes.iter().map(|size| size.parse().map_err(|_| format!("not a number: {size}")));
    let sizes = sizes.collect::<Result<Vec<u64>, String>>()?;
    let root = root()?;
    match (name.as_str(), sizes[..].as_ref()) {
        ("operations", &[files]) => operations::run(&root, files),
        ("file", &[bytes, random]) => file::run(&root, bytes, random),
        ("sparse", &[bytes, random]) => sparse::run(&root, bytes, random),
        ("directory", &[files, random]) => directory::run(&root, files, random),
        ("fill", &[files, bytes]) => cold::fill(&root, files, bytes),
        ("cold", &[files, bytes, random]) => cold::run(&root, files, bytes, random),
        _ => Err(format!("bench: no program {name:?} with {} sizes", sizes.len())),
    }
}

fn open(dir: &Descriptor, name: &str, open: OpenFlags, flags: DescriptorFlags) -> Result<Descriptor, String> {
    dir.open_at(PathFlags::empty(), name, open, flags).context("open-at")
}
