//! Programs of the system.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the path of a program: from `directories`, else from the search path.
///
/// # Panics
/// If it is not there. The message names the Debian package that has it.
pub fn find_tool(name: &str, directories: &[PathBuf], package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let searched = directories.iter().cloned().chain(std::env::split_paths(&path));
    searched.map(|directory| directory.join(name)).find(|file| file.is_file()).unwrap_or_else(|| {
        panic!("{name} is not installed: run `.ci/setup servers` or `apt-get install {package}`")
    })
}

/// Returns the path of a program that the project's set-up keeps, which `question` asks it for.
///
/// # Panics
/// If it is not there. The message says how to install it.
pub(crate) fn set_up_tool(question: &str) -> PathBuf {
    let set_up = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../.ci/setup");
    run_to_end(Command::new(set_up).arg(question)).trim().into()
}

/// Runs a program to its end.
///
/// # Panics
/// If it fails. The message has what it printed.
pub fn run_to_end(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    out.into_owned()
}

/// Returns whether a process with root's rights runs this.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Kills a process and those that it started, at once.
pub(crate) fn kill_tree(pid: u32) {
    let children = Path::new("/proc").join(pid.to_string()).join(format!("task/{pid}/children"));
    let children = std::fs::read_to_string(children).unwrap_or_default();
    let mut kill = Command::new("kill");
    // The parent first, or it would notice the end of a child and say so in its own way.
    kill.args(["-9", &pid.to_string()]).args(children.split_whitespace());
    // Some may have ended by themselves.
    let _ = kill.output();
}
