//! Prints the floors of crates: `cargo run -p kvfs-structure -- adapter/engine/src compose/src`.

use kvfs_structure::Structure;
use std::process::ExitCode;

fn main() -> ExitCode {
    let dirs: Vec<String> = std::env::args().skip(1).collect();
    if dirs.is_empty() {
        eprintln!("kvfs-structure: name the source directories of crates, such as adapter/engine/src");
        return ExitCode::from(2);
    }
    for dir in dirs {
        match Structure::read(&dir) {
            Ok(structure) => {
                println!("{dir}, from the ground up:\n{structure}");
                for circle in structure.circles() {
                    println!("{circle}\n");
                }
            }
            Err(error) => {
                eprintln!("kvfs-structure: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
