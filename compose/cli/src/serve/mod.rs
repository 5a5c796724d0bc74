//! `kvfs serve`: a page on this machine that shows a store.

// The ground: HTML, answers, parameters, and who may ask.
mod html;

mod answer;

mod guard;
mod query;

// The store that is shown.
mod forks;
mod picture;
mod stores;

// The pages.
mod parts;

mod changed_page;
mod directory_page;
mod file_page;
mod volumes_page;

mod diff_page;
mod raw;

mod route;

use crate::http_listener::listen;
use crate::interrupt;
use crate::sealing::KeyArgs;
use crate::store_url::StoreUrl;
use crate::terminal::say;
use anyhow::{Context, Result};
use clap::Args;
use guard::Guard;
use route::{Site, respond};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use stores::Stores;
use tokio::net::TcpListener;

/// Shows a store in a browser: its volumes and forks, their files, and what differs between two volumes.
///
/// The page is at 127.0.0.1, and its address, which is printed, has a token that nobody can guess: give
/// it to nobody who may not read the store. Nothing can be changed. Contents of files are shown as text,
/// in hexadecimal digits or as pictures, and never run. A guest may be running on the store, but not on
/// one of `redb:`. The command ends on an interrupt.
#[derive(Args)]
pub(crate) struct ServeArgs {
    /// The store, such as `file:DIR`.
    #[arg(long, value_name = "URL")]
    store: StoreUrl,
    #[command(flatten)]
    key: KeyArgs,
    /// The port of 127.0.0.1 to listen on. Port 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// A component that was composed with mounts `overlay:`, for volumes on its packed trees.
    #[arg(long, value_name = "COMPONENT")]
    image: Option<PathBuf>,
}

pub(crate) fn serve(args: ServeArgs) -> Result<()> {
    interrupt::end_in_order()?;
    let stores = Stores::new(&args.store, args.key, args.image.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .max_blocking_threads(route::MAX_PAGES)
        .build()
        .context("cannot start the server's threads")?;
    runtime.block_on(async {
        let asked = (Ipv4Addr::LOCALHOST, args.port);
        let listener = TcpListener::bind(asked).await.with_context(|| {
            format!("cannot listen on port {} of 127.0.0.1; choose another with --port", args.port)
        })?;
        let guard = Guard::new(listener.local_addr().context("the listener has no address")?.port())?;
        say([format!("{} is at {}", args.store, guard.address())])?;
        let site = Site::new(guard, stores);
        listen(&listener, move |request| respond(request, site.clone())).await
    })
}
