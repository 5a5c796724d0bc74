//! The CPython guest. Every test runs twice: composed with the file system, and linked with it.

#[cfg(unix)]
mod attacked;
mod sequences;

use std::sync::OnceLock;

use kvfs_compose::Link;
use kvfs_tests::{Program, engine, guests};
use wasmtime::component::Component;

/// Returns the unchanged interpreter from componentize-py, for the host's file system.
pub(crate) fn bare() -> Program {
    static COMPONENT: OnceLock<Component> = OnceLock::new();
    Program::new(COMPONENT.get_or_init(|| compile(&guest())))
}

/// Declares the tests for one way to join the interpreter with the file system.
macro_rules! joined_by {
    ($way:ident, $link:expr, $argument:literal) => {
        #[path = "."]
        pub(crate) mod $way {
            use super::bare;
            use std::sync::{Arc, OnceLock};
            use wasmtime::component::Component;

            #[path = "command.rs"]
            mod command;
            #[path = "full.rs"]
            mod full;
            #[cfg(unix)]
            #[path = "hostile.rs"]
            mod hostile;
            #[path = "lifecycle.rs"]
            mod lifecycle;
            #[path = "network.rs"]
            mod network;
            #[path = "packages.rs"]
            mod packages;
            #[path = "processes.rs"]
            pub(crate) mod processes;
            #[path = "sealed.rs"]
            mod sealed;

            /// The same way, as an argument of the command.
            pub(crate) const LINK: &str = $argument;

            /// Returns the interpreter with the mounts that the hostile scripts attack.
            #[cfg(unix)]
            fn attacked() -> &'static super::attacked::Attacked {
                static ATTACKED: OnceLock<super::attacked::Attacked> = OnceLock::new();
                ATTACKED.get_or_init(|| super::attacked::Attacked::new(&super::guest(), $link))
            }

            /// Returns the interpreter with the file system inside, on a store.
            pub(crate) fn on(store: &Arc<impl kvfs_host::Store + 'static>) -> kvfs_tests::Program {
                static COMPONENT: OnceLock<Component> = OnceLock::new();
                let component = COMPONENT.get_or_init(|| super::join($link));
                kvfs_tests::Program::new(component).store(store.clone())
            }
        }
    };
}

joined_by!(composed, kvfs_compose::Link::Component, "component");
joined_by!(linked, kvfs_compose::Link::Core, "core");

fn join(link: Link) -> Component {
    compile(&guests::joined(&guest(), link).expect("joining the CPython guest"))
}

fn guest() -> Vec<u8> {
    std::fs::read(guests::python().expect("the CPython guest")).expect("reading the CPython guest")
}

fn compile(component: &[u8]) -> Component {
    engine::compile(engine::interruptible(), component).expect("compiling the CPython guest")
}
