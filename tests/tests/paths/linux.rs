//! Linux's answers to the same calls. Where mounting is allowed, they come from file systems that
//! are really mounted.

use std::collections::HashMap;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::calls::{Call, calls, setup};

/// The kind of directory at `m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    /// An ordinary directory.
    Plain,
    /// A file system that takes changes.
    Writable,
    /// A file system that takes no changes.
    ReadOnly,
}

/// The answers in a setting.
pub(super) struct Answers {
    answers: HashMap<String, String>,
}

impl Answers {
    /// Asks Linux, once for each setting. All settings but [`Setting::Plain`] need mounts of the
    /// test's own.
    pub(super) fn of(setting: Setting) -> &'static Self {
        static PLAIN: OnceLock<Answers> = OnceLock::new();
        static WRITABLE: OnceLock<Answers> = OnceLock::new();
        static READ_ONLY: OnceLock<Answers> = OnceLock::new();
        match setting {
            Setting::Plain => PLAIN.get_or_init(|| Self::ask("plain", &[])),
            Setting::Writable => WRITABLE.get_or_init(|| Self::ask("rw", &namespace())),
            Setting::ReadOnly => READ_ONLY.get_or_init(|| Self::ask("ro", &namespace())),
        }
    }

    fn ask(word: &str, namespace: &[String]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let calls: Vec<Call> =
            calls().into_iter().filter(|call| word != "plain" || !call.needs_mount).collect();
        let lines: String = calls.iter().map(|call| format!("{}\n", call.line)).collect();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/paths/linux.py");
        let python = ["python3", script, dir.path().to_str().unwrap(), word];
        let words: Vec<&str> = namespace.iter().map(String::as_str).chain(python).collect();
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let text = setup() + &lines;
        let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()).unwrap());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        assert!(output.status.success(), "{words:?}");
        let answers = String::from_utf8(output.stdout).unwrap();
        assert_eq!(answers.lines().count(), calls.len());
        let answers =
            calls.into_iter().map(|call| call.line).zip(answers.lines().map(str::to_owned)).collect();
        Self { answers }
    }

    /// Returns true if Linux answered a call.
    pub(super) fn has(&self, call: &Call) -> bool {
        self.answers.contains_key(&call.line)
    }

    pub(super) fn get(&self, call: &Call) -> &str {
        &self.answers[&call.line]
    }
}

/// Returns the words that give a command mounts of its own when put before it.
fn namespace() -> Vec<String> {
    let words = kvfs_tests::set_up(&["--print-namespace"])
        .expect("only a build that found a way to mount runs this test");
    words.split(' ').map(str::to_owned).collect()
}

/// Makes the named items, as the guest does.
pub(super) fn make(dir: &Path, tree: &str) {
    for item in tree.split(' ') {
        match (item.split_once('>'), item.strip_suffix('/')) {
            (Some((name, target)), _) => symlink(target, dir.join(name)).unwrap(),
            (None, Some(name)) => std::fs::create_dir(dir.join(name)).unwrap(),
            (None, None) => std::fs::write(dir.join(item), "").unwrap(),
        }
    }
}
