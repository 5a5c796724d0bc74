//! One step, in a process of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use kvfs_host::OpenOptions;
use kvfs_tests::{Program, engine};

/// Longest time of a step.
const TIME_LIMIT: Duration = Duration::from_secs(1800);

const TIMING: &str = include_str!("../../../python/bench/timing.py");
const SCRIPT: &str = include_str!("../../../python/bench/distant.py");

/// What the process of a step is told.
#[derive(Args, Clone, Debug)]
pub struct Part {
    /// CPython, joined with the file system.
    #[arg(long)]
    component: PathBuf,
    /// The store.
    #[arg(long)]
    store: String,
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
        let store = OpenOptions::new().create(true).open(&self.store)?;
        let program = Program::new(&component).args(arguments).time_limit(TIME_LIMIT);
        let program = program.store(Arc::new(store.clone()));
        let output = program.run()?;
        ensure!(output.code == Some(0), "the guest failed: {output:#?}");
        store.close()?;
        print!("{}", output.stdout);
        Ok(())
    }
}
