//! One directory per guest: `guest.wit` or `guest.wat`, and `expected.txt` with the report of its
//! composition or the error. `BLESS=1` writes what was found as expected.

mod common;

use kvfs_compose::Compose;
use std::path::{Path, PathBuf};

fn directories() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut found: Vec<_> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

fn guest(directory: &Path) -> Vec<u8> {
    let wit = directory.join("guest.wit");
    if wit.exists() {
        return common::guest(&std::fs::read_to_string(wit).unwrap(), "0.2.12");
    }
    wat::parse_file(directory.join("guest.wat")).unwrap()
}

#[test]
fn guests_give_what_is_expected() {
    let mut wrong = Vec::new();
    for directory in directories() {
        let found = match Compose::new(&guest(&directory)).build() {
            Ok(composed) => composed.report.to_string(),
            Err(error) => format!("kvfs: {error}\n"),
        };
        let path = directory.join("expected.txt");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        if found != expected {
            wrong.push(format!("{}:\nexpected:\n{expected}\nfound:\n{found}", directory.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_are_guests() {
    assert!(directories().len() >= 10);
}
