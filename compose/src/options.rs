//! Options that are fixed at build time, as lines `key=value`. `wasm::embed` writes them into a
//! module.

use crate::error::ConfigError;
use crate::instance::InstanceLimits;
use crate::limits::{MAX_OWN_VOLUMES, MAX_VOLUME_NAME_BYTES};
use std::fmt;
use std::str::FromStr;

/// When what was written is committed to the store.
///
/// A commit at the end of the program is durable in every mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// At every operation.
    Strict,
    /// At the close of a file and at every change of a directory.
    #[default]
    Close,
    /// When much is dirty, on sync, and at the end.
    Lazy,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strict => "strict",
            Self::Close => "close",
            Self::Lazy => "lazy",
        })
    }
}

impl FromStr for Mode {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "strict" => Ok(Self::Strict),
            "close" => Ok(Self::Close),
            "lazy" => Ok(Self::Lazy),
            other => Err(ConfigError::UnknownMode { mode: other.to_owned() }),
        }
    }
}

/// The way in which guest and adapter are joined. The file system behaves the same in both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Link {
    /// As components: every file call goes through the runtime, which copies what it passes. Takes
    /// any guest.
    #[default]
    Component,
    /// As core modules in one component: a file call is a core-wasm call, several times faster. A
    /// guest that cannot be linked is composed as components instead;
    /// [`Report::not_linked`](crate::Report::not_linked) says why.
    Core,
}

impl FromStr for Link {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "component" => Ok(Self::Component),
            "core" => Ok(Self::Core),
            _ => Err("use `component` or `core`".to_owned()),
        }
    }
}

/// The options of the file system. The adapter reads them when it starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) mode: Option<Mode>,
    pub(crate) volume: Option<String>,
    /// The most snapshots and forks that the guest may have of each volume; `None` if it may make none.
    pub(crate) own_volumes: Option<u32>,
    pub(crate) limits: InstanceLimits,
}

impl Config {
    /// Returns the lines `key=value`; empty if every option has its default.
    pub(crate) fn text(&self) -> Result<String, ConfigError> {
        let mut text = String::new();
        if let Some(mode) = self.mode {
            text += &format!("mode={mode}\n");
        }
        if let Some(name) = &self.volume {
            check_volume(name)?;
            text += &format!("volume={name}\n");
        }
        if let Some(volumes) = self.own_volumes {
            check_own_volumes(volumes)?;
            text += &format!("{OWN_VOLUMES}={volumes}\n");
        }
        Ok(text + &self.limits.lines()?)
    }

    /// Returns the volume of mounts that name none.
    pub(crate) fn volume(&self) -> &str {
        self.volume.as_deref().unwrap_or(kvfs::DEFAULT_VOLUME)
    }
}

/// The key of the line that allows control of volumes.
pub(crate) const OWN_VOLUMES: &str = "volume-control";

/// Checks how many snapshots and forks a guest may have of each volume.
fn check_own_volumes(volumes: u32) -> Result<(), ConfigError> {
    match (1..=MAX_OWN_VOLUMES).contains(&volumes) {
        true => Ok(()),
        false => Err(ConfigError::OwnVolumes { volumes }),
    }
}

/// Reads the value of that line; `None` if composition would not write it so.
pub(crate) fn read_own_volumes(value: &str) -> Option<u32> {
    let volumes: u32 = value.parse().ok()?;
    (check_own_volumes(volumes).is_ok() && volumes.to_string() == value).then_some(volumes)
}

/// Checks the name of a volume.
pub(crate) fn check_volume(name: &str) -> Result<(), ConfigError> {
    if name.is_empty() || name.len() > MAX_VOLUME_NAME_BYTES {
        return Err(ConfigError::VolumeLength { length_bytes: name.len() });
    }
    if name.chars().any(char::is_control) {
        return Err(ConfigError::VolumeCharacters { name: name.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_own_volumes_are_checked_and_read_as_they_were_written() {
        let text = |volumes| Config { own_volumes: Some(volumes), ..Config::default() }.text();
        assert_eq!(text(1).unwrap(), "volume-control=1\n");
        assert_eq!(read_own_volumes("1024"), Some(1024));
        assert_eq!(text(0), Err(ConfigError::OwnVolumes { volumes: 0 }));
        assert_eq!(text(1025), Err(ConfigError::OwnVolumes { volumes: 1025 }));
        for value in ["", "0", "01", "+1", "1025", "64 ", "many"] {
            assert_eq!(read_own_volumes(value), None, "{value}");
        }
        assert!(Config::default().text().unwrap().is_empty());
    }

    #[test]
    fn names_of_volumes_are_checked() {
        let volume = |name: &str| Config { volume: Some(name.into()), ..Config::default() }.text();
        assert!(volume(&"v".repeat(255)).is_ok());
        assert!(matches!(volume(""), Err(ConfigError::VolumeLength { length_bytes: 0 })));
        assert!(matches!(volume(&"v".repeat(256)), Err(ConfigError::VolumeLength { length_bytes: 256 })));
        assert!(matches!(volume("a\nmode=lazy"), Err(ConfigError::VolumeCharacters { .. })));
        assert!("eager".parse::<Mode>().is_err());
    }
}
