//! A key-value store in an object store (S3, GCS, Azure, a directory), over
//! [SlateDB](https://slatedb.io).
//!
//! [`Config::from_url`] takes `slatedb:s3://bucket/path` and the like, [`SlateStore::open`] opens
//! it. The store implements [`kvfs_contract::AsyncKvStore`] and needs a tokio runtime with time and
//! I/O, in which SlateDB also runs its own tasks. The crate's README has promises, costs and limits.
//!
//! ```
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use kvfs_contract::{AsyncKvStore, Durability, Mutation};
//! use kvfs_slatedb_store::{Config, SlateStore};
//!
//! let mut config = Config::from_url("slatedb:s3://bucket/agents")?;
//! config.create = true;
//! let store = SlateStore::open(config).await?;
//! let put = Mutation::Put { key: &b"key"[..], value: &b"value"[..] };
//! store.apply(&[], &[put], Durability::Durable).await?;
//! store.close().await?;
//! # Ok(())
//! # }
//! ```

mod clock;
mod reach;

mod error;

mod requests;
mod url;

mod bucket;
mod marker;
mod place;
mod store;

mod open;

pub use error::OpenError;
pub use requests::Counts;
pub use store::SlateStore;
pub use url::{Config, Place, UrlError};
