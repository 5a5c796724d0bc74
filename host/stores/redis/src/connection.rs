//! A connection to a server that can hold the store, with its scripts.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, RedisError, TlsCertificates, cmd};
use tokio::time::timeout;

use crate::error::{refusal, words};
use crate::info::{Keeps, look};
use crate::open_error::OpenError;
use crate::scripts::{Loaded, texts};
use crate::url::Config;

/// A connection. Calls on clones of it follow each other without waiting.
pub(crate) struct Connection {
    redis: MultiplexedConnection,
    pub(crate) scripts: Loaded,
    pub(crate) keeps: Keeps,
}

impl Connection {
    /// Connects, looks at the server and brings it the scripts.
    pub(crate) async fn open(config: &Config) -> Result<Self, OpenError> {
        let place = || config.place();
        let patience = config.patience / 3;
        let client = client(config)?;
        let silent = || OpenError::Unreachable {
            place: place(),
            why: format!("no answer within {} s", patience.as_secs_f32()),
        };
        // The store has its own times.
        let settings = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let connecting = async {
            let redis = client.get_multiplexed_async_connection_with_config(&settings).await;
            Self::prepare(config, redis.map_err(|error| refusal(&error, place()))?).await
        };
        timeout(patience, connecting).await.unwrap_or_else(|_| Err(silent()))
    }

    async fn prepare(config: &Config, mut redis: MultiplexedConnection) -> Result<Self, OpenError> {
        let refused = |error: RedisError| refusal(&error, config.place());
        let info: String = cmd("INFO").query_async(&mut redis).await.map_err(refused)?;
        // Some services do not tell their settings.
        let settings: Vec<String> = cmd("CONFIG")
            .arg(&["GET", "appendfsync", "no-appendfsync-on-rewrite"])
            .query_async(&mut redis)
            .await
            .unwrap_or_default();
        let setting = |name: &str| {
            let pairs = settings.as_chunks::<2>().0;
            pairs.iter().find(|[known, _]| known == name).map(|[_, value]| value.as_str()).unwrap_or_default()
        };
        let keeps = look(&info, setting("appendfsync"), setting("no-appendfsync-on-rewrite"))
            .map_err(|why| OpenError::Server { place: config.place(), why })?;
        for (part, own) in [("keys", "zset"), ("values", "hash")] {
            let name = config.name(part);
            let kind: String = cmd("TYPE").arg(&name).query_async(&mut redis).await.map_err(refused)?;
            if kind != own && kind != "none" {
                return Err(OpenError::Taken { name, place: config.place() });
            }
        }
        let mut loaded = Vec::new();
        for text in texts() {
            let name: String =
                cmd("SCRIPT").arg("LOAD").arg(text).query_async(&mut redis).await.map_err(refused)?;
            loaded.push(name);
        }
        let loaded = loaded.try_into().map_err(|_| OpenError::Other {
            place: config.place(),
            why: "the scripts were not loaded".to_owned(),
        })?;
        Ok(Self { redis, scripts: Loaded::new(loaded), keeps })
    }

    /// Sends a command and waits for its answer. The first poll sends it.
    pub(crate) async fn call<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, RedisError> {
        command.query_async(&mut self.redis.clone()).await
    }
}

fn client(config: &Config) -> Result<Client, OpenError> {
    let place = || config.place();
    let info = config.redis.clone();
    if !matches!(info.addr(), redis::ConnectionAddr::TcpTls { .. }) {
        return Client::open(info).map_err(|error| refusal(&error, place()));
    }
    // Another library of the process may have chosen one; both will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Some(file) = &config.roots else {
        return Client::open(info).map_err(|error| refusal(&error, place()));
    };
    let unreadable =
        |why: String| OpenError::Tls { place: place(), why: format!("{}: {why}", file.display()) };
    let roots = std::fs::read(file).map_err(|error| unreadable(error.to_string()))?;
    let certificates = TlsCertificates { client_tls: None, root_cert: Some(roots) };
    Client::build_with_tls(info, certificates).map_err(|error| unreadable(words(&error)))
}

/// A time for the server, in seconds.
pub(crate) fn seconds(time: Duration) -> u64 {
    time.as_secs().max(1)
}
