//! All mounts of a composition as one tree.

use super::mount::{MappedFile, Mount, MountAccess, MountSource};
use super::rules::MountRules;
use crate::error::MountError;
use crate::instance::InstanceLimits;
use crate::limits::{MAX_CACHED_BYTES, MIN_CACHED_BYTES, is_extent_size};
use kvfs::Grant;
use kvfs::limits::{MAX_NAME_BYTES, MAX_PATH_BYTES};
use std::collections::HashSet;

/// Most mounts of one composition, the root among them: the adapter looks at each when it steps
/// from one to the other.
pub(crate) use kvfs::limits::MAX_MOUNTS;

/// Checks that a path is absolute and in its one normal form.
pub(super) fn check_path(path: &str) -> Result<(), MountError> {
    let wrong = |reason: String| Err(MountError::Path { path: path.to_owned(), reason });
    if path.is_empty() {
        return wrong("is empty; `/` is the root".into());
    }
    if path.chars().any(char::is_control) {
        return wrong("has a control character; choose another".into());
    }
    if path.len() > MAX_PATH_BYTES {
        return wrong(format!("has more than {} bytes; choose a shorter one", MAX_PATH_BYTES));
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    if let Some(dots) = parts.iter().find(|part| matches!(**part, "." | "..")) {
        return wrong(format!("has a part `{dots}`; write where it leads"));
    }
    if parts.iter().any(|part| part.len() > MAX_NAME_BYTES) {
        return wrong(format!("has a name of more than {} bytes", MAX_NAME_BYTES));
    }
    let normal = format!("/{}", parts.join("/"));
    if !path.starts_with('/') {
        return wrong(format!("is relative; write `{normal}`"));
    }
    if path != normal {
        return wrong(format!("has superfluous slashes; write `{normal}`"));
    }
    Ok(())
}

impl Mount {
    /// Checks this mount by itself.
    pub(super) fn check(&self) -> Result<(), MountError> {
        check_path(&self.path)?;
        let has_volume = matches!(self.source, MountSource::Volume { .. } | MountSource::Overlay { .. });
        if !has_volume && !self.limits.is_none() {
            return Err(MountError::LimitWithoutVolume { path: self.path.clone() });
        }
        if let Some(bytes) = self.limits.extent_bytes {
            let path = || self.path.clone();
            if matches!(self.source, MountSource::Overlay { .. }) {
                return Err(MountError::ExtentSizeOfTree { path: path() });
            }
            if !is_extent_size(bytes) {
                return Err(MountError::ExtentSize { path: path(), bytes });
            }
        }
        if let Some(bytes) = self.cached_bytes {
            if matches!(self.source, MountSource::Host { .. }) {
                return Err(MountError::CacheOfHost { path: self.path.clone() });
            }
            if !(MIN_CACHED_BYTES..=MAX_CACHED_BYTES).contains(&bytes) {
                return Err(MountError::Cache { path: self.path.clone(), bytes });
            }
        }
        match (&self.source, self.access) {
            (MountSource::Image { tree }, MountAccess::ReadWrite) => {
                Err(MountError::ImageForWriting { path: self.path.clone(), tree: tree.clone() })
            }
            (MountSource::Host { preopen, files }, _) => self.check_host(preopen, files),
            _ => Ok(()),
        }
    }

    /// Fails if it may cache more than the whole instance.
    pub(crate) fn check_cache_within(&self, instance: &InstanceLimits) -> Result<(), MountError> {
        match (self.cached_bytes, instance.cached_bytes()) {
            (Some(bytes), instance_bytes) if bytes > instance_bytes => {
                Err(MountError::CacheBeyondInstance { path: self.path.clone(), bytes, instance_bytes })
            }
            _ => Ok(()),
        }
    }

    fn check_host(&self, preopen: &str, files: &[MappedFile]) -> Result<(), MountError> {
        let unfit = |text: &str| text.is_empty() || text.chars().any(char::is_control);
        if unfit(preopen) {
            return Err(MountError::Preopen { path: self.path.clone(), preopen: preopen.to_owned() });
        }
        let mut names = HashSet::new();
        for file in files {
            let wrong = |text: &str, reason: &'static str| {
                Err(MountError::MappedFile { path: self.path.clone(), text: text.to_owned(), reason })
            };
            let name = file.name.as_str();
            if unfit(name)
                || name.contains(['/', '='])
                || name.len() > MAX_NAME_BYTES
                || matches!(name, "." | "..")
            {
                return wrong(name, "is not a file name; a name has 1 to 255 bytes and no slash");
            }
            let host_path = file.host_path.as_str();
            let parts = host_path.split('/');
            if unfit(host_path)
                || host_path.len() > MAX_PATH_BYTES
                || parts.clone().any(|part| matches!(part, "" | "." | ".."))
            {
                return wrong(host_path, "is not a path below the host's directory, such as ssl/ca.pem");
            }
            if !names.insert(name) {
                return wrong(name, "is the name of two files; leave one out");
            }
        }
        Ok(())
    }
}

/// The mounts in the order of their paths, so that each comes after the one that it lies in.
#[derive(Debug)]
pub(super) struct Table {
    mounts: Vec<Mount>,
}

impl Table {
    /// Checks every mount by itself and all together.
    pub(super) fn new(mounts: &[Mount]) -> Result<Self, MountError> {
        // Without a mount at the root, composition mounts a directory there.
        let has_root = mounts.is_empty() || mounts.iter().any(|mount| mount.path == "/");
        let count = mounts.len() + usize::from(!has_root);
        if count > MAX_MOUNTS {
            return Err(MountError::TooMany { count });
        }
        mounts.iter().try_for_each(Mount::check)?;
        let mut mounts = mounts.to_vec();
        mounts.sort_by(|a, b| a.path.cmp(&b.path));
        if let Some(pair) = mounts.windows(2).find(|pair| pair[0].path == pair[1].path) {
            return Err(MountError::Twice { path: pair[0].path.clone() });
        }
        let table = Self { mounts };
        table.check_file_maps()?;
        table.check_hidden()?;
        Ok(table)
    }

    /// Fails if a mount lies at a path that the rules of the mount around it hide: nobody could
    /// come to it. Rules in a file must have been read.
    fn check_hidden(&self) -> Result<(), MountError> {
        for mount in &self.mounts {
            let MountRules::Given(policy) = &mount.rules else { continue };
            let hidden = |mountpoint: &&str| policy.at(mountpoint) == Grant::Hide;
            if let Some(mountpoint) = self.mountpoints_in(&mount.path).into_iter().find(hidden) {
                let path = format!("{}/{mountpoint}", mount.path.trim_end_matches('/'));
                return Err(MountError::HiddenMountpoint { path, around: mount.path.clone() });
            }
        }
        Ok(())
    }

    /// Fails if a mount lies in a file map but not directly, or on one of its files: a file map has
    /// no directories but mountpoints.
    fn check_file_maps(&self) -> Result<(), MountError> {
        for mount in &self.mounts {
            let MountSource::Host { files, .. } = &mount.source else { continue };
            if files.is_empty() {
                continue;
            }
            for mountpoint in self.mountpoints_in(&mount.path) {
                let inner = format!("{}/{mountpoint}", mount.path.trim_end_matches('/'));
                if mountpoint.contains('/') {
                    return Err(MountError::DeepInFileMap { path: inner, map: mount.path.clone() });
                }
                if files.iter().any(|file| file.name == mountpoint) {
                    return Err(MountError::OverMappedFile { path: inner, map: mount.path.clone() });
                }
            }
        }
        Ok(())
    }

    pub(super) fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    /// Lists the mounts whose parent is the mount at `path`, by their paths below it.
    pub(super) fn mountpoints_in(&self, path: &str) -> Vec<&str> {
        let inside = self.mounts.iter().filter(|mount| self.parent(&mount.path) == Some(path));
        inside.filter_map(|mount| below(path, &mount.path)).collect()
    }

    /// Returns the path of the mount that the mount at `path` lies in; `None` for the root.
    fn parent(&self, path: &str) -> Option<&str> {
        let around = self.mounts.iter().filter(|mount| below(&mount.path, path).is_some());
        let nearest = around.max_by_key(|mount| mount.path.len()).map(|mount| mount.path.as_str());
        nearest.or(if path == "/" { None } else { Some("/") })
    }
}

/// Returns the part of a path below a directory; `None` if it does not lie in it.
fn below<'a>(directory: &str, path: &'a str) -> Option<&'a str> {
    let rest = path.strip_prefix(directory.trim_end_matches('/'))?.strip_prefix('/')?;
    if rest.is_empty() { None } else { Some(rest) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(texts: &[&str]) -> Result<Table, MountError> {
        Table::new(&texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn a_mountpoint_lies_in_the_nearest_mount_around_it() {
        let table = table(&["/a/b/c=kv:1", "/a=kv:2", "/ab=kv:3", "/a/b=kv:4", "/a/b/d/e=kv:5"]).unwrap();
        assert_eq!(table.mountpoints_in("/"), ["a", "ab"]);
        assert_eq!(table.mountpoints_in("/a"), ["b"]);
        assert_eq!(table.mountpoints_in("/a/b"), ["c", "d/e"]);
        assert!(table.mountpoints_in("/ab").is_empty());
    }

    #[test]
    fn one_place_takes_one_mount() {
        let error = table(&["/a=kv", "/b=kv", "/a=image:x"]).unwrap_err();
        assert_eq!(error.to_string(), "two mounts at `/a`; leave one out");
    }

    #[test]
    fn in_a_file_map_a_mount_lies_beside_the_files() {
        let map = "/a=host:x,file=one=1,file=two=2";
        table(&[map, "/a/b=kv", "/a/b/c/d=kv:2"]).unwrap();
        table(&["/a=host:x", "/a/b/c=kv"]).unwrap();
        let said = |other: &str| table(&[map, other]).unwrap_err().to_string();
        assert!(said("/a/b/c=kv").starts_with("mount at /a/b/c: the files mapped at /a have no directories"));
        assert!(said("/a/two=kv").starts_with("mount at /a/two: a file mapped at /a has this name"));
    }

    #[test]
    fn no_mount_lies_at_a_hidden_path() {
        let rules = |rule: &str| {
            let mut policy = kvfs::Policy::default();
            policy.add_line(rule).unwrap();
            let mount: Mount = "/a=kv".parse().unwrap();
            let mounts = [mount.policy(policy), "/a/b/c=kv:1".parse().unwrap(), "/d=kv:2".parse().unwrap()];
            Table::new(&mounts).map(drop).map_err(|error| error.to_string())
        };
        for rule in ["hide b", "hide b/c", "hide **", "hide **/c"] {
            let said = rules(rule).unwrap_err();
            assert!(said.starts_with("mount at /a/b/c: the rules of the mount at /a hide it"), "{said}");
        }
        for rule in ["none **", "hide d", "hide b/d", "hide b/c/e", "hide a/b"] {
            assert_eq!(rules(rule), Ok(()), "{rule}");
        }
    }

    #[test]
    fn there_is_a_limit() {
        let mounts = |count| (0..count).map(|i| format!("/{i}=kv").parse().unwrap()).collect::<Vec<_>>();
        assert!(Table::new(&mounts(63)).is_ok());
        assert!(matches!(Table::new(&mounts(64)), Err(MountError::TooMany { count: 65 })));
        let with_root = |count| [mounts(count), vec!["/=kv".parse().unwrap()]].concat();
        assert!(Table::new(&with_root(63)).is_ok());
        assert!(matches!(Table::new(&with_root(64)), Err(MountError::TooMany { count: 65 })));
    }
}
