//! Clients of object stores.

use crate::bucket::NewBucket;
use crate::error::{OpenError, in_a_line};
use crate::url::{Config, Place};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// Retries of one request by its client. SlateDB repeats the whole after them.
const MAX_RETRIES: usize = 4;

/// The longest time until a connection stands.
const CONNECT: Duration = Duration::from_secs(5);

/// An object store, and whether it keeps what it acknowledged through a crash of its machine.
pub(crate) struct Objects {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) durable: bool,
    /// False if an object cannot be overwritten under a condition.
    pub(crate) overwrites_conditionally: bool,
    /// Its bucket, where one that is missing can be made.
    pub(crate) bucket: Option<NewBucket>,
}

/// Makes the client of a place. Nothing is sent.
pub(crate) fn objects(config: &Config) -> Result<Objects, OpenError> {
    let wrong = |why: String| OpenError::Settings { why };
    let remote = |store: Arc<dyn ObjectStore>| Objects {
        store,
        durable: true,
        overwrites_conditionally: true,
        bucket: None,
    };
    match &config.place {
        Place::S3 { bucket } => {
            provide_cryptography();
            let mut builder = AmazonS3Builder::from_env();
            for (key, value) in settings::<AmazonS3ConfigKey>(config)? {
                builder = builder.with_config(key, value);
            }
            let builder = builder.with_bucket_name(bucket).with_retry(retry(config));
            let client = client(
                config,
                builder
                    .get_config_value(&AmazonS3ConfigKey::Client(object_store::ClientConfigKey::AllowHttp)),
            );
            let region = builder.get_config_value(&AmazonS3ConfigKey::Region);
            let store = builder.with_client_options(client.clone()).build();
            let store = Arc::new(store.map_err(|error| wrong(in_a_line(&error)))?);
            let bucket = NewBucket { client: store.clone(), options: client, region };
            Ok(Objects { bucket: Some(bucket), ..remote(store) })
        }
        Place::Gcs { bucket } => {
            provide_cryptography();
            let mut builder = GoogleCloudStorageBuilder::from_env();
            for (key, value) in settings::<GoogleConfigKey>(config)? {
                builder = builder.with_config(key, value);
            }
            let builder = builder.with_bucket_name(bucket).with_retry(retry(config));
            let client = client(
                config,
                builder.get_config_value(&GoogleConfigKey::Client(object_store::ClientConfigKey::AllowHttp)),
            );
            let store = builder.with_client_options(client).build();
            Ok(remote(Arc::new(store.map_err(|error| wrong(in_a_line(&error)))?)))
        }
        Place::Azure { container } => {
            provide_cryptography();
            let mut builder = MicrosoftAzureBuilder::from_env();
            for (key, value) in settings::<AzureConfigKey>(config)? {
                builder = builder.with_config(key, value);
            }
            let builder = builder.with_container_name(container).with_retry(retry(config));
            let client = client(
                config,
                builder.get_config_value(&AzureConfigKey::Client(object_store::ClientConfigKey::AllowHttp)),
            );
            let store = builder.with_client_options(client).build();
            let unnamed = |error| {
                wrong(format!(
                    "{}; set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or other settings of Azure",
                    in_a_line(&error)
                ))
            };
            Ok(remote(Arc::new(store.map_err(unnamed)?)))
        }
        Place::Directory { directory } => {
            if config.read_only && !directory.is_dir() {
                return Err(OpenError::MissingStore);
            }
            std::fs::create_dir_all(directory).map_err(|error| wrong(in_a_line(&error)))?;
            let store = LocalFileSystem::new_with_prefix(directory);
            let store = store.map_err(|error| wrong(in_a_line(&error)))?.with_fsync(true);
            Ok(Objects { overwrites_conditionally: false, ..remote(Arc::new(store)) })
        }
        Place::Given { objects, durable } => Ok(Objects { durable: *durable, ..remote(objects.clone()) }),
    }
}

/// Reads the names of the settings given beside the environment.
fn settings<K: FromStr>(config: &Config) -> Result<Vec<(K, String)>, OpenError> {
    let read = |(name, value): &(String, kvfs_contract::Secret)| match K::from_str(&name.to_ascii_lowercase())
    {
        Ok(key) => Ok((key, value.reveal().to_owned())),
        Err(_) => {
            Err(OpenError::Settings { why: format!("there is no setting {name} of this object store") })
        }
    };
    config.settings.iter().map(read).collect()
}

fn retry(config: &Config) -> RetryConfig {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(2),
        base: 2.0,
    };
    RetryConfig { backoff, max_retries: MAX_RETRIES, retry_timeout: config.patience }
}

fn client(config: &Config, allow_http: Option<String>) -> ClientOptions {
    let allow_http = allow_http.is_some_and(|value| matches!(&value[..], "1" | "true" | "yes" | "on"));
    ClientOptions::new()
        .with_allow_http(allow_http)
        .with_connect_timeout(CONNECT.min(config.patience))
        .with_timeout(config.patience)
}

/// Lets TLS connections of the process use ring, unless another provider is installed already.
fn provide_cryptography() {
    // An error says that there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
