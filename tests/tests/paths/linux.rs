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
    pub(super) fn of(setting: Setting) -> Option<&'static Answers> {
        static PLAIN: OnceLock<Answers> = OnceLock::new();
        static CHANGED: OnceLock<Option<Answers>> = OnceLock::new();
        static READ_ONLY: OnceLock<Option<Answers>> = OnceLock::new();
        let plain = || PLAIN.get_or_init(|| Answers::ask("plain", &[]));
        let mounted = |word| namespace().map(|namespace| Answers::ask(word, namespace));
        match setting {
            Setting::Plain => Some(plain()),
            Setting::Changed => Some(CHANGED.get_or_init(|| mounted("rw")).as_ref().unwrap_or_else(plain)),
            Setting::ReadOnly => READ_ONLY.get_or_init(|| mounted("ro")).as_ref(),
        }
    }

    fn ask(word: &str, namespace: &[&str]) -> Answers {
        let dir = tempfile::tempdir().unwrap();
        let calls: Vec<Call> =
            calls().into_iter().filter(|call| word != "plain" || !call.needs_mount).collect();
        let lines: String = calls.iter().map(|call| format!("{}\n", call.line)).collect();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/paths/linux.py");
        let python = ["python3", script, dir.path().to_str().unwrap(), word];
        let words: Vec<&str> = namespace.iter().copied().chain(python).collect();
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

/// Whether Linux lets us mount.
pub(super) fn mounts() -> bool {
    namespace().is_some()
}

/// The command before a command that gives it mounts of its own, if there is one that may mount.
fn namespace() -> Option<&'static [&'static str]> {
    const NAMESPACES: [&[&str]; 2] = [&["unshare", "-Urm"], &["unshare", "-m"]];
    static FOUND: OnceLock<Option<&[&str]>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        NAMESPACES.into_iter().find(|words| {
            let mut command = Command::new(words[0]);
            command.args(&words[1..]).args(["mount", "-t", "tmpfs", "tmpfs"]).arg(dir.path());
            command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
        })
    })
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
