//! Parses the text of a mount.

use super::mount::{MappedFile, Mount, MountAccess, MountLimits, MountSource};
use super::rules::MountRules;
use super::table::check_path;
use crate::error::MountError;
use kvfs_size::{ByteSize, whole};
use std::str::FromStr;

impl FromStr for Mount {
    type Err = MountError;

    /// Parses `PATH=SOURCE[,ro|rw][,allow=RIGHTS][,policy=FILE]` and `[,max-bytes=SIZE]`
    /// `[,max-inodes=NUMBER][,max-names=NUMBER][,max-file-bytes=SIZE][,extent-size=SIZE]` and
    /// `[,cache=SIZE]` after it. RIGHTS are `none`, `all`, or names joined by `+`, such as `dir-read+file-read`; FILE has rules, see
    /// [`MountRules::File`]. The source is `kv[:VOLUME]`, `image:TREE`, `overlay:TREE[:VOLUME]` or
    /// `host:PREOPEN`, the last one with any number of `,file=NAME=HOST-PATH`.
    ///
    /// A comma ends the source, and the last colon of an overlay precedes the volume's name. For
    /// paths that contain commas or colons, use [`Mount::new`].
    fn from_str(text: &str) -> Result<Self, MountError> {
        let (path, rest) = text
            .split_once('=')
            .filter(|(_, rest)| !rest.is_empty())
            .ok_or_else(|| MountError::Form { text: text.to_owned() })?;
        check_path(path)?;
        let mut parts = rest.split(',');
        let source = parse_source(path, parts.next().unwrap_or_default())?;
        let mut mount = Self::new(path, source);
        let mut given = Vec::new();
        for option in parts {
            // Of two policies, the last one would lift what the first one keeps from the guest.
            if let Some((name, _)) = option.split_once('=').filter(|(name, _)| *name != "file") {
                if given.contains(&name) {
                    return Err(MountError::OptionTwice { path: path.to_owned(), option: name.to_owned() });
                }
                given.push(name);
            }
            let unknown = || MountError::UnknownOption { path: path.to_owned(), option: option.to_owned() };
            match (option, &mut mount.source) {
                ("ro", _) => mount.access = MountAccess::ReadOnly,
                ("rw", _) => mount.access = MountAccess::ReadWrite,
                (option, _) if option.starts_with("allow=") => {
                    let rights = option.strip_prefix("allow=").unwrap_or_default();
                    let wrong =
                        |error| MountError::Rights { path: path.to_owned(), text: rights.to_owned(), error };
                    mount.allow = rights.parse().map_err(wrong)?;
                }
                (option, _) if option.strip_prefix("policy=").is_some_and(|file| !file.is_empty()) => {
                    mount.rules = MountRules::File(option.strip_prefix("policy=").unwrap_or_default().into());
                }
                (option, _) if option.starts_with("cache=") => {
                    let size = option.strip_prefix("cache=").and_then(|size| size.parse::<ByteSize>().ok());
                    mount.cached_bytes = Some(size.ok_or_else(unknown)?.0);
                }
                (limit, _) if limit.starts_with("max-") || limit.starts_with("extent-size=") => {
                    parse_limit(&mut mount.limits, limit).ok_or_else(unknown)?;
                }
                (_, MountSource::Host { files, .. }) => {
                    let file = option.strip_prefix("file=").and_then(|file| file.split_once('='));
                    let (name, host_path) = file.ok_or_else(unknown)?;
                    files.push(MappedFile::new(name, host_path));
                }
                _ => return Err(unknown()),
            }
        }
        mount.check()?;
        Ok(mount)
    }
}

/// Parses a limit.
fn parse_limit(limits: &mut MountLimits, text: &str) -> Option<()> {
    let (name, number) = text.split_once('=')?;
    match name {
        "max-bytes" => limits.bytes = Some(number.parse::<ByteSize>().ok()?.0),
        "max-inodes" => limits.inodes = Some(whole(number)?),
        "max-names" => limits.names = Some(whole(number)?),
        "max-file-bytes" => limits.file_bytes = Some(number.parse::<ByteSize>().ok()?.0),
        "extent-size" => limits.extent_bytes = Some(number.parse::<ByteSize>().ok()?.0.try_into().ok()?),
        _ => return None,
    }
    Some(())
}

fn parse_source(path: &str, text: &str) -> Result<MountSource, MountError> {
    let some = |text: &str| if text.is_empty() { None } else { Some(text.to_owned()) };
    let (kind, rest) = match text.split_once(':') {
        Some((kind, rest)) => (kind, some(rest)),
        None => (text, None),
    };
    let unnamed = || MountError::NoTree { path: path.to_owned(), source_kind: kind.to_owned() };
    match kind {
        "kv" if text.ends_with(':') => {
            Err(MountError::UnknownSource { path: path.to_owned(), source_text: text.to_owned() })
        }
        "kv" => Ok(MountSource::Volume { volume: rest }),
        "image" => Ok(MountSource::Image { tree: rest.ok_or_else(unnamed)?.into() }),
        "overlay" => {
            let rest = rest.ok_or_else(unnamed)?;
            let (tree, volume) = match rest.rsplit_once(':') {
                Some((tree, volume)) => (some(tree).ok_or_else(unnamed)?, some(volume)),
                None => (rest, None),
            };
            Ok(MountSource::Overlay { tree: tree.into(), volume })
        }
        "host" => Ok(MountSource::Host { preopen: rest.unwrap_or_default(), files: Vec::new() }),
        _ => Err(MountError::UnknownSource { path: path.to_owned(), source_text: text.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> MountSource {
        text.parse::<Mount>().unwrap().source
    }

    #[test]
    fn every_source_is_read_and_written_alike() {
        for text in [
            "/=kv",
            "/data=kv:data",
            "/data=kv:data,ro",
            "/data=kv:data,max-bytes=65536,max-inodes=100",
            "/data=overlay:t,ro,max-inodes=100",
            "/data=kv,max-names=7",
            "/data=kv,max-bytes=65536,max-inodes=100,max-names=200",
            "/data=kv,max-file-bytes=0",
            "/data=kv,max-bytes=65536,max-inodes=100,max-names=200,max-file-bytes=4096",
            "/data=kv,max-bytes=65536,extent-size=4096",
            "/data=kv,cache=4194304",
            "/data=kv:data,ro,allow=none,extent-size=4096,cache=1048576",
            "/lib=image:dist/lib,cache=1073741824",
            "/data=overlay:t,cache=2097152",
            "/lib=image:dist/lib",
            "/lib=image:a:b",
            "/=overlay:base.tar.gz",
            "/=overlay:base.tar.gz:upper",
            "/=overlay:/a b:upper,ro",
            "/work=host:.",
            "/work=host:/a:b,ro",
            "/data=kv,ro,allow=none",
            "/data=kv,allow=dir-read+file-read,policy=a/rules,max-names=7",
            "/work=host:.,allow=dir-read,policy=rules",
            "/etc=host:/etc,file=hosts=hosts,file=ca.pem=ssl/certs/ca.pem,ro",
        ] {
            assert_eq!(text.parse::<Mount>().unwrap().to_string(), text);
        }
        assert_eq!("/=kv,max-bytes=64M".parse::<Mount>().unwrap().limits.bytes, Some(64 << 20));
        assert_eq!("/=overlay:x,rw".parse::<Mount>().unwrap().to_string(), "/=overlay:x");
        assert_eq!(source("/=kv"), MountSource::Volume { volume: None });
        assert_eq!(
            source("/=overlay:a:b:c"),
            MountSource::Overlay { tree: "a:b".into(), volume: Some("c".into()) }
        );
    }

    #[test]
    fn what_is_no_mount_is_refused_with_what_is_wrong() {
        for (text, part) in [
            ("", "PATH=SOURCE"),
            ("/lib", "PATH=SOURCE"),
            ("/lib=", "PATH=SOURCE"),
            ("lib=kv", "write `/lib`"),
            ("=kv", "is empty"),
            ("/a//b=kv", "write `/a/b`"),
            ("/a/=kv", "write `/a`"),
            ("/a/../b=kv", "`..`"),
            ("/a/./b=kv", "`.`"),
            ("/a\tb=kv", "control"),
            ("/lib=tmpfs", "`tmpfs`"),
            ("/lib=kv:", "`kv:`"),
            ("/lib=kv,allow=read", "mount at /lib: `allow=read`: there is no such right; write `hide`"),
            ("/lib=kv,allow=hide", "`allow=hide`"),
            ("/lib=kv,allow=", "`allow=`"),
            ("/lib=kv,policy=", "no option `policy=`"),
            ("/lib=kv,policy=a,ro,policy=b", "mount at /lib: `policy=` stands twice"),
            ("/lib=kv,allow=none,allow=all", "`allow=` stands twice"),
            ("/lib=kv,allow=allow=none", "no such right"),
            ("/lib=kv,max-bytes=1,max-bytes=2", "`max-bytes=` stands twice"),
            ("/lib=image", "image:DIR-or-TAR"),
            ("/lib=image:", "image:DIR-or-TAR"),
            ("/lib=overlay::v", "overlay:DIR-or-TAR"),
            ("/lib=kv,readonly", "`readonly`"),
            ("/lib=kv,max-bytes", "`max-bytes`"),
            ("/lib=kv,max-bytes=", "`max-bytes=`"),
            ("/lib=kv,max-bytes=1.5M", "`max-bytes=1.5M`"),
            ("/lib=kv,max-inodes=-1", "`max-inodes=-1`"),
            ("/lib=kv,max-inodes=1K", "`max-inodes=1K`"),
            ("/lib=kv,max-files=1", "`max-files=1`"),
            ("/lib=kv,max-names=", "`max-names=`"),
            ("/lib=kv,max-names=1M", "`max-names=1M`"),
            ("/lib=kv,max-file-bytes=x", "`max-file-bytes=x`"),
            ("/lib=kv,cache=", "`cache=`"),
            ("/lib=kv,cache=x", "`cache=x`"),
            ("/lib=kv,cache=4M,cache=4M", "`cache=` stands twice"),
            (
                "/lib=kv,cache=0",
                "mount at /lib: a cache of 0 bytes cannot be; write cache=SIZE with 1048576 to",
            ),
            ("/lib=kv,cache=1048575", "a cache of 1048575 bytes cannot be"),
            ("/lib=image:x,cache=1025M", "a cache of 1074790400 bytes cannot be"),
            ("/lib=host:x,cache=4M", "nothing of it is cached"),
            ("/lib=host:x,max-file-bytes=1", "has no volume"),
            ("/lib=image:x,max-names=1", "has no volume"),
            ("/lib=image:x,max-bytes=1M", "has no volume"),
            ("/lib=host:x,max-bytes=1M", "has no volume"),
            ("/lib=image:x,rw", "overlay:x"),
            ("/lib=image:x,file=a=b", "`file=a=b`"),
            ("/h=host", "host:PREOPEN"),
            ("/h=host:a\tb", "control"),
            ("/h=host:d,file=a", "`file=a`"),
            ("/h=host:d,file=a/b=c", "`a/b`"),
            ("/h=host:d,file=..=c", "`..`"),
            ("/h=host:d,file=a=/etc/passwd", "`/etc/passwd`"),
            ("/h=host:d,file=a=b/../c", "`b/../c`"),
            ("/h=host:d,file=a=b,file=a=c", "two files"),
        ] {
            let error = text.parse::<Mount>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
