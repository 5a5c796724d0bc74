//! Mounts: the sources at the paths of a guest, and the trees that composition packs.
//!
//! | step | file |
//! |---|---|
//! | a mount, from its parts or from text | `mount`, `parse` |
//! | what a guest may do at which paths | `rules` |
//! | all mounts as one table, each in its parent | `table` |
//! | a tree, from a directory or an archive | `tree`, `directory`, `archive` |
//! | a tree as an image: the records of a volume | `pack` |
//! | images and lines for the adapter | `plan` |
//! | the mounts of a composed component | `fixed` |

// Mounts, single and together.
mod mount;
mod parse;
mod rules;
mod table;

// Trees and their images.
mod archive;
mod directory;
mod pack;
mod tree;

// Mounts as configuration and images, written and read back.
mod fixed;
mod plan;

pub use fixed::{FixedMount, FixedSource};
pub(crate) use fixed::{check_config, read_lines};
pub use mount::{MappedFile, Mount, MountAccess, MountLimits, MountSource};
pub use pack::{PackedTree, Packing};
pub use plan::Mounted;
pub(crate) use plan::plan;
pub use rules::MountRules;

#[cfg(test)]
mod tests;
