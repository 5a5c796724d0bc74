//! Holds no code. Its dependencies turn on, in the crates below wasmtime, every feature that any
//! package of the workspace turns on.
//!
//! Cargo builds a crate once for each set of features, and everything above it again. wasmtime
//! takes minutes to build. With the same features for the command, for the examples and tests of
//! the host crate, and for the tests of the whole, it is built once for each profile.
