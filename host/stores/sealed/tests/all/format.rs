//! The bytes in the store are those that the README states: they are read here by its words alone.

use crate::disk::{CHEAP, Disk, entry, key, open, open_with};
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{Key, KeyInit, Tag, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use kvfs_contract::StoreError;
use kvfs_sealed_store::{Blocking, Random, Seal, SealedStore, UserKey, now};
use kvfs_store_rig::Calls;
use sha2::{Digest, Sha256};

/// Opens what was sealed with `key` for `place`.
fn unseal(key: &[u8; 32], place: &[u8], sealed: &[u8]) -> Vec<u8> {
    let length = sealed.len();
    assert_eq!(sealed[0], 1, "the form");
    let nonce = XNonce::from(<[u8; 24]>::try_from(&sealed[1..25]).unwrap());
    let tag = Tag::from(<[u8; 16]>::try_from(&sealed[length - 16..]).unwrap());
    let mut value = sealed[25..length - 16].to_vec();
    XChaCha20Poly1305::new(&Key::from(*key))
        .decrypt_inout_detached(&nonce, place, value.as_mut_slice().into(), &tag)
        .unwrap();
    value
}

fn derive(salt: Option<&[u8]>, secret: &[u8], info: &str) -> [u8; 32] {
    let mut key = [0; 32];
    Hkdf::<Sha256>::new(salt, secret).expand(info.as_bytes(), &mut key).unwrap();
    key
}

#[test]
fn every_byte_is_where_the_readme_says() {
    let disk = Disk::empty();
    let (superblock, name) = (b"\x01v\0".to_vec(), entry(1, "name"));
    open(&disk).set(&[], &[(&superblock, Some(b"value")), (&name, Some(b"dentry"))], false).unwrap();
    let below = disk.entries();
    assert_eq!(below.len(), 4);

    let header = &below[&b"\0kvfs-sealed"[..]];
    assert_eq!(header.len(), 153);
    assert_eq!(header[..12], *b"\x6b\x76\x66\x73\x00\x73\x65\x01\x01\x01\0\0");
    assert_eq!(header[12..24], [0; 12]);
    assert_eq!(header[145..], Sha256::digest(&header[..145])[..8]);
    let derived = |info| derive(Some(&header[24..40]), &[1; 32], info);
    assert_eq!(header[40..72], derived("kvfs sealed commitment 1"));
    let place = [b"\0kvfs-sealed", &header[..72]].concat();
    let wrapping = derived("kvfs sealed wrapping 1");
    let store_key: [u8; 32] = unseal(&wrapping, &place, &header[72..145]).try_into().unwrap();

    let prefix_header = &below[&b"\x01\x01v"[..]];
    assert_eq!(prefix_header.len(), 73);
    let prefix_key: [u8; 32] = unseal(&store_key, b"\x01\x01v", prefix_header).try_into().unwrap();
    let values = derive(None, &prefix_key, "kvfs sealed values 1");
    let names = derive(None, &prefix_key, "kvfs sealed names 1");

    let open_key = [&b"\x02"[..], &superblock].concat();
    assert_eq!(unseal(&values, &open_key, &below[&open_key]), b"value");
    let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&names).unwrap().chain_update(&name).finalize();
    let hidden = [&b"\x02"[..], &name[..11], &mac.into_bytes()[..16]].concat();
    assert_eq!(unseal(&values, &hidden, &below[&hidden]), b"\0\x04namedentry");
}

#[test]
fn a_passphrase_is_stretched_as_the_readme_says() {
    use argon2::{Algorithm, Argon2, Params, Version};
    let disk = Disk::empty();
    open_with(&disk, &UserKey::from_passphrase(b"phrase".to_vec()).unwrap()).unwrap();
    let header = disk.entries().remove(&b"\0kvfs-sealed"[..]).unwrap();
    assert_eq!(header[9], 2);
    assert_eq!(header[12..24], *b"\0\0\0\x08\0\0\0\x01\0\0\0\x01", "KiB, passes, lanes");
    let mut stretched = [0; 32];
    let params = Params::new(CHEAP.memory_kib, CHEAP.passes, CHEAP.lanes, Some(32)).unwrap();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(b"phrase", &header[24..40], &mut stretched)
        .unwrap();
    let derived = |info| derive(Some(&header[24..40]), &stretched, info);
    assert_eq!(header[40..72], derived("kvfs sealed commitment 1"));
    let place = [b"\0kvfs-sealed", &header[..72]].concat();
    assert_eq!(unseal(&derived("kvfs sealed wrapping 1"), &place, &header[72..145]).len(), 32);
}

/// Random bytes that are the same in every run: 0, 1, 2, …
struct Counting(u8);

impl Random for Counting {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), StoreError> {
        bytes.fill_with(|| {
            self.0 = self.0.wrapping_add(1);
            self.0.wrapping_sub(1)
        });
        Ok(())
    }
}

/// The entries below the stores of `the_bytes_of_a_store_never_change`.
fn golden() -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut text = String::new();
    for (what, key) in
        [("key file", key(7)), ("passphrase", UserKey::from_passphrase(b"phrase".to_vec()).unwrap())]
    {
        let disk = Disk::empty();
        let seal = Seal { key: &key, cost: CHEAP, create: true };
        let mut store =
            now(SealedStore::open(Blocking::new(disk.clone()), seal, Counting(0))).expect("an empty store");
        let (name, other) = (entry(1, "name"), [&b"\x01w"[..], &entry(2, "other name")[2..]].concat());
        let superblock = (&b"\x01v\0"[..], Some(&b"value"[..]));
        store.set(&[], &[superblock, (&name, Some(b"dentry"))], false).unwrap();
        store
            .set(&[(&name, Some(b"dentry"))], &[(&other, Some(b"")), (b"\0layer", Some(&[0; 70]))], false)
            .unwrap();
        text.push_str(&format!("{what}\n"));
        for (key, value) in disk.entries() {
            text.push_str(&format!("{} {}\n", hex(&key), hex(&value)));
        }
    }
    text
}

/// A change of these bytes is a change of the format: it needs a new form.
#[test]
fn the_bytes_of_a_store_never_change() {
    let now = golden();
    assert!(now == include_str!("../golden.txt"), "not tests/golden.txt any more, but\n{now}");
}
