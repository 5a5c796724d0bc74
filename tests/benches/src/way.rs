//! The ways to run a program: what keeps its files, where, and how it is joined with that.

use kvfs_compose::{Link, Mode};
use kvfs_tests::Calling;

/// A way to run a program.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Way {
    /// The name that selects it: how it is joined, what keeps the files, and the medium.
    pub name: &'static str,
    /// What keeps the files.
    pub files: Files,
    /// Where the files of the host are. Without a store that has any, this does not matter.
    pub medium: Medium,
}

/// What keeps a program's files.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Files {
    /// The file system of this project, on a store of the host.
    Store(Join, Keeper),
    /// The same with the store in the component.
    Provider(Link, Inside, Option<Mode>),
    /// wasmtime's own file system, on a directory of the host.
    Host(Calling),
    /// No guest: calls of the store's own library with the same bytes. Nothing on that store can be
    /// faster.
    Native(Keeper),
    /// No guest: calls of this project's library for hosts.
    Library(Keeper),
}

/// How a guest is joined with the file system.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Join {
    /// As a component beside it.
    Composed,
    /// At core level.
    Linked,
    /// At core level, in mode lazy: the store gets nothing before it must.
    Lazy,
    /// At core level, with an audit log of all calls.
    Audited,
    /// At core level, while the host takes a snapshot of the volume each 10 ms.
    Snapshots,
}

/// A store of the host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keeper {
    /// In memory.
    Memory,
    /// One file of redb.
    Redb,
    /// The files of a directory.
    File,
    /// A bucket in memory, as `wasi:keyvalue` has them.
    Bucket,
}

/// A store in the component.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Inside {
    /// In the component's memory.
    Memory,
    /// In files of the host.
    File,
    /// In a bucket of the host.
    Bucket,
}

/// A place for files of the host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Medium {
    /// A file system in memory.
    Tmpfs,
    /// A file system on a disk.
    Disk,
}

const fn way(name: &'static str, files: Files, medium: Medium) -> Way {
    Way { name, files, medium }
}

use Files::{Host, Library, Native, Provider, Store};
use Join::{Audited, Composed, Lazy, Linked, Snapshots};
use Medium::{Disk, Tmpfs};

/// All ways.
pub const ALL: [Way; 33] = [
    way("linked/memory", Store(Linked, Keeper::Memory), Tmpfs),
    way("composed/memory", Store(Composed, Keeper::Memory), Tmpfs),
    way("linked/file/tmpfs", Store(Linked, Keeper::File), Tmpfs),
    way("composed/file/tmpfs", Store(Composed, Keeper::File), Tmpfs),
    way("linked/file/disk", Store(Linked, Keeper::File), Disk),
    way("linked/redb/tmpfs", Store(Linked, Keeper::Redb), Tmpfs),
    way("composed/redb/tmpfs", Store(Composed, Keeper::Redb), Tmpfs),
    way("linked/redb/disk", Store(Linked, Keeper::Redb), Disk),
    way("linked/bucket", Store(Linked, Keeper::Bucket), Tmpfs),
    way("composed/bucket", Store(Composed, Keeper::Bucket), Tmpfs),
    way("linked/lazy", Store(Lazy, Keeper::Memory), Tmpfs),
    way("linked/audited", Store(Audited, Keeper::Memory), Tmpfs),
    way("linked/snapshots", Store(Snapshots, Keeper::Memory), Tmpfs),
    way("linked/snapshots/file/tmpfs", Store(Snapshots, Keeper::File), Tmpfs),
    way("linked/snapshots/file/disk", Store(Snapshots, Keeper::File), Disk),
    way("linked/inside", Provider(Link::Core, Inside::Memory, None), Tmpfs),
    // One mode for all, whatever the provider's own default is, so that they compare.
    way("linked/inside/memory", Provider(Link::Core, Inside::Memory, Some(Mode::Close)), Tmpfs),
    way("linked/inside/file", Provider(Link::Core, Inside::File, Some(Mode::Close)), Tmpfs),
    way("linked/inside/bucket", Provider(Link::Core, Inside::Bucket, Some(Mode::Close)), Tmpfs),
    way("composed/inside/memory", Provider(Link::Component, Inside::Memory, Some(Mode::Close)), Tmpfs),
    way("composed/inside/file", Provider(Link::Component, Inside::File, Some(Mode::Close)), Tmpfs),
    way("composed/inside/bucket", Provider(Link::Component, Inside::Bucket, Some(Mode::Close)), Tmpfs),
    way("host/tmpfs", Host(Calling::SyncOnThread), Tmpfs),
    way("host/disk", Host(Calling::SyncOnThread), Disk),
    way("host-default/tmpfs", Host(Calling::Async), Tmpfs),
    way("native/memory", Native(Keeper::Memory), Tmpfs),
    way("native/file/tmpfs", Native(Keeper::File), Tmpfs),
    way("native/file/disk", Native(Keeper::File), Disk),
    way("native/redb/tmpfs", Native(Keeper::Redb), Tmpfs),
    way("native/redb/disk", Native(Keeper::Redb), Disk),
    way("library/memory", Library(Keeper::Memory), Tmpfs),
    way("library/file/tmpfs", Library(Keeper::File), Tmpfs),
    way("library/file/disk", Library(Keeper::File), Disk),
];

/// Finds a way by its name.
pub fn find(name: &str) -> Option<&'static Way> {
    ALL.iter().find(|way| way.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_tell_the_medium_of_files() {
        for (number, way) in ALL.iter().enumerate() {
            assert_eq!(ALL.iter().position(|other| other.name == way.name), Some(number), "{}", way.name);
            let on_files = match way.files {
                Files::Store(_, keeper) | Files::Native(keeper) | Files::Library(keeper) => {
                    matches!(keeper, Keeper::Redb | Keeper::File)
                }
                Files::Host(_) => true,
                Files::Provider(..) => false,
            };
            assert_eq!(way.name.ends_with("/tmpfs") || way.name.ends_with("/disk"), on_files, "{}", way.name);
            assert_eq!(way.name.ends_with("/disk"), way.medium == Medium::Disk, "{}", way.name);
        }
    }
}
