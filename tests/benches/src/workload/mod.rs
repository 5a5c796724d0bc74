//! The programs that are run, at which sizes, and in which ways.

mod all;
mod kind;
mod ways;

pub use all::ALL;
pub use kind::{Class, Guest, SizeOf, Workload, bytes_text, count_text};

/// Finds a program by its name.
pub fn find(name: &str) -> Option<&'static Workload> {
    ALL.iter().find(|workload| workload.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::way;

    #[test]
    fn each_workload_has_a_name_of_its_own_ways_that_exist_and_sizes_that_grow() {
        for (number, workload) in ALL.iter().enumerate() {
            let name = workload.name;
            assert_eq!(ALL.iter().position(|other| other.name == name), Some(number), "{name}");
            for (at, way) in workload.ways().iter().enumerate() {
                assert!(way::find(way).is_some(), "{name}: no way {way}");
                assert!(!workload.ways()[..at].contains(way), "{name}: {way} twice");
            }
            for class in [Class::Tiny, Class::Quick, Class::Usual, Class::Full] {
                let sizes = workload.sizes(class);
                assert!(sizes.is_sorted() && !sizes.is_empty(), "{name}");
                for size in sizes {
                    assert!(!workload.arguments(*size).is_empty(), "{name}");
                }
            }
        }
    }
}
