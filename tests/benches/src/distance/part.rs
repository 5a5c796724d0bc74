//! One step, in a process of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use kvfs_host::OpenOptions;
use kvfs_tests::{Calling, Program, engine};

/// Longest time of a step.
const TIME_LIMIT: Duration = Duration::from_secs(1800);

const TIMING: &str = include_str!("../../../python/bench/timing.py");
const SCRIPT: &str = include_str!("../../../python/bench/distant.py");

/// What the process of a step is told.
#[derive(Args, Clone, Debug)]
pub struct Part {
    /// CPython, joined with the file system if it runs on a store.
    #[arg(long)]
    component: PathBuf,
    /// The store.
    #[arg(long)]
    store: Option<String>,
    /// A directory of the host instead of a store.
    #[arg(long)]
    directory: Option<PathBuf>,
    /// The step's name and numbers.
    step: Vec<String>,
}

impl Part {
    /// Makes the step and prints its lines.
    ///
    /// # Errors
    /// Those of the store and of the program, with what it printed.
    pub fn run(&self) -> Result<()> {
        let bytes = std::fs::read(&self.component).with_context(|| self.component.display().to_string())?;
        let component = engine::compile(engine::plain(), &bytes)?;
        let arguments = ["-c".to_owned(), format!("{TIMING}{SCRIPT}")].into_iter().chain(self.step.clone());
        let program = Program::new(&component).args(arguments).time_limit(TIME_LIMIT);
        let (program, store) = match (&self.store, &self.directory) {
            (Some(url), _) => {
                let store = OpenOptions::new().create(true).open(url)?;
                (program.store(Arc::new(store.clone())), Some(store))
            }
            (None, Some(directory)) => (program.host_files(directory).calling(Calling::SyncOnThread), None),
            (None, None) => anyhow::bail!("a step needs a store or a directory"),
        };
        let output = program.run()?;
        ensure!(output.code == Some(0), "the guest failed: {output:#?}");
        if let Some(store) = store {
            store.close()?;
        }
        print!("{}", output.stdout);
        Ok(())
    }
}
