//! Volumes as a tree, by the layers that they share.

use kvfs::volumes::VolumeInfo;
use std::collections::BTreeMap;

/// Volumes that stand on one layer, or on nothing.
#[derive(Default)]
pub(super) struct Branch {
    /// Volumes that share nothing more with others.
    pub(super) volumes: Vec<VolumeInfo>,
    /// Branches that share more: at least two volumes are in each.
    pub(super) branches: Vec<Branch>,
}

impl Branch {
    /// How many volumes are in it.
    pub(super) fn count(&self) -> usize {
        self.volumes.len() + self.branches.iter().map(Self::count).sum::<usize>()
    }

    /// Makes a tree of volumes. Nobody writes down what was forked from what: volumes that have a frozen
    /// layer in common have a common past, and the more layers, the longer.
    pub(super) fn of(volumes: Vec<VolumeInfo>) -> Self {
        Self::at(volumes, 0)
    }

    /// Volumes that have their lowest `depth` layers in common.
    fn at(volumes: Vec<VolumeInfo>, depth: usize) -> Self {
        let mut branch = Self::default();
        let mut groups: BTreeMap<String, Vec<VolumeInfo>> = BTreeMap::new();
        for volume in volumes {
            match volume.layers.iter().rev().nth(depth) {
                Some(layer) => groups.entry(layer.clone()).or_default().push(volume),
                None => branch.volumes.push(volume),
            }
        }
        for mut group in groups.into_values() {
            if group.len() == 1 {
                branch.volumes.append(&mut group);
                continue;
            }
            let count = group.len();
            // Layers that all of them have are one state to a reader.
            let common = (depth + 1..)
                .find(|depth| {
                    let mut layers = group.iter().map(|volume| volume.layers.iter().rev().nth(*depth));
                    let first = layers.next().flatten();
                    first.is_none() || !layers.all(|layer| layer == first)
                })
                .unwrap_or(depth + 1);
            let below = Self::at(group, common);
            debug_assert_eq!(below.count(), count);
            branch.branches.push(below);
        }
        branch.volumes.sort_by(|one, other| one.name.cmp(&other.name));
        branch.branches.sort_by(|one, other| one.first_name().cmp(&other.first_name()));
        branch
    }

    fn first_name(&self) -> Option<&str> {
        let own = self.volumes.first().map(|volume| volume.name.as_str());
        own.into_iter().chain(self.branches.iter().filter_map(Self::first_name)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvfs_host::{MemoryStore, Volumes};

    fn shown(branch: &Branch) -> String {
        let volumes = branch.volumes.iter().map(|volume| volume.name.clone());
        let branches = branch.branches.iter().map(|branch| format!("({})", shown(branch)));
        volumes.chain(branches).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn volumes_with_a_common_past_are_together() {
        let volumes = Volumes::new(MemoryStore::new());
        let tree = || {
            let names = volumes.names().unwrap();
            shown(&Branch::of(names.iter().map(|name| volumes.info(name).unwrap()).collect()))
        };
        let write = |name: &str| {
            let options = kvfs::Options { volume: name.to_owned(), ..kvfs::Options::default() };
            let mut volume = volumes.open(options).unwrap();
            let root = volume.root().unwrap();
            volume.create_directory_at(&root, &format!("of-{name}")).unwrap();
            volume.sync_all().unwrap();
        };
        volumes.create("other").unwrap();
        volumes.create("main").unwrap();
        assert_eq!(tree(), "main other");
        volumes.fork("main", "one").unwrap();
        assert_eq!(tree(), "other (main one)");
        write("one");
        volumes.fork("one", "one-a").unwrap();
        volumes.snapshot("one", "one-b").unwrap();
        assert_eq!(tree(), "other (main (one one-a one-b))");
        volumes.remove("main").unwrap();
        assert_eq!(tree(), "other (one one-a one-b)");
    }
}
