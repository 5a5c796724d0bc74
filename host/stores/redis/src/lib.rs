//! An ordered, atomic key-value store in Redis or Valkey.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use kvfs_contract::{AsyncKvStore, Durability, Mutation};
//! use kvfs_redis_store::{Config, RedisStore};
//!
//! // The password comes from REDISCLI_AUTH, as `redis-cli` takes it.
//! let mut config = Config::from_url("rediss://cache.example.com/0?prefix=agents")?;
//! config.create = true;
//! let store = RedisStore::open(config).await?;
//! let put = Mutation::Put { key: &b"key"[..], value: &b"value"[..] };
//! store.apply(&[], &[put], Durability::Durable).await?;
//! # Ok(())
//! # }
//! ```
//!
//! A store is used within a tokio runtime. The page `README.md` beside this crate says what is
//! promised, what each call costs and how to run the server.

mod info;
mod scripts;
mod url;

mod open_error;

mod error;

mod connection;

mod server;

mod open;
mod reading;

mod store;

pub use open_error::OpenError;
pub use store::RedisStore;
pub use url::{Config, UrlError};
