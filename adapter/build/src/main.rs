//! Prints which toolchain builds wasm here, or what is missing: set-up runs it.

use std::process::ExitCode;

use kvfs_wasm_build::{DEFAULT_TARGET, StdSource, Toolchain};

fn main() -> ExitCode {
    match Toolchain::find(DEFAULT_TARGET) {
        Ok(toolchain) => {
            let std = match toolchain.std {
                StdSource::Installed => "its own std",
                _ => "std built from its sources",
            };
            println!("{} with {std} for {DEFAULT_TARGET}", toolchain.rustc.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
