//! Mutates inputs where there is no libFuzzer.

use crate::rng::Rng;

/// The targets use no more.
const MAX_INPUT_BYTES: usize = 4096;

/// Returns one of the inputs with some bytes changed, or joined with another.
///
/// # Panics
/// If `corpus` is empty.
pub fn mutate(rng: &mut Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut data = choose(rng, corpus).clone();
    for _ in 0..1 + rng.below(6) {
        let at = rng.below(data.len() as u64 + 1) as usize;
        match rng.below(8) {
            0..3 => {
                if let Some(byte) = data.get_mut(at) {
                    *byte = rng.below(256) as u8;
                }
            }
            3 => {
                if let Some(byte) = data.get_mut(at) {
                    *byte ^= 1 << rng.below(8);
                }
            }
            4 => data.insert(at, rng.below(256) as u8),
            5 => drop(data.drain(at..(at + 1 + rng.below(8) as usize).min(data.len()).max(at))),
            6 => {
                let end = (at + rng.below(32) as usize).min(data.len());
                let again = data[at..end].to_vec();
                data.splice(at..at, again);
            }
            _ => {
                let other = choose(rng, corpus);
                let from = rng.below(other.len() as u64 + 1) as usize;
                data.truncate(at);
                data.extend_from_slice(&other[from..]);
            }
        }
    }
    data.truncate(MAX_INPUT_BYTES);
    data
}

fn choose<'c>(rng: &mut Rng, corpus: &'c [Vec<u8>]) -> &'c Vec<u8> {
    &corpus[rng.below(corpus.len() as u64) as usize]
}
