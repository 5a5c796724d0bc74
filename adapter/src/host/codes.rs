//! Converts between the host's types and the guest's, which are the same interface under two names.

use crate::bindings::exports::wasi::filesystem::types as ours;
use crate::bindings::kvfs::host_filesystem::types as theirs;

/// Defines a function from one enumeration to another with the same cases.
macro_rules! same_cases {
    ($function:ident, $from:path, $to:path, [$($case:ident),* $(,)?]) => {
        pub(super) fn $function(from: $from) -> $to {
            use $from as From;
            use $to as To;
            match from { $(From::$case => To::$case,)* }
        }
    };
}

same_cases!(
    to_code,
    theirs::ErrorCode,
    ours::ErrorCode,
    [
        Access,
        WouldBlock,
        Already,
        BadDescriptor,
        Busy,
        Deadlock,
        Quota,
        Exist,
        FileTooLarge,
        IllegalByteSequence,
        InProgress,
        Interrupted,
        Invalid,
        Io,
        IsDirectory,
        Loop,
        TooManyLinks,
        MessageSize,
        NameTooLong,
        NoDevice,
        NoEntry,
        NoLock,
        InsufficientMemory,
        InsufficientSpace,
        NotDirectory,
        NotEmpty,
        NotRecoverable,
        Unsupported,
        NoTty,
        NoSuchDevice,
        Overflow,
        NotPermitted,
        Pipe,
        ReadOnly,
        InvalidSeek,
        TextFileBusy,
        CrossDevice,
    ]
);

same_cases!(
    to_type,
    theirs::DescriptorType,
    ours::DescriptorType,
    [Unknown, BlockDevice, CharacterDevice, Directory, Fifo, SymbolicLink, RegularFile, Socket,]
);

same_cases!(
    to_advice,
    ours::Advice,
    theirs::Advice,
    [Normal, Sequential, Random, WillNeed, DontNeed, NoReuse]
);

pub(super) fn to_stat(stat: theirs::DescriptorStat) -> ours::DescriptorStat {
    ours::DescriptorStat {
        type_: to_type(stat.type_),
        link_count: stat.link_count,
        size: stat.size,
        data_access_timestamp: stat.data_access_timestamp,
        data_modification_timestamp: stat.data_modification_timestamp,
        status_change_timestamp: stat.status_change_timestamp,
    }
}

pub(super) fn to_hash(hash: theirs::MetadataHashValue) -> ours::MetadataHashValue {
    ours::MetadataHashValue { lower: hash.lower, upper: hash.upper }
}

pub(super) fn to_time(time: ours::NewTimestamp) -> theirs::NewTimestamp {
    match time {
        ours::NewTimestamp::NoChange => theirs::NewTimestamp::NoChange,
        ours::NewTimestamp::Now => theirs::NewTimestamp::Now,
        ours::NewTimestamp::Timestamp(at) => theirs::NewTimestamp::Timestamp(at),
    }
}

pub(super) fn to_path_flags(flags: ours::PathFlags) -> theirs::PathFlags {
    theirs::PathFlags::from_bits_truncate(flags.bits())
}

pub(super) fn to_open_flags(flags: ours::OpenFlags) -> theirs::OpenFlags {
    theirs::OpenFlags::from_bits_truncate(flags.bits())
}

pub(super) fn to_flags(flags: ours::DescriptorFlags) -> theirs::DescriptorFlags {
    theirs::DescriptorFlags::from_bits_truncate(flags.bits())
}

pub(super) fn from_flags(flags: theirs::DescriptorFlags) -> ours::DescriptorFlags {
    ours::DescriptorFlags::from_bits_truncate(flags.bits())
}
