//! The text in the section `kvfs` of a result.

use crate::options::Link;
use crate::provider::Provider;

/// A line of the text: guest and file system are linked at core level.
const LINKED: &str = "link=core";

/// A line of the text: the provider does not come with the library.
pub(super) const OWN_PROVIDER: &str = "provider=component";

/// Keys of the lines that do not configure the file system.
const NOT_CONFIG: [&str; 10] =
    ["version", "link", "share", "provider", "size", "path", "accept-loss", "bucket", "server", "token"];

/// The text that a result states. Anybody can write such a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The version of kvfs that made it.
    pub(crate) version: String,
    pub(crate) link: Link,
    /// Packages that guest and provider share.
    pub(crate) shared: Vec<String>,
    /// The configuration of the file system: lines `key=value`.
    pub(crate) config: String,
    /// The lines of the provider; empty for [`Provider::Host`].
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

    /// Returns true if the provider does not come with the library.
    pub(crate) fn has_own_provider(&self) -> bool {
        self.provider.lines().any(|line| line == OWN_PROVIDER)
    }

    /// Returns the provider; `None` for lines that this version does not know. One that does not
    /// come with the library is returned without its bytes.
    pub(crate) fn provider(&self) -> Option<Provider> {
        match self.provider.as_str() {
            "" => Some(Provider::Host),
            _ if self.has_own_provider() => Some(Provider::Component(Vec::new())),
            lines => Provider::of_config(lines),
        }
    }
}

/// Returns the lines of a provider.
pub(crate) fn provider_lines(provider: &Provider) -> String {
    match provider {
        Provider::Component(_) => format!("{OWN_PROVIDER}\n"),
        other => other.config(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_of_a_provider_is_read_as_it_was_written() {
        let (size, path, bucket) = (Some(1 << 20), Some("/kept".to_owned()), Some("mine".to_owned()));
        let providers = [
            Provider::Host,
            Provider::Memory { size_bytes: size },
            Provider::File { path, accept_loss: true },
            Provider::File { path: None, accept_loss: false },
            Provider::Keyvalue { bucket },
            Provider::Http {
                server: "http://store:8080".to_owned(),
                token: "0123456789abcdef".parse().unwrap(),
            },
            Provider::Component(Vec::new()),
        ];
        for provider in providers {
            let mark = Mark {
                version: "1".into(),
                config: "mode=lazy\n".into(),
                provider: provider_lines(&provider),
                ..Mark::default()
            };
            let read = Mark::parse(&mark.text());
            assert_eq!(read, mark);
            let text = |provider: &Provider| format!("{provider:?}");
            assert_eq!(read.provider().as_ref().map(text), Some(text(&provider)));
        }
    }
}
