//! Sinks and sources: the bytes of a read or a write, copied or lent in place.

/// Zeros to lend for holes.
static ZEROS: [u8; 4096] = [0; 4096];

/// Takes the bytes of a read, in their order.
pub(crate) trait Sink {
    /// Announces how many bytes follow.
    fn expect(&mut self, count: usize);
    fn bytes(&mut self, bytes: &[u8]);
    fn zeros(&mut self, count: usize);
}

/// Copies.
impl Sink for Vec<u8> {
    fn expect(&mut self, count: usize) {
        self.reserve(count);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn zeros(&mut self, count: usize) {
        self.resize(self.len() + count, 0);
    }
}

/// Shows bytes in place, piece by piece, and counts them.
pub(crate) struct Lend<F> {
    pub(crate) show: F,
    pub(crate) count: usize,
}

impl<F: FnMut(&[u8])> Sink for Lend<F> {
    fn expect(&mut self, _: usize) {}

    fn bytes(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.count += bytes.len();
            (self.show)(bytes);
        }
    }

    fn zeros(&mut self, mut count: usize) {
        while let Some(zeros) = ZEROS.get(..count.min(ZEROS.len())).filter(|zeros| !zeros.is_empty()) {
            count -= zeros.len();
            self.bytes(zeros);
        }
    }
}

/// Gives the bytes of a write, in their order.
pub(crate) trait Source {
    /// Fills `place` with the next bytes.
    fn fill(&mut self, place: &mut [u8]);
    /// Appends the next `count` bytes to `bytes`, which has room for them.
    fn append(&mut self, bytes: &mut Vec<u8>, count: usize);
}

/// Copies.
impl Source for &[u8] {
    fn fill(&mut self, place: &mut [u8]) {
        if let Some((bytes, rest)) = self.split_at_checked(place.len()) {
            place.copy_from_slice(bytes);
            *self = rest;
        }
    }

    fn append(&mut self, bytes: &mut Vec<u8>, count: usize) {
        if let Some((first, rest)) = self.split_at_checked(count) {
            bytes.extend_from_slice(first);
            *self = rest;
        }
    }
}

/// Shows the places to fill. The caller fills them before anything reads them.
pub(crate) struct ToFill<F>(pub(crate) F);

impl<F: FnMut(&mut [u8])> Source for ToFill<F> {
    fn fill(&mut self, place: &mut [u8]) {
        if !place.is_empty() {
            (self.0)(place);
        }
    }

    fn append(&mut self, bytes: &mut Vec<u8>, count: usize) {
        let start = bytes.len();
        bytes.resize(start + count, 0);
        self.fill(bytes.get_mut(start..).unwrap_or_default());
    }
}

/// Gives `length` bytes of `bytes`, from `from` on, to a sink. Gives zeros for missing bytes.
pub(crate) fn copy_out(bytes: &[u8], from: usize, length: usize, sink: &mut impl Sink) {
    let there = bytes.get(from..).unwrap_or_default();
    let there = there.get(..length).unwrap_or(there);
    sink.bytes(there);
    sink.zeros(length - there.len());
}

/// Puts the next `length` bytes of a source into `bytes` at `at`, after zeros if `at` is behind the
/// end.
///
/// Allocates before it calls the source: the places that the source sees do not move.
pub(crate) fn copy_in(bytes: &mut Vec<u8>, at: usize, length: usize, source: &mut impl Source) {
    let end = at.saturating_add(length);
    bytes.reserve(end.saturating_sub(bytes.len()));
    if bytes.len() < at {
        bytes.resize(at, 0);
    }
    let over = length.min(bytes.len() - at);
    if let Some(place) = bytes.get_mut(at..at + over) {
        source.fill(place);
    }
    source.append(bytes, length - over);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lent_are_the_bytes_that_a_copy_has() {
        let bytes = [7; 100];
        for (from, length) in [(0, 100), (10, 20), (90, 9000), (100, 4096), (500, 1), (0, 0)] {
            let mut copied = Vec::new();
            copy_out(&bytes, from, length, &mut copied);
            let mut lent = Vec::new();
            let mut lend = Lend { show: |piece: &[u8]| lent.extend_from_slice(piece), count: 0 };
            copy_out(&bytes, from, length, &mut lend);
            assert_eq!(lend.count, length);
            assert_eq!(lent, copied);
        }
    }

    #[test]
    fn places_stay_where_they_were_shown_and_hold_what_a_copy_would() {
        let data: Vec<u8> = (0..=255).collect();
        for (length, at) in [(0, 0), (10, 0), (10, 5), (10, 10), (10, 300), (300, 20), (256, 100)] {
            let old = vec![1; length];
            let mut copied = old.clone();
            copy_in(&mut copied, at, data.len(), &mut data.as_slice());

            let mut placed = old.clone();
            let mut places = Vec::new();
            copy_in(
                &mut placed,
                at,
                data.len(),
                &mut ToFill(|place: &mut [u8]| {
                    places.push((place.as_ptr().addr(), place.len()));
                }),
            );
            let mut rest = data.as_slice();
            for (address, length) in places {
                let start = address - placed.as_ptr().addr();
                placed[start..start + length].copy_from_slice(&rest[..length]);
                rest = &rest[length..];
            }
            assert_eq!(rest, []);
            assert_eq!(placed, copied, "{length} bytes, written at {at}");
        }
    }
}
