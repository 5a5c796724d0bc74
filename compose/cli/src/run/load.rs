//! From the file of a guest to a compiled component.

use super::args::RunArgs;
use super::engine::engine;
use crate::busy::Busy;
use crate::composition::COMPOSITION_OPTIONS;
use crate::files::read;
use crate::mounted::{MountedDirectory, MountedVolume};
use crate::runtime::plain;
use anyhow::{Context, Result, bail};
use kvfs_compose::{
    ComposeError, Provider, fixed_mounts, fixed_volume_control, keeps_audit_log, may_be_same, recompose,
};
use std::sync::Arc;
use std::thread::JoinHandle;
use wasmtime::component::Component;

/// A compiled guest and its mounts.
pub(super) struct Loaded {
    pub(super) component: Component,
    pub(super) volumes: Vec<MountedVolume>,
    pub(super) directories: Vec<MountedDirectory>,
    /// The provider inside a guest that was composed before.
    pub(super) provider: Option<Provider>,
    /// True if it keeps an audit log beside its volumes.
    pub(super) audit: bool,
    /// True if the guest may make snapshots and forks of its volumes.
    pub(super) controls: bool,
}

/// Reads a guest, composes it (again from its parts if it is composed already), and compiles it.
pub(super) fn load(args: &RunArgs) -> Result<Loaded> {
    let input = Arc::new(read(args.guest())?);
    let busy = Busy::new("composing");
    let built = args.composition.composer(&input).on_packing(&|packing| busy.packing(packing)).build();
    drop(busy);
    let (mut as_it_is, mut again) = (false, None);
    let composed = match built {
        Ok(done) => Some(done.bytes),
        Err(ComposeError::AsksForStore { .. }) if args.allow_raw_store => {
            if args.composition.is_given() {
                bail!("it is run as it is, and nothing is composed; run it without {COMPOSITION_OPTIONS}");
            }
            as_it_is = true;
            None
        }
        Err(ComposeError::AlreadyComposed) => {
            if args.composition.is_given() {
                bail!(
                    "already composed, with all that composition fixes; run it without {COMPOSITION_OPTIONS}"
                );
            }
            as_it_is = args.allow_raw_store;
            again = if as_it_is { None } else { Some(Recomposing::start(&input)) };
            None
        }
        Err(error) => return Err(error.into()),
    };

    let engine = engine(&args.bounds)?;
    let _busy = Busy::new("compiling");
    let compile = |bytes: &[u8]| Component::new(&engine, bytes).map_err(plain).context("cannot compile it");
    let (compiled, composed, provider) = match again {
        None => (compile(composed.as_deref().unwrap_or(&input)), composed, None),
        Some(again) => {
            // Compiling takes minutes without a cache: worth it early only if recomposing will
            // likely change nothing.
            let early = may_be_same(&input).then(|| compile(&input));
            let (made, provider) = again.finish()?;
            let compiled = match (&made, early) {
                // An error of `early` is dropped: the input is not what runs.
                (Some(made), _) => compile(made),
                (None, Some(compiled)) => compiled,
                (None, None) => compile(&input),
            };
            (compiled, made, Some(provider))
        }
    };
    // Mounts are not read from a guest that is run as it is: it may state any.
    let mounts = if as_it_is { Vec::new() } else { fixed_mounts(composed.as_deref().unwrap_or(&input)) };
    let audit = !as_it_is && keeps_audit_log(composed.as_deref().unwrap_or(&input));
    let controls = !as_it_is && fixed_volume_control(composed.as_deref().unwrap_or(&input)).is_some();
    let (volumes, directories) = (MountedVolume::all(&mounts)?, MountedDirectory::all(&mounts));
    Ok(Loaded { component: compiled?, volumes, directories, provider, audit, controls })
}

/// A thread that composes a result again from its parts: what a file says of itself is not trusted.
/// The same bytes usually come out, so the input is compiled meanwhile.
struct Recomposing(JoinHandle<Result<Made, ComposeError>>);

/// The recomposed bytes, unless they equal the input, and the provider inside.
type Made = (Option<Vec<u8>>, Provider);

impl Recomposing {
    fn start(input: &Arc<Vec<u8>>) -> Self {
        let input = input.clone();
        Self(std::thread::spawn(move || {
            let made = recompose(&input)?;
            let other = if made.is_same() { None } else { Some(made.bytes.into_owned()) };
            Ok((other, made.provider))
        }))
    }

    fn finish(self) -> Result<Made> {
        let made = self.0.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        if made.0.is_some() {
            tracing::info!(
                "another build made it, or it was changed since: running the result of composing its parts again"
            );
        }
        Ok(made)
    }
}
