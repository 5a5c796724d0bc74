//! Who gets control of volumes: only who was allowed it.

use super::{WAYS, sound};
use kvfs_compose::{Compose, ComposeError, Kind, fixed_volume_control, inspect, recompose};
use kvfs_host::{MemoryStore, Volumes};
use kvfs_tests::{Program, engine, guests};
use std::sync::Arc;

#[test]
fn a_guest_that_asks_for_it_is_refused_without_the_option_which_the_message_names() {
    let guest = guests::control().unwrap();
    for link in WAYS {
        let error = Compose::new(&guest).link(link).build().unwrap_err();
        assert!(matches!(&error, ComposeError::AsksForVolumeControl { .. }), "{error}");
        assert!(error.to_string().contains("--allow-volume-control"), "{error}");
    }
}

#[test]
fn a_result_says_that_its_guest_controls_volumes_and_is_the_same_when_it_is_made_again() {
    let guest = guests::control().unwrap();
    for link in WAYS {
        let built = Compose::new(&guest).link(link).allow_volume_control(7).build().unwrap();
        assert!(built.report.virtualized.iter().any(|name| name.starts_with("kvfs:volume/control@")));
        assert!(!built.report.imports.iter().any(|name| name.starts_with("kvfs:volume")));
        assert_eq!(fixed_volume_control(&built.bytes), Some(7));
        let inspected = inspect(&built.bytes).unwrap();
        assert!(matches!(&inspected.kind, Kind::Composed { is_same: true, .. }), "{inspected}");
        let line = "volume control: the guest makes up to 7 snapshots and forks of each volume";
        assert!(inspected.to_string().lines().any(|found| found == line), "{inspected}");
        assert!(recompose(&built.bytes).unwrap().is_same());

        let without = Compose::new(guests::rust().unwrap()).link(link).build().unwrap();
        assert_eq!(fixed_volume_control(&without.bytes), None);
        assert!(!inspect(&without.bytes).unwrap().to_string().contains("volume control"));
        for number in [0, 1025] {
            let error = Compose::new(&guest).allow_volume_control(number).build().unwrap_err();
            assert!(error.to_string().contains("1 to 1024"), "{error}");
        }
    }
}

/// A guest of a frozen volume, and one whose volume another opener has taken.
#[test]
fn a_guest_whose_volume_takes_no_writer_is_told_so() {
    let guest = guests::control().unwrap();
    for link in WAYS {
        let store = MemoryStore::new();
        let built = Compose::new(&guest).link(link).allow_volume_control(7).build().unwrap();
        let component = engine::compile(engine::interruptible(), &built.bytes).unwrap();
        let run = |steps: &[&str]| {
            let program = Program::new(&component).store(Arc::new(store.clone()));
            program.args(steps.iter().copied()).run().unwrap().success()
        };
        run(&["write a one", "snapshot / s"]);
        Volumes::new(store.clone()).freeze("main").unwrap();
        assert_eq!(
            run(&["snapshot / t", "fork / t", "restore / s", "remove / s", "entries /", "diff / s", "cat a"]),
            "snapshot / t: Error::ReadOnly\nfork / t: Error::ReadOnly\nrestore / s: Error::ReadOnly\n\
             remove / s: Error::ReadOnly\nentries /: s:snapshot:324\ndiff / s: \ncat a: one\n"
        );
        assert_eq!(sound(&store), ["main", "main@s"]);
    }
}
