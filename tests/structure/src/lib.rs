//! Reads the sources of a crate and finds out which file names what of which other file.
//!
//! [`Structure::read`] parses every file that a crate's roots reach, and follows each name through
//! imports and re-exports to the file that defines it. It answers for two rules:
//!
//! - [`Structure::circles`]: files that name each other, directly or through others. There should be
//!   none: a reader can then understand a file from those below it.
//! - [`Structure::rising`]: names that a file takes from a floor above its own. A file declares floors
//!   by the order of its modules: `mod` lines parted by a blank line or a comment are floors, from the
//!   ground up, and a comment names the floor that follows.
//!
//! # What counts
//!
//! A name counts where it is written: in a path, a type, a pattern, or the tokens of a macro call.
//! The file that defines it counts, whatever re-exports the path goes through. Declaring a module
//! and re-exporting its items count for nothing. Tests (`#[cfg(test)]`) are left out.
//!
//! Method calls are not seen, because only a compiler knows their types; nor are names that a macro
//! puts together. A name that no file defines, in a module that is known, is taken for one that a
//! macro defines in that module.

// The crate as it is written: modules, imports, references.
mod crates;

// From a file's syntax to what it declares and names.
mod headings;
mod test_only;
mod tokens;
mod walk;

// From all files to the names that tie them.
mod read;
mod resolve;
mod ties;

// The rules, and what is printed.
mod circles;
mod floors;
mod structure;

pub use circles::Circle;
pub use read::ReadError;
pub use structure::Structure;
pub use ties::Tie;
