//! The audit log, if composition has turned it on: what the guest did to files, as lines that go to
//! the store. `kvfs-audit` has the lines; `adapter/AUDIT.md` describes them.
//!
//! Two rules decide when lines leave this memory, which is lost if the guest is killed:
//!
//! - Before a commit that is to be durable, so that it makes all earlier lines durable too.
//! - At the end of every call that has changed the store, before the guest goes on. So nothing that
//!   the guest did is in the store without its line.

// Where lines go: records of the store, or files of a volume.
#[cfg(feature = "audit")]
mod run;

#[cfg(feature = "audit")]
mod files;
#[cfg(feature = "audit")]
mod records;

#[cfg(feature = "audit")]
mod sink;

// The log of the component.
#[cfg(feature = "audit")]
mod active;

// Masks for secrets in its lines.
#[cfg(feature = "audit")]
mod masks;

// Its users: the store below volumes, and the resources of the guest.
#[cfg(feature = "audit")]
mod seen;
#[cfg(feature = "audit")]
mod store;

// The same for compositions without a log, which carry no code of it.
#[cfg(not(feature = "audit"))]
mod none;

mod told;

#[cfg(feature = "audit")]
pub(crate) use active::{drop_failed, failure, finish, refusal, settle};
#[cfg(feature = "audit")]
pub(crate) use masks::{mask, text};
#[cfg(not(feature = "audit"))]
pub(crate) use none::{
    Flow, Listed, Opened, drop_failed, failure, finish, mask, refusal, settle, store, text,
};
#[cfg(all(not(feature = "audit"), feature = "volume-control"))]
pub(crate) use none::{control, refusal_of_control};
#[cfg(feature = "audit")]
pub(crate) use seen::{Flow, Listed, Opened};
#[cfg(all(feature = "audit", feature = "volume-control"))]
pub(crate) use seen::{control, refusal_of_control};
#[cfg(feature = "audit")]
pub(crate) use store::store;
pub(crate) use told::Told;
