//! `kvfs compose`.

use crate::busy::Busy;
use crate::composition::CompositionArgs;
use crate::files::{read, same_file, write_whole};
use crate::provider::{ProviderOptions, provider};
use crate::terminal::say;
use anyhow::{Context, Result, bail};
use clap::Args;
use kvfs_compose::ComposeError;
use std::path::PathBuf;

/// Joins a guest with the file system into one component.
#[derive(Args)]
pub(crate) struct ComposeArgs {
    /// A component of WASI 0.2, or a core module for WASI preview1.
    guest: PathBuf,
    /// Where to write the result.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// The source of the store.
    ///
    ///   host       the host that runs the result
    ///   memory     memory of at most SIZE (such as 64M or 2G; 1G by default), gone with the program
    ///   file       a directory that the host preopens as GUEST-DIR (/kvfs by default:
    ///              `wasmtime run --dir STATE::/kvfs`)
    ///   keyvalue   a bucket of the host's wasi:keyvalue, kept as long as that host keeps it
    ///   http://…   the store that `kvfs store-server` keeps there (or https://, with TLS in front of
    ///              it); the host runs the result with -S http
    ///   FILE.wasm  a component that exports kvfs:store/kv-store
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "host|memory[:SIZE]|file[:GUEST-DIR]|keyvalue[:BUCKET]|http://HOST|FILE.wasm",
        default_value = "host"
    )]
    provider: String,
    /// With --provider file: the result opens its store even if that has lost what it had
    /// acknowledged as durable, each time it runs. To go on after a loss; compose again without it
    /// afterwards.
    #[arg(long)]
    accept_loss: bool,
    #[command(flatten)]
    options: ProviderOptions,
    #[command(flatten)]
    composition: CompositionArgs,
}

pub(crate) fn compose(args: &ComposeArgs) -> Result<()> {
    let guest = read(&args.guest)?;
    if same_file(&args.guest, &args.output) {
        bail!("{}: the result would replace the guest; name another output", args.output.display());
    }
    let provider = provider(&args.provider, args.accept_loss, &args.options)?;
    let busy = Busy::new("composing");
    let composed = args
        .composition
        .composer(&guest)
        .on_packing(&|packing| busy.packing(packing))
        .provider(provider)
        .build()
        .map_err(|error| {
            let of_provider = matches!(error, ComposeError::BadProvider { .. });
            let named = if of_provider { args.provider.clone() } else { args.guest.display().to_string() };
            anyhow::Error::new(error).context(named)
        })?;
    write_whole(&args.output, &composed.bytes).with_context(|| {
        format!(
            "cannot write {}, and nothing was changed; name another output, or make room",
            args.output.display()
        )
    })?;
    drop(busy);

    let report = &composed.report;
    let sizes = format!(
        "{}: {} bytes, {} of them added to the guest",
        args.output.display(),
        report.size_bytes,
        report.added_bytes
    );
    say(report.to_string().lines().chain([sizes.as_str()]))
}
