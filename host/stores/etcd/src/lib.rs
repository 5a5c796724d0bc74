//! A key-value store in [etcd](https://etcd.io), for small volumes beside a control plane.
//!
//! [`Config::from_url`] takes `etcd://HOST:PORT/PREFIX`, [`EtcdStore::open`] opens it. The store
//! implements [`kvfs_contract::AsyncKvStore`] and needs a tokio runtime with time and I/O. Each
//! function is one request. The crate's README has promises, costs and limits.
//!
//! ```
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use kvfs_contract::{AsyncKvStore, Durability, Mutation};
//! use kvfs_etcd_store::{Config, EtcdStore};
//!
//! let mut config = Config::from_url("etcd://127.0.0.1:2379/agents")?;
//! config.create = true;
//! let store = EtcdStore::open(config).await?;
//! let put = Mutation::Put { key: &b"key"[..], value: &b"value"[..] };
//! store.apply(&[], &[put], Durability::Durable).await?;
//! # Ok(())
//! # }
//! ```

mod error;
mod messages;

mod url;

mod client;

mod space;

mod session;

mod store;

mod open;

pub use error::OpenError;
pub use store::EtcdStore;
pub use url::{Config, UrlError};
