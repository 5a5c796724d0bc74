//! `--provider`, for `compose` and `check-store`.

use crate::files::{read, read_secret};
use anyhow::{Context, Result, bail};
use clap::Args;
use kvfs_compose::{ByteSize, Provider, Token};
use std::path::{Path, PathBuf};

/// What goes with some providers alone.
#[derive(Args)]
pub(crate) struct ProviderOptions {
    /// With --provider http://HOST: a file with the token that the store server asks for.
    ///
    /// The result contains the token: who has the result has the store. The guest cannot read it.
    #[arg(long, value_name = "FILE", requires = "provider")]
    pub(crate) token_file: Option<PathBuf>,
}

/// Reads the value of `--provider`; the file of a component is read whole. The provider `file`
/// accepts a loss with `accept_loss`, and a server asks for a token. Both are refused with any
/// other.
pub(crate) fn provider(name: &str, accept_loss: bool, options: &ProviderOptions) -> Result<Provider> {
    let (kind, rest) = name.split_once(':').map_or((name, None), |(kind, rest)| (kind, Some(rest)));
    if accept_loss && kind != "file" {
        bail!("--provider {name}: it notices no loss that could be accepted; leave --accept-loss out");
    }
    let is_server = rest.is_some_and(|rest| rest.starts_with("//"));
    match &options.token_file {
        Some(file) if !is_server => {
            bail!("--provider {name}: it asks for no token; leave --token-file {} out", file.display())
        }
        None if is_server => bail!("--provider {name}: which token? Give --token-file FILE"),
        Some(file) => {
            let token = read_token(file)?;
            return Ok(Provider::Http { server: name.to_owned(), token });
        }
        None => {}
    }
    Ok(match (kind, rest) {
        ("host", None) => Provider::Host,
        ("memory" | "file" | "keyvalue", Some("")) => {
            bail!("--provider {name}: nothing follows the colon; write `{kind}`, or a value after the colon")
        }
        ("memory", None) => Provider::Memory { size_bytes: None },
        ("memory", Some(size)) => Provider::Memory { size_bytes: Some(size.parse::<ByteSize>()?.0) },
        ("file", path) => Provider::File { path: path.map(str::to_owned), accept_loss },
        ("keyvalue", bucket) => Provider::Keyvalue { bucket: bucket.map(str::to_owned) },
        _ => Provider::Component(read(Path::new(name))?),
    })
}

/// Reads a token: the first line of a file.
pub(crate) fn read_token(file: &Path) -> Result<Token> {
    let text = read_secret(file)?;
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line.trim_ascii());
    line.parse().with_context(|| file.display().to_string())
}
