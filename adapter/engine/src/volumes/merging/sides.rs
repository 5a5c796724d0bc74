//! The three states of a merge: both volumes, and the layers that they have in common.

use crate::backing::chain::read_header;
use crate::error::{Error, Result};
use crate::store::KvStore;
use crate::stored::image::Image;
use crate::stored::key::tag;
use crate::stored::layer_name::LayerName;
use crate::stored::record::dentry;
use crate::stored::record::inode::Inode;
use crate::types::{Dentry, InodeNo};
use crate::volumes::view::View;
use std::collections::{BTreeMap, BTreeSet};

/// One record for each state.
#[derive(Debug, Clone, Default)]
pub(super) struct Three<T> {
    pub(super) base: T,
    pub(super) from: T,
    pub(super) into: T,
}

/// A record, and whether it is the image's.
pub(super) type Read<T> = Option<(T, bool)>;

/// Reads records of keys in one state.
type Reader<K, T> = fn(&mut dyn KvStore, &mut View, &[K]) -> Result<Vec<Read<T>>>;

/// The three states.
pub(super) struct Sides {
    pub(super) base: View,
    pub(super) from: View,
    pub(super) into: View,
    /// The layers that only `from` has. What they mention lies in them, or is hidden by them.
    pub(super) only_from: View,
    /// The layers that only `into` has.
    pub(super) only_into: View,
    /// Inodes below this number are the same file in all states, others are a volume's own.
    pub(super) same_below: u64,
    /// What is in the layers that only `from` has.
    pub(super) in_from: Mentioned,
    /// What is in the layers that only `into` has.
    pub(super) in_into: Mentioned,
}

/// The keys in some layers. What is not among them is as in the layers below.
#[derive(Default)]
pub(super) struct Mentioned {
    pub(super) names: BTreeSet<(InodeNo, String)>,
    pub(super) inodes: BTreeSet<InodeNo>,
    pub(super) extents: BTreeMap<InodeNo, BTreeSet<u64>>,
}

impl Mentioned {
    fn of(store: &mut dyn KvStore, view: &mut View, upper: usize) -> Result<Self> {
        let mut found = Self::default();
        view.keys_of_upper(store, upper, (tag::INODE, tag::EXTENT), &mut |inner| {
            found.note(inner);
            Ok(())
        })?;
        Ok(found)
    }

    fn note(&mut self, inner: &[u8]) -> Option<()> {
        let (tag, rest) = inner.split_first()?;
        let (ino, rest) = rest.split_first_chunk::<8>()?;
        let ino = InodeNo(u64::from_be_bytes(*ino));
        match *tag {
            tag::INODE => drop(self.inodes.insert(ino)),
            tag::DENTRY => drop(self.names.insert((ino, std::str::from_utf8(rest).ok()?.to_owned()))),
            tag::EXTENT => {
                let index = u64::from_be_bytes(*rest.first_chunk::<8>()?);
                self.extents.entry(ino).or_default().insert(index);
            }
            _ => {}
        }
        Some(())
    }

    /// Whether anything of an inode may be other than below.
    pub(super) fn has(&self, ino: InodeNo) -> bool {
        self.inodes.contains(&ino) || self.extents.contains_key(&ino)
    }

    /// All inodes that are mentioned.
    pub(super) fn all_inodes(&self) -> impl Iterator<Item = InodeNo> {
        self.inodes.iter().chain(self.extents.keys()).copied()
    }

    /// The extents of an inode before `end`.
    pub(super) fn extents_before(&self, ino: InodeNo, end: u64) -> impl Iterator<Item = u64> {
        self.extents.get(&ino).into_iter().flat_map(move |indices| indices.range(..end)).copied()
    }
}

impl Sides {
    /// # Errors
    /// [`Error::Unrelated`] for volumes without a layer in common, and those of [`View::new`].
    pub(super) fn read(
        store: &mut dyn KvStore,
        from: &str,
        into: &str,
        image: Option<&Image>,
    ) -> Result<Self> {
        let (mut from, mut into) = (View::new(store, from, image)?, View::new(store, into, image)?);
        let sizes = |view: &View| (view.volume.superblock.extent_bytes, view.volume.superblock.inline_bytes);
        let (chain_from, chain_into) = (chain(&from), chain(&into));
        let common = chain_from.iter().position(|layer| chain_into.contains(layer));
        let common_into =
            common.and_then(|at| chain_into.iter().position(|layer| Some(layer) == chain_from.get(at)));
        if common.is_none() && image.is_none() || sizes(&from) != sizes(&into) {
            return Err(Error::Unrelated);
        }
        let upper_from = common.unwrap_or(chain_from.len());
        let upper_into = common_into.unwrap_or(chain_into.len());
        let same_below = match (common, image) {
            (None, Some(image)) => image.clone().superblock()?.next_inode,
            _ => {
                let from = first_inode(store, &chain_from, upper_from)?;
                from.min(first_inode(store, &chain_into, upper_into)?)
            }
        };
        let base = from.in_layers(chain_from.get(upper_from..).unwrap_or_default());
        let only_from = from.only_in(chain_from.get(..upper_from).unwrap_or_default());
        let only_into = into.only_in(chain_into.get(..upper_into).unwrap_or_default());
        let in_from = Mentioned::of(store, &mut from, upper_from)?;
        let in_into = Mentioned::of(store, &mut into, upper_into)?;
        Ok(Self { base, from, into, only_from, only_into, same_below, in_from, in_into })
    }

    /// Reads records of keys in all states by `read`. Of a volume its own layers are asked, for those that they
    /// mention: the others are as in the common layers.
    pub(super) fn read_three<K: Clone, T: Clone>(
        &mut self,
        store: &mut dyn KvStore,
        keys: &[K],
        read: Reader<K, T>,
        is_mentioned: fn(&Mentioned, &K) -> bool,
    ) -> Result<Vec<Three<Read<T>>>> {
        let base = read(store, &mut self.base, keys)?;
        let mut of_volume = |view: &mut View, mentioned: &Mentioned| -> Result<Vec<Read<T>>> {
            let changed = keys.iter().enumerate().filter(|(_, key)| is_mentioned(mentioned, key));
            let (places, asked): (Vec<usize>, Vec<K>) = changed.map(|(at, key)| (at, key.clone())).unzip();
            let mut records = base.clone();
            for (at, found) in places.into_iter().zip(read(store, view, &asked)?) {
                if let Some(record) = records.get_mut(at) {
                    *record = found;
                }
            }
            Ok(records)
        };
        let from = of_volume(&mut self.only_from, &self.in_from)?;
        let into = of_volume(&mut self.only_into, &self.in_into)?;
        let three = base.into_iter().zip(from).zip(into);
        Ok(three.map(|((base, from), into)| Three { base, from, into }).collect())
    }

    pub(super) fn is_shared(&self, ino: InodeNo) -> bool {
        ino.0 < self.same_below
    }

    pub(super) fn extent_bytes(&self) -> u64 {
        u64::from(self.into.volume.superblock.extent_bytes)
    }

    /// Whether neither volume has changed since it was read.
    pub(super) fn are_unchanged(&self, store: &mut dyn KvStore) -> Result<bool> {
        let volumes = [&self.from.volume, &self.into.volume];
        let now = store.get(&volumes.map(|volume| volume.keys.superblock()))?;
        let values = volumes.iter().map(|volume| Some(volume.value.as_slice()));
        Ok(now.len() == volumes.len() && now.iter().map(Option::as_deref).eq(values))
    }
}

/// The layers of a volume, from above.
fn chain(view: &View) -> Vec<LayerName> {
    let chain = &view.volume.chain;
    std::iter::once(chain.top.clone()).chain(chain.below.iter().cloned()).collect()
}

/// The number of the first inode that can only be in the `upper` layers of a chain.
fn first_inode(store: &mut dyn KvStore, chain: &[LayerName], upper: usize) -> Result<u64> {
    match upper.checked_sub(1).and_then(|lowest| chain.get(lowest)) {
        Some(layer) => Ok(read_header(store, layer)?.0.first_inode),
        None => Ok(u64::MAX),
    }
}

/// Reads inodes of one state.
pub(super) fn read_inodes(
    store: &mut dyn KvStore,
    view: &mut View,
    inodes: &[InodeNo],
) -> Result<Vec<Read<Inode>>> {
    let inline_bytes = view.volume.superblock.inline_bytes;
    let key = |ino: &InodeNo| {
        let mut key = Vec::new();
        view.keys.inode(*ino, &mut key);
        key
    };
    let keys: Vec<Vec<u8>> = inodes.iter().map(key).collect();
    view.read_all(store, &keys, |at, key, value| {
        let ino = inodes.get(at).copied().unwrap_or(InodeNo(0));
        Inode::decode(key, ino, inline_bytes, value)
    })
}

/// Reads the entries of names in one state.
pub(super) fn read_names(
    store: &mut dyn KvStore,
    view: &mut View,
    names: &[(InodeNo, String)],
) -> Result<Vec<Read<Dentry>>> {
    let key = |(dir, name): &(InodeNo, String)| {
        let mut key = Vec::new();
        view.keys.dentry(*dir, name, &mut key);
        key
    };
    let keys: Vec<Vec<u8>> = names.iter().map(key).collect();
    view.read_all(store, &keys, |at, key, value| {
        let dir = names.get(at).map_or(InodeNo(0), |(dir, _)| *dir);
        dentry::decode(key, dir, value)
    })
}
