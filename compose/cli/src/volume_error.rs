//! Explains why something cannot be done with a volume, and what to do about it.

use crate::full::with_room;
use crate::store_url::StoreUrl;
use anyhow::anyhow;
use kvfs_host::{SyncStore, Volumes, VolumesError};

/// How many names are offered.
const MAX_OFFERED: usize = 3;

/// Explains an error. For a volume that there is not, names near the given one are offered.
pub(crate) fn explain<S: SyncStore + Clone + 'static>(
    store: &StoreUrl,
    volumes: &Volumes<S>,
    error: VolumesError,
) -> anyhow::Error {
    match error {
        VolumesError::Missing { name } => {
            let near: Vec<String> =
                near(volumes, &name).unwrap_or_default().iter().map(|name| format!("`{name}`")).collect();
            match near.is_empty() {
                true => anyhow!(
                    "{store}: there is no volume `{name}`; `kvfs volume list` shows those that there are"
                ),
                false => {
                    anyhow!("{store}: there is no volume `{name}`; did you mean {}?", near.join(" or "))
                }
            }
        }
        error => with_room(store, anyhow!(error).context(store.to_string())),
    }
}

/// Returns the volumes whose names are nearest to one that there is not, the nearest first. A name with
/// more than a third of its characters wrong is not near.
fn near<S: SyncStore + Clone + 'static>(
    volumes: &Volumes<S>,
    wanted: &str,
) -> Result<Vec<String>, VolumesError> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let lower = wanted.to_lowercase();
    volumes.list(|name, _| {
        let distance = strsim::osa_distance(&lower, &name.to_lowercase());
        let most = wanted.chars().count().max(name.chars().count()).max(3) / 3;
        if distance <= most {
            let place = found.partition_point(|(other, _)| *other <= distance);
            found.insert(place, (distance, name.to_owned()));
            found.truncate(MAX_OFFERED);
        }
        Ok::<(), VolumesError>(())
    })?;
    Ok(found.into_iter().map(|(_, name)| name).collect())
}

#[cfg(test)]
mod tests {
    use super::near;
    use kvfs_host::{MemoryStore, Volumes};

    #[test]
    fn the_nearest_names_come_first_and_others_not_at_all() {
        let volumes = Volumes::new(MemoryStore::new());
        for name in ["main", "mian2", "Main", "prepared", "agent-17", "agent-71"] {
            volumes.create(name).unwrap();
        }
        assert_eq!(near(&volumes, "mian").unwrap(), ["Main", "main", "mian2"]);
        assert_eq!(near(&volumes, "prepaerd").unwrap(), ["prepared"]);
        assert_eq!(near(&volumes, "agent-18").unwrap(), ["agent-17", "agent-71"]);
        assert_eq!(near(&volumes, "other").unwrap(), [""; 0]);
    }
}
