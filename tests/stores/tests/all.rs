//! The bench and the torture at small sizes, and stores that are sabotaged, which they must notice.

use std::path::Path;

use kvfs_host::conformance;
use kvfs_store_trials::report::Report;
use kvfs_store_trials::{ALL, Kind, Sabotage, Tuning, bench, torture};
use serde_json::Value;

const EXE: &str = env!("CARGO_BIN_EXE_kvfs-store-trials");

const SIZES: torture::Sizes =
    torture::Sizes { seed: 1, keys: 80, applies: 120, variants: 20, kills: 3, disk_bytes: 128 << 20 };

fn tortured(kind: Kind, parts: &[torture::Part], sizes: &torture::Sizes) -> Report {
    let dir = tempfile::tempdir().unwrap();
    torture::run(&[kind], parts, sizes, dir.path(), Path::new(EXE), |_| {}).unwrap()
}

fn number(report: &Report, kind: Kind, column: &str) -> f64 {
    report.get(kind, column).and_then(Value::as_f64).unwrap_or_else(|| panic!("{kind}: no number `{column}`"))
}

fn text<'r>(report: &'r Report, kind: Kind, column: &str) -> &'r str {
    report.get(kind, column).and_then(Value::as_str).unwrap_or_else(|| panic!("{kind}: no text `{column}`"))
}

#[test]
fn every_store_keeps_the_contract() {
    for kind in ALL {
        let dir = tempfile::tempdir().unwrap();
        let store = kind.open(dir.path(), Tuning::default()).unwrap();
        let report = conformance::check(&*store);
        assert!(report.passed() && report.not_checked() == 0, "{kind}:\n{report}");
        store.close().unwrap();
    }
}

#[test]
fn a_store_that_was_closed_has_its_entries_and_its_own_check_is_content() {
    for kind in ALL {
        let dir = tempfile::tempdir().unwrap();
        let tuning = Tuning { small: true };
        let put = |value| kvfs_host::Mutation::Put { key: b"key", value };
        let store = kind.open(dir.path(), tuning).unwrap();
        // Longer than a piece of a value that is cut, and shorter again.
        let long = vec![7; 100_000];
        for value in [&long[..], b"short", &long] {
            store.apply(&[], &[put(value)], kvfs_host::Durability::Buffered).unwrap();
        }
        store.close().unwrap();
        let store = kind.open(dir.path(), tuning).unwrap();
        assert_eq!(store.get(&[b"key", b"ke"]).unwrap(), [Some(long.into()), None], "{kind}");
        assert!(store.check().is_none_or(|check| check.is_ok()), "{kind}");
        store.close().unwrap();
    }
}

#[test]
fn names_of_stores_are_read_back_and_others_are_refused() {
    for kind in ALL {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
    let error = "rocks".parse::<Kind>().unwrap_err();
    assert!(error.contains("`rocks`") && error.contains("redb-cut, redb-quick"), "{error}");
}

#[test]
fn the_bench_fills_every_column_of_every_store() {
    let sizes = bench::Sizes {
        rounds: 1,
        extent_bytes: 32_784,
        stream_mib: 16,
        random: 40,
        small: 300,
        durable: 3,
        files: 100,
        large_bytes: 0,
        many_keys: 2_000,
    };
    let dir = tempfile::tempdir().unwrap();
    let report = bench::run(&ALL, &bench::PARTS, &sizes, dir.path(), Path::new(EXE), |_| {}).unwrap();
    for kind in ALL {
        for column in [
            "stream write, µs/MiB",
            "stream write with one sync, µs/MiB",
            "stream read, µs/MiB",
            "random extent read, µs",
            "random extent write, µs",
            "large files: space at worst",
            "large files: space at rest",
            "batch of 4 small puts, µs",
            "scan, µs/entry",
            "durable commits/s",
            "1,000-byte files: space at rest",
            "open 1 MiB closed, cold, ms",
            "open 1 MiB killed, warm, ms",
            "open 2000 keys closed, warm, ms",
        ] {
            assert!(number(&report, kind, column) > 0.0, "{kind}: {column}");
        }
        let (worst, rest) = (
            number(&report, kind, "large files: space at worst"),
            number(&report, kind, "large files: space at rest"),
        );
        assert!(worst >= rest && rest > 0.9, "{kind}: {worst} at worst, {rest} at rest");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left");
}

#[test]
fn no_store_loses_or_tears_an_apply_at_a_kill() {
    for kind in ALL {
        let report = tortured(kind, &[torture::Part::Kills], &SIZES);
        for column in ["kills: durable applies lost", "kills: applies torn", "kills: does not open or read"] {
            assert_eq!(number(&report, kind, column), 0.0, "{kind}: {column}\n{report}");
        }
    }
}

/// Holds what the page of the store promises: a damaged value is found by the checksum of values,
/// and nothing that was durable is gone without an error.
#[test]
fn a_damaged_directory_store_neither_panics_nor_loses_in_silence() {
    let kind = Kind::File;
    let report = tortured(kind, &[torture::Part::Damage], &torture::Sizes { variants: 60, ..SIZES });
    for store in ["closed", "killed"] {
        for column in
            ["wrong values that a checksum of values misses", "silent loss", "panics", "crashes and hangs"]
        {
            assert_eq!(number(&report, kind, &format!("{store}: {column}")), 0.0, "{column}\n{report}");
        }
        let kinds = report.get(kind, &format!("{store}: by damage")).unwrap();
        for damage in ["flipped bit", "zeroed page", "torn page", "cut tail", "missing file"] {
            assert!(kinds[damage]["variants"].as_u64() > Some(0), "{store}, {damage}: {kinds:#}");
        }
    }
}

#[test]
fn every_store_can_be_tortured_and_most_damage_shows() {
    for kind in ALL {
        let report = tortured(kind, &torture::PARTS, &torture::Sizes { kills: 1, ..SIZES });
        for store in ["closed", "killed"] {
            let count = |column: &str| number(&report, kind, &format!("{store}: {column}"));
            assert_eq!(count("damaged variants"), SIZES.variants as f64);
            assert!(count("without effect") < SIZES.variants as f64, "{kind}\n{report}");
            assert!(count("keys that can be read, %") > 1.0, "{kind}\n{report}");
        }
        assert_ne!(text(&report, kind, "full disk"), "none", "{kind}\n{report}");
        assert_eq!(
            text(&report, kind, "a reader beside the owner: the owner"),
            "goes on",
            "{kind}\n{report}"
        );
        assert_eq!(number(&report, kind, "a second writer: applies lost"), 0.0, "{kind}\n{report}");
    }
}

fn sabotaged(sabotage: Sabotage, part: torture::Part) -> (Kind, Report) {
    let kind = Kind::Sabotaged(sabotage);
    (kind, tortured(kind, &[part], &torture::Sizes { kills: 6, ..SIZES }))
}

#[test]
fn a_store_that_rolls_back_is_noticed() {
    let (kind, report) = sabotaged(Sabotage::RollsBack, torture::Part::Kills);
    assert!(number(&report, kind, "kills: durable applies lost") > 0.0, "{report}");
}

#[test]
fn a_store_that_tears_an_apply_is_noticed() {
    let (kind, report) = sabotaged(Sabotage::TearsApply, torture::Part::Kills);
    assert!(number(&report, kind, "kills: applies torn") > 0.0, "{report}");
}

/// Such a store fails before anything was damaged, and the torture says so instead of counting.
#[test]
fn a_store_that_is_wrong_without_damage_ends_the_torture() {
    for (sabotage, what) in [
        (Sabotage::WrongByte, "\"wrong\":"),
        (Sabotage::LosesKey, "\"vanished\":"),
        (Sabotage::Panics, "\"error\":\"panic\""),
        (Sabotage::Aborts, "signal: 6"),
        (Sabotage::RollsBack, "a killed store that nothing was done to"),
    ] {
        let kind = Kind::Sabotaged(sabotage);
        let dir = tempfile::tempdir().unwrap();
        let run = |parts: &[torture::Part]| {
            torture::run(&[kind], parts, &SIZES, dir.path(), Path::new(EXE), |_| {})
        };
        let error = format!("{:#}", run(&[torture::Part::Damage]).unwrap_err());
        assert!(error.contains(what) && error.contains("nothing was done to"), "{sabotage:?}: {error}");
        let report = run(&[torture::Part::Kills]).unwrap();
        let noticed = number(&report, kind, "kills: durable applies lost")
            + number(&report, kind, "kills: does not open or read");
        assert!(noticed > 0.0, "{sabotage:?}\n{report}");
    }
}
