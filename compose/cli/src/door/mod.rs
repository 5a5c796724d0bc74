//! Files of volumes without a guest: one file a command.

// The volume that is worked on, and what is shown.
mod at;
mod shown;
mod told;

mod export;
mod import;

mod cat;
mod get;
mod ls;
mod put;

pub(crate) use cat::{CatArgs, cat};
pub(crate) use export::{ExportArgs, export};
pub(crate) use get::{GetArgs, get};
pub(crate) use import::{ImportArgs, import};
pub(crate) use ls::{LsArgs, ls};
pub(crate) use put::{PutArgs, put};
