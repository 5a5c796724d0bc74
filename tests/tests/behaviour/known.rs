//! The intended differences between our file system and the host's.

use kvfs_tests::differential::Difference;

/// Program, label, value on the host, value on ours.
type Facts = &'static [(&'static str, &'static str, &'static str, &'static str)];

/// Returns the differences of the Rust guest's programs. Each names the paragraph of SEMANTICS.md
/// that says why.
pub(super) fn of_programs() -> Vec<Difference> {
    let all = PROGRAMS.iter().flat_map(|(because, facts)| facts.iter().map(move |fact| (*because, *fact)));
    all.map(|(because, (program, label, host, ours))| Difference { program, label, host, ours, because })
        .collect()
}

const PROGRAMS: &[(&str, Facts)] = &[
    (
        "What a trap loses",
        &[("ending/traps", "left /open", "file, 24 bytes, 1 names, \"kept if the program ends\"", "-")],
    ),
    (
        "A stream that its descriptor does not allow",
        &[
            (
                "access/read_only_file",
                "append-via-stream",
                "error failed with code bad-descriptor, with a text",
                "refused bad-descriptor",
            ),
            (
                "access/read_only_file",
                "write-via-stream",
                "error failed with code bad-descriptor, with a text",
                "refused bad-descriptor",
            ),
            (
                "access/write_only_file",
                "read-via-stream",
                "error failed with code bad-descriptor, with a text",
                "refused bad-descriptor",
            ),
        ],
    ),
    (
        "Reading a directory",
        &[("access/directories_as_files", "read", "error bad-descriptor", "error is-directory")],
    ),
    (
        "get-flags of a directory",
        &[
            (
                "access/flags",
                "directory, both",
                "DescriptorFlags(READ)",
                "DescriptorFlags(READ | MUTATE_DIRECTORY)",
            ),
            (
                "access/flags",
                "directory, mutate",
                "DescriptorFlags(READ)",
                "DescriptorFlags(READ | MUTATE_DIRECTORY)",
            ),
        ],
    ),
    (
        "metadata-hash",
        &[
            ("identity/hashes", "after a write", "true", "false"),
            ("identity/hashes", "without a name", "true", "false"),
        ],
    ),
    (
        "Asking a stream for no bytes",
        &[
            ("input/nothing_wanted", "blocking-read", "error closed", "\"\""),
            ("input/nothing_wanted", "blocking-read, then read", "error closed", "\"0123\""),
            ("input/nothing_wanted", "blocking-skip", "error closed", "0"),
            ("input/nothing_wanted", "blocking-skip, then read", "error closed", "\"0123\""),
        ],
    ),
    (
        "Offsets that no file reaches",
        &[
            ("input/past_the_end", "farthest", "error failed with code invalid, with a text", "error closed"),
            (
                "input/past_the_end",
                "no offset at all",
                "error failed with code invalid, with a text",
                "error closed",
            ),
            (
                "output/too_far",
                "highest offset, first write",
                "error failed with code invalid, with a text",
                "error failed with code file-too-large, with a text",
            ),
            (
                "output/too_far",
                "no offset, first write",
                "error failed with code invalid, with a text",
                "error failed with code file-too-large, with a text",
            ),
            ("positioned/far_offsets", "read at no offset", "error invalid", "\"\", end true"),
            ("positioned/far_offsets", "read farthest", "error invalid", "\"\", end true"),
            ("positioned/far_offsets", "write at no offset", "error invalid", "error file-too-large"),
            ("positioned/far_offsets", "write farthest", "error invalid", "error file-too-large"),
            ("positioned/advice", "no length", "error invalid", "ok"),
            ("sizing/far", "more than is signed", "error invalid", "error file-too-large"),
            ("sizing/far", "no size", "error invalid", "error file-too-large"),
        ],
    ),
    (
        "link-at that is to follow a link",
        &[
            ("linking/hard_link_errors", "following", "error invalid", "ok"),
            (
                "linking/hard_link_errors",
                "left /file",
                "file, 7 bytes, 1 names, \"content\"",
                "file, 7 bytes, 2 names, \"content\"",
            ),
            ("linking/hard_link_errors", "left /followed", "-", "file, 7 bytes, 2 names, \"content\""),
        ],
    ),
    (
        "A slash or dot behind a name",
        &[
            ("making/removes_with_slashes", "a directory", "error invalid", "ok"),
            ("making/removes_with_slashes", "a link", "error invalid", "error not-directory"),
            ("making/removes_with_slashes", "left /dir", "directory", "-"),
            ("making/removes", "last name dots", "error invalid", "error not-empty"),
            ("making/unlinks", "a link with a slash", "error is-directory", "error not-directory"),
            (
                "paths/dots",
                "dot behind a file",
                "DescriptorType::RegularFile, 1 names, 4 bytes",
                "error not-directory",
            ),
            (
                "paths/slashes",
                "file/",
                "DescriptorType::RegularFile, 1 names, 4 bytes",
                "error not-directory",
            ),
            (
                "paths/slashes",
                "file//",
                "DescriptorType::RegularFile, 1 names, 4 bytes",
                "error not-directory",
            ),
            ("paths/slashes", "to-dir/", "DescriptorType::SymbolicLink, 1 names, 3 bytes", "directory"),
            (
                "paths/slashes",
                "to-file/",
                "DescriptorType::SymbolicLink, 1 names, 4 bytes",
                "error not-directory",
            ),
        ],
    ),
    (
        "Descriptors for synchronized writes",
        &[
            (
                "opening/sync_flags",
                "data-integrity-sync",
                "error unsupported",
                "DescriptorFlags(READ | WRITE | DATA_INTEGRITY_SYNC)",
            ),
            (
                "opening/sync_flags",
                "file-integrity-sync",
                "error unsupported",
                "DescriptorFlags(READ | WRITE | FILE_INTEGRITY_SYNC)",
            ),
            (
                "opening/sync_flags",
                "requested-write-sync",
                "error unsupported",
                "DescriptorFlags(READ | WRITE | REQUESTED_WRITE_SYNC)",
            ),
            ("opening/sync_flags", "left /data-integrity-sync", "-", "file, 6 bytes, 1 names, \"stored\""),
            ("opening/sync_flags", "left /file-integrity-sync", "-", "file, 6 bytes, 1 names, \"stored\""),
            ("opening/sync_flags", "left /requested-write-sync", "-", "file, 6 bytes, 1 names, \"stored\""),
        ],
    ),
    (
        "A write to a file that nobody checked for",
        &[
            (
                "output/more_than_a_call_takes",
                "left /file",
                "file, 0 bytes, 1 names, \"\"",
                "file, 4097 bytes, 1 names, 44d2883b15d56341",
            ),
            ("output/more_than_a_call_takes", "the end", "trap", "code 0"),
            ("output/more_than_a_call_takes", "written", "-", "ok"),
            (
                "output/without_a_check",
                "left /file",
                "file, 0 bytes, 1 names, \"\"",
                "file, 4 bytes, 1 names, \"two \"",
            ),
            ("output/without_a_check", "the end", "trap", "code 0"),
            ("output/without_a_check", "second", "-", "ok"),
        ],
    ),
    (
        "Nanoseconds of a second or more",
        &[
            ("times/errors", "more than a second of nanoseconds", "ok", "error invalid"),
            ("times/errors", "as many as fit", "ok", "error invalid"),
            (
                "times/errors",
                "after",
                "accessed 5.294967295, modified 1000000000.123456789",
                "accessed 1000000000.123456789, modified 1000000000.123456789",
            ),
        ],
    ),
];
