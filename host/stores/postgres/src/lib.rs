//! An ordered, atomic key-value store in a table of PostgreSQL.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use kvfs_contract::{AsyncKvStore, Durability, Mutation};
//! use kvfs_postgres_store::{Config, PostgresStore};
//!
//! // The password comes from PGPASSWORD or a password file, as `psql` takes it.
//! let mut config = Config::from_url("postgres://agent@db.example.com/volumes?sslmode=require")?;
//! config.create = true;
//! let store = PostgresStore::open(config).await?;
//! let put = Mutation::Put { key: &b"key"[..], value: &b"value"[..] };
//! store.apply(&[], &[put], Durability::Durable).await?;
//! # Ok(())
//! # }
//! ```
//!
//! A store is used within a tokio runtime. The page `README.md` beside this crate says what is
//! promised, what each call costs and how to run the server.

mod error;
mod passfile;
mod session;

mod url;

mod connect_error;
mod sql;
mod tls;

mod connection;

mod create;

mod server;

mod open;
mod reading;

mod store;

pub use connect_error::OpenError;
pub use store::PostgresStore;
pub use url::{Config, UrlError};
