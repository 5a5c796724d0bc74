//! Two processes of the `kvfs` command on one redb file, which share only the store.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::LINK;
use kvfs_tests::{guests, target_dir};

/// Returns the command of this build, which cargo puts two levels above its tests.
pub(crate) fn kvfs() -> Command {
    let test = std::env::current_exe().unwrap();
    let file = test.ancestors().nth(2).unwrap().join("kvfs");
    assert!(file.exists(), "{} is not there: cargo build -p kvfs-cli", file.display());
    let mut command = Command::new(file);
    // Its cache of compiled guests, kept with the tests' own files.
    command.env("XDG_CACHE_HOME", target_dir().join("kvfs-tests")).env_remove("RUST_BACKTRACE");
    command
}

pub(crate) fn composed(dir: &Path) -> PathBuf {
    let out = dir.join("python.kvfs.wasm");
    let mut command = kvfs();
    command.arg("compose").arg(guests::python().unwrap()).arg("-o").arg(&out).args(["--link", LINK]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    out
}

fn run(component: &Path, store: &Path, args: &[&str], input: &str) -> Output {
    let mut child = kvfs()
        .arg("run")
        .arg("--store")
        .arg(format!("redb:{}", store.display()))
        .arg(component)
        .arg("--")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[track_caller]
fn ended(output: &Output, code: i32, stdout: &str) {
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), stdout);
}

#[test]
fn another_process_finds_what_one_wrote() {
    let dir = tempfile::tempdir().unwrap();
    let (component, store) = (composed(dir.path()), dir.path().join("state.redb"));
    let first = run(&component, &store, &["-"], include_str!("../../python/programs/first_process.py"));
    ended(&first, 0, "written\n");
    let second = run(&component, &store, &["-"], include_str!("../../python/programs/second_process.py"));
    ended(&second, 0, "found\n");
    let mut names: Vec<_> = dir.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort_unstable();
    // The component is one of them, and the mark belongs to the store.
    let (component, store) = (component.file_name().unwrap(), store.file_name().unwrap());
    assert_eq!(names, [component, store, "state.redb.mark".as_ref()]);
}

#[test]
fn arguments_and_exit_codes_pass_through_the_command() {
    let dir = tempfile::tempdir().unwrap();
    let (component, store) = (composed(dir.path()), dir.path().join("state.redb"));
    let program = "import sys; print(sys.argv[1:]); sys.exit(int(sys.argv[1]))";
    ended(&run(&component, &store, &["-c", program, "42", "-x", "--y"], ""), 42, "['42', '-x', '--y']\n");

    let keep = "open('/script.py', 'w').write('import sys, os; print(sys.argv, flush=True); os._exit(9)')";
    ended(&run(&component, &store, &["-c", keep], ""), 0, "");
    ended(&run(&component, &store, &["/script.py", "a"], ""), 9, "['/script.py', 'a']\n");
}

#[test]
fn a_killed_process_leaves_a_store_that_opens() {
    let dir = tempfile::tempdir().unwrap();
    let (component, store) = (composed(dir.path()), dir.path().join("state.redb"));
    let program = "
import os
for i in range(50):
    with open(f'/file-{i}', 'w') as file: file.write(str(i) * 1000)
fd = os.open('/file-0', os.O_WRONLY); os.fsync(fd)
print('synced', flush=True)
while True:
    with open('/churn', 'w') as file: file.write('x' * 100_000)
";
    let mut child = kvfs()
        .args(["run", "--store", &format!("redb:{}", store.display())])
        .arg(&component)
        .args(["--", "-c", program])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    assert_eq!(line, "synced\n");
    std::thread::sleep(std::time::Duration::from_millis(300));
    child.kill().unwrap();
    child.wait().unwrap();

    let check = "print(all(open(f'/file-{i}').read() == str(i) * 1000 for i in range(50)))";
    ended(&run(&component, &store, &["-c", check], ""), 0, "True\n");
}
