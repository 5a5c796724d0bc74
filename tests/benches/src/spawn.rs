//! Starts the process of a run, and reads its lines.

use std::path::Path;
use std::process::Command;
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, bail};

use crate::child::Child;
use crate::lines::{self, Line};
use crate::workload::Workload;

/// A program of one's own, measured beside the ways of [`crate::way::ALL`].
///
/// It is called as `COMMAND WORKLOAD GUEST COMPONENT DIR ARGUMENTS…`: the workload's name, `rust` or
/// `python`, the guest's component as it is, an empty directory, and the guest's arguments. It
/// prints the lines that the guest prints (see [`crate::lines`]), and may add lines for memory. An
/// operation that it lacks has the line `NAME \t unsupported`. It ends with code 0, with 1 if the
/// guest failed, or by a signal, and then the lines before count, or with 3 if it cannot run this
/// workload.
#[derive(Clone, Debug)]
pub struct Contender {
    /// The name of the way.
    pub name: String,
    command: Vec<String>,
}

/// The code of a guest that failed: it met something that the contender lacks.
const FAILED: i32 = 1;
/// The code of a contender that cannot run a workload.
const CANNOT: i32 = 3;
/// Ends the line of an operation that a contender lacks.
const UNSUPPORTED: &str = "\tunsupported";

impl FromStr for Contender {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, command) = text.split_once('=').ok_or("give a contender as NAME=COMMAND")?;
        let command: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        if name.is_empty() || command.is_empty() {
            return Err(format!("a contender has a name and a command, and {text:?} lacks one"));
        }
        if crate::way::find(name).is_some() {
            return Err(format!("there is a way {name} already: give the contender another name"));
        }
        Ok(Self { name: name.to_owned(), command })
    }
}

impl Contender {
    /// Runs a workload; none if the contender cannot.
    ///
    /// # Errors
    /// The command's own words.
    pub(crate) fn run(
        &self,
        workload: &Workload,
        size: u64,
        component: &Path,
        dir: &Path,
    ) -> Result<Option<Vec<Line>>> {
        let (program, first) = self.command.split_first().context("the contender has no command")?;
        let mut command = Command::new(program);
        command.args(first).args([workload.name, &workload.guest.to_string()]).arg(component).arg(dir);
        command.args(workload.arguments(size));
        let output = command.output().with_context(|| format!("cannot start {program}"))?;
        let run = || format!("the contender {} runs {}", self.name, workload.name);
        let able = supported(&String::from_utf8_lossy(&output.stdout));
        // A signal ends one that is out of memory.
        match output.status.code().unwrap_or(FAILED) {
            0 | FAILED if !able.is_empty() => {
                if !output.stderr.is_empty() {
                    eprintln!("{}: {}", run(), said(&output.stderr));
                }
                lines::parse(&able).map(Some)
            }
            0 | FAILED | CANNOT => {
                eprintln!("{}, which it cannot: {}", run(), said(&output.stderr));
                Ok(None)
            }
            _ => Err(anyhow!("{}: {}", output.status, said(&output.stderr))),
        }
        .with_context(run)
    }
}

/// Runs this program as a child.
///
/// # Errors
/// The child's own words.
pub(crate) fn child(exe: &Path, child: &Child) -> Result<Vec<Line>> {
    let mut command = Command::new(exe);
    command.args(["child", "--workload", &child.workload, "--size", &child.size.to_string()]);
    command.args(["--way", &child.way]).arg("--dir").arg(&child.dir);
    if let Some(component) = &child.component {
        command.arg("--component").arg(component);
    }
    if child.prepare {
        command.arg("--prepare");
    }
    let what = || format!("{} of size {} in the way {}", child.workload, child.size, child.way);
    let output = command.output().with_context(what)?;
    if !output.status.success() {
        bail!("{}: {}: {}", what(), output.status, said(&output.stderr));
    }
    lines::parse(&String::from_utf8_lossy(&output.stdout)).with_context(what)
}

/// Leaves out what a contender lacks.
fn supported(stdout: &str) -> String {
    stdout.lines().filter(|line| !line.ends_with(UNSUPPORTED)).map(|line| format!("{line}\n")).collect()
}

fn said(stderr: &[u8]) -> String {
    String::from_utf8_lossy(stderr).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload;

    /// Runs a contender that is a shell script.
    #[cfg(unix)]
    fn run(script: &str) -> Result<Option<Vec<Line>>> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("contender");
        std::fs::write(&path, script)?;
        let contender: Contender =
            format!("other=sh {}", path.display()).parse().map_err(anyhow::Error::msg)?;
        let workload = workload::find("operations").context("there is no such workload")?;
        contender.run(workload, 50, Path::new("guest.wasm"), dir.path())
    }

    #[cfg(unix)]
    #[test]
    fn what_a_contender_lacks_is_left_out_and_ends_nothing() {
        let names =
            |script| run(script).unwrap().map(|lines| lines.into_iter().map(|line| line.name).collect());
        let both: Option<Vec<String>> = Some(vec!["stat".into(), "unlink".into()]);
        assert_eq!(names("printf 'stat\\t1\\t5\\nrename\\tunsupported\\nunlink\\t2\\t9\\n'"), both);
        assert_eq!(names("printf 'stat\\t1\\t5\\nunlink\\t2\\t9\\n'; exit 1"), both);
        let none: Option<Vec<String>> = None;
        assert_eq!(names("printf 'stat\\tunsupported\\n'"), none);
        assert_eq!(names("exit 1"), none);
        assert_eq!(names("exit 3"), none);
        assert_eq!(names("kill -9 $$"), none);
        assert!(
            run("printf 'stat\\t1\\t5\\n'; exit 2")
                .unwrap_err()
                .to_string()
                .contains("other runs operations")
        );
        assert!(run("printf 'stat\\t1\\n'").is_err());
    }

    #[test]
    fn contenders_have_a_name_of_their_own_and_a_command() {
        let contender: Contender = "other=/bin/program --fast".parse().unwrap();
        assert_eq!((contender.name.as_str(), contender.command.len()), ("other", 2));
        for bad in ["other", "=program", "other= ", "linked/memory=program"] {
            assert!(bad.parse::<Contender>().is_err(), "{bad}");
        }
    }
}
