//! `wasi:io/poll` over both kinds of pollables: files are always ready, the host's are asked.

use crate::adapter::Adapter;
use crate::bindings::exports::wasi::io::poll::{
    Guest, GuestPollable, Pollable as PollableResource, PollableBorrow,
};
use crate::bindings::kvfs::host_io::poll::{self as host, Pollable as HostPollable};
use std::cell::{Ref, RefCell};

/// The content of a pollable resource.
pub(crate) enum Pollable {
    /// A file's stream, which is always ready.
    Ready,
    /// The host's; taken out while it is lent.
    Host(RefCell<Option<HostPollable>>),
}

impl Pollable {
    /// The place of the host's handle, which is empty while the handle is lent.
    pub(crate) fn place(&self) -> Option<&RefCell<Option<HostPollable>>> {
        match self {
            Self::Host(place) => Some(place),
            _ => None,
        }
    }

    pub(crate) fn ready_now() -> PollableResource {
        PollableResource::new(Self::Ready)
    }

    pub(crate) fn host(handle: HostPollable) -> PollableResource {
        PollableResource::new(Self::Host(RefCell::new(Some(handle))))
    }

    /// The host's handle, if it is there.
    fn handle(&self) -> Option<Ref<'_, HostPollable>> {
        Ref::filter_map(self.place()?.try_borrow().ok()?, Option::as_ref).ok()
    }
}

impl Guest for Adapter {
    type Pollable = Pollable;

    fn poll(pollables: Vec<PollableBorrow<'_>>) -> Vec<u32> {
        let mut ours = Vec::new();
        let mut theirs = Vec::new();
        for (index, pollable) in (0_u32..).zip(&pollables) {
            match pollable.get::<Pollable>().handle() {
                // A lent handle is in use by a call that will return: it counts as ready.
                None => ours.push(index),
                Some(handle) => theirs.push((index, handle)),
            }
        }
        if theirs.is_empty() {
            // An empty list is the caller's fault, which the host's poll answers as hosts do.
            return if pollables.is_empty() { host::poll(&[]) } else { ours };
        }
        if !ours.is_empty() {
            // Some are ready: do not wait, and report every ready one.
            ours.extend(theirs.iter().filter(|(_, handle)| handle.ready()).map(|(index, _)| *index));
            ours.sort_unstable();
            return ours;
        }
        let handles: Vec<&HostPollable> = theirs.iter().map(|(_, handle)| &**handle).collect();
        let ready = host::poll(&handles);
        ready.into_iter().filter_map(|at| theirs.get(at as usize).map(|(index, _)| *index)).collect()
    }
}

impl GuestPollable for Pollable {
    fn ready(&self) -> bool {
        self.handle().is_none_or(|handle| handle.ready())
    }

    fn block(&self) {
        if let Some(handle) = self.handle() {
            handle.block();
        }
    }
}
