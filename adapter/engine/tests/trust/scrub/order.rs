//! Stores that take a write or a commit in pieces: between two pieces, new bytes stand beside old
//! ones.

use super::masks::Clear;
use super::watch::{Watch, open};
use crate::fixture::{CREATE, WRITE};
use crate::ops::Setup;
use crate::store::{JOURNALLED, SMALL, TINY};
use kvfs::{At, Follow, Limits, Mode};

const EXTENT: usize = 512;
const EXTENTS: usize = 120;
const SECRET: &[u8] = b"a secret over two extents";
const HEAD: usize = 9;

/// Bytes of a file in which every extent starts with `start` and ends with `end`.
fn bytes(start: &[u8], end: &[u8]) -> Vec<u8> {
    let mut extent = vec![b'.'; EXTENT];
    extent[..start.len()].copy_from_slice(start);
    extent[EXTENT - end.len()..].copy_from_slice(end);
    extent.repeat(EXTENTS)
}

/// Stores a file whose extents start with the end of the secret, and writes one over it whose
/// extents end with the start of the secret. `writes` of so many bytes each.
fn overwrite(limits: Limits, mode: Mode, writes: usize, backwards: bool) {
    let setup = Setup { limits, mode, extent_bytes: EXTENT as u32, inline_bytes: 0, ..Setup::plain() };
    let clear = Clear::everywhere(vec![SECRET.to_vec()]);
    let store = crate::store::TestStore::new(limits);
    let (mut volume, root) = open(&setup, &store, &clear).unwrap();
    let file = volume.open_at(&root, "file", Follow::No, CREATE, WRITE).unwrap();
    let (old, new) = (bytes(&SECRET[HEAD..], b""), bytes(b"", &SECRET[..HEAD]));
    assert_eq!(volume.write(&file, At::Offset(0), &old), Ok(old.len()));
    volume.sync_all().unwrap();
    let mut watch = Watch::default();
    let look = |watch: &mut Watch| watch.check(&store, &setup, &clear, &mut || true).unwrap();
    look(&mut watch);
    let mut places: Vec<usize> = (0..new.len()).step_by(writes).collect();
    if backwards {
        places.reverse();
    }
    for at in places {
        let piece = &new[at..new.len().min(at + writes)];
        assert_eq!(volume.write(&file, At::Offset(at as u64), piece), Ok(piece.len()));
        look(&mut watch);
    }
    volume.sync_all().unwrap();
    look(&mut watch);
    let mut found = Vec::new();
    assert_eq!(volume.read(&file, 0, new.len() + 1, &mut found), Ok(new.len()));
    assert!(found.iter().zip(&new).all(|(found, new)| found == new || *found == b'*'));
    assert!(watch.looked > 5, "{} states", watch.looked);
    volume.close(file).unwrap();
}

#[test]
fn a_write_in_pieces_completes_no_secret_with_what_it_has_not_replaced_yet() {
    for limits in [TINY, JOURNALLED[3], SMALL] {
        for mode in [Mode::Strict, Mode::Lazy] {
            overwrite(limits, mode, EXTENT * EXTENTS, false);
        }
    }
}

#[test]
fn extents_that_go_ahead_complete_no_secret_with_stored_ones() {
    for limits in [TINY, JOURNALLED[3], SMALL] {
        for backwards in [true, false] {
            overwrite(limits, Mode::Lazy, EXTENT, backwards);
            overwrite(limits, Mode::Lazy, 5 * EXTENT, backwards);
        }
    }
}
