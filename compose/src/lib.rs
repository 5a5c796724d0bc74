//! Joins a WASI component with the kvfs file system at build time
