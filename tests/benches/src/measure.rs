//! Goes through all workloads, sizes and ways, round by round.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::child::Child;
use crate::components::Components;
use crate::medium::{self, Media};
use crate::results::Results;
use crate::spawn;
pub use crate::spawn::Contender;
use crate::way::{self, Files, Medium, Way};
use crate::workload::{self, Class, Guest, Workload};
use crate::{composing, floors, layered, native};

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The sizes.
    pub class: Class,
    /// Workloads by name; all if there are none.
    pub workloads: Vec<String>,
    /// Ways by name; all of each workload if there are none.
    pub ways: Vec<String>,
    /// Only sizes up to this one.
    pub largest: u64,
    /// How often to go through all.
    pub rounds: u32,
    /// A directory in memory.
    pub tmpfs: PathBuf,
    /// A directory on a disk.
    pub disk: PathBuf,
    /// Programs of one's own.
    pub contenders: Vec<Contender>,
    /// Whether to measure the floors of the machine, and joining, too.
    pub floors: bool,
}

/// One run: of a workload at a size, in a way or by a contender.
struct Run<'p> {
    workload: &'static Workload,
    size: u64,
    by: By<'p>,
}

enum By<'p> {
    Way(&'static Way),
    Contender(&'p Contender),
}

/// Measures, and tells before each run which one it is, of how many.
///
/// `exe` is this program, which starts itself.
///
/// # Errors
/// A name that there is not; the first run that fails.
pub fn run(plan: &Plan, exe: &Path, mut tell: impl FnMut(usize, usize, &str)) -> Result<Results> {
    let runs = runs(plan)?;
    let media = Media::new(&plan.tmpfs, &plan.disk)?;
    let kept = media.dir(Medium::Disk)?;
    let components = Components::new(kept.path());
    let class = plan.class.to_possible_value();
    let mut results = Results::new(class.as_ref().map_or("", PossibleValue::get_name), plan.rounds);
    if plan.floors {
        tell(0, 1, "floors of this machine, and joining");
        results.floors = floors::measure()?;
        results.composing = composing::measure(exe, &components.bare(Guest::Python)?)?;
    }
    let all = runs.len() * plan.rounds as usize;
    for round in 0..plan.rounds as usize {
        for (number, run) in runs.iter().enumerate() {
            let name = run.by.name();
            let (workload, size) = (run.workload, run.workload.size_text(run.size));
            tell(round * runs.len() + number, all, &format!("{} {size} {name}", workload.name));
            run.measure(exe, &media, &components, &mut results)?;
        }
    }
    Ok(results)
}

/// Lists the runs of a round, the ways of each workload and size one after the other.
fn runs(plan: &Plan) -> Result<Vec<Run<'_>>> {
    for name in &plan.workloads {
        workload::find(name).with_context(|| format!("there is no workload {name}: see `list`"))?;
    }
    for name in &plan.ways {
        let contends = plan.contenders.iter().any(|contender| contender.name == *name);
        ensure!(contends || way::find(name).is_some(), "there is no way {name}: see `list`");
    }
    let wanted = |names: &[String], name: &str| names.is_empty() || names.iter().any(|known| known == name);
    let mut runs = Vec::new();
    for workload in workload::ALL.iter().filter(|workload| wanted(&plan.workloads, workload.name)) {
        for size in workload.sizes(plan.class).iter().copied().filter(|size| *size <= plan.largest) {
            let ways = workload.ways().iter().filter_map(|name| way::find(name));
            // A way that is asked for by name runs any program that it can.
            let asked = plan.ways.iter().filter_map(|name| way::find(name));
            let asked = asked.filter(|way| {
                !workload.ways().contains(&way.name) && !workload.is_cold() && can(way, workload)
            });
            let ways = ways.filter(|way| wanted(&plan.ways, way.name)).chain(asked);
            runs.extend(ways.map(|way| Run { workload, size, by: By::Way(way) }));
            if !workload.is_cold() && !layered::has(workload.name) {
                let contenders =
                    plan.contenders.iter().filter(|contender| wanted(&plan.ways, &contender.name));
                runs.extend(contenders.map(|contender| Run { workload, size, by: By::Contender(contender) }));
            }
        }
    }
    ensure!(!runs.is_empty(), "nothing is left to measure: no chosen workload runs in a chosen way");
    Ok(runs)
}

fn can(way: &Way, workload: &Workload) -> bool {
    match way.files {
        Files::Native(_) => native::has(workload.name),
        Files::Library(keeper) => layered::has(workload.name) && layered::can_use(keeper),
        Files::Store(..) | Files::Provider(..) | Files::Host(_) => !layered::has(workload.name),
    }
}

impl By<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Way(way) => way.name,
            Self::Contender(contender) => &contender.name,
        }
    }
}

impl Run<'_> {
    fn measure(
        &self,
        exe: &Path,
        media: &Media,
        components: &Components<'_>,
        results: &mut Results,
    ) -> Result<()> {
        let (workload, size) = (self.workload, self.size);
        let lines = match self.by {
            By::Way(way) => {
                let dir = media.dir(way.medium)?;
                let mut child = Child {
                    workload: workload.name.to_owned(),
                    size,
                    way: way.name.to_owned(),
                    component: components.of(workload.guest, way)?,
                    dir: dir.path().to_owned(),
                    prepare: workload.is_cold(),
                };
                if workload.is_cold() {
                    spawn::child(exe, &child)?;
                    child.prepare = false;
                    results.all_cold = medium::make_cold(dir.path()).context("making files cold")?;
                }
                Some(spawn::child(exe, &child)?)
            }
            By::Contender(contender) => {
                let dir = media.dir(Medium::Tmpfs)?;
                contender.run(workload, size, &components.bare(workload.guest)?, dir.path())?
            }
        };
        for line in lines.into_iter().flatten() {
            results.add(workload.name, size, self.by.name(), &line);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            class: Class::Usual,
            workloads: Vec::new(),
            ways: Vec::new(),
            largest: u64::MAX,
            rounds: 1,
            tmpfs: PathBuf::new(),
            disk: PathBuf::new(),
            contenders: Vec::new(),
            floors: false,
        }
    }

    fn count(plan: &Plan) -> usize {
        runs(plan).unwrap().len()
    }

    #[test]
    fn filters_leave_what_they_name_and_refuse_what_there_is_not() {
        let all = count(&plan());
        let directory = Plan { workloads: vec!["directory".into()], ..plan() };
        assert!(count(&directory) < all && count(&directory) > 0);
        let one_way = Plan { ways: vec!["linked/memory".into()], ..directory.clone() };
        assert_eq!(count(&one_way), workload::find("directory").unwrap().sizes(Class::Usual).len());
        assert_eq!(count(&Plan { largest: 1000, ..one_way.clone() }), 1);
        let unusual = Plan { ways: vec!["linked/lazy".into()], ..directory.clone() };
        assert_eq!(count(&unusual), count(&one_way), "a way may run what it usually does not");
        let contends = Plan { contenders: vec!["other=program".parse().unwrap()], ..directory.clone() };
        assert_eq!(count(&contends), count(&directory) + count(&one_way));
        for bad in [
            Plan { workloads: vec!["none".into()], ..plan() },
            Plan { ways: vec!["none".into()], ..plan() },
            Plan { largest: 0, ..directory.clone() },
        ] {
            assert!(runs(&bad).is_err());
        }
    }
}
