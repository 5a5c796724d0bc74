//! One run, in a process of its own: runs a workload's program in one way and prints its lines.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use kvfs_tests::{Buckets, Output, Program, engine};
use wasmtime::component::Component;

use crate::lines::{INSTANCE_MEMORY, INSTANTIATION, Line, OPENING, PROCESS_BEFORE, PROCESS_MEMORY};
use crate::snapshots::Snapshots;
use crate::way::{Files, Join, Keeper, Way};
use crate::workload::Workload;
use crate::{layered, lines, memory, native, open, way, workload};

/// Longest time that a program may take.
const TIME_LIMIT: Duration = Duration::from_secs(3 * 3600);

/// What a process is told.
#[derive(Args, Clone, Debug)]
pub struct Child {
    /// The workload's name.
    #[arg(long)]
    pub workload: String,
    /// The size.
    #[arg(long)]
    pub size: u64,
    /// The way's name.
    #[arg(long)]
    pub way: String,
    /// The guest, joined for the way. A native program has none.
    #[arg(long)]
    pub component: Option<PathBuf>,
    /// An empty directory, or the one that was prepared.
    #[arg(long)]
    pub dir: PathBuf,
    /// Fills the store for the run that follows.
    #[arg(long)]
    pub prepare: bool,
}

impl Child {
    /// Runs the program and prints its lines.
    ///
    /// # Errors
    /// Those of the program, with what it printed.
    pub fn run(&self) -> Result<()> {
        let workload = workload::find(&self.workload).context("there is no such workload")?;
        let way = way::find(&self.way).context("there is no such way")?;
        let found = match way.files {
            Files::Native(keeper) => self.native(workload, keeper)?,
            Files::Library(keeper) => self.library(workload, keeper)?,
            _ => self.guest(workload, way)?,
        };
        for line in found {
            println!("{}\t{}\t{}", line.name, line.count, line.amount);
        }
        Ok(())
    }

    fn native(&self, workload: &Workload, keeper: Keeper) -> Result<Vec<Line>> {
        let measured = Measured::begin();
        let store = open::natively(keeper, &self.dir)?;
        let mut found = native::run(workload.name, &workload.numbers(self.size), &*store)?;
        found.extend(measured.end());
        Ok(found)
    }

    fn library(&self, workload: &Workload, keeper: Keeper) -> Result<Vec<Line>> {
        let measured = Measured::begin();
        let python = self.component.as_deref();
        let mut found = layered::run(workload.name, self.size, keeper, &self.dir, python)?;
        found.extend(measured.end());
        Ok(found)
    }

    fn guest(&self, workload: &Workload, way: &Way) -> Result<Vec<Line>> {
        let path = self.component.as_deref().context("a guest needs --component")?;
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let component = engine::compile(engine::plain(), &bytes)?;
        drop(bytes);
        let arguments = match self.prepare {
            true => workload.preparing_arguments(self.size).context("nothing prepares this workload")?,
            false => workload.arguments(self.size),
        };
        let measured = Measured::begin();
        let mut found = Vec::new();
        for number in 0..workload.repeats {
            // A store that is open keeps its files, and the program expects an empty root.
            let dir = match number {
                0 => self.dir.clone(),
                _ => self.dir.join(format!("again-{number}")),
            };
            std::fs::create_dir_all(&dir)?;
            found.extend(one_run(way, &component, &arguments, &dir)?);
        }
        found.extend(measured.end());
        Ok(found)
    }
}

/// Runs a program once.
fn one_run(way: &Way, component: &Component, arguments: &[String], dir: &Path) -> Result<Vec<Line>> {
    let start = Instant::now();
    let program = Program::new(component).args(arguments).time_limit(TIME_LIMIT);
    let mut beside = None;
    let program = match way.files {
        Files::Store(Join::Snapshots, keeper) => {
            let (store, snapshots) = Snapshots::beside_a_guest(keeper, dir)?;
            beside = Some(snapshots);
            program.store(store)
        }
        Files::Store(_, keeper) => program.store(open::for_a_guest(keeper, dir)?),
        Files::Provider(..) => {
            program.preopen(dir, kvfs_compose::DEFAULT_FILE_PATH).buckets(Buckets::default())
        }
        Files::Host(calling) => program.host_files(dir).calling(calling),
        Files::Native(_) | Files::Library(_) => anyhow::bail!("{} runs no guest", way.name),
    };
    let opening = start.elapsed();
    let output = program.run();
    let taken = beside.map(Snapshots::end);
    let output = ended_well(output?)?;
    let time = |name: &str, took: Duration| line(name, took.as_nanos() as u64);
    let mut found = if output.stdout.is_empty() { Vec::new() } else { lines::parse(&output.stdout)? };
    if let Files::Store(_, Keeper::Redb | Keeper::File) = way.files {
        found.push(time(OPENING, opening));
    }
    found.extend(taken.transpose()?.into_iter().flatten());
    found.push(time(INSTANTIATION, output.instantiation));
    found.push(line(INSTANCE_MEMORY, output.memory_bytes as u64));
    Ok(found)
}

fn ended_well(output: Output) -> Result<Output> {
    ensure!(output.code == Some(0), "the guest failed: {output:#?}");
    Ok(output)
}

fn line(name: &str, amount: u64) -> Line {
    Line { name: name.to_owned(), count: 1, amount }
}

/// The memory of this process while a program runs.
struct Measured {
    before: Option<u64>,
}

impl Measured {
    fn begin() -> Self {
        memory::forget_peak();
        Self { before: memory::now_bytes() }
    }

    fn end(self) -> Vec<Line> {
        let told = [(PROCESS_BEFORE, self.before), (PROCESS_MEMORY, memory::peak_bytes())];
        told.into_iter().filter_map(|(name, bytes)| Some(line(name, bytes?))).collect()
    }
}
