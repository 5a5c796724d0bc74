//! The object that says whose store a path holds, and tells whether the server can hold writers
//! apart.

use crate::error::{OpenError, opening};
use futures_util::StreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutPayload};

/// Name of the object below the store's path.
const NAME: &str = "kvfs-store";

/// What it holds. The number counts forms of keys in the database.
const CONTENT: &[u8] = b"kvfs in SlateDB, form 1\n";

/// Most bytes that are read of an object with this name.
const MAX_CONTENT_BYTES: u64 = 64;

/// Checks that `path` holds a store of ours. With `create`, makes it one if it holds nothing.
///
/// SlateDB keeps a second writer out by creating objects that must not be there yet. Some servers
/// of S3's protocol ignore that condition. So the marker is created again each time: a server that
/// does not refuse is not used.
///
/// # Cost
/// One get and one put; of a new store one list and one put more.
pub(crate) async fn check(objects: &dyn ObjectStore, path: &Path, create_it: bool) -> Result<(), OpenError> {
    let marker = path.clone().join(NAME);
    if !is_there(objects, &marker).await? {
        check_empty(objects, path).await?;
        if !create_it {
            return Err(OpenError::MissingStore);
        }
        create(objects, &marker).await?;
    }
    match create(objects, &marker).await? {
        Created::Refused => Ok(()),
        Created::Made => Err(OpenError::Unconditional),
    }
}

/// Checks that `path` holds a store of ours, and changes nothing.
///
/// # Cost
/// One get.
pub(crate) async fn check_only(objects: &dyn ObjectStore, path: &Path) -> Result<(), OpenError> {
    if is_there(objects, &path.clone().join(NAME)).await? {
        return Ok(());
    }
    check_empty(objects, path).await?;
    Err(OpenError::MissingStore)
}

async fn is_there(objects: &dyn ObjectStore, marker: &Path) -> Result<bool, OpenError> {
    let found = match objects.get(marker).await {
        Ok(found) => found,
        Err(Error::NotFound { .. }) => return Ok(false),
        Err(error) => return Err(opening(&error)),
    };
    let fits = found.meta.size <= MAX_CONTENT_BYTES;
    let content = if fits { found.bytes().await.map_err(|error| opening(&error))? } else { "".into() };
    if content == CONTENT {
        return Ok(true);
    }
    let what = format!("{NAME} there is not of this version of kvfs");
    Err(OpenError::NotAStore { what })
}

async fn check_empty(objects: &dyn ObjectStore, path: &Path) -> Result<(), OpenError> {
    match objects.list(Some(path)).next().await {
        None => Ok(()),
        Some(Ok(found)) => {
            let what = format!("there is {} and no {NAME}", found.location);
            Err(OpenError::NotAStore { what })
        }
        Some(Err(error)) => Err(opening(&error)),
    }
}

/// What became of an object that was only to be created.
enum Created {
    Made,
    Refused,
}

async fn create(objects: &dyn ObjectStore, marker: &Path) -> Result<Created, OpenError> {
    let content = PutPayload::from_static(CONTENT);
    match objects.put_opts(marker, content, PutMode::Create.into()).await {
        Ok(_) => Ok(Created::Made),
        Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(Created::Refused),
        Err(Error::NotImplemented { .. } | Error::NotSupported { .. }) => Err(OpenError::Unconditional),
        Err(error) => Err(opening(&error)),
    }
}
