//! Composes a guest with a file system, and prints what was joined:
//!
//! `cargo run -p kvfs-compose --example compose -- GUEST.wasm OUT.wasm`
//!
//! The result keeps its files in a directory: `wasmtime run --dir STATE::/kvfs OUT.wasm`.

use kvfs_compose::{Compose, Mount, Provider};
use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(input), Some(output)) = (args.next(), args.next()) else {
        return Err("usage: compose GUEST.wasm OUT.wasm".into());
    };
    let guest = std::fs::read(input)?;

    // The volume `main`, at the root of the guest's tree, holds at most 64 MiB.
    let root: Mount = "/=kv:main,max-bytes=64M".parse()?;
    // Without a provider, the result imports its store from the host.
    let store = Provider::File { path: None, accept_loss: false };
    let composed = Compose::new(&guest).mount(root).provider(store).build()?;

    print!("{}", composed.report);
    std::fs::write(output, composed.bytes)?;
    Ok(())
}
