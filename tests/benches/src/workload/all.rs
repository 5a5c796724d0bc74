//! The table of workloads. A new one is a row here, with a program in `tests/guests/src/bench` or a
//! script in `tests/python/bench`.

use super::kind::{Guest, SizeOf, Workload};
use super::ways;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const PAGE_BYTES: u64 = 4096;

/// Most accesses at random: enough to leave every cache, and soon over on a slow store.
const MAX_RANDOM: u64 = 8192;

fn one(size: u64) -> Vec<u64> {
    vec![size]
}

/// Accesses at random to a file of so many bytes.
fn pages(bytes: u64) -> Vec<u64> {
    vec![bytes, (bytes / PAGE_BYTES).min(MAX_RANDOM)]
}

/// Accesses at random to so many files.
fn files(files: u64) -> Vec<u64> {
    vec![files, files.min(2 * MAX_RANDOM)]
}

/// Bytes of the file beside so many files.
fn cold(files: u64) -> Vec<u64> {
    vec![files, (files * 512).next_multiple_of(MIB), files.min(1000)]
}

fn rows(bytes: u64) -> Vec<u64> {
    vec![bytes, (bytes / 200).clamp(100, 5000)]
}

/// All workloads.
pub const ALL: [Workload; 16] = [
    Workload {
        name: "instantiation",
        title: "instantiation of the Rust guest",
        guest: Guest::Rust,
        program: "nothing",
        prepare: None,
        size_of: SizeOf::Nothing,
        sizes: [&[1]; 4],
        numbers: |_| Vec::new(),
        repeats: 9,
        ways: ways::INSTANTIATION,
    },
    Workload {
        name: "python-instantiation",
        title: "instantiation of CPython",
        guest: Guest::Python,
        program: "pass",
        prepare: None,
        size_of: SizeOf::Nothing,
        sizes: [&[1]; 4],
        numbers: |_| Vec::new(),
        repeats: 5,
        ways: ways::INSTANTIATION,
    },
    Workload {
        name: "operations",
        title: "raw WASI guest, operations on small files and on one of 4 MiB",
        guest: Guest::Rust,
        program: "operations",
        prepare: None,
        size_of: SizeOf::Files,
        sizes: [&[50], &[2000], &[2000], &[2000]],
        numbers: one,
        repeats: 2,
        ways: ways::OPERATIONS,
    },
    Workload {
        name: "python-operations",
        title: "CPython, loops over small files",
        guest: Guest::Python,
        program: include_str!("../../../python/bench/operations.py"),
        prepare: None,
        size_of: SizeOf::Files,
        sizes: [&[50], &[2000], &[2000], &[2000]],
        numbers: one,
        repeats: 2,
        ways: ways::PYTHON_OPERATIONS,
    },
    Workload {
        name: "file",
        title: "raw WASI guest, one file",
        guest: Guest::Rust,
        program: "file",
        prepare: None,
        size_of: SizeOf::Bytes,
        sizes: [
            &[MIB],
            &[4 * MIB, 64 * MIB],
            &[4 * MIB, 64 * MIB, 256 * MIB],
            &[4 * MIB, 64 * MIB, 256 * MIB, GIB, 4 * GIB],
        ],
        numbers: pages,
        repeats: 1,
        ways: ways::SCALE,
    },
    Workload {
        name: "sparse",
        title: "raw WASI guest, a file of holes",
        guest: Guest::Rust,
        program: "sparse",
        prepare: None,
        size_of: SizeOf::Bytes,
        sizes: [
            &[MIB],
            &[4 * MIB, 4 * GIB],
            &[4 * MIB, 256 * MIB, 4 * GIB],
            &[4 * MIB, 256 * MIB, 4 * GIB, 256 * GIB],
        ],
        numbers: pages,
        repeats: 1,
        ways: ways::SCALE,
    },
    Workload {
        name: "directory",
        title: "raw WASI guest, one directory",
        guest: Guest::Rust,
        program: "directory",
        prepare: None,
        size_of: SizeOf::Files,
        sizes: [&[50], &[1000, 10_000], &[1000, 10_000, 100_000], &[1000, 10_000, 100_000, 1_000_000]],
        numbers: files,
        repeats: 1,
        ways: ways::DIRECTORY,
    },
    Workload {
        name: "cold",
        title: "raw WASI guest, the first use in a new process, with nothing in memory",
        guest: Guest::Rust,
        program: "cold",
        prepare: Some("fill"),
        size_of: SizeOf::Files,
        sizes: [&[50], &[1000, 10_000], &[1000, 100_000], &[1000, 100_000, 1_000_000]],
        numbers: cold,
        repeats: 1,
        ways: ways::COLD,
    },
    Workload {
        name: "forks",
        title: "volumes as wholes, by the host",
        guest: Guest::Rust,
        program: "nothing",
        prepare: None,
        size_of: SizeOf::Files,
        sizes: [&[50], &[10, 10_000], &[10, 10_000, 1_000_000], &[10, 10_000, 1_000_000]],
        numbers: one,
        repeats: 1,
        ways: ways::LIBRARY,
    },
    Workload {
        name: "many-forks",
        title: "many forks of one volume, by the host",
        guest: Guest::Rust,
        program: "nothing",
        prepare: None,
        size_of: SizeOf::Volumes,
        sizes: [&[20], &[10_000], &[100_000], &[100_000]],
        numbers: one,
        repeats: 1,
        ways: ways::LIBRARY_IN_MEMORY,
    },
    Workload {
        name: "layers",
        title: "look-ups through layers, by the host",
        guest: Guest::Rust,
        program: "nothing",
        prepare: None,
        size_of: SizeOf::Layers,
        sizes: [&[2], &[0, 1, 16, 32], &[0, 1, 16, 32], &[0, 1, 16, 32]],
        numbers: one,
        repeats: 1,
        ways: ways::LIBRARY,
    },
    Workload {
        name: "library-forks",
        title: "forks of the CPython library, of which each writes a file anew",
        guest: Guest::Python,
        program: "nothing",
        prepare: None,
        size_of: SizeOf::Volumes,
        sizes: [&[5], &[1_000], &[1_000], &[1_000]],
        numbers: one,
        repeats: 1,
        ways: ways::LIBRARY_IN_MEMORY,
    },
    Workload {
        name: "python-file",
        title: "CPython, one file",
        guest: Guest::Python,
        program: include_str!("../../../python/bench/file.py"),
        prepare: None,
        size_of: SizeOf::Bytes,
        sizes: [&[MIB], &[4 * MIB], &[4 * MIB, 256 * MIB], &[4 * MIB, 256 * MIB, GIB]],
        numbers: pages,
        repeats: 1,
        ways: ways::PYTHON,
    },
    Workload {
        name: "python-directory",
        title: "CPython, one directory and a tree",
        guest: Guest::Python,
        program: include_str!("../../../python/bench/directory.py"),
        prepare: None,
        size_of: SizeOf::Files,
        sizes: [&[50], &[1000], &[1000, 10_000, 100_000], &[1000, 10_000, 100_000, 1_000_000]],
        numbers: one,
        repeats: 1,
        ways: ways::PYTHON,
    },
    Workload {
        name: "python-sqlite",
        title: "CPython, a database of sqlite3",
        guest: Guest::Python,
        program: include_str!("../../../python/bench/sqlite.py"),
        prepare: None,
        size_of: SizeOf::Bytes,
        sizes: [&[100_000], &[MIB], &[MIB, 64 * MIB], &[MIB, 64 * MIB, GIB]],
        numbers: rows,
        repeats: 1,
        ways: ways::PYTHON,
    },
    Workload {
        name: "python-wheel",
        title: "CPython, a wheel unpacked and imported",
        guest: Guest::Python,
        program: include_str!("../../../python/bench/wheel.py"),
        prepare: None,
        size_of: SizeOf::Modules,
        sizes: [&[10], &[200], &[500], &[2000]],
        numbers: one,
        repeats: 1,
        ways: ways::PYTHON,
    },
];
