//! What a result says of itself in words: the text of the section `kvfs`.

use crate::options::Link;
use crate::provider::Provider;

/// A line of the text: guest and file system are linked at core level.
const LINKED: &str = "link=core";

/// A line of the text: the provider is a component of its own.
pub(super) const OWN_PROVIDER: &str = "provider=component";

/// Keys of the lines that are not the file system's own.
const NOT_CONFIG: [&str; 7] = ["version", "link", "share", "provider", "size", "path", "bucket"];

/// What a result says of itself. Anybody can write that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The version of kvfs that made it.
    pub(crate) version: String,
    pub(crate) link: Link,
    /// Packages that guest and provider share.
    pub(crate) shared: Vec<String>,
    /// The configuration of the file system: lines `key=value`.
    pub(crate) config: String,
    /// The lines of the provider; empty if the store is the host's.
    pub(crate) provider: String,
}

impl Mark {
    /// Reads the text of a section `kvfs`.
    pub(crate) fn parse(text: &str) -> Self {
        let mut mark = Self { version: "unknown".into(), ..Self::default() };
        for line in text.lines() {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            match key {
                "version" => value.clone_into(&mut mark.version),
                _ if line == LINKED => mark.link = Link::Core,
                "share" => mark.shared.push(value.to_owned()),
                _ => {
                    let lines = if NOT_CONFIG.contains(&key) { &mut mark.provider } else { &mut mark.config };
                    *lines += line;
                    *lines += "\n";
                }
            }
        }
        mark
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!("version={}\n", self.version);
        if self.link == Link::Core {
            text += LINKED;
            text += "\n";
        }
        text.extend(self.shared.iter().map(|package| format!("share={package}\n")));
        text + &self.config + &self.provider
    }

    /// Whether the provider is a component of its own.
    pub(crate) fn has_own_provider(&self) -> bool {
        self.provider.lines().any(|line| line == OWN_PROVIDER)
    }

    /// Returns where the store is. A provider of its own comes without its bytes.
    ///
    /// # Errors
    ///
    /// None for lines that this version does not know.
    pub(crate) fn provider(&self) -> Option<Provider> {
        match self.provider.as_str() {
            "" => Some(Provider::Host),
            _ if self.has_own_provider() => Some(Provider::Component(Vec::new())),
            lines => Provider::of_config(lines),
        }
    }
}

/// Returns the lines that say which provider it is.
pub(crate) fn provider_lines(provider: &Provider) -> String {
    match provider {
        Provider::Component(_) => format!("{OWN_PROVIDER}\n"),
        other => other.config(),
    }
}
