//! The example provider, from its sources to a guest's files.

use super::{composed, run, success};
use kvfs_compose::{Compose, Link, Provider};
use kvfs_tests::guests;

/// Builds the example as the page on writing a provider says.
fn example() -> Provider {
    let module = std::fs::read(env!("KVFS_EXAMPLE_PROVIDER")).unwrap();
    let component = wit_component::ComponentEncoder::default().module(&module).unwrap().encode().unwrap();
    Provider::Component(component)
}

#[test]
fn a_guest_has_its_files_in_the_example_provider() {
    let dir = tempfile::tempdir().unwrap();
    let component = composed(dir.path(), guests::rust().unwrap(), example());
    // The program checks its own files and fails if they differ from what it wrote.
    let printed = success(&run(&[], &component, &["bench", "operations", "300"]));
    assert!(printed.contains("rename\t300\t") && printed.lines().count() > 10, "{printed}");

    let linked = Compose::new(guests::rust().unwrap()).provider(example()).link(Link::Core).build().unwrap();
    assert_eq!(linked.report.not_linked, None);
    assert!(!linked.report.imports.iter().any(|name| name.starts_with("kvfs:")), "{}", linked.report);
    let path = dir.path().join("linked.wasm");
    std::fs::write(&path, linked.bytes).unwrap();
    assert_eq!(
        success(&run(&[], &path, &["bench", "operations", "300"])).lines().count(),
        printed.lines().count()
    );
}

#[test]
fn the_example_is_short() {
    let source = include_str!("../../../compose/providers/example/src/lib.rs");
    assert!(source.lines().count() < 150, "{} lines", source.lines().count());
}
