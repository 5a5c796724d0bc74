//! `make bench`: measures, prints, and makes the page.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use kvfs_bench::child::Child;
use kvfs_bench::composing::Joining;
use kvfs_bench::measure::{self, Contender, Plan};
use kvfs_bench::results::Results;
use kvfs_bench::workload::Class;
use kvfs_bench::{page, readme, table, way, workload};

/// Measures file operations on stores of every kind, beside the host's file system.
#[derive(Parser)]
#[command(name = "kvfs-bench")]
struct Command {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Measures, and prints tables.
    Run(Box<Run>),
    /// Prints the tables of results that were measured before.
    Show {
        /// The results, as `run --json` wrote them.
        json: PathBuf,
        #[command(flatten)]
        pages: Pages,
    },
    /// Lists workloads and ways.
    List,
    /// Part of `run`: a process of its own.
    #[command(hide = true)]
    Child(Child),
    /// Part of `run`: a process of its own.
    #[command(hide = true)]
    Join(Joining),
    /// Measures stores on servers, with a distance to them.
    #[cfg(feature = "distance")]
    Distance(kvfs_bench::distance::Distance),
    /// Part of `distance`: a process of its own.
    #[cfg(feature = "distance")]
    #[command(hide = true)]
    DistancePart(kvfs_bench::distance::Part),
    /// Part of `distance`: the S3 server.
    #[cfg(feature = "distance")]
    #[command(hide = true)]
    S3Server,
}

/// What is written of results.
#[derive(Args)]
struct Pages {
    /// Also writes the page and its plots into DIR.
    #[arg(long, value_name = "DIR")]
    page: Option<PathBuf>,
    /// Also replaces the tables between the marks of FILE.
    #[arg(long, value_name = "FILE")]
    readme: Option<PathBuf>,
}

impl Pages {
    fn write(&self, results: &Results) -> Result<()> {
        if let Some(dir) = &self.page {
            page::write(results, dir)?;
        }
        self.readme.as_ref().map_or(Ok(()), |file| readme::update(results, file))
    }
}

#[derive(Args)]
struct Run {
    /// How large: `quick` takes some minutes, `usual` under half an hour, `full` hours.
    #[arg(long, default_value = "usual", value_enum)]
    class: Class,
    /// The same as `--class quick`.
    #[arg(long, conflicts_with_all = ["class", "full"])]
    quick: bool,
    /// The same as `--class full`.
    #[arg(long, conflicts_with = "class")]
    full: bool,
    /// Only this workload; may be repeated. All without it.
    #[arg(long = "workload", value_name = "NAME")]
    workloads: Vec<String>,
    /// Only this way, or this contender; may be repeated.
    #[arg(long = "way", value_name = "NAME")]
    ways: Vec<String>,
    /// Only sizes up to this one.
    #[arg(long, value_name = "SIZE", default_value_t = u64::MAX, hide_default_value = true)]
    largest: u64,
    /// How often to go through all; medians are shown.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Also writes all samples to FILE.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    pages: Pages,
    /// A directory of a file system in memory.
    #[arg(long, value_name = "DIR", default_value = "/dev/shm")]
    tmpfs: PathBuf,
    /// A directory on the disk that is to be measured. Cargo's target directory without it.
    #[arg(long, value_name = "DIR")]
    disk: Option<PathBuf>,
    /// A program of one's own, measured beside: see tests/benches/README.md. May be repeated.
    #[arg(long = "contender", value_name = "NAME=COMMAND")]
    contenders: Vec<Contender>,
}

fn main() -> ExitCode {
    let done = match Command::parse().what {
        What::Run(arguments) => run(&arguments),
        What::Show { json, pages } => show(&json, &pages),
        What::List => {
            list();
            Ok(())
        }
        What::Child(child) => child.run(),
        What::Join(joining) => joining.run(),
        #[cfg(feature = "distance")]
        What::Distance(distance) => distance.run(),
        #[cfg(feature = "distance")]
        What::DistancePart(part) => part.run(),
        #[cfg(feature = "distance")]
        What::S3Server => {
            kvfs_test_servers::S3::serve_if_asked();
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kvfs-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Run) -> Result<()> {
    if std::env::var_os("RUST_BACKTRACE").is_some() {
        eprintln!("RUST_BACKTRACE is set: the times include a backtrace by wasmtime for every error code");
    }
    let class = match (arguments.quick, arguments.full) {
        (true, _) => Class::Quick,
        (_, true) => Class::Full,
        _ => arguments.class,
    };
    let disk = arguments.disk.clone();
    let plan = Plan {
        class,
        workloads: arguments.workloads.clone(),
        ways: arguments.ways.clone(),
        largest: arguments.largest,
        rounds: arguments.rounds,
        tmpfs: arguments.tmpfs.clone(),
        disk: disk.unwrap_or_else(|| kvfs_tests::target_dir().join("kvfs-bench")),
        contenders: arguments.contenders.clone(),
        // They cost a while, and say nothing of one way.
        floors: arguments.workloads.is_empty() && arguments.ways.is_empty(),
    };
    let exe = std::env::current_exe().context("finding this program, which starts itself")?;
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template("{elapsed} [{pos}/{len}] {msg}")?);
    bar.enable_steady_tick(std::time::Duration::from_millis(500));
    let results = measure::run(&plan, &exe, |done, all, what| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
        bar.set_message(what.to_owned());
    });
    bar.finish_and_clear();
    let results = results?;
    print!("{}", table::text(&results));
    // First, so that a page that cannot be written costs no measurement.
    if let Some(path) = &arguments.json {
        results.write(path)?;
    }
    arguments.pages.write(&results)
}

fn show(json: &Path, pages: &Pages) -> Result<()> {
    let results = Results::read(json)?;
    print!("{}", table::text(&results));
    pages.write(&results)
}

fn list() {
    println!("workloads (--workload):");
    for workload in &workload::ALL {
        let sizes: Vec<_> =
            workload.sizes(Class::Full).iter().map(|size| workload.size_text(*size)).collect();
        println!("  {:<22}{}: {}", workload.name, workload.title, sizes.join(", "));
    }
    println!("ways (--way):");
    for way in &way::ALL {
        println!("  {}", way.name);
    }
}
