//! Settings of the log: its events and its place, as text in a component's configuration.

use std::fmt;
use std::str::FromStr;

/// Most bytes of lines of one run, if nothing else is set.
pub const DEFAULT_MAX_BYTES: u64 = 256 << 20;

/// The operations that are events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Level {
    /// What opens for writing, writes, or changes names, sizes or times.
    Changes,
    /// Every call on a file or directory.
    All,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changes => "changes",
            Self::All => "all",
        })
    }
}

impl FromStr for Level {
    type Err = BadSettings;

    fn from_str(text: &str) -> Result<Self, BadSettings> {
        match text {
            "changes" => Ok(Self::Changes),
            "all" => Ok(Self::All),
            _ => Err(BadSettings),
        }
    }
}

/// The settings of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// The operations that are events.
    pub level: Level,
    /// Most bytes of lines of one run. Events beyond are counted as lost.
    pub max_bytes: u64,
    /// Whether nothing may be stored while the log cannot be.
    pub required: bool,
    /// The volume that takes the lines; `None` for records beside the volumes.
    pub volume: Option<String>,
}

/// Text that is no settings of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSettings;

impl fmt::Display for BadSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings of the audit log cannot be read")
    }
}

impl std::error::Error for BadSettings {}

impl Settings {
    /// Logs at a level, with defaults for the rest.
    pub fn new(level: Level) -> Self {
        Self { level, max_bytes: DEFAULT_MAX_BYTES, required: false, volume: None }
    }
}

/// Writes the fields with tabs between: level, bytes, `required` or `-`, and `-` or the volume
/// behind `volume:`.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let required = if self.required { "required" } else { "-" };
        write!(f, "{}\t{}\t{required}\t", self.level, self.max_bytes)?;
        match &self.volume {
            Some(name) => write!(f, "volume:{name}"),
            None => f.write_str("-"),
        }
    }
}

impl FromStr for Settings {
    type Err = BadSettings;

    fn from_str(text: &str) -> Result<Self, BadSettings> {
        let mut fields = text.splitn(4, '\t');
        let mut field = || fields.next().ok_or(BadSettings);
        Ok(Self {
            level: field()?.parse()?,
            max_bytes: field()?.parse().map_err(|_| BadSettings)?,
            required: match field()? {
                "required" => true,
                "-" => false,
                _ => return Err(BadSettings),
            },
            volume: match field()? {
                "-" => None,
                sink => Some(sink.strip_prefix("volume:").ok_or(BadSettings)?.to_owned()),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back_and_others_are_refused() {
        let mut settings = Settings::new(Level::Changes);
        assert_eq!(settings.to_string().parse(), Ok(settings.clone()));
        settings.volume = Some("a\tb".into());
        (settings.level, settings.required, settings.max_bytes) = (Level::All, true, u64::MAX);
        assert_eq!(settings.to_string().parse(), Ok(settings));
        for bad in
            ["", "all", "all\t5\t-", "some\t5\t-\t-", "all\tx\t-\t-", "all\t5\tyes\t-", "all\t5\t-\tfile"]
        {
            assert_eq!(bad.parse::<Settings>(), Err(BadSettings), "{bad}");
        }
    }
}
