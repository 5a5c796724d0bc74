//! What each call answers: the list that `pjdfstest` checks, as far as a volume has what it asks for.

use crate::harness::{Place, available, python};

#[test]
fn calls_answer_as_linux_says() {
    if !available() {
        return;
    }
    let place = Place::new();
    let served = place.mount("close");
    let told = python("calls.py", &[], &place.mounted());
    println!("{told}");
    // A list that lost its cases would pass.
    let count = told.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(count >= 76, "only {count} cases ran");
    served.unmount();
    place.fsck();
}

/// The list itself is checked: Linux's own file system in memory answers it the same.
#[test]
fn the_list_holds_on_a_file_system_of_linux() {
    let place = Place::new();
    let told = python("calls.py", &["linux"], &place.outside());
    assert!(told.lines().filter(|line| line.starts_with("ok ")).count() >= 68, "{told}");
}
