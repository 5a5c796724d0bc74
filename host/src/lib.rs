//! Implements kvfs:store for wasmtime: stores, wrappers and the linker helper
