//! The command.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use kvfs_compose::Link;
use kvfs_tests::guests;

use super::place::{NAMES, Place};
use super::results::{Results, VERSION};
use crate::lines;
use crate::machine::Machine;

/// The steps, in order. Each is a process.
const STEPS: [&str; 8] =
    ["unpack", "stat", "read", "install", "imports", "database", "write_large", "read_large"];

/// MiB of the large file. At 10 ms, and on etcd, it is smaller.
const LARGE_MIB: u64 = 256;
const SMALLER_MIB: u64 = 16;

/// Measures what a distance to the store costs.
#[derive(Args)]
pub struct Distance {
    /// The stores; all of them without any.
    stores: Vec<String>,
    /// Milliseconds that a proxy adds to each round trip; may be repeated.
    #[arg(long = "delay", value_name = "MS", default_values_t = [0, 1, 10])]
    delays: Vec<u64>,
    /// How often to go through all; medians are shown.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// MiB of the large file, at all distances.
    #[arg(long, value_name = "MIB")]
    large: Option<u64>,
    /// Also writes all samples to FILE. If it is there, it is added to: what is measured again is
    /// replaced.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measures nothing, and prints the tables of the file of --json.
    #[arg(long, requires = "json")]
    show: bool,
    /// The command whose `store-server` keeps the store `http`.
    #[arg(long, value_name = "FILE")]
    kvfs: Option<PathBuf>,
}

impl Distance {
    /// Measures, and prints the tables.
    ///
    /// # Errors
    /// A server or a tool is missing, or a program failed.
    pub fn run(&self) -> Result<()> {
        let mut results = match &self.json {
            Some(file) if file.exists() => Results::read(&std::fs::read_to_string(file)?)?,
            _ => Results { version: VERSION, machine: Machine::here(), rows: Vec::new() },
        };
        if self.show {
            print!("{}", results.tables());
            return Ok(());
        }
        results.machine = Machine::here();
        let mut stores: Vec<&str> = self.stores.iter().map(String::as_str).collect();
        if stores.is_empty() {
            stores.extend(NAMES.iter().filter(|name| self.kvfs.is_some() || **name != "http"));
        }
        let made = tempfile::tempdir()?;
        let joined = made.path().join("python.wasm");
        std::fs::write(&joined, guests::joined(&std::fs::read(guests::python()?)?, Link::Core)?)?;
        for store in stores {
            results.rows.retain(|row| row.store != store || !self.delays.contains(&row.delay_ms));
            for round in 0..self.rounds {
                for &delay in &self.delays {
                    let place = Place::start(store, self.kvfs.as_deref())?;
                    if delay > 0 && !place.is_behind_a_proxy() {
                        continue;
                    }
                    place.set_delay(Duration::from_millis(delay));
                    let part = Steps { place, name: store, delay, large: self.large(store, delay) };
                    part.run(&joined, &mut results)
                        .with_context(|| format!("{store}, +{delay} ms, round {round}"))?;
                }
            }
            if let Some(file) = &self.json {
                std::fs::write(file, serde_json::to_string_pretty(&results)? + "\n")?;
            }
        }
        print!("{}", results.tables());
        Ok(())
    }

    fn large(&self, store: &str, delay: u64) -> u64 {
        let small = delay >= 10 || store == "etcd";
        self.large.unwrap_or(if small { SMALLER_MIB } else { LARGE_MIB })
    }
}

/// All steps on one place at one distance.
struct Steps<'a> {
    place: Place,
    name: &'a str,
    delay: u64,
    large: u64,
}

impl Steps<'_> {
    fn run(&self, joined: &Path, results: &mut Results) -> Result<()> {
        for step in STEPS {
            let (url, environment) = self.place.url("bench")?;
            let mut command = Command::new(std::env::current_exe()?);
            command.arg("distance-part").envs(environment).env_remove("RUST_BACKTRACE");
            command.arg("--component").arg(joined).arg("--store").arg(url);
            let output = command.arg(step).arg(self.large.to_string()).output()?;
            let (out, err) =
                (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            ensure!(output.status.success(), "{step}: {err}");
            if out.is_empty() {
                continue;
            }
            for line in lines::parse(&out)? {
                let ms = line.value() / 1e3;
                eprintln!("{}, +{} ms, {}: {ms:.2} ms", self.name, self.delay, line.name);
                results.add(self.name, self.delay, line.name, line.count, ms);
            }
        }
        Ok(())
    }
}
