//! The nested cargo's environment: the user's, without the variables that the outer cargo sets for
//! its own build.

use std::env;
use std::process::Command;

/// Prefixes of cargo's variables that are the user's own settings. The jobserver is among them: it
/// keeps both cargos within one limit.
const KEPT: [&str; 8] = [
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_MAKEFLAGS",
    "CARGO_NET_",
    "CARGO_REGISTRIES_",
    "CARGO_REGISTRY_",
    "CARGO_SOURCE_",
    "CARGO_TERM_",
];

/// Variables that describe a build script's own package, and settings for compilers of host code.
const DROPPED: [&str; 13] = [
    "CLIPPY_ARGS",
    "CLIPPY_CONF_DIR",
    "DEBUG",
    "HOST",
    "OPT_LEVEL",
    "OUT_DIR",
    "PROFILE",
    "RUSTC",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTDOC",
    "RUSTFLAGS",
    "TARGET",
];

/// Removes the variables that would make the nested cargo build like the outer one.
pub(crate) fn clean(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let drop = name.to_str().is_some_and(|name| {
            let cargos = name == "CARGO" || name.starts_with("CARGO_");
            let kept = KEPT.iter().any(|prefix| name.starts_with(prefix));
            (cargos && !kept) || DROPPED.contains(&name)
        });
        if drop {
            command.env_remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outer_build_is_forgotten() {
        // Cargo sets this one for every test.
        assert!(env::var_os("CARGO_MANIFEST_DIR").is_some());
        let mut command = Command::new("true");
        clean(&mut command);
        let removed = |name: &str| command.get_envs().any(|(k, v)| k == name && v.is_none());
        assert!(removed("CARGO_MANIFEST_DIR"));
        assert!(!removed("CARGO_HOME") && !removed("PATH"));
    }
}
