//! One directory for each guest, with
//!
//! - `guest.wit` or `guest.wat`;
//! - `expected.txt`: the report of its composition, or the error;
//! - `link`, if it is linked at core level;
//! - `mounts`, if it has mounts: one a line;
//! - `structure.txt`, to compare the order of the items in the result.
//!
//! `BLESS=1` overwrites the expectations with the results.

use kvfs_compose::{Compose, ComposeError, Link};
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
        return kvfs_wit_guests::guest(&std::fs::read_to_string(wit).unwrap(), "0.2.12");
    }
    wat::parse_file(directory.join("guest.wat")).unwrap()
}

/// Lists the items of a component in their order. Leaves out what changes with the adapter's code:
/// indices, and the number of successive aliases of core exports.
fn structure(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut config = wasmprinter::Config::new();
    config.print_skeleton(true).print(bytes, &mut wasmprinter::PrintFmtWrite(&mut text)).unwrap();
    let mut found: Vec<String> = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("  (")) {
        let words: Vec<_> = line.split(' ').filter(|word| !word.contains("(;")).collect();
        let item = match words.as_slice() {
            ["core", kind @ ("module" | "instance"), rest @ ..] => {
                let name = rest.first().filter(|name| name.starts_with('$'));
                format!("core {kind} {}", name.copied().unwrap_or_default())
            }
            ["alias", "core", ..] => "core exports".to_owned(),
            ["alias", ..] => "export of an import".to_owned(),
            ["core", "func", rest @ ..] if rest.contains(&"lower") || line.contains("(canon lower") => {
                "lowered".to_owned()
            }
            ["import" | "export", ..] => {
                let name = line.split('"').nth(1).unwrap_or_default();
                format!("{} {name}", words[0])
            }
            [kind, ..] => (*kind).to_owned(),
            [] => continue,
        };
        let item = item.trim_end().to_owned();
        if found.last() != Some(&item) {
            found.push(item);
        }
    }
    found.join("\n") + "\n"
}

#[test]
fn guests_give_what_is_expected() {
    let mut wrong = Vec::new();
    for directory in directories() {
        let link = if directory.join("link").exists() { Link::Core } else { Link::Component };
        let mounts = std::fs::read_to_string(directory.join("mounts")).unwrap_or_default();
        let bytes = guest(&directory);
        let compose = mounts.lines().try_fold(Compose::new(&bytes).link(link), |compose, mount| {
            mount.parse().map(|mount| compose.mount(mount))
        });
        let composed = compose.map_err(ComposeError::from).and_then(Compose::build);
        let found = match &composed {
            Ok(composed) => composed.report.to_string(),
            Err(error) => format!("kvfs: {error}\n"),
        };
        let mut compare = |file: &str, found: String| {
            let path = directory.join(file);
            if std::env::var_os("BLESS").is_some() {
                std::fs::write(&path, &found).unwrap();
            }
            let expected = std::fs::read_to_string(&path).unwrap_or_default();
            if found != expected {
                wrong.push(format!("{}:\nexpected:\n{expected}\nfound:\n{found}", path.display()));
            }
        };
        compare("expected.txt", found);
        if directory.join("structure.txt").exists() {
            compare("structure.txt", structure(&composed.unwrap().bytes));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_are_guests() {
    assert!(directories().len() >= 10);
}
