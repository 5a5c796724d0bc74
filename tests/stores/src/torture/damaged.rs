//! Damaged variants of a store that was closed in order, and of one that was killed.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::children::{Children, Outcome};
use super::damage::{Damage, damage};
use super::sizes::Sizes;
use super::verify::Claim;
use crate::content::History;
use crate::disk;
use crate::random::Random;
use crate::report::Report;

/// Counts of variants, but for the keys and shares.
#[derive(Clone, Debug, Default)]
struct Counts {
    variants: u64,
    harmless: u64,
    wrong: u64,
    wrong_keys: u64,
    unnoticed_keys: u64,
    silent: u64,
    silent_keys: u64,
    silent_but_checked: u64,
    told: u64,
    panics: u64,
    crashes: u64,
    hangs: u64,
    readable: f64,
}

impl Counts {
    fn add(&mut self, outcome: &Outcome) {
        self.variants += 1;
        let verdict = match outcome {
            Outcome::Crashed(_) => return self.crashes += 1,
            Outcome::Hangs => return self.hangs += 1,
            Outcome::Verdict(verdict) => verdict,
        };
        let silent = verdict.lost_silently();
        self.wrong += u64::from(verdict.wrong > 0);
        self.wrong_keys += verdict.wrong;
        self.unnoticed_keys += verdict.unnoticed;
        self.silent += u64::from(silent);
        if silent {
            self.silent_keys += verdict.stale + verdict.vanished + verdict.came_back;
            self.silent_but_checked += u64::from(verdict.check == Some(false));
        }
        self.told += u64::from(verdict.told());
        self.panics += u64::from(verdict.panics > 0);
        self.harmless += u64::from(verdict.wrong == 0 && !silent && !verdict.told() && verdict.panics == 0);
        self.readable += verdict.readable();
    }

    fn to_json(&self) -> Value {
        json!({
            "variants": self.variants, "harmless": self.harmless,
            "wrong bytes": self.wrong, "wrong keys": self.wrong_keys,
            "wrong keys that a checksum of values does not find": self.unnoticed_keys,
            "silent loss": self.silent, "keys lost silently": self.silent_keys,
            "silent loss that the library's own check finds": self.silent_but_checked,
            "error told": self.told, "panics": self.panics, "crashes": self.crashes, "hangs": self.hangs,
            "readable": self.readable / (self.variants as f64).max(1.0),
        })
    }
}

pub(super) fn run(
    children: &Children,
    sizes: &Sizes,
    dir: &Path,
    report: &mut Report,
    tell: &mut dyn FnMut(&str),
) -> Result<()> {
    let kind = children.kind;
    let history = History { seed: sizes.seed, keys: sizes.keys };
    let (old, closed, killed) = (dir.join("old"), dir.join("closed"), dir.join("killed"));
    let copy = dir.join("copy");
    let half = sizes.applies / 2;
    std::fs::create_dir_all(&closed)?;
    children.write(&closed, &history, 1, half)?;
    disk::copy(&closed, &old)?;
    disk::copy(&closed, &killed)?;
    children.write(&closed, &history, half + 1, sizes.applies)?;
    let of_closed = Claim { history, durable: sizes.applies, last: sizes.applies };
    let least = sizes.applies - half;
    let of_killed =
        children.write_and_kill(&killed, &history, half + 1, least, Duration::from_micros(700))?;

    for (name, store, claim) in [("closed", &closed, of_closed), ("killed", &killed, of_killed)] {
        disk::copy(store, &copy)?;
        match children.look(&copy, &claim)? {
            Outcome::Verdict(verdict) if verdict.sound() => {}
            outcome => bail!("a {name} store that nothing was done to: {outcome}"),
        }
        let mut total = Counts::default();
        let mut kinds: Vec<(Damage, Counts)> = Damage::all().map(|it| (it, Counts::default())).collect();
        let mut cases = Vec::new();
        for number in 0..sizes.variants {
            tell(&format!("{kind}: {name} store, damaged variant {} of {}", number + 1, sizes.variants));
            disk::copy(store, &copy)?;
            let mut random = Random::new(&[sizes.seed, number, name.len() as u64]);
            let done = damage(&copy, &old, Damage::of_variant(number), &mut random)
                .with_context(|| format!("damaging variant {number}"))?;
            let outcome = children.look(&copy, &claim)?;
            total.add(&outcome);
            if let Some((_, counts)) = kinds.iter_mut().find(|(damage, _)| *damage == done.damage) {
                counts.add(&outcome);
            }
            let outcome = match outcome {
                Outcome::Verdict(verdict) => verdict.to_json(),
                other => json!(other.to_string()),
            };
            cases.push(json!({
                "variant": number, "damage": done.damage.to_string(), "place": done.text, "outcome": outcome,
            }));
        }
        set(children, name, &total, &kinds, report);
        report.set(kind, &format!("{name}, each variant"), Value::Array(cases));
    }
    disk::remove(dir)?;
    Ok(())
}

fn set(children: &Children, name: &str, total: &Counts, kinds: &[(Damage, Counts)], report: &mut Report) {
    let kind = children.kind;
    let mut set = |what: &str, value: Value| report.set(kind, &format!("{name}: {what}"), value);
    set("damaged variants", total.variants.into());
    set("without effect", total.harmless.into());
    set("wrong bytes returned", total.wrong.into());
    set("wrong values that a checksum of values misses", total.unnoticed_keys.into());
    set("silent loss", total.silent.into());
    let old =
        kinds.iter().find(|(damage, _)| *damage == Damage::OldFile).map_or(0, |(_, counts)| counts.silent);
    set("silent loss, of it by an old file", old.into());
    set("silent loss, of it found by its own check", total.silent_but_checked.into());
    set("errors told", total.told.into());
    set("panics", total.panics.into());
    set("crashes and hangs", (total.crashes + total.hangs).into());
    set("keys that can be read, %", (100.0 * total.readable / (total.variants as f64).max(1.0)).into());
    let kinds = kinds.iter().map(|(damage, counts)| (damage.to_string(), counts.to_json()));
    set("by damage", Value::Object(kinds.collect()));
}
