//! Programs on Rust's standard library. Between them and WASI lies the target's libc, and under
//! `wasm32-wasip1` also the adapter from preview1.
//!
//! The first argument names the program; `list` prints their names. A program prints its
//! observations as lines `label: value`, the same on every run.

mod directories;
mod ending;
mod files;

use std::fmt::Debug;
use std::io;

type Program = fn() -> io::Result<()>;

const PROGRAMS: [(&str, Program); 13] = [
    ("files/reads_and_writes", files::reads_and_writes),
    ("files/seeks", files::seeks),
    ("files/options", files::options),
    ("files/appends", files::appends),
    ("files/sizes_and_times", files::sizes_and_times),
    ("files/copies", files::copies),
    ("files/errors", files::errors),
    ("files/standard_streams", files::standard_streams),
    ("directories/trees", directories::trees),
    ("directories/names", directories::names),
    ("directories/errors", directories::errors),
    ("ending/exit_code", ending::exit_code),
    ("ending/panic", ending::panic),
];

fn main() -> io::Result<()> {
    let name = std::env::args().nth(1).unwrap_or_default();
    if name == "list" {
        PROGRAMS.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(());
    }
    match PROGRAMS.iter().find(|(known, _)| *known == name) {
        Some((_, program)) => program(),
        None => Err(io::Error::other(format!("no program named {name:?}"))),
    }
}

/// Prints one observation. An error is shown by its kind, since its text comes from the libc.
fn say<T: Debug>(label: &str, value: io::Result<T>) {
    match value {
        Ok(value) => println!("{label}: {value:?}"),
        Err(error) => println!("{label}: error {:?}", error.kind()),
    }
}
