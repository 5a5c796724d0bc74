//! Files of volumes without a guest: one file a command.

// The volumes that are worked on, and what is shown.
mod at;
mod each;
mod painted;
mod shown;
mod told;

// Paths as arguments, and where copies and moves go.
mod place;

mod target;

// Imports and exports.
mod counted;

mod export;
mod import;

// The conditions of `find`, and globs in paths.
mod pick;

mod glob;

mod cat;
mod cp;
mod df;
mod du;
mod find;
mod get;
mod ls;
mod mkdir;
mod mv;
mod put;
mod rm;
mod stat;
mod tree;

pub(crate) use cat::{CatArgs, cat};
pub(crate) use cp::{CpArgs, cp};
pub(crate) use df::{DfArgs, df};
pub(crate) use du::{DuArgs, du};
pub(crate) use export::{ExportArgs, export};
pub(crate) use find::{FindArgs, find, with_two_dashes};
pub(crate) use get::{GetArgs, get};
pub(crate) use import::{ImportArgs, import};
pub(crate) use ls::{LsArgs, ls};
pub(crate) use mkdir::{MkdirArgs, mkdir};
pub(crate) use mv::{MvArgs, mv};
pub(crate) use put::{PutArgs, put};
pub(crate) use rm::{RmArgs, rm};
pub(crate) use stat::{StatArgs, stat};
pub(crate) use tree::{TreeArgs, tree};
