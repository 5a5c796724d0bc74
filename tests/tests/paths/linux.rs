//! What Linux answers to the same calls, on file systems of its own that are really mounted, where it lets us.

use std::collections::HashMap;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::calls::{Call, calls, setup};

/// What is at `m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    /// A directory like others.
    Plain,
    /// A file system that takes changes.
    Changed,
    /// One that takes none.
    ReadOnly,
}

/// The answers in a setting.
pub(super) struct Answers {
    answers: HashMap<String, String>,
}

impl Answers {
    /// Asks Linux, once for each setting. `None` where it lets nobody mount: then nothing is known of a file system
    /// that takes no changes; of others, what does not depend on it.
    pub(super) fn of(setting: Setting) -> &'static Answers {
        static PLAIN: OnceLock<Answers> = OnceLock::new();
        static CHANGED: OnceLock<Answers> = OnceLock::new();
        static READ_ONLY: OnceLock<Answers> = OnceLock::new();
        match setting {
            Setting::Plain => PLAIN.get_or_init(|| Answers::ask("plain", &[])),
            Setting::Changed => CHANGED.get_or_init(|| Answers::ask("rw", &namespace())),
            Setting::ReadOnly => READ_ONLY.get_or_init(|| Answers::ask("ro", &namespace())),
        }
    }

    fn ask(word: &str, namespace: &[String]) -> Answers {
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
        Answers { answers }
    }

    /// Whether Linux has answered a call.
    pub(super) fn has(&self, call: &Call) -> bool {
        self.answers.contains_key(&call.line)
    }

    pub(super) fn get(&self, call: &Call) -> &str {
        &self.answers[&call.line]
    }
}

/// The words before a command that give it mounts of its own.
fn namespace() -> Vec<String> {
    let words =
        kvfs_tests::set_up(&["--print-namespace"]).expect("a test that is built where somebody may mount");
    words.split(' ').map(str::to_owned).collect()
}

/// Makes what a text names.
pub(super) fn make(dir: &Path, tree: &str) {
    for item in tree.split(' ') {
        match (item.split_once('>'), item.strip_suffix('/')) {
            (Some((name, target)), _) => symlink(target, dir.join(name)).unwrap(),
            (None, Some(name)) => std::fs::create_dir(dir.join(name)).unwrap(),
            (None, None) => std::fs::write(dir.join(item), "").unwrap(),
        }
    }
}
