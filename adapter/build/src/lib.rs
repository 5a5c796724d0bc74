//! Builds the workspace's wasm crates with whatever wasm toolchain is there
