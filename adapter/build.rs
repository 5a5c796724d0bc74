//! Sets the size of the adapter's stack.

/// Bytes of the stack: twice the frames of all functions together, so that only recursion could
/// leave it, and there is none without a bound. The linker's default, 1 MiB, would be most of what
/// an instance adds to its guest's memory. Below the stack is the memory's start: overflow traps.
const STACK_BYTES: u32 = 128 << 10;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        println!("cargo:rustc-link-arg-cdylib=-zstack-size={STACK_BYTES}");
    }
}
