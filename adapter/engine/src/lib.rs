//! A crash-safe file system over any ordered key-value store
