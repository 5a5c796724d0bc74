//! Charges against a volume's quota.

use super::cost::{Cost, Layout};
use super::object::{Content, Id, Object};
use super::state::{Answer, Model};
use kvfs::limits::{INODE_CHARGE_BYTES, NAME_CHARGE_BYTES};
use kvfs::{Code, Quota, Used};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

fn used(bytes: u64, inodes: u64, names: u64) -> Used {
    let mut used = Used::default();
    (used.bytes, used.inodes, used.names) = (bytes, inodes, names);
    used
}

fn sum(one: Used, other: Used) -> Used {
    used(one.bytes + other.bytes, one.inodes + other.inodes, one.names + other.names)
}

fn difference(one: Used, other: Used) -> Used {
    let left = |one: u64, other: u64| one.saturating_sub(other);
    used(left(one.bytes, other.bytes), left(one.inodes, other.inodes), left(one.names, other.names))
}

impl Model {
    /// Makes everything that exists part of an image below.
    pub fn lie_below(&mut self) {
        let ids: Vec<Id> = self.objects.keys().copied().collect();
        for id in ids {
            let object = self.edit(id);
            if let Content::File(bytes) = &mut object.content {
                bytes.cost.lie_below();
            }
            object.above = false;
            let names: Vec<String> = self.entries(id).into_iter().flat_map(BTreeMap::keys).cloned().collect();
            self.names_below.extend(names.into_iter().map(|name| (id, name)));
        }
    }

    /// Usage as a quota counts it.
    pub fn used(&self) -> Used {
        let objects = self.objects.values().filter(|object| object.above);
        let bytes = objects.clone().map(|object| self.charge(object)).sum();
        let mut all = used(bytes, objects.count() as u64, 0);
        for (id, object) in &self.objects {
            let Content::Directory { entries, .. } = &object.content else { continue };
            for name in entries.keys() {
                all = sum(all, self.charged_name(*id, name));
            }
        }
        all
    }

    fn charge(&self, object: &Rc<Object>) -> u64 {
        let content = match &object.content {
            Content::File(bytes) => bytes.cost.bytes(self.layout),
            Content::Symlink(target) => target.len() as u64,
            Content::Directory { .. } => 0,
        };
        INODE_CHARGE_BYTES + content
    }

    pub(super) fn new_inode(content: usize) -> Used {
        used(INODE_CHARGE_BYTES + content as u64, 1, 0)
    }

    pub(super) fn new_name(name: &str) -> Used {
        used(NAME_CHARGE_BYTES + name.len() as u64, 0, 1)
    }

    pub(super) fn charged_name(&self, dir: Id, name: &str) -> Used {
        let there = self.entries(dir).is_some_and(|entries| entries.contains_key(name));
        let below = self.names_below.contains(&(dir, name.to_owned()));
        if there && !below { Self::new_name(name) } else { Used::default() }
    }

    /// The charge for copying these objects up from the image.
    pub(super) fn copied(&self, ids: &[Id]) -> Used {
        let ids: BTreeSet<Id> = ids.iter().copied().collect();
        let objects = ids.iter().map(|id| &self.objects[id]).filter(|object| !object.above);
        objects.fold(Used::default(), |all, object| sum(all, used(self.charge(object), 1, 0)))
    }

    /// Fails if `grown` less `gone` would go over the quota.
    pub(super) fn check_growth(&self, grown: &[Used], gone: &[Used]) -> Answer<()> {
        if self.quota == Quota::default() {
            return Ok(());
        }
        let all = |parts: &[Used]| parts.iter().copied().fold(Used::default(), sum);
        let (more, there) = (difference(all(grown), all(gone)), self.used());
        let over = |used: u64, more: u64, quota: Option<u64>| {
            more > 0 && quota.is_some_and(|quota| used + more > quota)
        };
        if over(there.bytes, more.bytes, self.quota.bytes)
            || over(there.inodes, more.inodes, self.quota.inodes)
            || over(there.names, more.names, self.quota.names)
        {
            return Err(Code::Quota);
        }
        Ok(())
    }

    /// Checks a change of a file against the quota and returns the file's cost after it.
    pub(super) fn cost_after(&self, id: Id, change: impl FnOnce(&mut Cost, Layout)) -> Answer<Cost> {
        let mut cost = self.bytes(id).cost.clone();
        let object = &self.objects[&id];
        let before = if object.above { used(self.charge(object), 1, 0) } else { Used::default() };
        change(&mut cost, self.layout);
        let after = used(INODE_CHARGE_BYTES + cost.bytes(self.layout), 1, 0);
        self.check_growth(&[after], &[before])?;
        Ok(cost)
    }
}
