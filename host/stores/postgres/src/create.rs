//! Makes the database and the tables.

use tokio_postgres::error::SqlState;

use crate::connect_error::OpenError;
use crate::connection::{connect, refusal};
use crate::sql::Sql;
use crate::url::{Config, quote};

/// Makes what is not there.
pub(crate) async fn create(config: &Config, sql: &Sql) -> Result<(), OpenError> {
    let client = match connect(config, "kvfs").await {
        Err(OpenError::NoDatabase { .. }) => {
            create_database(config).await?;
            connect(config, "kvfs").await?
        }
        other => other?,
    };
    client.batch_execute(&sql.create).await.map_err(|error| refusal(&error, config.place()))
}

async fn create_database(config: &Config) -> Result<(), OpenError> {
    let name = config.postgres.get_dbname().or(config.postgres.get_user()).unwrap_or_default().to_owned();
    // Every server has this database, to connect to when there is no other.
    let mut other = config.clone();
    other.postgres.dbname("postgres");
    let client = connect(&other, "kvfs").await?;
    match client.batch_execute(&format!("CREATE DATABASE {}", quote(&name))).await {
        Err(error) if error.code() == Some(&SqlState::DUPLICATE_DATABASE) => Ok(()),
        // Two makers at once: one of them meets the other's name in the catalog.
        Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => Ok(()),
        other => other.map_err(|error| refusal(&error, config.place())),
    }
}
