//! Which ways a workload runs in.

/// All that changes the cost of one operation.
pub(super) const OPERATIONS: &[&str] = &[
    "composed/memory",
    "composed/file/tmpfs",
    "composed/redb/tmpfs",
    "linked/memory",
    "linked/file/tmpfs",
    "linked/redb/tmpfs",
    "linked/lazy",
    "linked/inside",
    "linked/audited",
    "linked/snapshots",
    "linked/snapshots/file/tmpfs",
    "host/tmpfs",
    "host-default/tmpfs",
    // Beside their stores in the host, of which the first are above.
    "composed/bucket",
    "linked/bucket",
    "composed/inside/memory",
    "linked/inside/memory",
    "composed/inside/file",
    "linked/inside/file",
    "composed/inside/bucket",
    "linked/inside/bucket",
];

/// The same for CPython, without the stores that its own work hides.
pub(super) const PYTHON_OPERATIONS: &[&str] = &[
    "composed/memory",
    "linked/memory",
    "linked/file/tmpfs",
    "linked/redb/tmpfs",
    "linked/lazy",
    "linked/inside",
    "linked/audited",
    "host/tmpfs",
    "host-default/tmpfs",
];

/// Stores on each medium, beside the host's file system and the stores themselves.
pub(super) const SCALE: &[&str] = &[
    "linked/memory",
    "composed/memory",
    "linked/file/tmpfs",
    "linked/file/disk",
    "linked/redb/tmpfs",
    "linked/redb/disk",
    "host/tmpfs",
    "host/disk",
    "native/memory",
    "native/file/tmpfs",
    "native/file/disk",
    "native/redb/tmpfs",
    "native/redb/disk",
];

/// The same, and with a snapshot each 10 ms, which is more work the more there is to read.
pub(super) const DIRECTORY: &[&str] = &[
    "linked/memory",
    "composed/memory",
    "linked/file/tmpfs",
    "linked/file/disk",
    "linked/redb/tmpfs",
    "linked/redb/disk",
    "linked/snapshots",
    "linked/snapshots/file/tmpfs",
    "host/tmpfs",
    "host/disk",
    "native/memory",
    "native/file/tmpfs",
    "native/file/disk",
    "native/redb/tmpfs",
    "native/redb/disk",
];

/// Those of [`SCALE`] without the stores themselves, which run no scripts.
pub(super) const PYTHON: &[&str] = &[
    "linked/memory",
    "composed/memory",
    "linked/file/tmpfs",
    "linked/file/disk",
    "linked/redb/tmpfs",
    "linked/redb/disk",
    "host/tmpfs",
    "host/disk",
];

/// Without a guest, by the library for hosts.
pub(super) const LIBRARY: &[&str] = &["library/memory", "library/file/tmpfs", "library/file/disk"];

/// The same without the disk, which would sync for each of many volumes.
pub(super) const LIBRARY_IN_MEMORY: &[&str] = &["library/memory", "library/file/tmpfs"];

/// What keeps files when the process ends, on a disk.
pub(super) const COLD: &[&str] = &["linked/file/disk", "linked/redb/disk", "host/disk"];

/// Joined in each way, and not at all.
pub(super) const INSTANTIATION: &[&str] = &["composed/memory", "linked/memory", "host/tmpfs"];
