//! Programs of the system.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::waits::wait_up_to;

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

/// Longest wait for a process that was sent a signal. Nothing fails after it: others clean up too.
const LONGEST: Duration = Duration::from_secs(10);

/// Kills a process and those that it started, and waits until these have ended. The process itself is to be
/// waited for by whoever has started it.
pub(crate) fn kill_tree(pid: u32) {
    let parent = pid.to_string();
    // A process that stands still starts no more of them, nor does it see their end and say so in its own way.
    send("-STOP", &[&parent]);
    wait_up_to(LONGEST, || !matches!(state_of(&parent), Some('R' | 'S' | 'D')));
    let children = Path::new("/proc").join(&parent).join(format!("task/{parent}/children"));
    let children = std::fs::read_to_string(children).unwrap_or_default();
    let children: Vec<&str> = children.split_whitespace().collect();
    send("-KILL", &[&[parent.as_str()][..], &children].concat());
    // Until then they have what the next server needs: the memory that the processes of PostgreSQL share.
    wait_up_to(LONGEST, || children.iter().all(|child| matches!(state_of(child), None | Some('Z' | 'X'))));
}

/// Sends processes a signal. Some may have ended by themselves.
fn send(signal: &str, pids: &[&str]) {
    let _ = Command::new("kill").arg(signal).args(pids).output();
}

/// Returns the letter by which the system says what a process does, if there is one.
fn state_of(pid: &str) -> Option<char> {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).ok()?;
    // Its name, in brackets, may have any characters.
    stat.rsplit_once(") ")?.1.chars().next()
}
