//! The cost of an instance, in counts: memory beside its guest's, and places in a pool.

use std::sync::Arc;

use kvfs_compose::Link;
use kvfs_host::MemoryStore;
use kvfs_tests::{Program, engine, guests, pool};
use wasmtime::component::Component;

const PAGE_BYTES: usize = 64 << 10;

/// The steps of a program that touches a few files.
const STEPS: [&str; 5] = ["script", "write a some-bytes", "cat a", "size a", "ls ."];

/// Returns the least memory, in pages, with which a program ends well.
fn least_pages(program: &Program) -> usize {
    let ends_well = |pages: &usize| {
        let output = program.clone().max_memory(pages * PAGE_BYTES).run();
        output.is_ok_and(|output| output.code == Some(0))
    };
    (1..200).find(ends_well).expect("an end at some bound")
}

#[test]
fn an_instance_adds_at_most_1_mib_of_memory() {
    let guest = guests::rust().unwrap();
    let compile = |component: &[u8]| engine::compile(engine::interruptible(), component).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let bare = Program::new(&compile(guest)).host_files(directory.path()).args(STEPS);
    let bare = least_pages(&bare);
    for (link, most) in [(Link::Core, 8), (Link::Component, 8)] {
        let joined = compile(&guests::joined(guest, link).unwrap());
        let pages = least_pages(&Program::new(&joined).store(Arc::new(MemoryStore::new())).args(STEPS));
        let more = pages - bare;
        assert!(more * PAGE_BYTES <= 1 << 20, "{link:?}: {more} pages more than {bare}");
        assert!(more <= most, "{link:?}: {more} pages more than {bare}, and may have {most}");
        assert!(more + 2 >= most, "{link:?}: {more} pages more than {bare}: lower the bound of {most}");
    }
}

#[test]
fn the_settings_of_a_pool_suffice_for_as_many_instances_as_they_say() {
    const COUNT: u32 = 20;
    let guest = guests::rust().unwrap();
    for link in [Link::Core, Link::Component] {
        let (_, component): (_, Component) =
            pool::compile(&guests::joined(guest, link).unwrap(), COUNT).unwrap();
        let program = Program::new(&component);
        let sessions: Vec<_> = (0..COUNT).map(|_| program.session().unwrap()).collect();
        let Err(error) = program.session() else { panic!("{link:?}: one more than the pool has room for") };
        assert!(format!("{error:#}").contains("limit"), "{link:?}: {error:#}");
        drop(sessions);
        program.session().unwrap();
    }
}
