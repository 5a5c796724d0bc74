//! Builds the Rust guests and tells the harness where things are.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use kvfs_wasm_build::{Build, Error, StdSource, Toolchain};

/// What needs no libc, guests and a provider: package, and the variable that says where its module is.
const RAW: [(&str, &str); 7] = [
    ("guests", "KVFS_GUESTS"),
    ("guests/notes", "KVFS_NOTES"),
    ("guests/caller", "KVFS_CALLER"),
    ("guests/carrier", "KVFS_CARRIER"),
    ("guests/network", "KVFS_NETWORK"),
    ("guests/server", "KVFS_SERVER"),
    ("../compose/providers/example", "KVFS_EXAMPLE_PROVIDER"),
];

/// Targets with a libc, whose `std` only rustup brings, and the variable for the guest built for each.
const WITH_LIBC: [(&str, &str); 2] =
    [("wasm32-wasip1", "KVFS_STD_WASIP1"), ("wasm32-wasip2", "KVFS_STD_WASIP2")];

/// What not every machine has: how set-up is asked for it, its name, and the cfg for tests that go without.
const OPTIONAL: [(&str, &str, &str); 6] = [
    ("--print-componentize-js", "componentize-js", "no_javascript"),
    ("--print-wasmtime oldest", "prebuilt wasmtime of the oldest version", "no_prebuilt_wasmtimes"),
    ("--print-wasmtime newest", "prebuilt wasmtime of the newest version", "no_prebuilt_wasmtimes"),
    ("--print-wasmtime-py", "wasmtime-py", "no_wasmtime_py"),
    ("--print-namespace", "mounts of our own", "no_mounts"),
    ("--print-mount", "right to mount a small disk", "no_disks"),
];

fn main() -> ExitCode {
    println!("cargo:rustc-env=KVFS_TARGET_DIR={}", target_dir().display());
    println!("cargo:rustc-check-cfg=cfg(no_std_guests)");
    match build_all() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn build_all() -> Result<(), Error> {
    for (package, variable) in RAW {
        build(Build::new(package), variable)?;
    }
    let installed =
        |target| Toolchain::find(target).is_ok_and(|toolchain| toolchain.std == StdSource::Installed);
    if WITH_LIBC.iter().all(|(target, _)| installed(target)) {
        for (target, variable) in WITH_LIBC {
            build(Build::new("guests/std").target(target).program(), variable)?;
        }
    } else {
        println!("cargo:warning=no std for wasm32-wasip1 and -wasip2: tests of guests on it are skipped");
        println!("cargo:rustc-cfg=no_std_guests");
        look_again();
    }
    for (argument, what, cfg) in OPTIONAL {
        println!("cargo:rustc-check-cfg=cfg({cfg})");
        let found = Command::new("../.ci/setup").args(argument.split(' ')).output();
        if !found.is_ok_and(|output| output.status.success()) {
            println!("cargo:warning=no {what}: tests with it are skipped");
            println!("cargo:rustc-cfg={cfg}");
            look_again();
        }
    }
    Ok(())
}

/// Has this run by every build: nothing says when what is missing comes.
fn look_again() {
    println!("cargo:rerun-if-changed=no-such-file");
}

fn build(build: Build, variable: &str) -> Result<(), Error> {
    let artifact = build.run()?;
    artifact.emit_rerun_if_changed();
    println!("cargo:rustc-env={variable}={}", artifact.wasm.display());
    Ok(())
}

/// The directory that cargo marks as its own; where what the tests build once is kept.
fn target_dir() -> PathBuf {
    let out = std::env::var_os("OUT_DIR").unwrap_or_default();
    let marked = |dir: &&Path| dir.join("CACHEDIR.TAG").exists();
    Path::new(&out).ancestors().find(marked).unwrap_or(Path::new(&out)).to_owned()
}
