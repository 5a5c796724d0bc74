//! How a volume is mounted.

use std::fmt;
use std::time::Duration;

/// How a volume is mounted.
pub struct MountOptions {
    /// The kernel refuses all changes. A volume that takes none is mounted so in any case.
    pub read_only: bool,
    /// The source that `mount` and `df` show. Bytes but letters, digits and `._:/-` become `_`.
    pub name: String,
    /// User and group that all files belong to; `None` for those of this process.
    pub owner: Option<(u32, u32)>,
    /// Permissions of all files: the lowest nine bits count. 0644 unless told.
    pub file_mode: u16,
    /// Permissions of all directories: the lowest nine bits count. 0755 unless told.
    pub directory_mode: u16,
    /// Other users may enter the mount, as far as the permissions let them. Without it, not even root
    /// may, unless it mounts. For others than root it needs `user_allow_other` in `/etc/fuse.conf`.
    pub allow_other: bool,
    /// Changes become durable after this time without an `fsync`; `None` for never. 5 s unless told.
    pub sync_after: Option<Duration>,
    /// Is told of faults that programs see as `EIO` only: that the store fails, or that another opener
    /// has taken the volume over. It is called on the volume's thread, which waits for it. Does nothing
    /// unless told.
    pub tell: Box<dyn FnMut(&str) + Send>,
}

impl Default for MountOptions {
    fn default() -> Self {
        Self {
            read_only: false,
            name: "kvfs".to_owned(),
            owner: None,
            file_mode: 0o644,
            directory_mode: 0o755,
            allow_other: false,
            sync_after: Some(Duration::from_secs(5)),
            tell: Box::new(|_| {}),
        }
    }
}

impl fmt::Debug for MountOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MountOptions")
            .field("read_only", &self.read_only)
            .field("name", &self.name)
            .field("owner", &self.owner)
            .field("file_mode", &format_args!("{:o}", self.file_mode))
            .field("directory_mode", &format_args!("{:o}", self.directory_mode))
            .field("allow_other", &self.allow_other)
            .field("sync_after", &self.sync_after)
            .finish_non_exhaustive()
    }
}

/// Longest source of a mount, in bytes.
const MAX_NAME_BYTES: usize = 255;

impl MountOptions {
    /// The source of the mount, in which nothing can be taken for an option.
    pub(crate) fn source(&self) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._:/-".contains(c);
        let name = self.name.chars().take(MAX_NAME_BYTES);
        let name: String = name.map(|c| if plain(c) { c } else { '_' }).collect();
        if name.is_empty() { "kvfs".to_owned() } else { name }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_bring_options() {
        let options = MountOptions { name: "a,allow_other b\n".to_owned(), ..MountOptions::default() };
        assert_eq!(options.source(), "a_allow_other_b_");
        assert_eq!(MountOptions { name: String::new(), ..MountOptions::default() }.source(), "kvfs");
    }
}
