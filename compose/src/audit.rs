//! The audit log that a composition keeps.

use crate::error::ConfigError;
use crate::options::check_volume;
use kvfs_audit::{Level, Settings};
use kvfs_size::ByteSize;
use std::fmt;
use std::str::FromStr;

/// An audit log: JSON lines that tell what the guest did to files.
///
/// The file system writes them itself, so the guest cannot reach them. They go into the same store,
/// beside the volumes, where `kvfs audit` reads them, or into a volume of their own. A host that
/// wraps its store in `kvfs_host::Audited` gets them instead. `adapter/AUDIT.md` describes the
/// lines, what they cost, and what a kill loses.
///
/// ```
/// use kvfs_compose::{Audit, AuditLevel, Compose};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let guest = [];
/// let compose = Compose::new(&guest).audit(Audit::new(AuditLevel::Changes).max_bytes(64 << 20));
/// # assert_eq!("changes,max-bytes=64M".parse(), Ok(Audit::new(AuditLevel::Changes).max_bytes(64 << 20)));
/// # let _ = compose;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit(Settings);

impl Audit {
    /// Logs the operations of a level: at most 256 MiB a run, beside the volumes, not required.
    pub fn new(level: Level) -> Self {
        Self(Settings::new(level))
    }

    /// Sets the most bytes of lines of one run. Events beyond are counted, and the last line tells
    /// the count.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.0.max_bytes = bytes;
        self
    }

    /// Lets the guest change nothing while the log cannot be stored: changes then fail with the
    /// store's error. Otherwise the events are counted, and the guest goes on.
    pub fn required(mut self) -> Self {
        self.0.required = true;
        self
    }

    /// Writes the lines to files of a volume of the store that no mount shows. It must be a volume
    /// for this guest alone, as every volume has one opener at a time.
    pub fn volume(mut self, name: impl Into<String>) -> Self {
        self.0.volume = Some(name.into());
        self
    }

    /// Returns whether the lines go beside the volumes.
    pub(crate) fn is_beside(&self) -> bool {
        self.0.volume.is_none()
    }

    /// Returns the line of the adapter's configuration.
    pub(crate) fn line(&self, is_mounted: impl Fn(&str) -> bool) -> Result<String, ConfigError> {
        if let Some(name) = &self.0.volume {
            check_volume(name)?;
            if is_mounted(name) {
                return Err(ConfigError::AuditVolumeMounted { name: name.clone() });
            }
        }
        Ok(format!("audit={}\n", self.0))
    }

    /// Reads the value of that line.
    pub(crate) fn of_line(value: &str) -> Option<Self> {
        let settings: Settings = value.parse().ok()?;
        // Another spelling of the same settings would be another text of the same file.
        (settings.to_string() == value).then_some(Self(settings))
    }
}

/// Writes the settings for people.
impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { level, max_bytes, required, volume, .. } = &self.0;
        write!(f, "{level}, at most {max_bytes} bytes a run")?;
        f.write_str(if *required { ", required" } else { "" })?;
        match volume {
            Some(name) => write!(f, ", in the volume {name}"),
            None => f.write_str(", beside the volumes"),
        }
    }
}

impl FromStr for Audit {
    type Err = ConfigError;

    /// Parses `changes|all[,max-bytes=SIZE][,volume=NAME][,required]`.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let wrong = || ConfigError::Audit { text: text.to_owned() };
        let mut parts = text.split(',');
        let level = parts.next().unwrap_or_default().parse().map_err(|_| wrong())?;
        parts.try_fold(Self::new(level), |audit, part| match part.split_once('=') {
            None if part == "required" => Ok(audit.required()),
            Some(("max-bytes", size)) => match size.parse() {
                Ok(ByteSize(bytes)) => Ok(audit.max_bytes(bytes)),
                Err(_) => Err(wrong()),
            },
            Some(("volume", name)) => check_volume(name).map(|()| audit.volume(name)),
            _ => Err(wrong()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audits_are_parsed_written_and_read_back() {
        for text in ["all", "changes", "all,required", "changes,max-bytes=4K,volume=log,required"] {
            let audit: Audit = text.parse().unwrap();
            let line = audit.line(|_| false).unwrap();
            let value = line.strip_prefix("audit=").unwrap().strip_suffix('\n').unwrap();
            assert_eq!(Audit::of_line(value), Some(audit), "{text}");
        }
        for text in ["", "some", "all,", "all,optional", "all,max-bytes=x", "all,volume=", "required"] {
            assert!(text.parse::<Audit>().is_err(), "{text}");
        }
        for value in ["", "all", "all\t+5\t-\t-", "all\t5\t-\t-\n", "all\t5\t-\tfile"] {
            assert_eq!(Audit::of_line(value), None, "{value}");
        }
    }

    #[test]
    fn a_mounted_volume_takes_no_log() {
        let audit = Audit::new(Level::All).volume("main");
        let error = audit.line(|name| name == "main").unwrap_err();
        assert!(matches!(error, ConfigError::AuditVolumeMounted { .. }), "{error}");
    }
}
