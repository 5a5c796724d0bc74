//! `kvfs run`: a guest on a store, in wasmtime.

mod args;
mod audit_file;
mod bounds;
mod call;
mod engine;
mod forked;
mod layer_cache;
mod load;

use crate::full::with_room;
use crate::interrupt;
use crate::mounted::MountedDirectory;
use crate::runtime::imports;
use crate::terminal::{one_line, warn};
use anyhow::{Context, Result, bail};
pub(crate) use args::RunArgs;
use audit_file::audit_file;
use call::call;
use engine::{GUEST_STACK_BYTES, HOST_STACK_BYTES};
use forked::Fork;
use kvfs_compose::{DEFAULT_FILE_PATH, Provider};
use kvfs_host::BlockOn;
use load::{Loaded, load};
use std::process::ExitCode;
use wasmtime::component::Component;

pub(crate) fn run(args: &RunArgs) -> Result<ExitCode> {
    let guest = args.guest().display().to_string();
    let Loaded { component, volumes, directories, provider, audit, controls } =
        load(args).with_context(|| guest.clone())?;
    if let Some(Provider::File { path, .. }) = &provider {
        let path = path.as_deref().unwrap_or(DEFAULT_FILE_PATH);
        if !args.dir.iter().any(|(_, preopen)| preopen == path) {
            bail!("{guest}: its store is in the directory {path}; name it with --dir STATE::{path}");
        }
    }
    for mount in &directories {
        if !args.dir.iter().any(|(_, preopen)| *preopen == mount.preopen) {
            let MountedDirectory { path, preopen, .. } = mount;
            bail!(
                "{guest}: a directory of the host is mounted at {path}; name it with --dir HOST-DIR::{preopen}"
            );
        }
    }
    for (_, preopen) in &args.dir {
        if !asks_for(preopen, &directories, provider.as_ref(), &component) {
            bail!("{guest}: no mount and no provider in it asks for a directory {preopen}; leave --dir out");
        }
    }
    let audit_file = match &args.audit_file {
        Some(path) => Some(audit_file(path, audit, &component).with_context(|| guest.clone())?),
        None => None,
    };
    if controls && args.fork_of.is_some() {
        bail!(
            "{guest}: it may make snapshots and forks, which would be named after the volume whose place the fork \
             takes; make the fork with `kvfs volume fork`, and compose the guest to mount it"
        );
    }
    if !imports(&component, "kvfs:store/kv-store@") {
        if args.key.is_given() {
            bail!(
                "{guest}: it has its store within, which a key does not seal; leave the key out, or run it on --store"
            );
        }
        if args.fork_of.is_some() {
            bail!("{guest}: it has its store within, where nothing can be forked; leave --fork-of out");
        }
        if args.layer_cache.is_given() {
            bail!(
                "{guest}: it has its store within, of which nothing is kept on the host; leave --layer-cache and \
                 --layer-cache-dir out"
            );
        }
        args.key.warn_if_unused(&guest);
    }
    if args.key.is_given() {
        args.layer_cache.warn_of_key();
    }
    interrupt::end_in_order()?;
    let layer_cache = args.layer_cache.open()?;
    let kv = args.key.open_for_guest(&args.store, args.store_access, args.create, layer_cache.as_ref())?;
    let fork = Fork::make(args, &volumes, &kv).with_context(|| guest.clone())?;
    let view = fork.as_ref().map(|fork| fork.view(kv.clone())).transpose()?;
    for volume in &volumes {
        let probed = match &view {
            Some(view) => volume.probe(BlockOn(view.clone())),
            None => volume.probe(kv.clone()),
        };
        let probed = probed.with_context(|| format!("{}: volume `{}`", args.store, volume.name));
        probed.map_err(|error| with_room(&args.store, error))?;
    }
    let result = std::thread::scope(|scope| {
        let call = || match (audit_file, view) {
            (Some(file), Some(view)) => call(args, &component, &directories, file.before(view)),
            (Some(file), None) => call(args, &component, &directories, file.before(kv.clone())),
            (None, Some(view)) => call(args, &component, &directories, view),
            (None, None) => call(args, &component, &directories, kv.clone()),
        };
        let stack_bytes = GUEST_STACK_BYTES + HOST_STACK_BYTES;
        let guest = std::thread::Builder::new().stack_size(stack_bytes).spawn_scoped(scope, call)?;
        guest.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let succeeded = matches!(&result, Ok(code) if *code == ExitCode::SUCCESS);
    let is_done = fork.is_none_or(|fork| fork.end(&args.store, succeeded));
    // However the guest ended: what the store has acknowledged must not be lost with this process.
    let closed = args.store.closed(kv.close(), "the data");
    args.layer_cache.end(layer_cache.as_ref());
    let code = result.with_context(|| guest)?;
    closed?;
    if let Some(why) = kv.mark_trouble() {
        warn(format_args!(
            "{}: its mark cannot be written, so a loss may go unnoticed: {}",
            args.store,
            one_line(&why)
        ));
    }
    // A guest that failed has a code of its own.
    Ok(if succeeded && !is_done { ExitCode::FAILURE } else { code })
}

/// Returns whether a mount or the provider of a component uses a directory of this name.
fn asks_for(
    preopen: &str,
    mounts: &[MountedDirectory],
    provider: Option<&Provider>,
    component: &Component,
) -> bool {
    let of_provider = match provider {
        Some(Provider::File { path, .. }) => path.as_deref().unwrap_or(DEFAULT_FILE_PATH) == preopen,
        // The user's own provider may use directories of any name.
        Some(Provider::Component(_)) => imports(component, "wasi:filesystem/"),
        _ => false,
    };
    of_provider || mounts.iter().any(|mount| mount.preopen == preopen)
}
