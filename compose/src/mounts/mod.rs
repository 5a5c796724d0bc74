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

// Mounts, one and all.
mod mount;
mod parse;
mod table;

// Trees and their images.
mod archive;
mod directory;
mod pack;
mod tree;

// What composition makes of mounts, and reads back.
mod fixed;
mod plan;

pub use fixed::{FixedMount, FixedSource};
pub(crate) use fixed::{check_config, read_lines};
pub use mount::{MappedFile, Mount, MountAccess, MountLimits, MountSource};
pub use pack::{PackedTree, Packing};
pub use plan::Mounted;
pub(crate) use plan::plan;

#[cfg(test)]
mod tests;
