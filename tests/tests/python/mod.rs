//! The CPython guest.

mod command;
mod lifecycle;
mod network;
mod packages;
mod processes;

use std::sync::{Arc, OnceLock};

use kvfs_tests::{Program, engine, guests};
use wasmtime::component::Component;

/// The interpreter as it leaves componentize-py, to run on the host's file system.
pub(crate) fn bare() -> Program {
    static COMPONENT: OnceLock<Component> = OnceLock::new();
    Program::new(COMPONENT.get_or_init(|| compile(&guest())))
}

/// The interpreter with the file system inside, on a store.
pub(crate) fn on(store: &Arc<impl kvfs_host::Store + 'static>) -> Program {
    static COMPONENT: OnceLock<Component> = OnceLock::new();
    let composed = || guests::composed(&guest()).expect("composing the CPython guest");
    Program::new(COMPONENT.get_or_init(|| compile(&composed()))).store(store.clone())
}

fn guest() -> Vec<u8> {
    std::fs::read(guests::python().expect("the CPython guest")).expect("reading the CPython guest")
}

fn compile(component: &[u8]) -> Component {
    engine::compile(engine::interruptible(), component).expect("compiling the CPython guest")
}
