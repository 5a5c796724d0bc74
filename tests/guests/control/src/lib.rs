//! A program that makes snapshots and forks of its volumes: its arguments are steps, and it prints what
//! each one gives.

use bindings::kvfs::volume::control::{self, Change};
use bindings::wasi::filesystem::preopens::get_directories;
use bindings::wasi::filesystem::types::{
    Descriptor, DescriptorFlags, DirectoryEntryStream, ErrorCode, OpenFlags, PathFlags,
};
use std::cell::RefCell;

mod bindings {
    wit_bindgen::generate!({
        path: ["../../../wit", "wit"],
        world: "kvfs:control-guest/control",
        generate_all,
        pub_export_macro: true,
    });
}

struct Control;

bindings::export!(Control with_types_in bindings);

thread_local! {
    static HELD: RefCell<Vec<Descriptor>> = const { RefCell::new(Vec::new()) };
    static LISTED: RefCell<Vec<DirectoryEntryStream>> = const { RefCell::new(Vec::new()) };
    static ROOT: RefCell<Option<Descriptor>> = const { RefCell::new(None) };
}

fn print(text: &str) {
    let out = bindings::wasi::cli::stdout::get_stdout();
    for piece in text.as_bytes().chunks(4096) {
        let _ = out.blocking_write_and_flush(piece);
    }
}

/// Does something with the root, which is opened once and stays open.
fn root<T>(act: impl FnOnce(&Descriptor) -> Result<T, ErrorCode>) -> Result<T, ErrorCode> {
    ROOT.with_borrow_mut(|root| {
        if root.is_none() {
            *root = get_directories().into_iter().next().map(|(root, _)| root);
        }
        act(root.as_ref().ok_or(ErrorCode::NoEntry)?)
    })
}

fn open(path: &str, how: OpenFlags, access: DescriptorFlags) -> Result<Descriptor, ErrorCode> {
    root(|root| root.open_at(PathFlags::empty(), path, how, access))
}

fn write(path: &str, text: &str) -> Result<(), ErrorCode> {
    let file = open(path, OpenFlags::CREATE | OpenFlags::TRUNCATE, DescriptorFlags::WRITE)?;
    file.write(text.as_bytes(), 0).map(drop)
}

fn read(path: &str) -> Result<String, ErrorCode> {
    let (bytes, _) = open(path, OpenFlags::empty(), DescriptorFlags::READ)?.read(1 << 16, 0)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn list(path: &str) -> Result<Vec<String>, ErrorCode> {
    let listing = open(path, OpenFlags::DIRECTORY, DescriptorFlags::READ)?.read_directory()?;
    let mut names = Vec::new();
    while let Some(entry) = listing.read_directory_entry()? {
        names.push(entry.name);
    }
    names.sort();
    Ok(names)
}

/// Opens the root's listing and keeps it.
fn listing() -> Result<(), ErrorCode> {
    let listing = root(Descriptor::read_directory)?;
    LISTED.with_borrow_mut(|listed| listed.push(listing));
    Ok(())
}

fn differences(mount: &str, since: &str) -> Result<Vec<String>, control::Error> {
    let mut all = Vec::new();
    loop {
        let page = control::diff(mount, since, all.len() as u64)?;
        all.extend(page.differences.into_iter().map(|found| match found.change {
            Change::Added => format!("A {}", found.path),
            Change::Removed => format!("D {}", found.path),
            Change::Modified(what) => format!("M {} {what:?}", found.path),
            Change::Renamed(renaming) => format!("R {} {}", renaming.old_path, found.path),
        }));
        if !page.more {
            return Ok(all);
        }
    }
}

/// Makes snapshots of numbered names until one is refused. Returns how many it made, and why it ended.
fn fill(mount: &str, most: u32) -> String {
    for number in 0..most {
        if let Err(error) = control::snapshot(mount, &format!("n{number}")) {
            return format!("{number} {error:?}");
        }
    }
    format!("{most}")
}

fn step(words: &[&str]) -> String {
    let shown = |outcome: Result<(), control::Error>| match outcome {
        Ok(()) => "ok".to_owned(),
        Err(error) => format!("{error:?}"),
    };
    let of_file = |outcome: Result<(), ErrorCode>| match outcome {
        Ok(()) => "ok".to_owned(),
        Err(code) => code.name().to_owned(),
    };
    match *words {
        ["write", path, text] => of_file(write(path, text)),
        ["many", directory, count] => of_file(
            (0..count.parse().unwrap_or(0))
                .try_for_each(|number: u32| write(&format!("{directory}/{number:06}"), "x")),
        ),
        ["mkdir", path] => of_file(root(|root| root.create_directory_at(path))),
        ["rm", path] => of_file(root(|root| root.unlink_file_at(path))),
        ["mv", from, to] => of_file(root(|root| root.rename_at(from, root, to))),
        ["cat", path] => read(path).unwrap_or_else(|code| code.name().to_owned()),
        ["ls", path] => list(path).map_or_else(|code| code.name().to_owned(), |names| names.join(" ")),
        ["hold", path] => of_file(open(path, OpenFlags::empty(), DescriptorFlags::READ).map(|file| {
            HELD.with_borrow_mut(|held| held.push(file));
        })),
        ["listing"] => of_file(listing()),
        ["drop"] => {
            HELD.with_borrow_mut(Vec::clear);
            LISTED.with_borrow_mut(Vec::clear);
            "ok".to_owned()
        }
        ["commit", mount] => shown(control::commit(mount)),
        ["snapshot", mount, name] => shown(control::snapshot(mount, name)),
        ["fork", mount, name] => shown(control::fork(mount, name)),
        ["restore", mount, name] => shown(control::restore(mount, name)),
        ["remove", mount, name] => shown(control::remove(mount, name)),
        ["entries", mount] => match control::entries(mount) {
            Err(error) => format!("{error:?}"),
            Ok(entries) => {
                let line = |entry: &control::Entry| {
                    let kind = if entry.writable { "fork" } else { "snapshot" };
                    format!("{}:{kind}:{}", entry.name, entry.used_bytes)
                };
                entries.iter().map(line).collect::<Vec<_>>().join(" ")
            }
        },
        ["diff", mount, since] => match differences(mount, since) {
            Err(error) => format!("{error:?}"),
            Ok(all) if all.len() > 20 => format!("{} differences", all.len()),
            Ok(all) => all.join(", "),
        },
        ["fill", mount, most] => fill(mount, most.parse().unwrap_or(0)),
        // Names that no argument can have.
        ["odd-names", mount] => {
            let long = "x".repeat(65);
            let longer = "x".repeat(1 << 20);
            let names = ["", "\0", "a\0b", "a\nb", "a b", long.as_str(), longer.as_str(), "ä", "\u{202e}x"];
            let tries = names.map(|name| {
                let all = [
                    control::snapshot(mount, name),
                    control::fork(mount, name),
                    control::restore(mount, name),
                    control::remove(mount, name),
                    control::diff(mount, name, 0).map(drop),
                ];
                all.iter().all(|outcome| matches!(outcome, Err(control::Error::BadName)))
            });
            format!("{tries:?}")
        }
        _ => "no such step".to_owned(),
    }
}

impl bindings::exports::wasi::cli::run::Guest for Control {
    fn run() -> Result<(), ()> {
        for argument in bindings::wasi::cli::environment::get_arguments().iter().skip(1) {
            let words: Vec<&str> = argument.split(' ').collect();
            print(&format!("{argument}: {}\n", step(&words)));
        }
        Ok(())
    }
}
