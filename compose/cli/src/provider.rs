//! `--provider`, for `compose` and `check-store`.

use crate::files::read;
use anyhow::{Result, bail};
use kvfs_compose::{ByteSize, Provider};
use std::path::Path;

/// Reads the value of `--provider`; the file of a component is read whole. The provider `file`
/// accepts a loss with `accept_loss`, which is refused with any other.
pub(crate) fn provider(name: &str, accept_loss: bool) -> Result<Provider> {
    let (kind, rest) = name.split_once(':').map_or((name, None), |(kind, rest)| (kind, Some(rest)));
    if accept_loss && kind != "file" {
        bail!("--provider {name}: it notices no loss that could be accepted; leave --accept-loss out");
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
