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

/// Sorts numbers, byte by byte from the lowest one: fast where they are many and spread.
pub(crate) fn sort_numbers(list: &mut Vec<u32>) {
    let mut target = vec![0; list.len()];
    for shift in [0, 8, 16, 24] {
        let byte = |number: u32| usize::from((number >> shift) as u8);
        let mut places = [0_usize; 256];
        for number in list.iter() {
            if let Some(count) = places.get_mut(byte(*number)) {
                *count += 1;
            }
        }
        let mut next = 0;
        for place in &mut places {
            next += std::mem::replace(place, next);
        }
        for number in list.iter() {
            if let Some(place) = places.get_mut(byte(*number))
                && let Some(slot) = target.get_mut(*place)
            {
                *slot = *number;
                *place += 1;
            }
        }
        std::mem::swap(list, &mut target);
    }
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

    #[test]
    fn numbers_are_sorted() {
        for length in [0, 1, 2, 255, 256, 5000_u32] {
            let mut list: Vec<u32> =
                (0..length).map(|number| number.wrapping_mul(0x9e37_79b9) % 0xfff0_0000).collect();
            list.extend([u32::MAX, 0, 0x0001_0000, 0x00ff_ffff, 7, 7]);
            let mut expected = list.clone();
            expected.sort_unstable();
            sort_numbers(&mut list);
            assert_eq!(list, expected);
        }
    }
}
