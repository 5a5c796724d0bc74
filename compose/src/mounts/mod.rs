//! Mounts: what a composition has at which path, and the trees that it packs.
//!
//! | step | file |
//! |---|---|
//! | a mount, from its parts or from text | `mount`, `parse` |
//! | all of them as one table: each at its own path, each in its parent | `table` |
//! | a tree, from a directory or an archive | `tree`, `directory`, `archive` |
//! | a tree as an image: the records of a volume | `pack` |
//! | images and lines for the adapter | `plan` |
//! | what a component was given | `fixed` |

mod archive;
mod directory;
mod error;
mod fixed;
mod mount;
mod pack;
mod parse;
mod plan;
mod table;
mod tree;

pub use error::MountError;
pub(crate) use fixed::check_config;
pub use fixed::{FixedMount, FixedSource, fixed_mounts};
pub use mount::{MappedFile, Mount, MountAccess, MountLimits, MountSource};
pub use pack::Packing;
pub(crate) use plan::plan;
pub use plan::{Mounted, PackedTree};

#[cfg(test)]
mod tests;
