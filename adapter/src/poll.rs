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
        // A lent handle is in use by a call that will return: like ours, it counts as ready.
        let all: Vec<_> = pollables.iter().map(|pollable| pollable.get::<Pollable>().handle()).collect();
        if all.iter().any(Option::is_none) {
            // Some are ready: do not wait, and report every ready one.
            let ready = (0_u32..).zip(&all).filter(|(_, handle)| handle.as_ref().is_none_or(|it| it.ready()));
            return ready.map(|(index, _)| index).collect();
        }
        // An empty list is the caller's fault, which the host's poll answers as hosts do.
        let handles: Vec<&HostPollable> = all.iter().flatten().map(|handle| &**handle).collect();
        host::poll(&handles)
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
