//! The options of `kvfs settings set` for scrubbing.

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use kvfs::{MAX_SECRET_BYTES, MAX_SECRETS, Scope, Scrubbing};
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Longest file of secrets: the longest secrets, each with a line feed and a carriage return.
const MAX_SECRET_FILE_BYTES: u64 = (MAX_SECRETS * (MAX_SECRET_BYTES + 2)) as u64;

#[derive(Args)]
pub(super) struct ScrubArgs {
    /// Masks secrets in what is stored from now on: in all files, in all except those of
    /// --scrub-path, or only in those. Names and targets of links are masked too. `none` ends it.
    #[arg(long, value_name = "SCOPE")]
    scrub: Option<ScrubScope>,
    /// A pattern of paths from the root of the volume, such as `**/*.log`; may be given several
    /// times.
    #[arg(long = "scrub-path", value_name = "PATTERN", requires = "scrub")]
    paths: Vec<String>,
    /// The file with the secrets, one a line, of 8 to 1,024 bytes each. They are not stored, only
    /// digests of them.
    #[arg(long, value_name = "FILE", requires = "scrub")]
    secret_file: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ScrubScope {
    All,
    None,
    Except,
    Only,
}

impl ScrubArgs {
    /// Returns what is to be scrubbed: `None` if nothing is to change, `Some(None)` for nothing.
    pub(super) fn read(&self) -> Result<Option<Option<Scrubbing>>> {
        let Some(scope) = self.scrub else { return Ok(None) };
        let takes_paths = matches!(scope, ScrubScope::Except | ScrubScope::Only);
        if !takes_paths && !self.paths.is_empty() {
            bail!("--scrub-path is for --scrub except and --scrub only; leave it out, or use one of them");
        }
        let scope = match (scope, &self.secret_file) {
            (ScrubScope::None, Some(_)) => bail!("--scrub none takes no --secret-file; leave it out"),
            (ScrubScope::None, None) => return Ok(Some(None)),
            (ScrubScope::All, _) => Scope::All,
            (ScrubScope::Except, _) => Scope::Except(self.paths.clone()),
            (ScrubScope::Only, _) => Scope::Only(self.paths.clone()),
        };
        let Some(path) = &self.secret_file else {
            bail!(
                "--scrub needs --secret-file FILE: the volume does not keep the secrets it has, only digests"
            );
        };
        let bytes =
            read_secrets(path).with_context(|| format!("{}: cannot read the secrets", path.display()))?;
        let secrets: Vec<&[u8]> = bytes
            .split(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .filter(|line| !line.is_empty())
            .collect();
        let scrubbing = Scrubbing::new(salt(), &secrets, scope);
        scrubbing.map(|scrubbing| Some(Some(scrubbing))).with_context(|| path.display().to_string())
    }
}

fn read_secrets(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_SECRET_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_SECRET_FILE_BYTES {
        bail!("it has more than {MAX_SECRETS} secrets of {MAX_SECRET_BYTES} bytes; give fewer");
    }
    Ok(bytes)
}

/// A salt of the system's randomness. It need not be secret, only differ between volumes.
fn salt() -> [u8; 16] {
    let mut salt = [0; 16];
    for half in salt.chunks_exact_mut(8) {
        half.copy_from_slice(&RandomState::new().hash_one(std::process::id()).to_be_bytes());
    }
    salt
}

/// The lines that show what is scrubbed.
pub(super) fn lines(scrubbing: Option<&Scrubbing>) -> Vec<String> {
    let Some(scrubbing) = scrubbing else { return vec!["scrub: none".to_owned()] };
    let (name, patterns) = match scrubbing.scope() {
        Scope::All => ("all", [].as_slice()),
        Scope::Except(patterns) => ("except", patterns.as_slice()),
        Scope::Only(patterns) => ("only", patterns.as_slice()),
    };
    let lengths = scrubbing.secret_lengths();
    let bytes: Vec<String> = lengths.iter().map(usize::to_string).collect();
    let mut lines = vec![format!("scrub: {name}")];
    lines.extend(patterns.iter().map(|pattern| format!("scrub-path: {pattern}")));
    lines.push(format!("secrets: {}, of {} bytes", lengths.len(), bytes.join(", ")));
    lines
}
