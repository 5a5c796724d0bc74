//! Sorting with little code.

use std::collections::BinaryHeap;

/// Sorts a list. Equal elements come in any order.
///
/// A sort of the standard library compiles to 10 to 20 KB for each type, of which every component
/// would have a copy; this one to less than 1 KB. The lists of a file system are mostly in order
/// already, and short.
pub(crate) fn sorted<T: Ord>(list: Vec<T>) -> Vec<T> {
    if list.is_sorted() { list } else { BinaryHeap::from(list).into_sorted_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted() {
        for length in 0..40_u64 {
            let list: Vec<u64> = (0..length).map(|number| number * 7919 % 31).collect();
            let mut expected = list.clone();
            expected.sort_unstable();
            assert_eq!(sorted(list), expected);
            assert_eq!(sorted(expected.clone()), expected);
        }
    }
}
