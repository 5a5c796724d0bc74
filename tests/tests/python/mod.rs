//! The CPython guest. Every test runs twice: composed with the file system, and linked with it.

#[cfg(unix)]
mod attacked;
mod sequences;

use std::sync::OnceLock;

use kvfs_compose::{Compose, Link};
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

            #[path = "audit.rs"]
            mod audit;
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

            /// Returns the interpreter on three volumes, one in another, with an audit log of all
            /// calls.
            fn audited_all(store: &Arc<impl kvfs_host::Store + 'static>) -> kvfs_tests::Program {
                static COMPONENT: OnceLock<Component> = OnceLock::new();
                let component = COMPONENT.get_or_init(|| super::join_audited($link, "all,max-bytes=32M"));
                kvfs_tests::Program::new(component).store(store.clone())
            }

            /// As [`audited_all`], with a log of changes without which nothing may change.
            fn audited_required(store: &Arc<impl kvfs_host::Store + 'static>) -> kvfs_tests::Program {
                static COMPONENT: OnceLock<Component> = OnceLock::new();
                let component =
                    COMPONENT.get_or_init(|| super::join_audited($link, "changes,required,max-bytes=128K"));
                kvfs_tests::Program::new(component).store(store.clone())
            }

            /// As [`audited_all`], with the log in the volume `log`.
            fn audited_volume(store: &Arc<impl kvfs_host::Store + 'static>) -> kvfs_tests::Program {
                static COMPONENT: OnceLock<Component> = OnceLock::new();
                let component = COMPONENT.get_or_init(|| super::join_audited($link, "all,volume=log"));
                kvfs_tests::Program::new(component).store(store.clone())
            }

            /// As [`audited_required`], with the log in the volume `log`.
            fn audited_required_volume(store: &Arc<impl kvfs_host::Store + 'static>) -> kvfs_tests::Program {
                static COMPONENT: OnceLock<Component> = OnceLock::new();
                let component =
                    COMPONENT.get_or_init(|| super::join_audited($link, "changes,required,volume=log"));
                kvfs_tests::Program::new(component).store(store.clone())
            }

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

/// Joins the guest with three volumes, one in another, and an audit log.
fn join_audited(link: Link, audit: &str) -> Component {
    let guest = guest();
    let mounts = ["/=kv", "/data=kv:data", "/data/deep=kv:deep"].map(|mount| mount.parse().unwrap());
    let compose = Compose::new(&guest).link(link).audit(audit.parse().unwrap());
    let composed = mounts.into_iter().fold(compose, Compose::mount).build().unwrap();
    assert_eq!(composed.report.not_linked, None);
    compile(&composed.bytes)
}

fn guest() -> Vec<u8> {
    std::fs::read(guests::python().expect("the CPython guest")).expect("reading the CPython guest")
}

fn compile(component: &[u8]) -> Component {
    engine::compile(engine::interruptible(), component).expect("compiling the CPython guest")
}
