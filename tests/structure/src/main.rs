//! Prints the floors of crates, and what breaks the rules:
//! `cargo run -p kvfs-structure -- adapter/engine/src compose/src`.

use kvfs_structure::Structure;
use std::process::ExitCode;

fn main() -> ExitCode {
    let dirs: Vec<String> = std::env::args().skip(1).collect();
    if dirs.is_empty() {
        eprintln!("kvfs-structure: name the source directories of crates, such as adapter/engine/src");
        return ExitCode::from(2);
    }
    let mut is_sound = true;
    for dir in dirs {
        match Structure::read(&dir) {
            Ok(structure) => is_sound &= print(&dir, &structure),
            Err(error) => {
                eprintln!("kvfs-structure: {error}");
                is_sound = false;
            }
        }
    }
    if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Returns whether the crate keeps the rules.
fn print(dir: &str, structure: &Structure) -> bool {
    let (files, ties) = (structure.files().len(), structure.ties().len());
    println!("{dir}, {files} files with {ties} names between them, from the ground up:\n{structure}");
    let (circles, rising) = (structure.circles(), structure.rising());
    for circle in &circles {
        println!("{circle}\n");
    }
    if !rising.is_empty() {
        println!("Names from floors above:");
    }
    for tie in &rising {
        println!("{tie}");
    }
    for file in structure.unreached() {
        println!("No module declares {}.", file.display());
    }
    circles.is_empty() && rising.is_empty() && structure.unreached().is_empty()
}
