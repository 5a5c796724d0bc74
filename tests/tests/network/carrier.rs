//! A non-standard interface, with handles at every depth of its values: the same composed and
//! linked as on the host.

use std::sync::Arc;

use kvfs_host::MemoryStore;
use kvfs_tests::differential::{Difference, Prepared, Way};
use kvfs_tests::{Network, Program, Tree, engine, kinds};

use super::seen_of_each_way;

fn seen(program: &str) -> kvfs_tests::differential::Seen {
    let known: [Difference; 0] = [];
    seen_of_each_way(&kinds::carrier().unwrap(), &[program], &known)
}

#[test]
fn handles_inside_values_go_to_the_host_and_come_back() {
    let seen = seen("parcels");
    let host: Vec<_> = seen.lines().iter().filter_map(|line| line.strip_prefix("host: ")).collect();
    // Three rounds, each with a parcel of each kind.
    assert_eq!(host.len(), 21, "{host:#?}");
    for expected in [
        r#""größe 0: nothing""#,
        r#""größe 1: one back: 3 left, writer true""#,
        r#""größe 2: either: 3 left""#,
        r#""größe 8: one back: 1 left, writer true""#,
        r#""größe 10: xxxxxxxxxxxxxxxxxxxx: 2998 left, writer false; two two back: 5 left, writer true; one back: 1 left, writer false""#,
        r#""größe 11: closed""#,
        r#""größe 12: the host's own""#,
        r#""größe 20: [(0, None), (1, Some([])), (2, Some([true, true])), (3, Some([true, true, false])), (4, Some([true, true, false, true]))]""#,
    ] {
        assert!(host.contains(&expected), "{expected} is not in {host:#?}");
    }
    assert_eq!(seen.get("kept"), r#"("yyyyone", "oneone", 9024)"#);
    let rounds = (0..3).map(|round| format!(r#"("one", "round {round} "), ("two two", "round {round} ")"#));
    assert_eq!(seen.get("written"), format!("[{}]", rounds.collect::<Vec<_>>().join(", ")));
}

#[test]
fn handles_are_lent_in_lists_and_options() {
    let seen = seen("watched");
    assert_eq!(
        seen.lines(),
        [
            "watched: 41",
            // The host has read everything.
            r#"read after: Err("StreamError::Closed")"#,
            "without a stream: [true, true, true]",
            "none: []",
            "still there: 40",
        ]
    );
}

#[test]
fn a_question_about_a_files_error_gets_no_answer() {
    for way in Way::OURS {
        let seen = Prepared::new(way, &kinds::carrier().unwrap()).unwrap().run(&["asked"]).unwrap();
        let expected = [r#"of the host: Some("the host's own")"#, "of a file: false", "and again: false"];
        assert_eq!(seen.lines(), expected, "{way:?}: {:?}", seen.trap);
    }
}

#[test]
fn the_host_receives_no_handle_that_it_does_not_know() {
    for program in ["gives a file", "lends a file"] {
        for way in Way::OURS {
            let seen = Prepared::new(way, &kinds::carrier().unwrap()).unwrap().run(&[program]).unwrap();
            assert_eq!((seen.get("the end"), seen.lines().len()), ("trap", 0), "{way:?}: {program}");
        }
    }
}

#[test]
fn an_exported_function_takes_the_hosts_streams_inside_values_and_gives_them_back() {
    let guest = kinds::carrier().unwrap();
    let jobs: [(u8, &str, &[&str]); 4] = [
        (0, "first", &["one ", "two ", "three"]),
        (1, "kept", &["four", "fifth"]),
        (2, "none", &[]),
        (4, "first", &["!"]),
    ];
    let dir = tempfile::tempdir().unwrap();
    let mut answers = Vec::new();
    for way in [Way::Host, Way::Composed, Way::Linked] {
        let component = engine::compile(engine::interruptible(), &way.component(&guest).unwrap()).unwrap();
        let store = Arc::new(MemoryStore::new());
        let program = Program::new(&component).network(Network::Loopback);
        let program = match way {
            Way::Host => program.host_files(dir.path()),
            _ => program.store(store.clone()),
        };
        let answer = program.session().unwrap().handle_jobs(&jobs).unwrap();
        let left = match way {
            Way::Host => Tree::of_directory(dir.path()).unwrap(),
            _ => Tree::of_store(&store).unwrap(),
        };
        answers.push((answer, left));
    }
    let text = |words: &[(&str, &str)]| -> Vec<(String, String)> {
        words.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    };
    let written = [("first", "one two three"), ("kept", ""), ("none", ""), ("first", "one two three!")];
    assert_eq!(answers[0].0, (vec![("kept".to_owned(), vec![4, 5])], text(&written)));
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
}
