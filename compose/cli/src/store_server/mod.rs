//! `kvfs store-server`: a store for components and hosts elsewhere, over HTTP/1.1.

mod answer;
mod serve;

use crate::interrupt;
use crate::provider::read_token;
use crate::sealing::KeyArgs;
use crate::store_url::{StoreUrl, forms_help};
use crate::terminal::{say, warn};
use anyhow::{Context, Result};
use clap::Args;
use serve::{Shared, serve};
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::net::TcpListener;

/// Keeps a store for components and hosts on other machines, over HTTP/1.1.
///
/// A component that was composed with `--provider http://HOST:PORT --token-file FILE` has its files
/// here. Who has the token has the whole store, so give each tenant a server of its own. The
/// server speaks no TLS: put a proxy in front of it wherever the network is not yours, and compose
/// with https://. It prints its address when it is ready, and ends in order on an interrupt.
#[derive(Args)]
pub(crate) struct StoreServerArgs {
    // Its help lists the kinds of stores that this build knows.
    #[arg(long, help = forms_help("The store"))]
    store: StoreUrl,
    #[command(flatten)]
    key: KeyArgs,
    /// The address to listen on. Port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7780")]
    listen: SocketAddr,
    /// A file whose first line is the token that clients show: 16 to 512 letters, digits and
    /// -._~+/=, such as `openssl rand -hex 32` prints.
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
}

pub(crate) fn store_server(args: &StoreServerArgs) -> Result<()> {
    let token = read_token(&args.token_file)?;
    interrupt::end_in_order()?;
    let store = args.key.open(&args.store)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(serve::MAX_CALLS)
        .build()
        .context("cannot start the server's threads")?;
    runtime.block_on(async {
        let listener = TcpListener::bind(args.listen)
            .await
            .with_context(|| format!("cannot listen on {}; choose another with --listen", args.listen))?;
        let address = listener.local_addr().context("the listener has no address")?;
        if !address.ip().is_loopback() {
            warn(format_args!(
                "{address}: the token and all files cross the network as they are; put TLS in front of it, or \
                 listen on 127.0.0.1"
            ));
        }
        say([format!("{} is at http://{address}", args.store)])?;
        serve(&listener, Shared::new(store, &token)).await
    })
}
