//! The ways a program ends, each with one closed and one open file.

use crate::files::*;
use crate::wasi::Descriptor;
use crate::wasi::bindings::wasi::cli::exit;

fn two_files(root: &Descriptor) -> Descriptor {
    drop(file(root, "closed", b"kept"));
    file(root, "open", b"kept if the program ends")
}

pub(super) fn returns(root: &Descriptor) {
    // Nothing closes the file: the program ends first.
    core::mem::forget(two_files(root));
}

pub(super) fn returns_an_error(root: &Descriptor) -> Result<(), String> {
    core::mem::forget(two_files(root));
    Err("as it should".to_owned())
}

pub(super) fn exits_well(root: &Descriptor) {
    let _open = two_files(root);
    exit::exit(Ok(()));
}

pub(super) fn exits_badly(root: &Descriptor) {
    let _open = two_files(root);
    exit::exit(Err(()));
}

pub(super) fn exits_with_a_code(root: &Descriptor) {
    let _open = two_files(root);
    exit::exit_with_code(7);
}

pub(super) fn traps(root: &Descriptor) {
    let _open = two_files(root);
    core::arch::wasm32::unreachable()
}
