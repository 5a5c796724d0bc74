//! Errors of mounts.

use super::ConfigError;
use crate::limits::{
    MAX_CACHED_BYTES, MAX_EXTENT_BYTES, MAX_TREE_ENTRIES, MAX_TREE_NAME_BYTES, MIN_CACHED_BYTES,
    MIN_EXTENT_BYTES,
};
use kvfs::PolicyError;
use kvfs::limits::MAX_MOUNTS;
use std::path::PathBuf;

/// Why mounts cannot be composed: the mount, what is wrong with it, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MountError {
    /// The text does not have the form of a mount.
    #[error("`{text}` is not a mount; write PATH=SOURCE, such as /lib=image:dist/lib or /data=kv:data,ro")]
    Form {
        /// The text.
        text: String,
    },
    /// The path is not absolute, not in its normal form, or too long.
    #[error("mount path `{}` {reason}", .path.escape_debug())]
    Path {
        /// The path.
        path: String,
        /// The fault, and what to do.
        reason: String,
    },
    /// There is no such source.
    #[error(
        "mount at {path}: no source `{source_text}`; there are kv[:VOLUME], image:DIR-or-TAR, \
         overlay:DIR-or-TAR[:VOLUME] and host:PREOPEN"
    )]
    UnknownSource {
        /// The guest's path.
        path: String,
        /// The source.
        source_text: String,
    },
    /// An image or an overlay names no tree.
    #[error("mount at {path}: which tree? Write {source_kind}:DIR-or-TAR")]
    NoTree {
        /// The guest's path.
        path: String,
        /// `image` or `overlay`.
        source_kind: String,
    },
    /// There is no such option.
    #[error(
        "mount at {path}: no option `{option}` after the comma; there are ro, rw, allow=RIGHTS, policy=FILE, \
         max-bytes=SIZE (such as 64M), max-inodes=NUMBER, max-names=NUMBER, max-file-bytes=SIZE and \
         extent-size=SIZE for a volume, cache=SIZE for all but host:PREOPEN, and \
         file=NAME=HOST-PATH for host:PREOPEN"
    )]
    UnknownOption {
        /// The guest's path.
        path: String,
        /// The option.
        option: String,
    },
    /// An option stands twice.
    #[error(
        "mount at {path}: `{option}=` stands twice, and only one can count; write it once, or all rules in one file"
    )]
    OptionTwice {
        /// The guest's path.
        path: String,
        /// The name of the option.
        option: String,
    },
    /// The rights of a mount cannot be read.
    #[error("mount at {path}: `allow={}`: {error}", .text.escape_debug())]
    Rights {
        /// The guest's path.
        path: String,
        /// The text.
        text: String,
        /// The fault.
        #[source]
        error: PolicyError,
    },
    /// A rule of a file cannot be read.
    #[error("mount at {path}: {}, line {line}: {error}", .file.display())]
    Rule {
        /// The guest's path.
        path: String,
        /// The file of the host.
        file: PathBuf,
        /// The line, the first being 1.
        line: usize,
        /// The fault.
        #[source]
        error: PolicyError,
    },
    /// A file of rules is too large.
    #[error("mount at {path}: {} has more than {max_bytes} bytes of rules; is it another file?", .file.display())]
    RulesTooLarge {
        /// The guest's path.
        path: String,
        /// The file of the host.
        file: PathBuf,
        /// The most that is read.
        max_bytes: u64,
    },
    /// A mount lies at a path that rules hide.
    #[error(
        "mount at {path}: the rules of the mount at {around} hide it; hide less there, or mount elsewhere"
    )]
    HiddenMountpoint {
        /// The guest's path.
        path: String,
        /// Where the mount with the rules is.
        around: String,
    },
    /// An image is mounted for writing.
    #[error("mount at {path}: an image is read-only; use overlay:{}, which keeps changes in the store", .tree.display())]
    ImageForWriting {
        /// The guest's path.
        path: String,
        /// The tree.
        tree: PathBuf,
    },
    /// A mount without a volume has a limit.
    #[error("mount at {path}: it has no volume to limit; use kv or overlay, or leave the limit out")]
    LimitWithoutVolume {
        /// The guest's path.
        path: String,
    },
    /// One volume is mounted with two limits of one kind.
    #[error("volume `{volume}` has one limit at {one} and another at {other}; a volume has one of each kind")]
    TwoLimits {
        /// The volume.
        volume: String,
        /// One guest path.
        one: String,
        /// The other.
        other: String,
    },
    /// Extents of a volume cannot have this size.
    #[error(
        "mount at {path}: extents of {bytes} bytes cannot be; write extent-size=SIZE with a power of two from \
         {MIN_EXTENT_BYTES} to {MAX_EXTENT_BYTES}, such as 4K"
    )]
    ExtentSize {
        /// The guest's path.
        path: String,
        /// The size.
        bytes: u32,
    },
    /// The extents of a volume above a tree have the size of the tree's.
    #[error("mount at {path}: a volume above a packed tree has the tree's extents; leave extent-size out")]
    ExtentSizeOfTree {
        /// The guest's path.
        path: String,
    },
    /// A mount cannot have so much of the cache, or so little.
    #[error(
        "mount at {path}: a cache of {bytes} bytes cannot be; write cache=SIZE with {MIN_CACHED_BYTES} to \
         {MAX_CACHED_BYTES} bytes, such as 8M"
    )]
    Cache {
        /// The guest's path.
        path: String,
        /// The size.
        bytes: u64,
    },
    /// A mount may cache more than all mounts together.
    #[error(
        "mount at {path}: cache={bytes} is more than the {instance_bytes} bytes of the cache that all mounts share; \
         choose less, or a larger --cache-size"
    )]
    CacheBeyondInstance {
        /// The guest's path.
        path: String,
        /// The size.
        bytes: u64,
        /// What the instance may cache.
        instance_bytes: u64,
    },
    /// A directory of the host is not cached.
    #[error("mount at {path}: nothing of it is cached, it is a directory of the host; leave cache out")]
    CacheOfHost {
        /// The guest's path.
        path: String,
    },
    /// One volume or tree is mounted with two sizes of its cache.
    #[error(
        "the mounts at {one} and {other} show the same files and have different caches; write the same cache=SIZE \
         at both, or only one"
    )]
    TwoCaches {
        /// One guest path.
        one: String,
        /// The other.
        other: String,
    },
    /// The name of a preopened directory is not valid.
    #[error(
        "mount at {path}: `{}` cannot be the name of a preopened directory; write host:PREOPEN, with the name after `::` in \
         `wasmtime run --dir HOST-DIR::PREOPEN`, without control characters", .preopen.escape_debug()
    )]
    Preopen {
        /// The guest's path.
        path: String,
        /// The name.
        preopen: String,
    },
    /// A name or a path in a file map is not valid.
    #[error("mount at {path}: in its files, `{}` {reason}", .text.escape_debug())]
    MappedFile {
        /// The guest's path.
        path: String,
        /// The name or the path.
        text: String,
        /// The fault, and what to do.
        reason: &'static str,
    },
    /// The mounted directory of the host is the store of the provider `file`.
    #[error(
        "mount at {path}: the host's directory {preopen} is the store of the provider `file`, and the guest could change \
         what is in it; name another directory for one of them, such as --provider file:/store"
    )]
    OverStore {
        /// The guest's path.
        path: String,
        /// The name of the preopened directory.
        preopen: String,
    },
    /// A mount lies deeper than directly in a file map, which has no directories.
    #[error(
        "mount at {path}: the files mapped at {map} have no directories around it; mount it right in {map}, or map the \
         whole directory of the host, without file="
    )]
    DeepInFileMap {
        /// The guest's path.
        path: String,
        /// Where the file map is.
        map: String,
    },
    /// A mount lies on a file of a file map.
    #[error("mount at {path}: a file mapped at {map} has this name, and nobody could open it; rename one")]
    OverMappedFile {
        /// The guest's path.
        path: String,
        /// Where the file map is.
        map: String,
    },
    /// Two mounts have the same path.
    #[error("two mounts at `{path}`; leave one out")]
    Twice {
        /// The path.
        path: String,
    },
    /// There are more mounts than the adapter takes.
    #[error(
        "{count} mounts with the root, and at most {MAX_MOUNTS} are possible; put some of them into one tree"
    )]
    TooMany {
        /// Their number.
        count: usize,
    },
    /// The name of a volume is not valid.
    #[error("mount at {path}: {error}")]
    Volume {
        /// The guest's path.
        path: String,
        /// The fault of the name.
        #[source]
        error: ConfigError,
    },
    /// One volume is mounted above two different trees, or above one and none.
    #[error(
        "volume `{volume}` is mounted at {one} and at {other} with different trees below it; name another volume \
         for one of them"
    )]
    VolumeInTwoWays {
        /// The volume.
        volume: String,
        /// One guest path.
        one: String,
        /// The other.
        other: String,
    },
    /// A file or directory of a tree cannot be read.
    #[error("mount at {path}: cannot read {}: {error}; check the path", .file.display())]
    Read {
        /// The guest's path.
        path: String,
        /// The file or directory of the host.
        file: PathBuf,
        /// The error of the operating system.
        #[source]
        error: std::io::Error,
    },
    /// A file is no archive, or an archive with something that an image cannot hold.
    #[error("mount at {path}: {} cannot be read as a tar: {reason}; give a directory, a tar, or a tar compressed with gzip", .file.display())]
    Archive {
        /// The guest's path.
        path: String,
        /// The file of the host.
        file: PathBuf,
        /// The value found.
        reason: String,
    },
    /// An archive is cut off or damaged.
    #[error("mount at {path}: {} is damaged: {reason}; make it or fetch it again", .file.display())]
    Damaged {
        /// The guest's path.
        path: String,
        /// The file of the host.
        file: PathBuf,
        /// The value found.
        reason: String,
    },
    /// An entry of a tree is neither file, directory nor link.
    #[error(
        "mount at {path}: {tree} has {kind}, `{name}`, which an image cannot hold; take it out of the tree"
    )]
    Special {
        /// The guest's path.
        path: String,
        /// The tree.
        tree: String,
        /// Its path in the tree.
        name: String,
        /// Its kind, with an article.
        kind: &'static str,
    },
    /// A guest could not use a name in a tree, or unpacking would refuse it.
    #[error("mount at {path}: {tree} has `{name}`, {reason}; rename it")]
    Name {
        /// The guest's path.
        path: String,
        /// The tree.
        tree: String,
        /// Its path in the tree; bytes that are not Unicode are replaced.
        name: String,
        /// The fault.
        reason: String,
    },
    /// The target of a hard link in an archive does not precede it.
    #[error(
        "mount at {path}: {tree} has a hard link, `{name}`, to `{target}`, which does not precede it; \
         pack the target too, before the link"
    )]
    HardLink {
        /// The guest's path.
        path: String,
        /// The tree.
        tree: String,
        /// Its path in the tree.
        name: String,
        /// The path of its target.
        target: String,
    },
    /// The mountpoint of another mount is no directory in the tree.
    #[error(
        "mount at {path}: `{name}` in {tree} is {kind}, and another mount needs a directory there; mount that elsewhere"
    )]
    Mountpoint {
        /// The guest's path.
        path: String,
        /// The tree.
        tree: String,
        /// The path in the tree.
        name: String,
        /// Its kind, with an article.
        kind: &'static str,
    },
    /// The file system refused an entry of a tree.
    #[error("mount at {path}: {tree}: cannot pack `{name}`: {error}")]
    Pack {
        /// The guest's path.
        path: String,
        /// The tree.
        tree: String,
        /// Its path in the tree.
        name: String,
        /// The error of the file system.
        #[source]
        error: kvfs::Error,
    },
    /// A tree has too many entries, or too many bytes of names.
    #[error(
        "mount at {path}: {tree} has more than {MAX_TREE_ENTRIES} files, directories and links, or more than \
         {MAX_TREE_NAME_BYTES} bytes of paths and link targets; leave out what the guest does not need, or mount it \
         as a directory of the host, with host:PREOPEN"
    )]
    TooManyEntries {
        /// The guest's path.
        path: String,
        /// The tree.
        tree: String,
    },
    /// The packed trees are too large for a component's memory.
    #[error(
        "the packed trees have {size_bytes} bytes, and at most {max_bytes} fit a component's memory; leave out what \
         the guest does not need"
    )]
    TooLarge {
        /// Their size together.
        size_bytes: u64,
        /// The room that there is.
        max_bytes: u64,
    },
}
