//! The file system as a wasm component: wasi:filesystem over kvfs:store
