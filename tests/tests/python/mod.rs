//! The CPython guest.

mod command;

use std::sync::OnceLock;

use kvfs_tests::{Program, engine, guests};
use wasmtime::component::Component;

/// The interpreter as it leaves componentize-py, to run on the host's file system.
pub(crate) fn bare() -> Program {
    static COMPONENT: OnceLock<Component> = OnceLock::new();
    let component = COMPONENT.get_or_init(|| {
        let file = guests::python().expect("the CPython guest");
        let bytes = std::fs::read(file).expect("reading the CPython guest");
        engine::compile(engine::interruptible(), &bytes).expect("compiling the CPython guest")
    });
    Program::new(component)
}
