//! Builds the Rust guests and tells the harness where to find them.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use kvfs_wasm_build::{Build, Error, StdSource, Toolchain};

/// Modules without a libc, guests and a provider: the package, and the variable for the module's
/// path.
const RAW: [(&str, &str); 8] = [
    ("guests", "KVFS_GUESTS"),
    ("guests/notes", "KVFS_NOTES"),
    ("guests/caller", "KVFS_CALLER"),
    ("guests/carrier", "KVFS_CARRIER"),
    ("guests/control", "KVFS_CONTROL"),
    ("guests/network", "KVFS_NETWORK"),
    ("guests/server", "KVFS_SERVER"),
    ("../compose/providers/example", "KVFS_EXAMPLE_PROVIDER"),
];

/// Targets with a libc, for which only rustup brings `std`, and the variable for the path of each
/// one's guest.
const WITH_LIBC: [(&str, &str); 2] =
    [("wasm32-wasip1", "KVFS_STD_WASIP1"), ("wasm32-wasip2", "KVFS_STD_WASIP2")];

/// Tools that not every machine has: the argument that asks set-up, the tool's name, and the cfg
/// that skips its tests.
const OPTIONAL: [(&str, &str, &str); 6] = [
    ("--print-componentize-js", "componentize-js", "no_javascript"),
    ("--print-wasmtime oldest", "prebuilt wasmtime of the oldest version", "no_prebuilt_wasmtimes"),
    ("--print-wasmtime newest", "prebuilt wasmtime of the newest version", "no_prebuilt_wasmtimes"),
    ("--print-wasmtime-py", "wasmtime-py", "no_wasmtime_py"),
    ("--print-namespace", "private mounts", "no_mounts"),
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
    // Apart, as the same file without the feature is part of the library.
    let sealed = Build::new("../compose/providers/file").feature("sealed");
    build(sealed.target_dir(target_dir().join("wasm-sealed")), "KVFS_SEALED_PROVIDER")?;
    let installed =
        |target| Toolchain::find(target).is_ok_and(|toolchain| toolchain.std == StdSource::Installed);
    if WITH_LIBC.iter().all(|(target, _)| installed(target)) {
        for (target, variable) in WITH_LIBC {
            build(Build::new("guests/std").target(target).program(), variable)?;
        }
    } else {
        println!("cargo:warning=no std for wasm32-wasip1 and -wasip2: tests of guests for them are skipped");
        println!("cargo:rustc-cfg=no_std_guests");
        look_again();
    }
    for (argument, what, cfg) in OPTIONAL {
        println!("cargo:rustc-check-cfg=cfg({cfg})");
        let found = Command::new("../.ci/setup").args(argument.split(' ')).output();
        if !found.is_ok_and(|output| output.status.success()) {
            println!("cargo:warning=no {what}: tests that use it are skipped");
            println!("cargo:rustc-cfg={cfg}");
            look_again();
        }
    }
    Ok(())
}

/// Makes cargo run this at every build, because nothing reports when a missing tool is installed.
fn look_again() {
    println!("cargo:rerun-if-changed=no-such-file");
}

fn build(build: Build, variable: &str) -> Result<(), Error> {
    let artifact = build.run()?;
    artifact.emit_rerun_if_changed();
    println!("cargo:rustc-env={variable}={}", artifact.wasm.display());
    Ok(())
}

/// Returns cargo's target directory, found by cargo's own mark. It keeps what the tests build once.
fn target_dir() -> PathBuf {
    let out = std::env::var_os("OUT_DIR").unwrap_or_default();
    let marked = |dir: &&Path| dir.join("CACHEDIR.TAG").exists();
    Path::new(&out).ancestors().find(marked).unwrap_or(Path::new(&out)).to_owned()
}
