//! The audit log, if composition has turned it on: what the guest did to files, as lines that go to
//! the store. `kvfs-audit` has the lines; `adapter/AUDIT.md` describes them.
//!
//! Two rules decide when lines leave this memory, which is lost if the guest is killed:
//!
//! - Before a commit that is to be durable, so that it makes all earlier lines durable too.
//! - At the end of every call that has changed the store, before the guest goes on. So nothing that
//!   the guest did is in the store without its line.

// Where lines go: records of the store, or files of a volume.
mod run;

mod files;
mod records;

mod sink;

// The log of the component.
mod active;

// What its lines must not have.
mod masks;

// What uses it: the store below volumes, and the resources of the guest.
mod seen;
mod store;

pub(crate) use active::{drop_failed, failure, finish, refusal, settle};
pub(crate) use masks::{mask, text};
pub(crate) use seen::{Flow, Listed, Opened, Told};
pub(crate) use store::AuditedStore;
