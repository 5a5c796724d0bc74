//! The commands `bench` and `torture`, and those of the processes that they start.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use kvfs_size::ByteSize;
use kvfs_store_trials::report::Report;
use kvfs_store_trials::{Kind, Tuning, bench, torture};

/// Benches and tortures key-value stores behind one trait.
#[derive(Parser)]
#[command(name = "kvfs-store-trials")]
struct Command {
    #[command(subcommand)]
    trial: Trial,
}

#[derive(Subcommand)]
enum Trial {
    /// Measures times and space.
    Bench(Bench),
    /// Damages stores, kills their processes, fills their disk, and opens them twice.
    Torture(Torture),
    /// Part of `bench`: a process of its own.
    #[command(hide = true, subcommand)]
    BenchChild(BenchChild),
    /// Part of `torture`: a process of its own.
    #[command(hide = true, subcommand)]
    TortureChild(TortureChild),
}

#[derive(Args)]
struct Common {
    /// Only this store; may be repeated. All without it.
    #[arg(long = "store", value_name = "NAME")]
    stores: Vec<Kind>,
    /// Also writes the results to FILE.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Makes the stores in DIR, which should be on a disk. The current directory's `target` without it.
    #[arg(long, value_name = "DIR", default_value = "target/store-trials")]
    dir: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Part {
    Extents,
    Small,
    Files,
    Opening,
}

#[derive(Args)]
struct Bench {
    #[command(flatten)]
    common: Common,
    /// Only this part; may be repeated.
    #[arg(long)]
    only: Vec<Part>,
    /// Rounds; stores take turns and the least time counts.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Bytes of an extent.
    #[arg(long, default_value_t = 32_784, value_parser = clap::value_parser!(u32).range(16..=1 << 20))]
    extent_bytes: u32,
    /// MiB of extents to stream.
    #[arg(long, default_value_t = 256)]
    stream_mib: u64,
    /// Reads at random.
    #[arg(long, default_value_t = 8_000)]
    random: u64,
    /// Batches of small puts.
    #[arg(long, default_value_t = 50_000)]
    small: u64,
    /// Durable puts.
    #[arg(long, default_value_t = 300)]
    durable: u64,
    /// Files of 1,000 bytes.
    #[arg(long, default_value_t = 20_000)]
    files: u64,
    /// Size on the disk of the large store to open; 0 leaves it out.
    #[arg(long, default_value = "10G")]
    large: ByteSize,
    /// Keys of the store of many keys to open; 0 leaves it out.
    #[arg(long, default_value_t = 1_000_000)]
    many_keys: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum TorturePart {
    Damage,
    Kills,
    FullDisk,
    Beside,
}

#[derive(Args)]
struct Torture {
    #[command(flatten)]
    common: Common,
    /// Only this part; may be repeated.
    #[arg(long)]
    only: Vec<TorturePart>,
    /// From which everything random follows.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keys of a store.
    #[arg(long, default_value_t = 1_000)]
    keys: u64,
    /// Applies of a store.
    #[arg(long, default_value_t = 1_200, value_parser = clap::value_parser!(u64).range(8..))]
    applies: u64,
    /// Damaged variants of each store.
    #[arg(long, default_value_t = 110)]
    variants: u64,
    /// Kills.
    #[arg(long, default_value_t = 40)]
    kills: u64,
    /// Size of the disk that is filled.
    #[arg(long, default_value = "256M")]
    disk: ByteSize,
}

#[derive(Args)]
struct Child {
    #[arg(long)]
    store: Kind,
    #[arg(long)]
    dir: PathBuf,
    #[arg(long)]
    small: bool,
}

#[derive(Args)]
struct HistoryArguments {
    #[arg(long)]
    seed: u64,
    #[arg(long)]
    keys: u64,
}

#[derive(Subcommand)]
enum TortureChild {
    Write {
        #[command(flatten)]
        child: Child,
        #[command(flatten)]
        history: HistoryArguments,
        #[arg(long)]
        from: u64,
        #[arg(long)]
        to: u64,
    },
    Look {
        #[command(flatten)]
        child: Child,
        #[command(flatten)]
        history: HistoryArguments,
        #[arg(long)]
        durable: u64,
        #[arg(long)]
        last: u64,
    },
    FullDisk {
        #[command(flatten)]
        child: Child,
        #[arg(long)]
        ballast: PathBuf,
    },
    Serve {
        #[command(flatten)]
        child: Child,
        #[arg(long)]
        reader: bool,
    },
}

#[derive(Subcommand)]
enum BenchChild {
    Fill {
        #[arg(long)]
        store: Kind,
        #[arg(long)]
        dir: PathBuf,
        #[arg(long)]
        fill: bench::Fill,
        #[arg(long)]
        close: bool,
    },
    Open {
        #[arg(long)]
        store: Kind,
        #[arg(long)]
        dir: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Command::parse().trial {
        Trial::Bench(arguments) => run_bench(&arguments),
        Trial::BenchChild(BenchChild::Fill { store, dir, fill, close }) => {
            bench::child_fill(store, &dir, fill, close)
        }
        Trial::BenchChild(BenchChild::Open { store, dir }) => bench::child_open(store, &dir),
        Trial::Torture(arguments) => run_torture(&arguments),
        Trial::TortureChild(child) => run_torture_child(child),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kvfs-store-trials: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_bench(arguments: &Bench) -> Result<()> {
    let parts: Vec<bench::Part> = if arguments.only.is_empty() {
        bench::PARTS.to_vec()
    } else {
        arguments
            .only
            .iter()
            .map(|part| match part {
                Part::Extents => bench::Part::Extents,
                Part::Small => bench::Part::Small,
                Part::Files => bench::Part::Files,
                Part::Opening => bench::Part::Opening,
            })
            .collect()
    };
    let sizes = bench::Sizes {
        rounds: arguments.rounds,
        extent_bytes: arguments.extent_bytes as usize,
        stream_mib: arguments.stream_mib,
        random: arguments.random,
        small: arguments.small,
        durable: arguments.durable,
        files: arguments.files,
        large_bytes: arguments.large.0,
        many_keys: arguments.many_keys,
    };
    arguments
        .common
        .run(|kinds, exe, tell| bench::run(kinds, &parts, &sizes, &arguments.common.dir, exe, tell))
}

fn run_torture(arguments: &Torture) -> Result<()> {
    let part = |part: &TorturePart| match part {
        TorturePart::Damage => torture::Part::Damage,
        TorturePart::Kills => torture::Part::Kills,
        TorturePart::FullDisk => torture::Part::FullDisk,
        TorturePart::Beside => torture::Part::Beside,
    };
    let parts: Vec<torture::Part> = match arguments.only.as_slice() {
        [] => torture::PARTS.to_vec(),
        only => only.iter().map(part).collect(),
    };
    let sizes = torture::Sizes {
        seed: arguments.seed,
        keys: arguments.keys,
        applies: arguments.applies,
        variants: arguments.variants,
        kills: arguments.kills,
        disk_bytes: arguments.disk.0,
    };
    let dir = &arguments.common.dir;
    arguments.common.run(|kinds, exe, tell| torture::run(kinds, &parts, &sizes, dir, exe, tell))
}

fn run_torture_child(child: TortureChild) -> Result<()> {
    let tuning = |child: &Child| Tuning { small: child.small };
    let which = |history: &HistoryArguments| torture::Which { seed: history.seed, keys: history.keys };
    match child {
        TortureChild::Write { child, history, from, to } => {
            torture::child_write(child.store, &child.dir, tuning(&child), which(&history), from, to)
        }
        TortureChild::Look { child, history, durable, last } => {
            torture::child_look(child.store, &child.dir, tuning(&child), which(&history), durable, last);
            Ok(())
        }
        TortureChild::FullDisk { child, ballast } => {
            torture::child_full_disk(child.store, &child.dir, tuning(&child), &ballast)
        }
        TortureChild::Serve { child, reader } => {
            torture::child_serve(child.store, &child.dir, tuning(&child), reader)
        }
    }
}

impl Common {
    /// Runs a trial of the chosen stores, shows its progress on a terminal, and prints the results.
    fn run(
        &self,
        trial: impl FnOnce(&[Kind], &std::path::Path, &mut dyn FnMut(&str)) -> Result<Report>,
    ) -> Result<()> {
        std::fs::create_dir_all(&self.dir).with_context(|| self.dir.display().to_string())?;
        let exe = std::env::current_exe().context("finding this program, which starts itself")?;
        let kinds =
            if self.stores.is_empty() { kvfs_store_trials::ALL.to_vec() } else { self.stores.clone() };
        let bar = ProgressBar::new_spinner();
        bar.set_style(ProgressStyle::with_template("{spinner} {elapsed} {msg}")?);
        bar.enable_steady_tick(std::time::Duration::from_millis(100));
        let mut tell = |what: &str| bar.set_message(what.to_owned());
        let report = trial(&kinds, &exe, &mut tell);
        bar.finish_and_clear();
        let report = report?;
        print!("{report}");
        match &self.json {
            Some(path) => Ok(report.write_json(path)?),
            None => Ok(()),
        }
    }
}
