//! The rules of a mount: what a guest may do at which of its paths.

use crate::error::MountError;
use kvfs::{Policy, PolicyError, Rights};
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Longest file of rules. The configuration of a component has less room.
const MAX_RULES_FILE_BYTES: u64 = 64 << 10;

/// The rules of a mount, in order. The last one that matches a path decides;
/// [`Mount::allow`](crate::Mount::allow()) says what may be done where none does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MountRules {
    /// No rules.
    #[default]
    None,
    /// Those of this file, which is read when the component is composed.
    ///
    /// A line is a rule: rights, a space, and a pattern of paths ([`kvfs::Patterns::add`] has their
    /// syntax), such as `hide **/.env`, `dir-read+file-read conf/**`, `all tmp/**` or
    /// `none secret/**`. Empty lines and lines that begin with `#` are skipped.
    File(PathBuf),
    /// Those of this policy.
    Given(Policy),
}

impl fmt::Display for MountRules {
    /// Writes the option that the command takes, after a comma. There is none for rules without a
    /// file: they are written for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::File(file) => write!(f, ",policy={}", file.display()),
            Self::Given(policy) => {
                policy.rules().try_for_each(|(grant, pattern)| write!(f, ",({grant} {pattern})"))
            }
        }
    }
}

impl MountRules {
    /// Returns the policy of the mount at `path`, reading the file of its rules; `None` if
    /// everything is allowed.
    pub(super) fn read(&self, path: &str, allow: Rights) -> Result<Option<Policy>, MountError> {
        let mut policy = match self {
            Self::None => Policy::default(),
            Self::File(file) => read_file(path, file)?,
            Self::Given(policy) => policy.clone(),
        };
        policy.set_default_rights(allow);
        Ok(Some(policy).filter(|policy| *policy != Policy::default()))
    }
}

fn read_file(path: &str, file: &Path) -> Result<Policy, MountError> {
    let unreadable = |error| MountError::Read { path: path.to_owned(), file: file.to_owned(), error };
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(unreadable)?;
    opened.take(MAX_RULES_FILE_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_RULES_FILE_BYTES {
        let (path, file) = (path.to_owned(), file.to_owned());
        return Err(MountError::RulesTooLarge { path, file, max_bytes: MAX_RULES_FILE_BYTES });
    }
    let mut policy = Policy::default();
    for (number, line) in (1..).zip(text.lines()) {
        add_line(&mut policy, line).map_err(|error| MountError::Rule {
            path: path.to_owned(),
            file: file.to_owned(),
            line: number,
            error,
        })?;
    }
    Ok(policy)
}

/// Adds the rule of a line, if it has one.
fn add_line(policy: &mut Policy, line: &str) -> Result<(), PolicyError> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(());
    }
    let (grant, pattern) = line.split_once(char::is_whitespace).ok_or(PolicyError::NoPattern)?;
    policy.add(grant.parse()?, pattern.trim_start())
}

/// Writes a policy for the adapter: the rights where no rule matches, for the line of its mount,
/// and a line for each rule.
pub(super) fn lines(policy: Option<&Policy>) -> (String, String) {
    let Some(policy) = policy else { return Default::default() };
    let rules = policy.rules().map(|(grant, pattern)| format!("rule={grant} {pattern}\n"));
    (format!(":{}", policy.default_rights()), rules.collect())
}

/// Reads what a mount's line says of rights after its access, `:RIGHTS` or nothing.
pub(super) fn read_default(text: Option<&str>) -> Option<Option<Policy>> {
    let Some(rights) = text else { return Some(None) };
    Some(Some(Policy::new(rights.parse::<Rights>().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mounts::Mount;

    fn read(text: &str) -> Result<Option<Policy>, String> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("rules");
        std::fs::write(&file, text).unwrap();
        let mount: Mount = format!("/=kv,policy={}", file.display()).parse().unwrap();
        let told = |error: MountError| error.to_string().replace(&*file.display().to_string(), "FILE");
        mount.rules.read(&mount.path, mount.allow).map_err(told)
    }

    #[test]
    fn a_file_of_rules_has_a_rule_in_each_line() {
        let text = "# Comments, and empty lines.\n\n  hide **/.env\nall\ttmp/{a,b}/**\r\ndir-read+file-read   a b#c \n";
        let policy = read(text).unwrap().unwrap();
        assert_eq!(policy.to_string(), "allow all; hide **/.env; all tmp/{a,b}/**; dir-read+file-read a b#c");
        assert_eq!(read("# Nothing.\n"), Ok(None));
        assert_eq!(read(""), Ok(None));
    }

    #[test]
    fn an_error_of_a_rule_names_file_and_line() {
        for (text, part) in [
            ("\nhide\n", "FILE, line 2: a rule is rights and a pattern"),
            ("hide a\nread b\n", "FILE, line 2: there is no such right; write `hide`"),
            ("# x\n\nall a//b", "FILE, line 3: two slashes follow each other; write one (at byte 2)"),
            (&"hide a/b\n".repeat(61), "FILE, line 61: all patterns of the set"),
            (&"#".repeat(70_000), "FILE has more than 65536 bytes of rules"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with("mount at /: ") && error.contains(part), "{error}");
        }
        let missing = MountRules::File("no/such".into());
        let error = missing.read("/d", Rights::ALL).unwrap_err();
        assert!(error.to_string().starts_with("mount at /d: cannot read no/such: "), "{error}");
    }
}
