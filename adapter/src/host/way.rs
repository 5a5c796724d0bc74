//! The way of a walk in a directory of the host, name by name.

use super::base::Base;
use crate::bindings::kvfs::host_filesystem::types::{
    Descriptor as Handle, DescriptorFlags, OpenFlags, PathFlags,
};
use crate::host_slot::HostSlot;
use kvfs::{Grant, PathState, Policy};

/// Names after which a directory is opened. The host walks every path that it is asked for from its
/// first name on: without directories between, looking at each name of a path would take it a time
/// that grows with the square of the path's length.
const ANCHOR_NAMES: usize = 32;

/// The names from the open directory on, and what is known at each of them.
pub(super) struct Way<'b> {
    base: &'b Base,
    pub(super) names: Vec<String>,
    /// The names from the mount's root on.
    pub(super) full: Vec<String>,
    /// `names`, with slashes between.
    path: String,
    /// The states of the policy at the mount's root and at each of `full`; empty without a policy.
    states: Vec<PathState>,
    /// Directories on the way that are open.
    anchors: Vec<Anchor>,
}

struct Anchor {
    handle: Handle,
    /// How many of the names lead to it, and how many bytes of the path with the slash behind.
    names: usize,
    bytes: usize,
    _slot: HostSlot,
}

impl<'b> Way<'b> {
    pub(super) fn new(base: &'b Base) -> Self {
        let mut way = Self {
            base,
            names: Vec::new(),
            full: Vec::new(),
            path: String::new(),
            states: base.mount.policy.iter().map(|policy| policy.start()).collect(),
            anchors: Vec::new(),
        };
        for name in &base.position {
            way.down_from_root(name);
        }
        for name in &base.at {
            way.down(name);
        }
        way
    }

    fn down_from_root(&mut self, name: &str) {
        if let (Some(policy), Some(state)) = (&self.base.mount.policy, self.states.last()) {
            self.states.push(policy.step(*state, name));
        }
        self.full.push(name.to_owned());
    }

    /// Goes to a name.
    pub(super) fn down(&mut self, name: &str) {
        self.down_from_root(name);
        self.names.push(name.to_owned());
        if self.names.len() > 1 {
            self.path.push('/');
        }
        self.path.push_str(name);
    }

    /// Goes back by one name. Returns false if it is at the open directory already.
    pub(super) fn up(&mut self) -> bool {
        let Some(name) = self.names.pop() else { return false };
        self.full.pop();
        self.states.pop();
        let slash = usize::from(!self.names.is_empty());
        self.path.truncate(self.path.len().saturating_sub(name.len() + slash));
        self.anchors.pop_if(|anchor| anchor.names > self.names.len());
        true
    }

    /// Returns whether nothing is to be seen here.
    pub(super) fn is_hidden(&self) -> bool {
        let grant = |policy: &Policy| Some(policy.grant(*self.states.last()?));
        self.base.mount.policy.as_deref().and_then(grant) == Some(Grant::Hide)
    }

    /// Returns an open directory above, and the path from there to here.
    pub(super) fn here(&self) -> (&Handle, &str) {
        match self.anchors.last() {
            Some(anchor) => (&anchor.handle, self.path.get(anchor.bytes..).unwrap_or_default()),
            None => (&self.base.handle, &self.path),
        }
    }

    /// Opens the directory that is here, if the last open one is far above. If the host refuses, its
    /// walks only take longer.
    pub(super) fn anchor(&mut self) {
        let last = self.anchors.last().map_or(0, |anchor| anchor.names);
        if self.names.len() < last + ANCHOR_NAMES {
            return;
        }
        let Ok(slot) = HostSlot::take() else { return };
        let (handle, here) = self.here();
        let opened = handle.open_at(PathFlags::empty(), here, OpenFlags::DIRECTORY, DescriptorFlags::READ);
        if let Ok(handle) = opened {
            let (names, bytes) = (self.names.len(), self.path.len() + 1);
            self.anchors.push(Anchor { handle, names, bytes, _slot: slot });
        }
    }
}
