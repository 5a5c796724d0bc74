//! Refuses to mount a volume above its own store.

use crate::store_url::StoreUrl;
use anyhow::{Result, bail};
use std::path::Path;

/// Fails if the files of the store lie below the directory: once it is mounted on, the store would ask the
/// mount for its files, and the mount the store.
pub(super) fn refuse(store: &StoreUrl, directory: &Path) -> Result<()> {
    let path = ["file:", "redb:"].iter().find_map(|scheme| store.strip_prefix(scheme));
    let (Some(path), Ok(directory)) = (path.map(Path::new), directory.canonicalize()) else { return Ok(()) };
    // A store that is yet to be made is judged by the directory that it goes to.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let lies = path.canonicalize().or_else(|_| parent.canonicalize());
    if lies.is_ok_and(|lies| lies.starts_with(&directory)) {
        bail!("{store}: the store lies below {}; mount on another directory", directory.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_below_the_directory_is_refused_and_one_beside_it_is_not() {
        let place = tempfile::tempdir().unwrap();
        let (mounted, store) = (place.path().join("m"), place.path().join("s"));
        for directory in [&mounted, &store] {
            std::fs::create_dir(directory).unwrap();
        }
        let check = |url: String| refuse(&url.parse().unwrap(), &mounted);
        assert!(check(format!("file:{}", store.display())).is_ok());
        assert!(check(format!("file:{}/new", store.display())).is_ok());
        assert!(check("memory:".to_owned()).is_ok());
        for below in ["", "/new", "/../m"] {
            assert!(check(format!("file:{}{below}", mounted.display())).is_err(), "{below}");
        }
        assert!(check(format!("redb:{}/f.redb", mounted.display())).is_err());
    }
}
