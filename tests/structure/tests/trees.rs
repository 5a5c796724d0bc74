//! The rules on small crates: what must be found, and what must not.

use kvfs_structure::Structure;
use std::path::Path;
use tempfile::TempDir;

/// A crate of these files, given as path and text.
fn structure(files: &[(&str, &str)]) -> Structure {
    let dir = TempDir::new().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    Structure::read(dir.path()).unwrap()
}

/// The files of each circle.
fn circles(files: &[(&str, &str)]) -> Vec<String> {
    let circles = structure(files).circles();
    circles
        .iter()
        .map(|circle| circle.files.iter().map(|file| file.to_str().unwrap()).collect::<Vec<_>>().join(" "))
        .collect()
}

/// All ties, as "from > to: name@line".
fn ties(files: &[(&str, &str)]) -> Vec<String> {
    let show = |path: &Path| path.to_str().unwrap().to_owned();
    let ties = structure(files).ties();
    ties.iter()
        .map(|tie| format!("{} > {}: {}@{}", show(&tie.from), show(&tie.to), tie.name, tie.line))
        .collect()
}

/// The names taken from a floor above, as "from > to: name".
fn rising(files: &[(&str, &str)]) -> Vec<String> {
    let rising = structure(files).rising();
    rising.iter().map(|tie| format!("{} > {}: {}", tie.from.display(), tie.to.display(), tie.name)).collect()
}

const BOTH: (&str, &str) = ("lib.rs", "mod a;\nmod b;\n");

#[test]
fn a_circle_by_use_is_found_with_names_and_lines() {
    let files = [
        BOTH,
        ("a.rs", "use crate::b::{B, helper};\npub(crate) struct A(B);\nfn f() { helper() }"),
        (
            "b.rs",
            "//! Docs.\n\nuse crate::a::A;\npub(crate) struct B(Option<Box<A>>);\npub(crate) fn helper() {}",
        ),
    ];
    assert_eq!(circles(&files), ["a.rs b.rs"]);
    assert_eq!(ties(&files), ["a.rs > b.rs: B@1", "a.rs > b.rs: helper@1", "b.rs > a.rs: A@3"]);
    let said = structure(&files).circles()[0].to_string();
    assert!(said.contains("a.rs names what b.rs defines: B (line 1), helper (line 1)"), "{said}");
    assert!(said.contains("Open the circle"), "{said}");
}

#[test]
fn a_circle_by_inline_paths_is_found() {
    let a = ("a.rs", "pub fn f() { crate::b::g(1) }");
    for b in [
        "pub fn g(n: u8) { crate::a::f() }",
        "pub fn g(n: u8) { super::a::f() }",
        "use super::a;\npub fn g(n: u8) { a::f() }",
        "use crate::a as other;\npub fn g(n: u8) { other::f() }",
        "pub fn g(n: u8) { use crate::a; a::f() }",
        "pub fn g(n: u8) { fn inner() { use super::a::f; f() } }",
        "pub fn g(n: u8) { let called: fn() = crate::a::f; }",
        "mod inner { pub fn g() { super::super::a::f() } }\npub fn g(n: u8) {}",
    ] {
        assert_eq!(circles(&[BOTH, a, ("b.rs", b)]), ["a.rs b.rs"], "{b}");
    }
}

#[test]
fn a_circle_of_types_patterns_and_bounds_is_found() {
    let a = (
        "a.rs",
        "use crate::b::g;\npub enum E { One }\npub struct Unit;\npub trait T {}\npub const C: u8 = 1;",
    );
    for b in [
        "pub fn g(e: crate::a::E) {}",
        "pub fn g(e: u8) -> bool { matches!(e, crate::a::C) }",
        "pub fn g(e: u8) { match x { crate::a::E::One => {} } }",
        "pub fn g<X: crate::a::T>() {}",
        "pub fn g() {} struct S; impl crate::a::T for S {}",
        "pub fn g() -> [u8; crate::a::C as usize] { [0; 1] }",
        "pub fn g() {} impl crate::a::E { fn more(&self) {} }",
        "pub fn g() { <u8 as crate::a::T>::f() }",
        "use crate::a::T as _;\npub fn g() {}",
    ] {
        assert_eq!(circles(&[BOTH, a, ("b.rs", b)]), ["a.rs b.rs"], "{b}");
    }
}

#[test]
fn a_circle_in_the_tokens_of_a_macro_is_found() {
    let a = ("a.rs", "use crate::b::g;\npub fn f() {}\npub struct A;");
    for b in [
        "pub fn g() { assert!(true, \"{}\", crate::a::f()) }",
        "pub fn g() { table! { one => crate::a::f; } }",
        "use crate::a::*;\npub fn g() { table! { one => f() => } }",
        "macro_rules! call { () => { $crate::a::f() } }\npub fn g() { call!() }",
        "macro_rules! call { () => { use crate::a::{A as Other}; } }\npub fn g() { call!() }",
        "#[derive(Debug, thiserror::Error)]\n#[error(\"{}\", crate::a::f())]\nstruct S;\npub fn g() {}",
    ] {
        assert_eq!(circles(&[BOTH, a, ("b.rs", b)]), ["a.rs b.rs"], "{b}");
    }
}

#[test]
fn a_circle_through_the_roots_re_exports_is_found_without_the_root() {
    let files = [
        ("lib.rs", "mod a;\nmod b;\npub use a::A;\npub(crate) use crate::b::B as Renamed;"),
        ("a.rs", "pub struct A(crate::Renamed);"),
        ("b.rs", "use super::A;\npub struct B(Option<Box<A>>);"),
    ];
    assert_eq!(circles(&files), ["a.rs b.rs"]);
    assert_eq!(ties(&files), ["a.rs > b.rs: B@1", "b.rs > a.rs: A@1"]);
}

#[test]
fn a_circle_through_globs_is_found() {
    let a = ("a.rs", "pub enum A { One, Two }\npub fn f(b: crate::b::B) {}");
    for (root, b) in [
        ("mod a;\nmod b;", "use crate::a::*;\npub struct B;\nfn g() { f(B) }"),
        ("mod a;\nmod b;\npub use a::*;", "use crate::A;\npub struct B(A);"),
        ("mod a;\nmod b;\npub use a::*;", "use super::*;\npub struct B(A);"),
        ("mod a;\nmod b;", "use crate::a::A::*;\npub struct B;\nfn g(a: u8) { match a { Two => {} } }"),
        (
            "mod a;\nmod b;",
            "pub struct B;\nfn g() { use std::cmp::Ordering::*; use crate::a::*; f(B, Less) }",
        ),
    ] {
        assert_eq!(circles(&[("lib.rs", root), a, ("b.rs", b)]), ["a.rs b.rs"], "{b}");
    }
}

#[test]
fn a_parent_and_a_child_that_name_each_others_items_are_a_circle() {
    for root in ["lib.rs", "main.rs"] {
        let mod_file = ("a/mod.rs", "mod child;\npub struct Parent;\nfn f() { child::work() }");
        let child = ("a/child.rs", "use super::Parent;\npub fn work(parent: Parent) {}");
        assert_eq!(circles(&[(root, "mod a;"), mod_file, child]), ["a/child.rs a/mod.rs"]);
    }
    let beside = ("a.rs", "mod child;\npub struct Parent;\nuse child::Trait;");
    let child = ("a/child.rs", "impl Trait for super::Parent {}\npub trait Trait {}");
    assert_eq!(circles(&[("lib.rs", "mod a;"), beside, child]), ["a/child.rs a.rs"]);
}

#[test]
fn a_circle_of_three_is_one_circle() {
    let files = [
        ("lib.rs", "mod a;\nmod b;\nmod c;\nmod above;"),
        ("a.rs", "pub struct A(crate::b::B);"),
        ("b.rs", "pub struct B(crate::c::C);"),
        ("c.rs", "pub struct C(Option<Box<crate::a::A>>);"),
        ("above.rs", "struct Above(crate::a::A);"),
    ];
    assert_eq!(circles(&files), ["a.rs b.rs c.rs"]);
}

#[test]
fn a_private_import_is_a_re_export_if_others_alone_use_it() {
    let child = ("a.rs", "pub struct A;\npub fn f(settings: super::Settings) {}");
    let other = ("b.rs", "use crate::Name;\nfn g(name: Name) {}");
    let idle = ("lib.rs", "mod a;\nmod b;\nuse a::A as Name;\npub struct Settings;");
    assert_eq!(circles(&[idle, child, other]), Vec::<String>::new());
    let busy = ("lib.rs", "mod a;\nmod b;\nuse a::A as Name;\npub struct Settings(Name);");
    assert_eq!(circles(&[busy, child, other]), ["a.rs lib.rs"]);
    let methods = ("lib.rs", "mod a;\nuse a::A as Name;\npub struct Settings;");
    assert_eq!(circles(&[methods, child]), ["a.rs lib.rs"]);
}

#[test]
fn what_a_macro_defines_is_its_modules() {
    let root =
        ("lib.rs", "mod a;\nmacro_rules! make { () => { pub struct Made; } }\nmake!();\nfn f() { a::g() }");
    assert_eq!(circles(&[root, ("a.rs", "pub fn g(made: crate::Made) {}")]), ["a.rs lib.rs"]);
    assert_eq!(circles(&[root, ("a.rs", "pub fn g() { make!() }")]), ["a.rs lib.rs"]);
}

#[test]
fn siblings_in_one_direction_are_no_circle() {
    let files = [
        ("lib.rs", "mod rooms;\npub use rooms::{Lower, Upper};"),
        ("rooms/mod.rs", "mod lower;\nmod upper;\npub use lower::Lower;\npub use upper::Upper;"),
        ("rooms/lower.rs", "pub struct Lower;"),
        ("rooms/upper.rs", "use super::Lower;\npub struct Upper(Lower, crate::Lower, super::lower::Lower);"),
    ];
    assert_eq!(circles(&files), Vec::<String>::new());
    assert_eq!(ties(&files), ["rooms/upper.rs > rooms/lower.rs: Lower@1"]);
}

#[test]
fn tests_are_left_out() {
    let a = ("a.rs", "pub struct A;\n#[cfg(test)]\nmod tests { use crate::b::B; }");
    let b = ("b.rs", "pub struct B(crate::a::A);");
    assert_eq!(circles(&[BOTH, a, b]), Vec::<String>::new());

    let a = ("a.rs", "pub struct A;\n#[cfg(all(test, unix))]\nmod tests;\n#[test]\nfn t() { crate::b::g() }");
    let tests = ("a/tests.rs", "mod more;\nuse crate::b::B;\nimpl crate::b::B {}");
    let files = [BOTH, a, b, tests, ("a/tests/more.rs", "use crate::b::B;")];
    assert_eq!(circles(&files), Vec::<String>::new());
    let read = structure(&files);
    assert_eq!(read.unreached(), Vec::<&Path>::new());
    assert_eq!(read.files(), [Path::new("lib.rs"), Path::new("a.rs"), Path::new("b.rs")]);

    // Code that is compiled for a feature too, or without tests, counts.
    for condition in ["any(test, feature = \"kit\")", "not(test)", "feature = \"kit\""] {
        let text = format!("pub struct A;\n#[cfg({condition})]\nmod kit {{ use crate::b::B; }}");
        assert_eq!(circles(&[BOTH, ("a.rs", &text), b]), ["a.rs b.rs"], "{condition}");
    }
}

#[test]
fn names_of_other_crates_are_no_ties() {
    let files = [
        BOTH,
        (
            "a.rs",
            "use std::error::Error;\nuse ::b::B;\nuse other::{b, *};\npub struct A;\nfn f() { Vec::<u8>::new(); known() }",
        ),
        (
            "b.rs",
            "use crate::a::A;\nuse std::io::{self, Read as _};\npub fn known(a: A) -> io::Result<()> { Ok(()) }",
        ),
    ];
    assert_eq!(ties(&files), ["b.rs > a.rs: A@1"]);
}

#[test]
fn a_module_and_a_function_of_one_name_are_told_apart() {
    let files = [
        ("lib.rs", "mod inspect;\nmod other;\npub use inspect::inspect;"),
        ("inspect.rs", "pub fn inspect() {}\npub struct Kind;"),
        ("other.rs", "use crate::inspect;\nfn f() -> inspect::Kind { inspect() }"),
    ];
    assert_eq!(ties(&files), ["other.rs > inspect.rs: Kind@2", "other.rs > inspect.rs: inspect@1"]);
}

#[test]
fn imports_that_lead_back_to_themselves_end() {
    let files = [
        BOTH,
        ("a.rs", "pub use crate::b::*;\npub use crate::b::Lost;\nfn f() -> Lost { Nowhere }"),
        ("b.rs", "pub use crate::a::*;\npub use crate::a::Lost;\nfn f() -> Lost { Nowhere }"),
    ];
    assert_eq!(ties(&files), Vec::<String>::new());
}

const FLOORS: (&str, &str) =
    ("lib.rs", "//! Docs.\n\n// Ground.\nmod a;\nmod b;\n// Above.\nmod c;\n\nmod d;\n\npub use d::D;\n");

#[test]
fn a_name_from_a_floor_above_is_found() {
    let c = ("c.rs", "pub struct C;");
    let below =
        [FLOORS, ("a.rs", "use crate::c::C;"), ("b.rs", "use crate::D;"), c, ("d.rs", "pub struct D;")];
    assert_eq!(rising(&below), ["a.rs > c.rs: C", "b.rs > d.rs: D"]);
    assert_eq!(structure(&below).circles().len(), 0);
    assert_eq!(structure(&below).declared_floors(), 3);
}

#[test]
fn names_from_below_and_beside_are_none_from_above() {
    let files = [
        FLOORS,
        ("a.rs", "pub struct A;"),
        ("b.rs", "pub struct B(crate::a::A);"),
        ("c.rs", "use crate::b::B;\npub struct C(B);"),
        ("d.rs", "use crate::c::C;\npub struct D(C, crate::a::A);"),
    ];
    assert_eq!(rising(&files), Vec::<String>::new());
    let printed = structure(&files).to_string();
    let at = |text: &str| printed.find(text).unwrap_or_else(|| panic!("no {text} in\n{printed}"));
    assert!(at("floor 0: Ground") < at(" b.rs") && at(" b.rs") < at("floor 1: Above"), "{printed}");
    assert!(at("floor 1: Above") < at(" c.rs") && at(" c.rs") < at("floor 2\n"), "{printed}");
}

#[test]
fn floors_hold_for_whole_directories_and_inside_them() {
    let files = [
        ("lib.rs", "mod low;\n\nmod high;"),
        ("low/mod.rs", "mod x;\n\nmod y;"),
        ("low/x.rs", "fn f() { super::y::g() }"),
        ("low/y.rs", "pub fn g() { crate::high::deep::h() }"),
        ("high.rs", "pub mod deep;"),
        ("high/deep.rs", "pub fn h() {}"),
    ];
    assert_eq!(rising(&files), ["low/x.rs > low/y.rs: g", "low/y.rs > high/deep.rs: h"]);
}

#[test]
fn attributes_and_tests_part_no_floors() {
    let root =
        "mod a;\n#[cfg(feature = \"kit\")]\n#[doc(hidden)]\npub mod b;\n#[cfg(test)]\nmod tests;\nmod c;\n";
    let files = [
        ("lib.rs", root),
        ("a.rs", "use crate::c::C;"),
        ("b.rs", ""),
        ("c.rs", "pub struct C;"),
        ("tests.rs", ""),
    ];
    assert_eq!(structure(&files).declared_floors(), 1);
    assert_eq!(rising(&files), Vec::<String>::new());
}

#[test]
fn without_declared_floors_ties_give_them() {
    let files = [
        BOTH,
        ("a.rs", "//! The upper. More.\nuse crate::b::B;"),
        ("b.rs", "//! The lower\n//! one.\npub struct B;"),
    ];
    let printed = structure(&files).to_string();
    let words: Vec<&str> = printed.split_whitespace().collect();
    assert_eq!(words.join(" "), "floor 0 lib.rs b.rs The lower one floor 1 a.rs The upper");
}

#[test]
fn modules_are_found_where_rust_finds_them() {
    let files = [
        ("lib.rs", "#[path = \"elsewhere/told.rs\"]\nmod told;\nmod outer { pub mod r#in; }\nmod beside;"),
        ("elsewhere/told.rs", "mod deep;"),
        ("elsewhere/deep.rs", "use crate::outer::r#in::In;"),
        ("outer/in.rs", "pub struct In(crate::beside::below::Below);"),
        ("beside.rs", "pub mod below;"),
        ("beside/below/mod.rs", "pub struct Below;\nmod last;"),
        ("beside/below/last.rs", "use super::super::super::told::deep;"),
        ("main.rs", "mod own;"),
        ("own.rs", "fn f() { crate::g() }"),
        ("bin/other/main.rs", "mod tool;"),
        ("bin/other/tool.rs", ""),
    ];
    let found = ["elsewhere/deep.rs > outer/in.rs: In@1", "outer/in.rs > beside/below/mod.rs: Below@1"];
    assert_eq!(ties(&files)[..2], found);
    assert_eq!(structure(&files).unreached(), Vec::<&Path>::new());
}

#[test]
fn a_file_that_nothing_declares_is_told() {
    let files = [
        ("lib.rs", "mod a;"),
        ("a.rs", ""),
        ("a/forgotten.rs", "use crate::a;"),
        ("main.rs", "fn main() {}"),
    ];
    assert_eq!(structure(&files).unreached(), [Path::new("a/forgotten.rs")]);
}

#[test]
fn sources_that_cannot_be_read_are_refused() {
    let read = |files: &[(&str, &str)]| {
        let dir = TempDir::new().unwrap();
        files.iter().for_each(|(path, text)| std::fs::write(dir.path().join(path), text).unwrap());
        let error = Structure::read(dir.path()).err().unwrap();
        error.to_string().replace(dir.path().to_str().unwrap(), "DIR")
    };
    assert_eq!(read(&[]), "DIR has neither lib.rs nor main.rs");
    assert_eq!(read(&[("lib.rs", "mod lost;")]), "DIR/lib.rs declares the module lost, which has no file");
    assert_eq!(read(&[("lib.rs", "\nfn (")]), "DIR/lib.rs, line 2: not Rust");
    assert!(Structure::read("/nowhere/at/all").is_err());
}
